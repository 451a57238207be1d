// What CPUs and boards say of themselves, and what SysTick's two clocks are.
#include <gtest/gtest.h>

#include "engine/registry.h"
#include "targets/targets.h"
#include "tests/arm/test_machine.h"
#include "tests/devices/fake_port.h"

namespace hindcast::test {
namespace {

using namespace arm;

constexpr u32 kCpuid = 0xe000ed00, kPfr0 = 0xe000ed40, kIsar0 = 0xe000ed60, kMvfr0 = 0xe000ef40,
              kMpuType = 0xe000ed90, kMpuRnr = 0xe000ed98, kMpuRbar = 0xe000ed9c, kMpuRasr = 0xe000eda0,
              kSauType = 0xe000edd4, kTickControl = 0xe000e010, kTickReload = 0xe000e014,
              kTickValue = 0xe000e018, kTickCalibration = 0xe000e01c;

TEST(Identification, IsWhatTheReferenceManualsSay) {
  struct Cpu {
    const char* name;
    u32 cpuid;
    u32 features[4];  // ID_PFR0, ID_PFR1, ID_DFR0, ID_AFR0
    u32 memory[4];    // ID_MMFR0 to 3
    u32 insns[5];     // ID_ISAR0 to 4
    u32 fp[3];        // MVFR0 to 2
  };
  const Cpu cpus[] = {
      {"cortex-m0", 0x410cc200, {}, {}, {}, {}},
      {"cortex-m0plus", 0x410cc601, {}, {}, {}, {}},
      {"cortex-m3",
       0x412fc231,
       {0x30, 0x200, 0x100000, 0},
       {0x100030, 0, 0x1000000, 0},
       {0x01101110, 0x02111000, 0x21112231, 0x01111110, 0x01310132},
       {}},
      {"cortex-m4",
       0x410fc241,
       {0x30, 0x200, 0x100000, 0},
       {0x100030, 0, 0x1000000, 0},
       {0x01141110, 0x02112000, 0x21232231, 0x01111131, 0x01310132},
       {0x10110021, 0x11000011, 0}},
      {"cortex-m7",
       0x411fc272,
       {0x30, 0x200, 0x100000, 0},
       {0x100030, 0, 0x1000000, 0},
       {0x01101110, 0x02112000, 0x20232231, 0x01111131, 0x01310132},
       {0x10110221, 0x12000011, 0x40}},
      {"cortex-m7,vfp-d=off",
       0x411fc272,
       {0x30, 0x200, 0x100000, 0},
       {0x100030, 0, 0x1000000, 0},
       {0x01101110, 0x02112000, 0x20232231, 0x01111131, 0x01310132},
       {0x10110021, 0x11000011, 0x40}},
      {"cortex-m23", 0x411cd200, {}, {}, {}, {}},
      {"cortex-m33",
       0x410fd213,
       {0x30, 0x210, 0x200000, 0},
       {0x101f40, 0, 0x1000000, 0},
       {0x01101110, 0x02212000, 0x20232232, 0x01111131, 0x01310132},
       {0x10110021, 0x11000011, 0x40}},
      {"cortex-m33,dsp=off,vfp=off,security=off",
       0x410fd213,
       {0x30, 0x200, 0x200000, 0},
       {0x101f40, 0, 0x1000000, 0},
       {0x01101110, 0x02211000, 0x20112232, 0x01111110, 0x01310132},
       {}},
      {"cortex-m55",
       0x410fd221,
       {0x20000030, 0x230, 0x10200000, 0},
       {0x111040, 0, 0x1000000, 0x11},
       {0x01103110, 0x02212000, 0x20232232, 0x01111131, 0x01310132},
       {0x10110221, 0x12100011, 0x40}},
      {"cortex-m55,security=off",
       0x410fd221,
       {0x20000030, 0x200, 0x10200000, 0},
       {0x111040, 0, 0x1000000, 0x11},
       {0x01103110, 0x02212000, 0x20232232, 0x01111131, 0x01310132},
       {0x10110221, 0x12100011, 0x40}},
  };
  for (const Cpu& cpu : cpus) {
    SCOPED_TRACE(cpu.name);
    TestMachine m(cpu.name);
    EXPECT_EQ(m.system(kCpuid), cpu.cpuid);
    for (u32 i = 0; i < 4; ++i) EXPECT_EQ(m.system(kPfr0 + 4 * i), cpu.features[i]) << i;
    for (u32 i = 0; i < 4; ++i) EXPECT_EQ(m.system(kPfr0 + 16 + 4 * i), cpu.memory[i]) << i;
    for (u32 i = 0; i < 5; ++i) EXPECT_EQ(m.system(kIsar0 + 4 * i), cpu.insns[i]) << i;
    for (u32 i = 0; i < 3; ++i) EXPECT_EQ(m.system(kMvfr0 + 4 * i), cpu.fp[i]) << i;
  }
}

TEST(Identification, WithoutFloatingPointNoneOfItsInstructionsIsThere) {
  TestMachine m("cortex-m33,vfp=off");
  m.put(kCode, {0xeeb6, 0x0a40});  // vrintr.f32 s0, s0: FPv5
  m.system(0xe000ed24, 15 << 16);
  m.run(1);
  EXPECT_EQ(m.system(0xe000ed28), cfsr::kNoCp);
  EXPECT_EQ(parse_cpu("cortex-m55,vfp=off", "cortex-m3").set & (ext::Vfp5 | ext::Fp16), 0u);
  EXPECT_EQ(parse_cpu("cortex-m55,vfp=off,vfp=on,vfp-d=on", "cortex-m3").set,
            parse_cpu("cortex-m55", "cortex-m3").set);
}

TEST(Identification, BoardsHaveTheMpusOfTheirChips) {
  targets::register_all();
  struct Case {
    const char* board;
    u32 regions, sau, calibration;
  };
  constexpr u32 kNoReference = u32{1} << 31, kSkewed = u32{1} << 30;
  const Case cases[] = {{"mps2-an385", 8, 0, 9999},          {"mps2-an386", 8, 0, 9999},
                        {"mps2-an500", 8, 0, 9999},          {"mps2-an505", 8, 8, kNoReference},
                        {"mps2-an521", 8, 8, kNoReference},  {"mps3-an547", 16, 8, kNoReference},
                        {"lm3s6965evb", 8, 0, kNoReference}, {"netduinoplus2", 8, 0, kSkewed | 209999},
                        {"microbit", 0, 0, kNoReference}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.board);
    FakePort port;
    MachineConfig config;
    config.machine = c.board;
    // Vectors, wherever the board looks for them, and an empty loop.
    Bytes image(0x42, 0);
    const bool stm32 = std::string_view(c.board) == "netduinoplus2", iot = c.sau != 0 && c.regions == 8;
    image[4] = 0x41;
    image[7] = stm32 ? 0x08 : iot ? 0x10 : 0;
    image[0x40] = 0xfe;
    image[0x41] = 0xe7;
    config.files.push_back({"load", "program", GuestAddr{image[7]} << 24, image});
    EngineOptions engine;
    engine.jit = false;
    const auto machine = Registry::instance().build(config, engine, port);
    const auto read = [&](GuestAddr at) {
      u64 value = 0;
      EXPECT_TRUE(machine->memory().read(at, 4, &value)) << std::hex << at;
      return static_cast<u32>(value);
    };
    u64 nothing = 0;
    EXPECT_FALSE(machine->memory().read(0xfffffff0, 4, &nothing)) << "no board has anything there";
    EXPECT_EQ(read(kMpuType), c.regions << 8);
    EXPECT_EQ(read(kTickCalibration), c.calibration);
    if (c.sau == 0) continue;
    EXPECT_EQ(read(kSauType), c.sau);
    EXPECT_EQ(read(kMpuType + 0x20000), c.regions << 8) << "the Non-secure state's";
    // What lies behind the last region is not there.
    machine->memory().write(kMpuRnr, 4, c.regions - 1);
    EXPECT_EQ(read(kMpuRnr), c.regions - 1);
    machine->memory().write(kMpuRbar, 4, 0x20000000);
    machine->memory().write(kMpuRasr, 4, 0x20000001);
    machine->memory().write(kMpuRnr, 4, c.regions);
    EXPECT_EQ(read(kMpuRnr), c.regions - 1);
  }
}

/// A machine whose SysTick has a reference clock.
struct Ticking {
  explicit Ticking(u64 reference_hz, bool jit = false)
      : arch(parse_cpu("", "cortex-m3")), machine(arch, options(jit), 32) {
    machine.memory().add_ram("code", 0, kRamBytes);
    scs = &machine.add_device<Scs>("nvic", machine, Clocks{125'000'000, reference_hz}, 32u);
    machine.on_reset([this](Machine& m) { arch.reset(m.vcpu(0), 0); });
    machine.finish();
    const u32 vectors[2] = {0x8000, kCode | 1};
    const u16 loop = 0xe7fe;
    machine.memory().host_write(0, vectors, sizeof vectors);
    machine.memory().host_write(kCode, &loop, 2);
    machine.reset();
  }
  static MachineOptions options(bool jit) {
    MachineOptions o;
    o.engine.jit = jit;
    return o;
  }
  u32 read(u32 at) { return static_cast<u32>(scs->mmio_read(at & 0xfff, 4)); }
  void write(u32 at, u32 value) { scs->mmio_write(at & 0xfff, 4, value); }
  /// Nanoseconds: 8 for each instruction.
  void pass(u64 ns) { machine.run(machine.icount() + ns / 8); }

