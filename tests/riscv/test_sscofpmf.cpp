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

}  // namespace
}  // namespace hindcast::test
