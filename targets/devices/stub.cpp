#include "targets/devices/stub.h"

#include <fmt/format.h>

#include "engine/register_names.h"

namespace hindcast::devices {

u64 Stub::mmio_read(u64 offset, unsigned size) {
  if (told_.size() < kMostTold && told_.insert({offset, false}).second) tell(offset, size, "reads 0");
  return 0;
}

void Stub::mmio_write(u64 offset, unsigned size, u64 value) {
  if (told_.size() < kMostTold && told_.insert({offset, true}).second)
    tell(offset, size, fmt::format("writes {:#x}", value).c_str());
}

void Stub::tell(u64 offset, unsigned size, const char* how) {
  const auto& note = machine_.options().engine.note;
  if (!note) return;
  const RegisterNames* names = RegisterNames::of(machine_);
  const std::string name = names == nullptr ? "" : names->name_at(base_ + offset);
  note(fmt::format("{}: no model; the guest {} ({}{} bytes at {:#x}, pc {:#x}, icount {})", what_, how,
                   name.empty() ? "" : name + ", ", size, base_ + offset, machine_.current().pc(),
                   machine_.current().icount()));
}

}  // namespace hindcast::devices
