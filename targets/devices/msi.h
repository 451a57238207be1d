// Message-signalled interrupts: writes of a word that mean an interrupt, by who sends them (PCI functions,
// APLICs) to who takes them.
#pragma once
#include <vector>

#include "engine/machine.h"

namespace hindcast::devices {

/// Takes MSIs in a range of addresses.
class MsiTarget {
 public:
  virtual ~MsiTarget() = default;
  /// `offset` in the range, a multiple of 4. Sends no MSI itself.
  virtual void msi(u64 offset, u32 data) = 0;
};

/// Makes `target`, which outlives the machine's run, the one for these addresses.
void add_msi_target(Machine& machine, GuestAddr base, u64 size, MsiTarget& target);

/// Writes the word: to a target, or to RAM. Anywhere else, and at an address that is not a multiple of 4, it
/// is lost; so no device is driven by another one without end.
void send_msi(Machine& machine, GuestAddr address, u32 data);

}  // namespace hindcast::devices
