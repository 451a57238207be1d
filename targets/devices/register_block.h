// Registers that remember what is written to them, as a table: enough for a driver that sets a device up,
// finds it ready and never asks it for anything.
#pragma once
#include <span>
#include <vector>

#include "engine/machine.h"
#include "targets/devices/word_registers.h"

namespace hindcast::devices {

/// One 32-bit register.
struct RegisterSpec {
  u32 offset;  // a multiple of 4
  u32 reset = 0;
  u32 writable = 0;  // bits that take what is written
  u32 clears = 0;    // bits that writing a 1 clears
  /// Bits that show up again `shown_by` places higher (or, if negative, lower): "on" as "ready".
  u32 shown = 0;
  int shown_by = 0;
};

/// A device of such registers. Others read as 0 and take no writes.
class RegisterBlock : public Device, public WordRegisters {
 public:
  /// `table` must outlive the device; its offsets ascend.
  RegisterBlock(std::string name, std::span<const RegisterSpec> table, NarrowWrites narrow);

  void reset() override;
  void state(Archive& ar) override;

 protected:
  u32 read_word(u32 at) override;
  void write_word(u32 at, u32 value) override;
  u32 unwritten(u32 at) const override;

 private:
  const RegisterSpec* find(u32 at, std::size_t* index) const;

  std::span<const RegisterSpec> table_;
  std::vector<u32> values_;
};

struct DeviceSite;
/// Adds one at the site's first register range.
void add_register_block(const DeviceSite& site, std::span<const RegisterSpec> table,
                        NarrowWrites narrow = NarrowWrites::Whole);
/// The same, as DeviceModel::build has it.
template <const auto& Table>
IrqSink* add_table(const DeviceSite& site, NarrowWrites narrow = NarrowWrites::Whole) {
  add_register_block(site, Table, narrow);
  return nullptr;
}

}  // namespace hindcast::devices
