// Firmware configuration as QEMU's boards have it (QEMU documentation, "Firmware Configuration (fw_cfg)
// Device"): numbered items, read byte by byte or by DMA, and a directory of those that have names.
// Memory-mapped form.
#pragma once
#include <map>
#include <string>

#include "engine/machine.h"
#include "targets/devices/virtio/guest_memory.h"

namespace hindcast::devices {

class FwCfg final : public Device, public MmioHandler {
 public:
  static constexpr u64 kSize = 0x18;
  static constexpr std::size_t kMostFiles = 1024, kLongestName = 55;

  /// A file is a node below the device's, with these two properties; the guest does not see it.
  static constexpr const char *kFileCompatible = "hindcast,fw-cfg-file", *kFileName = "hindcast,name",
                              *kFileData = "hindcast,data";

  FwCfg(std::string name, Machine& machine);

  /// A file that the guest finds by its name. Throws Fatal for a name that is too long or there already.
  void add_file(const std::string& name, Bytes data);

  void reset() override;
  void state(Archive& ar) override;
  u64 mmio_read(u64 offset, unsigned size) override;
  void mmio_write(u64 offset, unsigned size, u64 value) override;

 private:
  const Bytes& item() const;
  void make_directory();
  u8 next_byte();
  void select(u16 key);
  void transfer(GuestAddr control);
  bool read_to(GuestAddr address, u32 size);

  virtio::GuestMemory memory_;
  std::map<u16, Bytes> items_;
  std::map<std::string, u16> files_;
  u16 selected_ = 0;
  u64 position_ = 0;  // in the selected item
  u64 dma_ = 0;       // the DMA address as far as it has been written
};

}  // namespace hindcast::devices
