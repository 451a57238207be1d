// Accesses to devices by translated code: once each, whatever becomes of the instruction, and what they
// bring about holds from the next instruction on.
#include <gtest/gtest.h>

#include <functional>

#include "targets/arm/flags.h"
#include "tests/arm/test_machine.h"

namespace hindcast::test {
namespace {

using namespace arm;

constexpr u32 kCounterAt = 0x40000000, kCounterBytes = 0x1000;
constexpr u32 kBesideRom = 0x40003000;  // the same device; behind it is ROM
constexpr u32 kIser = 0xe000e100, kIspr = 0xe000e200, kCcr = 0xe000ed14, kShcsr = 0xe000ed24;
constexpr u32 kDiv0Trap = 1 << 4;
constexpr u16 kSpin = 0xe7fe;
constexpr u64 kEnough = 20;

/// Gives another number at each load, and wants an interrupt after some.
class Counter final : public MmioHandler {
 public:
  u64 mmio_read(u64, unsigned) override {
    if (++reads == interrupts_at) irq.set(true);
    return reads;
  }
  void mmio_write(u64, unsigned, u64 value) override {
    ++writes;
    if (on_write) on_write(value);
  }
  std::function<void(u64)> on_write;
  u64 reads = 0, writes = 0, interrupts_at = 0;
  IrqLine irq;
};

/// By whether it is translated.
class DeviceAccess : public ::testing::TestWithParam<bool> {
 protected:
  DeviceAccess() {
    m.system(kShcsr, 7 << 16);
    m.system(kIser, 1);
    counter.irq = IrqLine(&m.vcpu(), 0);
  }
  /// Runs the code at kCode: some times with nothing in its way, so that it is translated for devices, and
  /// then once more. `prepare` sets the registers.
  template <typename Fn>
  void run(u64 interrupts_at, const Fn& prepare) {
    counter.interrupts_at = 0;
    for (int times = 0; times < 4; ++times) {
      prepare(times == 3);
      if (times == 3) counter.interrupts_at = interrupts_at;
      counter.reads = counter.writes = 0;
      m.state().pc = kCode;
      m.run(kEnough);
    }
  }
  Counter counter;
  TestMachine m{"cortex-m3", GetParam(), [this](Machine& machine) {
                  machine.memory().add_device("counter", kCounterAt, kCounterBytes, &counter);
                  machine.memory().add_device("again", kBesideRom, kCounterBytes, &counter);
                  machine.memory().add_rom("rom", kBesideRom + kCounterBytes, kCounterBytes);
                }};
};

TEST_P(DeviceAccess, OfAnInstructionThatFaultsLaterIsMadeOnce) {
  m.put(kCode, {0xc83e, kSpin});  // ldmia r0!, {r1-r5}: at last the fifth has nothing there
  run(0, [&](bool last) { m.r(0) = last ? kCounterAt + kCounterBytes - 16 : kCounterAt; });
  EXPECT_EQ(m.state().ipsr, 5u);  // BusFault
  EXPECT_EQ(counter.reads, 4u);
}
TEST_P(DeviceAccess, OfAStoreThatFaultsLaterIsMadeOnce) {
  m.put(kCode, {0xc03e, kSpin});  // stmia r0!, {r1-r5}
  run(0, [&](bool last) { m.r(0) = last ? kCounterAt + kCounterBytes - 16 : kCounterAt; });
  EXPECT_EQ(m.state().ipsr, 5u);
  EXPECT_EQ(counter.writes, 4u);
}

TEST_P(DeviceAccess, OfSeveralByOneInstructionAreMadeInOrder) {
  m.put(kCode, {0xc83e, kSpin});
  run(0, [&](bool) { m.r(0) = kCounterAt; });
  for (unsigned n = 1; n <= 5; ++n) EXPECT_EQ(m.r(n), n);
  EXPECT_EQ(m.r(0), kCounterAt + 20);
  EXPECT_EQ(counter.reads, 5u);
}

/// What was loaded is in its register when the handler begins, though the next instruction sets it again.
TEST_P(DeviceAccess, InterruptsBeforeTheNextInstruction) {
  // ldr r1, [r0]; movs r1, #7; ldr r2, [r0]; movs r2, #7
  m.put(kCode, {0x6801, 0x2107, 0x6802, 0x2207, kSpin});
  run(2, [&](bool) {
    m.r(0) = kCounterAt;
    m.r(1) = m.r(2) = 0x99;
  });
  EXPECT_EQ(m.state().ipsr, 16u);
  EXPECT_EQ(m.word(m.r(13) + 4), 7u) << "r1 in the frame";
  EXPECT_EQ(m.word(m.r(13) + 8), 2u) << "r2 in the frame";
  EXPECT_EQ(m.word(m.r(13) + 24), kCode + 6);
}

/// Likewise behind conditions, where translated code has several ways to the next instruction.
TEST_P(DeviceAccess, InterruptsInAnItBlock) {
  // ite eq; ldreq r1, [r0]; ldrne r2, [r0]; movs r3, #1
  m.put(kCode, {0xbf0c, 0x6801, 0x6802, 0x2301, kSpin});
  for (const bool equal : {true, false}) {
    m.machine.reset();
    m.system(kIser, 1);
    counter.irq.set(false);
    run(1, [&](bool) {
      m.r(0) = kCounterAt;
      m.r(3) = 0;
      write_nzcv(m.state(), equal ? kZ : 0);
    });
    EXPECT_EQ(m.state().ipsr, 16u);
    EXPECT_EQ(m.word(m.r(13) + 12), 0u) << "r3 in the frame";
    EXPECT_EQ(m.word(m.r(13) + 24), kCode + (equal ? 4u : 6u));
  }
}

/// The processor's own registers are a device, too: nobody pulls a line.
TEST_P(DeviceAccess, PendsAnInterruptForTheNextInstruction) {
  m.put(kCode, {0x6001, 0x3201, 0x3201, kSpin});  // str r1, [r0]; adds r2, #1; adds r2, #1
  run(0, [&](bool last) {
    m.r(0) = kIspr;
    m.r(1) = last ? 1 : 0;
    m.r(2) = 0;
  });
  EXPECT_EQ(m.state().ipsr, 16u);
  EXPECT_EQ(m.word(m.r(13) + 24), kCode + 2);
  EXPECT_EQ(m.r(2), 0u);
}

/// Nor when a store changes what code runs as.
TEST_P(DeviceAccess, ChangesTheContextOfTheNextInstruction) {
  m.put(kCode, {0x6001, 0xfb92, 0xf2f3, kSpin});  // str r1, [r0]; sdiv r2, r2, r3
  run(0, [&](bool last) {
    m.r(0) = kCcr;
    m.r(1) = last ? kDiv0Trap : 0;
    m.r(2) = 1;
    m.r(3) = 0;
  });
  EXPECT_EQ(m.state().ipsr, 6u);  // UsageFault
  EXPECT_EQ(m.word(m.r(13) + 24), kCode + 2);
}

/// A board's protection is no register of the CPU's: it says that what was known is so no longer.
TEST_P(DeviceAccess, ChangesWhatTheNextInstructionMayReach) {
  constexpr u32 kMpuCtrl = 0xe000ed94, kMpuRnr = 0xe000ed98, kMpuRbar = 0xe000ed9c, kMpuRasr = 0xe000eda0;
  m.system(kMpuRnr, 0);
  m.system(kMpuRbar, kData);
  m.system(kMpuRasr, 1 << 28 | 3 << 24 | 15 << 1 | 1);
  m.system(kMpuRnr, 1);
  m.system(kMpuRbar, 0);
  m.system(kMpuRasr, 3 << 24 | 15 << 1 | 1);
  m.system(kMpuRnr, 2);
  m.system(kMpuRbar, kCounterAt);
  m.system(kMpuRasr, 1 << 28 | 3 << 24 | 15 << 1 | 1);
  m.system(kMpuRnr, 3);
  m.system(kMpuRbar, kData + 0x4000);
  m.system(kMpuCtrl, 1);
  counter.on_write = [&](u64 rights) {
    m.state().banks[0].mpu_rasr[3] = rights == 0 ? 0 : 1 << 28 | 9 << 1 | 1;  // 1 KiB, nobody's
    m.machine.flush_translations();
  };
  m.put(kCode, {0x6001, 0x6813, kSpin});  // str r1, [r0]; ldr r3, [r2]
  run(0, [&](bool last) {
    m.r(0) = kCounterAt;
    m.r(1) = last ? 1 : 0;
    m.r(2) = kData + 0x4000;
  });
  EXPECT_EQ(m.state().ipsr, 4u);  // MemManage
}

TEST_P(DeviceAccess, ThatCannotBeMadeWholeIsNotMade) {
  m.put(kCode, {0x6001, kSpin});  // str r1, [r0]
  run(0, [&](bool last) { m.r(0) = last ? kBesideRom + kCounterBytes - 2 : kBesideRom; });
  EXPECT_EQ(m.state().ipsr, 5u);
  EXPECT_EQ(counter.writes, 0u);
}

INSTANTIATE_TEST_SUITE_P(Engines, DeviceAccess, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Jit" : "Interpreter"; });

}  // namespace
}  // namespace hindcast::test
