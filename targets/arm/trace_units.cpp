#include "targets/arm/trace_units.h"

#include <fmt/format.h>

#include "targets/arm/state.h"
#include "targets/devices/mmio.h"
#include "targets/devices/model_registry.h"
#include "targets/devices/register_block.h"

namespace hindcast::arm {
namespace {

constexpr GuestAddr kItmBase = 0xe0000000, kDwtBase = 0xe0001000, kFpbBase = 0xe0002000,
                    kTpiuBase = 0xe0040000, kRomTable = 0xe00ff000;
constexpr u64 kUnitSize = 0x1000;

// DWT.
constexpr u32 kDwtControl = 0x00, kCycleCount = 0x04, kEventCounts = 0x08, kPcSample = 0x1c,
              kComparator = 0x20;
constexpr u32 kCountCycles = 1, kControlWritable = 0x0a7f1fff;
// ITM.
constexpr u32 kPortEnable = 0xe00, kPortPrivilege = 0xe40, kItmControl = 0xe80;
constexpr u32 kItmOn = 1, kItmWritable = 0x007f0f1f;

constexpr std::size_t kLongestMark = 4;  // of a byte that cannot be printed

constexpr devices::RegisterSpec kFpb[] = {
    {0x00, 0x260, 3},      {0x04, 0, 0x1fffffe0}, {0x08, 0, 0xdffffffd}, {0x0c, 0, 0xdffffffd},
    {0x10, 0, 0xdffffffd}, {0x14, 0, 0xdffffffd}, {0x18, 0, 0xdffffffd}, {0x1c, 0, 0xdffffffd},
    {0x20, 0, 0xdffffffd}, {0x24, 0, 0xdffffffd},
};
constexpr devices::RegisterSpec kTpiu[] = {
    {0x000, 0xb}, {0x004, 1, 0xb},   {0x010, 0, 0x1fff}, {0x0f0, 1, 3},
    {0x300, 8},   {0x304, 0x102, 2}, {0xfc8, 0xca1},
};
/// Where the units are, from the table's own place; bit 0: there.
constexpr u32 rom_entry(u32 unit, bool there) {
  return (unit - static_cast<u32>(kRomTable)) | 2 | (there ? 1 : 0);
}
constexpr devices::RegisterSpec kRom[] = {
    {0x00, rom_entry(0xe000e000, true)},
    {0x04, rom_entry(0xe0001000, true)},
    {0x08, rom_entry(0xe0002000, true)},
    {0x0c, rom_entry(0xe0000000, true)},
    {0x10, rom_entry(0xe0040000, true)},
    {0x14, rom_entry(0xe0041000, false)},
    {0xfcc, 1},
    {0xff0, 0x0d},
    {0xff4, 0x10},
    {0xff8, 0x05},
    {0xffc, 0xb1},
};

/// One of the units that only remember.
class DebugBlock final : public devices::RegisterBlock {
 public:
  DebugBlock(std::string name, std::span<const devices::RegisterSpec> table)
      : RegisterBlock(std::move(name), table, devices::NarrowWrites::Merge) {}
  void reset() override {}
  bool can_peek() const override { return true; }
  u64 mmio_peek(u64 offset, unsigned size) override { return mmio_read(offset, size); }
};

}  // namespace

// ---- DWT

Dwt::Dwt(std::string name, Machine& machine, u64 core_hz, std::function<bool()> tracing)
    : Device(std::move(name)), machine_(machine), core_hz_(core_hz), tracing_(std::move(tracing)) {}

void Dwt::state(Archive& ar) {
  ar.field("control", control_);
  ar.field("count", count_);
  ar.field("anchor", anchor_);
  for (u32& count : event_counts_) ar.field("event_count", count);
  for (u32& comparator : comparators_) ar.field("comparator", comparator);
}

bool Dwt::counting() const { return (control_ & kCountCycles) != 0 && tracing_(); }
u64 Dwt::clocks() const { return static_cast<u64>(u128{machine_.clock().now()} * core_hz_ / 1'000'000'000); }
u32 Dwt::cycles() const { return counting() ? count_ + static_cast<u32>(clocks() - anchor_) : count_; }

void Dwt::start_at(u32 value) {
  count_ = value;
  anchor_ = clocks();
}

u64 Dwt::mmio_read(u64 offset, unsigned size) {
  const u32 at = static_cast<u32>(offset) & ~u32{3};
  u32 value = 0;
  if (at == kDwtControl) {
    value = control_ | kComparators << 28;
  } else if (at == kCycleCount) {
    value = cycles();
  } else if (at >= kEventCounts && at < kPcSample) {
    value = event_counts_[(at - kEventCounts) / 4];
  } else if (at == kPcSample) {
    value = static_cast<u32>(machine_.current().pc());
  } else if (at >= kComparator && at < kComparator + 16 * kComparators && at % 16 != 12) {
    value = comparators_[(at - kComparator) / 16 * 3 + at % 16 / 4];
  }
  return value >> (8 * (offset & 3)) & devices::low_mask(size);
}

void Dwt::mmio_write(u64 offset, unsigned, u64 value64) {
  if (!tracing_()) return;
  const u32 at = static_cast<u32>(offset) & ~u32{3}, value = static_cast<u32>(value64);
  if (at == kDwtControl) {
    settle();
    control_ = value & kControlWritable;
  } else if (at == kCycleCount) {
    start_at(value);
  } else if (at >= kEventCounts && at < kPcSample) {
    event_counts_[(at - kEventCounts) / 4] = value & 0xff;
  } else if (at >= kComparator && at < kComparator + 16 * kComparators && at % 16 != 12) {
    comparators_[(at - kComparator) / 16 * 3 + at % 16 / 4] = value;
  }
}

// ---- ITM

Itm::Itm(std::string name, Machine& machine, Channel channel, std::function<bool()> tracing)
    : Device(std::move(name)), machine_(machine), channel_(channel), tracing_(std::move(tracing)) {}

void Itm::state(Archive& ar) {
  ar.field("enabled_ports", enabled_ports_);
  ar.field("privilege", privilege_);
  ar.field("control", control_);
  for (std::string& line : lines_) {
    ar.field("line", line);
    if (line.size() > kLongestLine + kLongestMark) throw Fatal("saved state: a line of the ITM is too long");
  }
}

/// Each bit of ITM_TPR closes eight ports to unprivileged code: it reads 0 there, and its writes are lost.
bool Itm::open(unsigned port) const {
  return is_privileged(machine_.vcpu(0).state<ArmState>()) || (privilege_ >> port / 8 & 1) == 0;
}

bool Itm::enabled(unsigned port) const {
  return tracing_() && (control_ & kItmOn) != 0 && (enabled_ports_ >> port & 1) != 0;
}

u64 Itm::mmio_read(u64 offset, unsigned size) {
  const u32 at = static_cast<u32>(offset) & ~u32{3};
  u32 value = 0;
  if (at < 4 * kPorts) return open(at / 4) && enabled(at / 4) ? 1 : 0;  // there is always room
  switch (at) {
    case kPortEnable: value = enabled_ports_; break;
    case kPortPrivilege: value = privilege_; break;
    case kItmControl: value = control_; break;
    default: break;
  }
  return value >> (8 * (offset & 3)) & devices::low_mask(size);
}

void Itm::mmio_write(u64 offset, unsigned size, u64 value64) {
  const u32 at = static_cast<u32>(offset) & ~u32{3}, value = static_cast<u32>(value64);
  if (at < 4 * kPorts) {
    u8 bytes[4];
    for (unsigned i = 0; i < 4; ++i) bytes[i] = static_cast<u8>(value >> (8 * i));
    if (open(at / 4) && enabled(at / 4)) print(at / 4, ByteView(bytes, std::min(size, 4u)));
    return;
  }
  if (!tracing_()) return;
  switch (at) {
    case kPortEnable: enabled_ports_ = value; break;
    case kPortPrivilege: privilege_ = value & 15; break;
    case kItmControl: control_ = value & kItmWritable; break;
    default: break;
  }
}

void Itm::print(unsigned port, ByteView bytes) {
  if (port == 0 && channel_ != devices::kNoChannel) return machine_.port().output(channel_, bytes);
  const auto& note = machine_.options().engine.note;
  std::string& line = lines_[port];
  for (const u8 byte : bytes) {
    if (byte != '\n' && line.size() < kLongestLine) {
      if (byte >= ' ' && byte < 0x7f)
        line += static_cast<char>(byte);
      else if (byte != '\r')
        line += fmt::format("\\x{:02x}", byte);  // kLongestMark
      continue;
    }
    if (note) note(fmt::format("itm{}: {}", port, line));
    line.clear();
  }
}

// ---- all

TraceUnits add_trace_units(Machine& machine, u64 core_hz, Channel channel, std::function<bool()> tracing) {
  TraceUnits units;
  AddressSpace& memory = machine.memory();
  units.itm = &machine.add_device<Itm>("itm", machine, channel, tracing);
  memory.add_device("itm", kItmBase, kUnitSize, units.itm);
  units.dwt = &machine.add_device<Dwt>("dwt", machine, core_hz, std::move(tracing));
  memory.add_device("dwt", kDwtBase, kUnitSize, units.dwt);
  const auto block = [&](const char* name, GuestAddr base, std::span<const devices::RegisterSpec> table) {
    auto& registers = machine.add_device<DebugBlock>(name, table);
    memory.add_device(name, base, kUnitSize, &registers);
  };
  block("fpb", kFpbBase, kFpb);
  block("tpiu", kTpiuBase, kTpiu);
  block("romtable", kRomTable, kRom);
  return units;
}

}  // namespace hindcast::arm
