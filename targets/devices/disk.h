// The bytes of a drive, as a disk controller works with them. What the guest reads for the first time is
// asked for through the input port, page by page, and kept, with everything that the guest writes, in storage
// that is part of the machine's state. The host's file is not touched (but see `write_through`), and a replay
// does without it.
#pragma once
#include <map>
#include <string>

#include "engine/machine.h"

namespace hindcast::devices {

class Disk {
 public:
  static constexpr u64 kSector = 512;
  /// The largest drive: what one block of a recording's memory can be.
  static constexpr u64 kLargest = u64{1} << 40;

  struct Site {
    Channel channel = 0;
    u32 drive = 0;  // its number in the configuration
    u64 bytes = 0;  // whole sectors
    bool read_only = false;
    bool write_through = false;  // writes go to the host's file too, at once
  };

  /// Throws Fatal for a size that no drive has.
  Disk(Machine& machine, const std::string& name, const Site& site);

  u64 bytes() const { return site_.bytes; }
  bool read_only() const { return site_.read_only; }
  /// Whether the range lies on the disk.
  bool contains(u64 offset, u64 size) const { return offset <= site_.bytes && size <= site_.bytes - offset; }

  // All ranges below must lie on the disk. What a call costs the host grows with its size: a controller moves
  // large amounts in portions. False: the outside did not have all of the bytes, or did not take them
  // (`write_through`); the disk is as it was then.
  bool read(u64 offset, void* out, std::size_t size);
  bool write(u64 offset, ByteView data);
  bool clear(u64 offset, u64 size);
  /// What was written is on the host's medium (`write_through`).
  bool flush() { return pass_on(kDiskFlush, 0, 0, {}); }

  /// Which bytes are known. When loading, nonsense is refused with Fatal.
  void state(Archive& ar);

 private:
  /// What a write to the range needs to know before: the rest of the pages at its ends.
  bool fetch_ends(u64 offset, u64 size);
  bool fetch_pages(u64 first, u64 end);
  /// Asks for a range of pages that are not known.
  bool ask(u64 first, u64 end);
  void note_known(u64 first, u64 end);
  bool pass_on(u8 operation, u64 offset, u32 size, ByteView data);

  Machine& machine_;
  Site site_;
  RamBlock& storage_;
  u64 pages_;
  std::map<u64, u64> known_;  // first page and end of each stretch; they neither overlap nor touch
};

}  // namespace hindcast::devices
