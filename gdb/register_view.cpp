#include "gdb/register_view.h"

#include <fmt/format.h>

#include <bit>
#include <optional>

#include "engine/register_names.h"

namespace hindcast::gdb {
namespace {

/// Lets device registers be read: what reading one changes is put back, and the outside hears nothing.
class QuietReads {
 public:
  explicit QuietReads(Machine& machine) : machine_(machine), port_(machine.port()) {
    SaveArchive save;
    machine.state(save);
    before_ = save.take();
    machine.set_port(&silent_);
  }
  ~QuietReads() { machine_.set_port(&port_); }
  QuietReads(const QuietReads&) = delete;
  QuietReads& operator=(const QuietReads&) = delete;

  std::optional<u64> read(GuestAddr address, unsigned bytes) {
    const AddressSpace& memory = machine_.memory();
    for (const AddressSpace::DeviceRange& device : memory.devices())
      if (address - device.base < device.size && device.size - (address - device.base) >= bytes)
        return read_device(device, address, bytes);
    u64 value = 0;
    if (memory.host_read(address, &value, bytes)) return value;
    return std::nullopt;
  }

 private:
  u64 read_device(const AddressSpace::DeviceRange& device, GuestAddr address, unsigned bytes) {
    const u64 value = device.handler->mmio_read(address - device.base, bytes);
    LoadArchive load(before_);
    machine_.state(load);
    return value;
  }

  Machine& machine_;
  InputPort& port_;
  SilentPort silent_;
  Bytes before_;
};

std::string peripherals(const RegisterNames& names) {
  std::string out;
  for (const RegisterNames::Peripheral& p : names.peripherals())
    out += fmt::format("{:#010x} {:<16} {}\n", p.base, p.name, p.description);
  return out;
}

}  // namespace

std::string register_view(Machine& machine, const std::string& name) {
  const RegisterNames* names = RegisterNames::of(machine);
  if (names == nullptr) return "there are no names of registers: run or record with --svd FILE\n";
  if (name.empty()) return peripherals(*names);
  std::string out;
  QuietReads quiet(machine);
  for (const RegisterNames::Register& r : names->registers()) {
    const std::string& peripheral = names->peripherals()[r.peripheral].name;
    if (name != peripheral && name != peripheral + "." + r.name) continue;
    const unsigned bytes = std::bit_ceil(r.bytes);
    const std::optional<u64> value = quiet.read(r.address, bytes);
    out += fmt::format("{:#010x} {:<24} {:>{}} {}\n", r.address, r.name,
                       value ? fmt::format("{:#0{}x}", *value, 2 * bytes + 2) : "-", 2 * bytes + 2,
                       r.description);
  }
  return out.empty() ? fmt::format("no peripheral or register is called that; see monitor registers\n") : out;
}

}  // namespace hindcast::gdb
