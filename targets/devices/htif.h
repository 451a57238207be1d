// The Berkeley host-target interface, as the public RISC-V test programs use it: two 64-bit words in memory,
// `tohost` and `fromhost`. Device 0 takes exit codes (bit 0 set) and proxied system calls, device 1 is a
// console.
//
// The words lie in ordinary memory, but a store to `tohost` must be noticed at once. So the pages that hold
// them are not RAM: this device stands in for them and keeps their bytes. Code in these pages cannot run.
#pragma once
#include <optional>

#include "engine/machine.h"

namespace hindcast::devices {

class Htif final : public Device, public MmioHandler {
 public:
  static constexpr u64 kPage = AddressSpace::kPage;

  /// `base`, `size`: the page(s), which the board has left out of RAM. Console output goes to `channel`.
  Htif(std::string name, Machine& machine, GuestAddr base, u64 size, GuestAddr tohost,
       std::optional<GuestAddr> fromhost, Channel channel);

  void reset() override {}
  void state(Archive& ar) override;
  u64 mmio_read(u64 offset, unsigned size) override;
  void mmio_write(u64 offset, unsigned size, u64 value) override;

  GuestAddr base() const { return base_; }
  u64 size() const { return bytes_.size(); }
  /// Writes from the host's side into the pages (loading an image). False: not all inside.
  bool host_write(GuestAddr pa, const void* data, std::size_t size);

 private:
  u64 word(GuestAddr pa) const;
  void set_word(GuestAddr pa, u64 value);
  bool read_memory(GuestAddr pa, void* out, std::size_t size) const;
  void handle(u64 request);
  void system_call(GuestAddr block);
  u64 write_call(u64 file, GuestAddr data, u64 size);
  void answer(u64 value);

  Machine& machine_;
  GuestAddr base_, tohost_;
  std::optional<GuestAddr> fromhost_;
  Channel channel_;
  Bytes bytes_;
};

}  // namespace hindcast::devices
