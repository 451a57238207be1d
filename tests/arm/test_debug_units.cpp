// The debug logic beside the CPU: what a debugger may look at, what a reset leaves alone, and lines of the
// ITM that are not ended yet.
#include <gtest/gtest.h>

#include "engine/archive.h"
#include "gdb/memory.h"
#include "targets/arm/trace_units.h"
#include "targets/devices/model_registry.h"
#include "tests/arm/test_machine.h"

namespace hindcast::test {
namespace {

using namespace arm;

constexpr u32 kTickControl = 0xe000e010, kAircr = 0xe000ed0c, kDfsr = 0xe000ed30, kDemcr = 0xe000edfc,
              kFpccr = 0xe000ef34;
constexpr u32 kTraceEnable = 1 << 24, kCatchReset = 1, kMonitorEnable = 1 << 16;

std::string look(TestMachine& m, u32 address, u64 size) {
  return gdb::read_memory(m.vcpu(), gdb::Space::Virtual, address, size);
}
u32 word_of(const std::string& bytes) {
  u32 value = 0;
  if (bytes.size() == 4) std::memcpy(&value, bytes.data(), 4);
  return value;
}

TEST(DebugUnits, RegistersAreSeenAsTheCpuSeesThem) {
  TestMachine m("cortex-m4");
  EXPECT_EQ(word_of(look(m, kFpccr, 4)), m.system(kFpccr));
  EXPECT_EQ(word_of(look(m, kFpccr, 4)), fpccr::kAspen | fpccr::kLspen);
  EXPECT_EQ(look(m, kFpccr + 3, 1), "\xc0");
  // Across words, and to the end of the space but not beyond.
  EXPECT_EQ(look(m, kFpccr - 2, 8).size(), 8u);
  EXPECT_EQ(look(m, kFpccr - 2, 8).substr(2, 4), look(m, kFpccr, 4));
  EXPECT_EQ(look(m, 0xe000eff0, 64).size(), 16u);
}

TEST(DebugUnits, LookingLeavesTheTimersFlag) {
  TestMachine m("cortex-m3");
  m.system(kTickControl + 4, 9);
  m.system(kTickControl + 8, 0);
  m.system(kTickControl, 5);
  m.run(100);
  EXPECT_EQ(word_of(look(m, kTickControl, 4)), 0x10005u);
  EXPECT_EQ(word_of(look(m, kTickControl, 4)), 0x10005u);
  EXPECT_EQ(m.system(kTickControl), 0x10005u);
  EXPECT_EQ(word_of(look(m, kTickControl, 4)), 5u);
}

TEST(DebugUnits, OtherStatesRegistersAreSeenThroughTheAlias) {
  TestMachine m("cortex-m33");
  m.machine.memory();
  m.system(0xe002ed08, 0x800);
  EXPECT_EQ(word_of(look(m, 0xe000ed08, 4)), 0u);
  EXPECT_EQ(m.scs->non_secure_alias().mmio_peek(0xd08, 4), 0x800u);
}

/// DDI 0403, C1.6.5 and B3.2.2: power-on resets them, and a reset that software asks for does not.
TEST(DebugUnits, SurviveAResetOfTheSystem) {
  for (const char* cpu : {"cortex-m3", "cortex-m7"}) {
    TestMachine m(cpu);
    Dwt dwt("dwt", m.machine, 125'000'000, [&] { return m.scs->tracing(); });
    m.scs->set_trace_units({&dwt, nullptr});
    m.put(kCode + 0x800, {0xbe00});  // bkpt
    m.state().pc = kCode + 0x800;
    m.system(kDemcr, kTraceEnable | kMonitorEnable | kCatchReset);
    m.run(1);
    EXPECT_EQ(m.state().ipsr, 12u);
    dwt.mmio_write(0, 4, 1);
    dwt.mmio_write(0x20, 4, 0x1234);
    m.run(100);
    m.system(kAircr, 0x05fa0004);
    m.run(1);
    EXPECT_EQ(m.state().ipsr, 0u);
    EXPECT_EQ(m.system(kDemcr), kTraceEnable | kCatchReset) << "all but the monitor's bits";
    EXPECT_EQ(m.system(kDfsr), dfsr::kBkpt);
    EXPECT_FALSE(m.state().enabled.has(exc::kDebugMonitor));
    for (const auto& device : m.machine.devices()) device->reset();
    static_cast<Device&>(dwt).reset();
    EXPECT_EQ(dwt.mmio_read(0, 4) & 1, 1u);
    EXPECT_EQ(dwt.mmio_read(0x20, 4), 0x1234u);
    EXPECT_GT(dwt.mmio_read(4, 4), 100u);
  }
}

TEST(DebugUnits, ALineOfTheItmIsOfTheState) {
  const ArmArch arch(parse_cpu("cortex-m3", "cortex-m3"));
  std::string said;
  MachineOptions options;
  options.engine.note = [&](const std::string& line) { said += line + "\n"; };
  Machine machine(arch, options, 32);
  const auto make = [&] { return Itm("itm", machine, devices::kNoChannel, [] { return true; }); };
  const auto print = [](Itm& itm, std::string_view text) {
    for (const char c : text) itm.mmio_write(4, 1, static_cast<u8>(c));
  };
  Itm first = make(), second = make();
  first.mmio_write(0xe00, 4, ~u32{0});
  first.mmio_write(0xe80, 4, 1);
  print(first, "half a ");
  SaveArchive save;
  first.state(save);
  print(first, "line\n");
  EXPECT_EQ(said, "itm1: half a line\n");
  said.clear();
  LoadArchive load(save.bytes());
  second.state(load);
  print(second, "line\n");
  EXPECT_EQ(said, "itm1: half a line\n");
  // Going back forgets what was begun since.
  print(first, "lost");
  LoadArchive again(save.bytes());
  first.state(again);
  said.clear();
  print(first, "line\n");
  EXPECT_EQ(said, "itm1: half a line\n");
}

}  // namespace
}  // namespace hindcast::test