  ArmArch arch;
  Machine machine;
  Scs* scs = nullptr;
};

TEST(SysTickClock, CalibrationIsTheReferenceClocks) {
  struct Case {
    u64 hz;
    u32 value;
  };
  // NOREF; 10 ms are a whole number of ticks; or not: SKEW.
  const Case cases[] = {{0, 0x80000000}, {1'000'000, 9999}, {100, 0}, {32'768, 0x40000000 | 326}};
  for (const Case& c : cases) {
    Ticking t(c.hz);
    EXPECT_EQ(t.read(kTickCalibration), c.value);
    t.write(kTickCalibration, ~u32{0});
    EXPECT_EQ(t.read(kTickCalibration), c.value) << "read-only";
    EXPECT_EQ(t.read(kTickControl), c.hz == 0 ? 4u : 0u) << "the core's clock if it is the only one";
  }
}

TEST(SysTickClock, BothClocksComeFromTheInstructionCount) {
  for (const bool jit : {false, true}) {
    Ticking t(1'000'000, jit);
    t.write(kTickReload, 99);
    t.write(kTickValue, 0);
    t.write(kTickControl, 1);  // enabled, reference clock
    t.pass(50'000);            // 50 us: one tick loads the value, 49 count it down
    EXPECT_EQ(t.read(kTickValue), 99u - 49u);
    EXPECT_EQ(t.read(kTickControl), 1u);
    t.pass(50'008);
    EXPECT_EQ(t.read(kTickValue), 0u);
    EXPECT_EQ(t.read(kTickControl), 0x10001u) << "COUNTFLAG";
    EXPECT_EQ(t.read(kTickControl), 1u) << "which a read clears";
    t.pass(1'000 - 8);
    EXPECT_EQ(t.read(kTickValue), 99u);
    // The other clock from here on: 125 ticks in a microsecond.
    t.write(kTickReload, 0xffff);
    t.write(kTickControl, 5);
    t.pass(99 * 8);
    EXPECT_EQ(t.read(kTickValue), 0u);
    t.pass(8);
    EXPECT_EQ(t.read(kTickValue), 0xffffu);
    t.pass(8000);
    EXPECT_EQ(t.read(kTickValue), 0xffffu - 1000u);
    // And stopped: it stays.
    t.write(kTickControl, 4);
    t.pass(8000);
    EXPECT_EQ(t.read(kTickValue), 0xffffu - 1000u);
  }
}

}  // namespace
}  // namespace hindcast::test
