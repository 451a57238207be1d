// Sscofpmf: counters with a choice of event, their filters, and the interrupt of their overflow.
#include <gtest/gtest.h>

#include "targets/riscv/hpm.h"
#include "tests/riscv/encode.h"
#include "tests/riscv/test_machine.h"

namespace hindcast::test {
namespace {

using namespace rv;
using riscv::kMachine, riscv::kSupervisor, riscv::kUser;
namespace hpm = riscv::hpm;

constexpr unsigned kEvent3 = 0x323, kCounter3 = 0xb03, kInhibit = 0x320, kScountovf = 0xda0;
constexpr u64 kLine = u64{1} << riscv::irq::kCounterOverflow;
constexpr GuestAddr kVector = kCode + 0x800;

class Sscofpmf : public ::testing::TestWithParam<bool> {
 protected:
  Sscofpmf() : m("rv64,pmp=off,sscofpmf=on", GetParam()) {
    for (GuestAddr at = kCode; at < kCode + 0x400; at += 4) m.put(at, {kNop});
    m.state().mtvec = kVector;
  }
  u64 read(unsigned number) { return riscv::hpm_read(*m.arch, m.vcpu(), number); }
  void choose(u64 event, u64 value) {
    riscv::hpm_event_write(*m.arch, m.vcpu(), kEvent3, event);
    riscv::hpm_write(*m.arch, m.vcpu(), kCounter3, value);
  }
  bool overflowed() { return (m.state().hpm[0].event & hpm::kOverflow) != 0; }
  TestMachine m;
};
INSTANTIATE_TEST_SUITE_P(Engines, Sscofpmf, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "jit" : "interp"; });

TEST_P(Sscofpmf, InstructionsAndCyclesAreCountedAndNothingElse) {
  for (const u64 event : {hpm::kCycles, hpm::kInstructions, u64{0}, u64{3}}) {
    m.state().pc = kCode;
    m.put(kCode, {csrw(kEvent3, a0), csrw(kCounter3, a1), kNop, kNop, csrr(a2, kCounter3)});
    m.x(a0) = event;
    m.x(a1) = 100;
    m.run(5);
    EXPECT_EQ(m.x(a2), event == hpm::kCycles || event == hpm::kInstructions ? 102u : 100u) << event;
  }
}

TEST_P(Sscofpmf, OverflowIsExactAndRaisedOnce) {
  for (const u64 event : {hpm::kCycles, hpm::kInstructions}) {
    m.state().pc = kCode;
    m.put(kCode, {csrw(kEvent3, a0), csrw(kCounter3, a1)});
    m.x(a0) = event;
    m.x(a1) = u64{0} - 10;
    m.state().mie = kLine;
    m.state().mstatus |= riscv::mstatus::kMie;
    m.run(2 + 9);
    m.run(0);
    EXPECT_FALSE(overflowed());
    m.run(2);  // the tenth, then the entry
    EXPECT_TRUE(overflowed());
    EXPECT_EQ(m.state().mcause, u64{1} << 63 | 13);
    EXPECT_EQ(m.state().mepc, kCode + 4 * 12);
    EXPECT_EQ(m.pc(), kVector);
    m.state().mip = 0;
    riscv::hpm_write(*m.arch, m.vcpu(), kCounter3, ~u64{0});  // again, with OF still set
    m.run(4);
    EXPECT_EQ(m.state().mip, 0u);
  }
}

TEST_P(Sscofpmf, ModesAreLeftOut) {
  struct Filter {
    u64 bit, privilege;
  };
  for (const Filter& f : {Filter{hpm::kNotMachine, kMachine}, Filter{hpm::kNotSupervisor, kSupervisor},
                          Filter{hpm::kNotUser, kUser}}) {
    for (const u64 privilege : {kMachine, kSupervisor, kUser}) {
      for (const u64 event : {hpm::kCycles, hpm::kInstructions}) {
        choose(event | f.bit, 0);
        m.state().privilege = kMachine;
        m.state().mstatus = privilege << riscv::mstatus::kMppShift;
        m.state().mepc = kCode;
        m.state().pc = kCode + 0x100;
        m.put(kCode + 0x100, {csrw(kCounter3, 0), kNop, kMret});
        m.put(kCode, {kNop, kNop, kNop, kEcall});
        m.run(1 + 2 + 4);
        ASSERT_EQ(m.pc(), kVector);
        // nop and mret in machine mode; three, and the attempt of the call, in the other.
        const u64 machine = f.bit == hpm::kNotMachine ? 0 : 2;
        const u64 other = f.privilege == privilege ? 0 : event == hpm::kCycles ? 4 : 3;
        EXPECT_EQ(read(kCounter3), machine + other) << f.privilege << privilege << event;
        m.put(kCode, {kNop, kNop, kNop, kNop});
      }
    }
  }
}

TEST_P(Sscofpmf, AnInstructionThatLeavesTheModeOverflowsToo) {
  choose(hpm::kInstructions | hpm::kNotUser, 0);
  m.state().mstatus = 0;
  m.state().mepc = kCode;
  m.state().pc = kCode + 0x100;
  m.x(a0) = ~u64{0} - 0;
  m.put(kCode + 0x100, {csrw(kCounter3, a0), kMret});
  m.run(3);
  EXPECT_TRUE(overflowed());
  EXPECT_EQ(read(kCounter3), 0u);
  EXPECT_EQ(m.state().mip & kLine, kLine);
}

TEST_P(Sscofpmf, InhibitedCountersStandStill) {
  choose(hpm::kCycles, 5);
  m.state().pc = kCode;
  m.x(a0) = 8;
  m.put(kCode, {csrw(kInhibit, a0), kNop, kNop, csrw(kInhibit, 0), kNop, csrr(a2, kCounter3)});
  const u64 before = read(kCounter3);
  m.run(6);
  EXPECT_EQ(m.x(a2), before + 2);  // the inhibiting write and the last nop
}

TEST_P(Sscofpmf, SupervisorModeSeesTheOverflowsThatItMay) {
  m.state().hpm[0].event = m.state().hpm[2].event = hpm::kOverflow;
  m.put(kCode, {csrr(a0, kScountovf)});
  for (const u64 privilege : {kMachine, kSupervisor}) {
    m.state().privilege = privilege;
    m.state().mcounteren = 0x20;
    m.state().pc = kCode;
    m.run(1);
    EXPECT_EQ(m.x(a0), privilege == kMachine ? 0x28u : 0x20u);
  }
  TestMachine without("rv64,pmp=off", GetParam());
  without.put(kCode, {csrr(a0, kScountovf)});
  without.run(1);
  EXPECT_EQ(without.state().mcause, 2u);
}

TEST_P(Sscofpmf, NarrowRegistersHaveHighHalves) {
  constexpr u32 a4 = 14, a5 = 15, a6 = 16, a7 = 17;
  constexpr unsigned kEvent3h = 0x723, kCounter3h = 0xb83, kUserCounter3h = 0xc83;
  TestMachine narrow("rv32,pmp=off,sscofpmf=on", GetParam());
  narrow.state().mtvec = kVector;
  narrow.x(a0) = hpm::kInstructions;
  narrow.x(a1) = hpm::kNotUser >> 32;
  narrow.x(a2) = 0xffff'fffe;
  narrow.x(a3) = 0x1234'5678;
  narrow.put(kCode, {csrw(kEvent3h, a1), csrw(kEvent3, a0), csrw(kCounter3h, a3), csrw(kCounter3, a2), kNop,
                     csrr(a4, kUserCounter3h), kNop, csrr(a5, kUserCounter3h), csrr(a6, kCounter3),
                     csrr(a7, kEvent3), csrr(t0, kEvent3h)});
  narrow.run(11);
  EXPECT_EQ(narrow.state().hpm[0].event, hpm::kNotUser | hpm::kInstructions);
  EXPECT_EQ(narrow.x(a4), 0x1234'5678u);
  EXPECT_EQ(narrow.x(a5), 0x1234'5679u);  // the second of the three before it has carried
  EXPECT_EQ(narrow.x(a6), 2u);
  EXPECT_EQ(narrow.x(a7), hpm::kInstructions);
  EXPECT_EQ(narrow.x(t0), hpm::kNotUser >> 32);

  // Only all 64 bits overflow, and the bit that says so is in the high half.
  narrow.x(a3) = 0xffff'ffff;
  narrow.state().pc = kCode;
  narrow.put(kCode, {csrw(kCounter3h, a3), csrw(kCounter3, a2), kNop, kNop, kNop, csrr(t0, kEvent3h),
                     csrr(t1, kScountovf), csrw(kEvent3h, a1), csrr(t2, kScountovf)});
  narrow.run(3);
  EXPECT_EQ(narrow.state().mip, 0u);
  narrow.run(6);
  EXPECT_EQ(narrow.state().mip, kLine);
  EXPECT_EQ(narrow.x(t0), (hpm::kOverflow | hpm::kNotUser) >> 32);
  EXPECT_EQ(narrow.x(t1), 8u);
  EXPECT_EQ(narrow.x(t2), 0u);
  EXPECT_EQ(narrow.state().hpm[0].event, hpm::kNotUser | hpm::kInstructions);
}

TEST_P(Sscofpmf, HartsCountAndOverflowByThemselves) {
  TestMachine two("rv64,pmp=off,sscofpmf=on", GetParam(), 2);
  constexpr u64 kOverflowsAfter = 70'000;  // in the second hart's second turn
  for (unsigned i = 0; i < 2; ++i) {
    riscv::hpm_event_write(*two.arch, two.vcpu(i), kEvent3, hpm::kInstructions);
    riscv::hpm_event_write(*two.arch, two.vcpu(i), kEvent3 + 1, hpm::kCycles);
    riscv::hpm_write(*two.arch, two.vcpu(i), kCounter3, i == 0 ? 0 : u64{0} - kOverflowsAfter);
    riscv::hpm_write(*two.arch, two.vcpu(i), kCounter3 + 1, 0);
    two.state(i).mtvec = kVector;
    two.state(i).mie = kLine;
    two.state(i).mstatus |= riscv::mstatus::kMie;
  }
  const u64 at_first[2] = {riscv::hpm_read(*two.arch, two.vcpu(0), kCounter3),
                           riscv::hpm_read(*two.arch, two.vcpu(1), kCounter3)};
  while (two.vcpu(1).executed() < kOverflowsAfter - 10) two.run(5'000);
  EXPECT_EQ(two.state(1).mip, 0u);
  const u64 cycles = riscv::hpm_read(*two.arch, two.vcpu(0), kCounter3 + 1);
  two.run(120'000);
  for (unsigned i = 0; i < 2; ++i) {
    const u64 count = riscv::hpm_read(*two.arch, two.vcpu(i), kCounter3) - at_first[i];
    EXPECT_EQ(count, two.vcpu(i).executed() - two.state(i).not_retired) << i;
    EXPECT_LT(count, two.machine.icount()) << i;
  }
  EXPECT_EQ(riscv::hpm_read(*two.arch, two.vcpu(0), kCounter3 + 1), cycles + 120'000);
  EXPECT_EQ(two.state(0).mip, 0u);
  EXPECT_EQ(two.state(0).mcause, 0u);
  EXPECT_EQ(two.state(1).mip, kLine);
  EXPECT_EQ(two.state(1).mcause, u64{1} << 63 | riscv::irq::kCounterOverflow);
  EXPECT_EQ(two.state(0).hpm[0].event, hpm::kInstructions);
}

TEST_P(Sscofpmf, ACountGoesOnInALoadedState) {
  for (const u64 event : {hpm::kCycles, hpm::kInstructions}) {
    const auto make = [&] {
      auto machine = std::make_unique<TestMachine>("rv64,pmp=off,sscofpmf=on", GetParam());
      machine->state().mtvec = kVector;
      for (GuestAddr at = kCode; at < kCode + 0x400; at += 4) machine->put(at, {kNop});
      return machine;
    };
    const auto original = make();
    original->x(a0) = event;
    original->x(a1) = u64{0} - 30;
    original->state().mie = kLine;
    original->state().mstatus |= riscv::mstatus::kMie;
    original->put(kCode, {kEcall});  // an attempt that retires nothing, before
    original->put(kVector, {csrw(kEvent3, a0), csrw(kCounter3, a1), csrw(mepc, a2), kMret});
    original->x(a2) = kCode + 4;
    original->run(1 + 4 + 7);
    EXPECT_EQ(original->pc(), kCode + 4 * 8);
    SaveArchive saved;
    original->machine.state(saved);
    const auto again = make();
    again->put(kCode, {kEcall});
    LoadArchive loaded(saved.bytes());
    again->machine.state(loaded);
    ASSERT_TRUE(loaded.at_end());
    for (TestMachine* machine : {original.get(), again.get()}) {
      machine->run(30 - 2 - 7 - 1);
      EXPECT_EQ(machine->state().hpm[0].event, event);
      machine->run(2);
      EXPECT_EQ(machine->state().hpm[0].event, event | hpm::kOverflow);
      EXPECT_EQ(machine->state().mcause, u64{1} << 63 | riscv::irq::kCounterOverflow);
      EXPECT_EQ(machine->state().mepc, kCode + 4 + 4 * 28);
    }
  }
}

}  // namespace
}  // namespace hindcast::test
