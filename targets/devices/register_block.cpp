#include "targets/devices/register_block.h"

#include <algorithm>

#include "targets/devices/mmio.h"
#include "targets/devices/model_registry.h"

namespace hindcast::devices {

RegisterBlock::RegisterBlock(std::string name, std::span<const RegisterSpec> table)
    : Device(std::move(name)), table_(table), values_(table.size()) {
  RegisterBlock::reset();
}

void RegisterBlock::reset() {
  std::transform(table_.begin(), table_.end(), values_.begin(),
                 [](const RegisterSpec& r) { return r.reset; });
}

void RegisterBlock::state(Archive& ar) {
  for (std::size_t i = 0; i < table_.size(); ++i) ar.field("register", values_[i]);
}

const RegisterSpec* RegisterBlock::find(u64 offset, std::size_t* index) const {
  const auto at = std::lower_bound(table_.begin(), table_.end(), offset & ~u64{3},
                                   [](const RegisterSpec& r, u64 wanted) { return r.offset < wanted; });
  if (at == table_.end() || at->offset != (offset & ~u64{3})) return nullptr;
  *index = static_cast<std::size_t>(at - table_.begin());
  return &*at;
}

u64 RegisterBlock::mmio_read(u64 offset, unsigned size) {
  std::size_t i = 0;
  const RegisterSpec* r = find(offset, &i);
  if (r == nullptr) return 0;
  const u32 value = values_[i], shown = value & r->shown;
  const u32 moved = r->shown_by >= 0 ? shown << r->shown_by : shown >> -r->shown_by;
  return (value | moved) >> (8 * (offset & 3)) & low_mask(size);
}

void RegisterBlock::mmio_write(u64 offset, unsigned size, u64 value64) {
  std::size_t i = 0;
  const RegisterSpec* r = find(offset, &i);
  if (r == nullptr) return;
  const unsigned shift = 8 * (offset & 3);
  const u32 mask = static_cast<u32>(low_mask(size)) << shift, value = static_cast<u32>(value64) << shift;
  const u32 taken = r->writable & mask;
  values_[i] = ((values_[i] & ~taken) | (value & taken)) & ~(value & mask & r->clears);
}

void add_register_block(const DeviceSite& site, std::span<const RegisterSpec> table) {
  const loader::DtRange& reg = site.reg(0, table.back().offset + 4);
  auto& block = site.machine.add_device<RegisterBlock>(site.name, table);
  site.machine.memory().add_device(site.name, reg.base, reg.size, &block);
}

}  // namespace hindcast::devices
