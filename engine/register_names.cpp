#include "engine/register_names.h"

#include <algorithm>

#include "engine/machine.h"

namespace hindcast {

u32 RegisterNames::add(Peripheral peripheral) {
  peripherals_.push_back(std::move(peripheral));
  return static_cast<u32>(peripherals_.size() - 1);
}

void RegisterNames::add(Register reg) { registers_.push_back(std::move(reg)); }

void RegisterNames::finish() {
  std::stable_sort(registers_.begin(), registers_.end(),
                   [](const Register& a, const Register& b) { return a.address < b.address; });
}

const RegisterNames::Register* RegisterNames::find(GuestAddr address) const {
  // No register is wider than a few bytes: the one that holds the byte begins close before it.
  constexpr u64 kWidest = 8;
  auto it = std::upper_bound(registers_.begin(), registers_.end(), address,
                             [](GuestAddr wanted, const Register& r) { return wanted < r.address; });
  const Register* found = nullptr;
  while (it != registers_.begin() && address - std::prev(it)->address < kWidest) {
    --it;
    if (address - it->address < it->bytes && (found == nullptr || it->address == found->address))
      found = &*it;
  }
  return found;
}

std::string RegisterNames::name_at(GuestAddr address) const {
  const Register* r = find(address);
  return r == nullptr ? "" : peripherals_[r->peripheral].name + "." + r->name;
}

const RegisterNames* RegisterNames::of(const Machine& machine) {
  return machine.extension<const RegisterNames>(kExtension);
}

}  // namespace hindcast
