// The host's side of drives: image files, and what is answered to InputKind::Disk (engine/input_port.h).
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "replay/host_services.h"
#include "replay/qcow2.h"

namespace hindcast::replay {

/// Image files, opened once and kept open. A drive's number is the order in which it was added.
class HostDrives final : public HostService {
 public:
  HostDrives() = default;
  ~HostDrives() override;
  HostDrives(const HostDrives&) = delete;
  HostDrives& operator=(const HostDrives&) = delete;

  /// What the bytes of a file mean. Detect: qcow2 if it begins like that, else raw.
  enum class Format : u8 { Detect, Raw, Qcow2 };
  /// Opens an image (or a disk of the host) and returns the disk's size in bytes, rounded up to whole sectors
  /// of 512. `writable`: requests may change it; raw images only. Throws Fatal if it cannot be used, or
  /// somebody else writes to it.
  u64 add(const std::string& path, Format format, bool writable);

  Bytes serve(ByteView request) override;
  bool has_effects(ByteView request) const override;

 private:
  struct Drive {
    int fd = -1;
    u64 bytes = 0;  // of the disk
    bool writable = false;
    std::unique_ptr<Qcow2> qcow2;  // null: raw
  };
  static Bytes read(const Drive& drive, u64 offset, u64 size);
  static bool write(const Drive& drive, u64 offset, ByteView data);
  static bool clear(const Drive& drive, u64 offset, u64 size);

  std::vector<Drive> drives_;
};

}  // namespace hindcast::replay
