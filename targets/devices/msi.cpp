#include "targets/devices/msi.h"

#include "targets/devices/virtio/guest_memory.h"

namespace hindcast::devices {
namespace {

constexpr const char* kExtension = "msi";

struct Range {
  GuestAddr base;
  u64 size;
  MsiTarget* target;
};
using Ranges = std::vector<Range>;

}  // namespace

void add_msi_target(Machine& machine, GuestAddr base, u64 size, MsiTarget& target) {
  if (machine.extension<Ranges>(kExtension) == nullptr)
    machine.set_extension(kExtension, std::make_shared<Ranges>());
  machine.extension<Ranges>(kExtension)->push_back({base, size, &target});
}

void send_msi(Machine& machine, GuestAddr address, u32 data) {
  if (address % sizeof data != 0) return;
  if (const auto* ranges = machine.extension<Ranges>(kExtension))
    for (const Range& range : *ranges)
      if (address - range.base < range.size) return range.target->msi(address - range.base, data);
  virtio::GuestMemory(machine.memory()).write_le(address, data);
}

}  // namespace hindcast::devices
