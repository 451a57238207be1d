#include "targets/devices/register_block.h"

#include <algorithm>

#include "targets/devices/model_registry.h"

namespace hindcast::devices {

RegisterBlock::RegisterBlock(std::string name, std::span<const RegisterSpec> table, NarrowWrites narrow)
    : Device(std::move(name)), WordRegisters(narrow), table_(table), values_(table.size()) {
  RegisterBlock::reset();
}

void RegisterBlock::reset() {
  std::transform(table_.begin(), table_.end(), values_.begin(),
                 [](const RegisterSpec& r) { return r.reset; });
}

void RegisterBlock::state(Archive& ar) {
  for (std::size_t i = 0; i < table_.size(); ++i) ar.field("register", values_[i]);
}

const RegisterSpec* RegisterBlock::find(u32 wanted, std::size_t* index) const {
  const auto at = std::lower_bound(table_.begin(), table_.end(), wanted,
                                   [](const RegisterSpec& r, u32 offset) { return r.offset < offset; });
  if (at == table_.end() || at->offset != wanted) return nullptr;
  *index = static_cast<std::size_t>(at - table_.begin());
  return &*at;
}

u32 RegisterBlock::read_word(u32 at) {
  std::size_t i = 0;
  const RegisterSpec* r = find(at, &i);
  if (r == nullptr) return 0;
  const u32 value = values_[i], shown = value & r->shown;
  return value | (r->shown_by >= 0 ? shown << r->shown_by : shown >> -r->shown_by);
}

void RegisterBlock::write_word(u32 at, u32 value) {
  std::size_t i = 0;
  const RegisterSpec* r = find(at, &i);
  if (r == nullptr) return;
  values_[i] = ((values_[i] & ~r->writable) | (value & r->writable)) & ~(value & r->clears);
}

/// Bits that a 1 clears stay with a 0.
u32 RegisterBlock::unwritten(u32 at) const {
  std::size_t i = 0;
  const RegisterSpec* r = find(at, &i);
  return r == nullptr ? 0 : values_[i] & r->writable & ~r->clears;
}

void add_register_block(const DeviceSite& site, std::span<const RegisterSpec> table, NarrowWrites narrow) {
  place<RegisterBlock>(site, table.back().offset + 4, table, narrow);
}

}  // namespace hindcast::devices
