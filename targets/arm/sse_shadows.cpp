#include "targets/arm/sse_shadows.h"

#include "targets/devices/occupied.h"

namespace hindcast::arm {

GuestAddr Shadows::physical(u32 address) const {
  for (const Shadow& s : shadows_)
    if (address - s.base < s.size) return address - s.base + s.at;
  return address;
}

void Shadows::add(AddressSpace& memory, const std::string& name) {
  for (const devices::Occupied& r : devices::occupied(memory)) {
    for (const Shadow& s : shadows_) {
      const GuestAddr base = r.base - s.at + s.base;
      if (r.base - s.at >= s.size || devices::is_occupied(memory, base, r.size)) continue;
      views_.push_back(std::make_unique<View>(memory, r.base));
      memory.add_device(name + std::to_string(views_.size()), base, r.size, views_.back().get());
    }
  }
}

u64 Shadows::View::mmio_read(u64 offset, unsigned size) {
  u64 value = 0;
  memory_.read(at_ + offset, size, &value);
  return value;
}

void Shadows::View::mmio_write(u64 offset, unsigned size, u64 value) {
  memory_.write(at_ + offset, size, value);
}

}  // namespace hindcast::arm
