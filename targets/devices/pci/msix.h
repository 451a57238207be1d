// The MSI-X capability of a PCI function ("PCI Local Bus Specification" 3.0, section 6.8.2): a table of
// messages and an array of pending bits, both in a memory range of the function's.
#pragma once
#include <functional>
#include <vector>

#include "engine/archive.h"
#include "engine/types.h"

namespace hindcast::devices::pci {

class Msix {
 public:
  static constexpr u8 kCapability = 0x11;
  static constexpr unsigned kMostVectors = 128;
  /// Of the memory range: the table first, the pending bits behind it.
  static constexpr u64 kRangeSize = 0x1000, kPendingOffset = 0x800;
  /// Bits of the capability's second word that software writes.
  static constexpr u16 kEnable = 1 << 15, kMaskAll = 1 << 14;

  using Send = std::function<void(u64 address, u32 data)>;
  /// `vectors`: 1 to kMostVectors. `send` writes a message.
  Msix(unsigned vectors, Send send);

  unsigned vectors() const { return static_cast<unsigned>(table_.size() / kWords); }
  /// What follows the capability's ID and link, where the range is that of base address register `bar`.
  Bytes capability(unsigned bar) const;

  bool enabled() const { return (control_ & kEnable) != 0; }
  /// The second word as it is now, and whether the function may write to memory: messages that may leave do.
  void set_control(u16 control, bool bus_master);
  /// Sends the vector's message, or remembers it while it is masked or cannot be written. Nothing if MSI-X is
  /// off or there is no such vector.
  void raise(unsigned vector);

  /// Accesses to the range; narrow writes, which the specification does not know, change nothing.
  u64 read(u64 offset, unsigned size) const;
  void write(u64 offset, unsigned size, u64 value);

  void reset();
  /// The table and the pending bits; the second word is the function's.
  void state(Archive& ar);

 private:
  static constexpr unsigned kWords = 4;  // of an entry: address, its upper half, data, control
  bool masked(unsigned vector) const;
  u32 word(u64 offset) const;
  void flush(unsigned vector);

  Send send_;
  u16 control_ = 0;
  bool bus_master_ = false;
  std::vector<u32> table_, pending_;
};

}  // namespace hindcast::devices::pci
