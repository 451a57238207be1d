// Exceptions, interrupts, mret and wfi, in both executors.
#include <gtest/gtest.h>

#include "engine/archive.h"
#include "tests/riscv/encode.h"
#include "tests/riscv/test_machine.h"

namespace hindcast::test {
namespace {

using namespace rv;
using riscv::irq::kExternal, riscv::irq::kSoftware, riscv::irq::kTimer;
constexpr GuestAddr kVector = kCode + 0x4000;
constexpr u64 kInterrupt = u64{1} << 63;

class Traps : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Engines, Traps, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "jit" : "interp"; });

TEST_P(Traps, ExceptionSavesWhereAndWhyAndMretReturns) {
  TestMachine m("rv64,pmp=off", GetParam());
  riscv::RiscvState& s = m.state();
  s.mtvec = kVector;
  s.privilege = riscv::kUser;
  s.mstatus |= riscv::mstatus::kMie;
  m.put(kCode, {kNop, kEcall});
  m.run(2);
  EXPECT_EQ(s.pc, kVector);
  EXPECT_EQ(s.mepc, kCode + 4);
  EXPECT_EQ(s.mcause, 8u);
  EXPECT_EQ(s.mtval, 0u);
  EXPECT_EQ(s.privilege, riscv::kMachine);
  EXPECT_EQ(s.mstatus, riscv::mstatus::kMpie);  // MPP = user
  m.put(kVector, {kMret});
  m.run(1);
  EXPECT_EQ(s.pc, kCode + 4);
  EXPECT_EQ(s.privilege, riscv::kUser);
  EXPECT_EQ(s.mstatus, riscv::mstatus::kMie | riscv::mstatus::kMpie);
}

TEST_P(Traps, FaultsForEverStillReachTheLimit) {
  TestMachine m("rv64", GetParam());
  m.state().mtvec = 0x1000;  // nothing there
  m.put(kCode, {kEcall});
  EXPECT_EQ(m.run(1000), StopReason::Stopped);  // told once
  EXPECT_TRUE(m.machine.stuck());
  EXPECT_EQ(m.machine.run(1000), StopReason::Limit);
  EXPECT_EQ(m.machine.icount(), 1000u);
  EXPECT_EQ(m.pc(), 0x1000u);
  EXPECT_EQ(m.state().mcause, 1u);
  EXPECT_EQ(m.state().mtval, 0x1000u);
}

TEST_P(Traps, InterruptsByPriorityAndVector) {
  for (const bool vectored : {false, true}) {
    TestMachine m("rv64", GetParam());
    riscv::RiscvState& s = m.state();
    s.mtvec = kVector | (vectored ? 1 : 0);
    s.mie = riscv::irq::kMachineLines;
    s.mstatus |= riscv::mstatus::kMie;
    for (const unsigned line : {kTimer, kSoftware, kExternal}) m.vcpu().set_irq(line, true);
    for (const unsigned line : {kExternal, kSoftware, kTimer}) {
      EXPECT_TRUE(m.arch->interrupt_pending(m.vcpu()));
      m.run(1);  // an entry is an attempt
      EXPECT_EQ(s.mcause, kInterrupt | line);
      EXPECT_EQ(s.pc, kVector + (vectored ? 4 * line : 0));
      EXPECT_EQ(s.mtval, 0u);
      EXPECT_FALSE(m.arch->interrupt_pending(m.vcpu()));  // MIE is off now
      m.vcpu().set_irq(line, false);
      s.mstatus |= riscv::mstatus::kMie;
    }
  }
}

TEST_P(Traps, InterruptsAreGatedInMachineModeOnly) {
  TestMachine m("rv64,pmp=off", GetParam());
  riscv::RiscvState& s = m.state();
  s.mie = u64{1} << kTimer;
  m.vcpu().set_irq(kTimer, true);
  EXPECT_FALSE(m.arch->interrupt_pending(m.vcpu()));
  s.privilege = riscv::kUser;
  EXPECT_TRUE(m.arch->interrupt_pending(m.vcpu()));
  s.mie = u64{1} << kSoftware;
  EXPECT_FALSE(m.arch->interrupt_pending(m.vcpu()));
}

/// The instruction that unmasks is the last one before the interrupt.
TEST_P(Traps, UnmaskingTakesEffectAtOnce) {
  TestMachine m("rv64", GetParam());
  riscv::RiscvState& s = m.state();
  s.mtvec = kVector;
  s.mie = u64{1} << kTimer;
  m.vcpu().set_irq(kTimer, true);
  m.x(t0) = riscv::mstatus::kMie;
  m.put(kCode, {kNop, csrrs(zero, mstatus, t0), addi(a0, zero, 1)});
  m.run(3);
  EXPECT_EQ(s.pc, kVector);
  EXPECT_EQ(s.mepc, kCode + 8);
  EXPECT_EQ(m.x(a0), 0u);
}

TEST_P(Traps, WfiWaitsForAnEnabledInterruptWhetherOrNotItIsTaken) {
  TestMachine m("rv64", GetParam());
  riscv::RiscvState& s = m.state();
  s.mie = u64{1} << kExternal;
  m.put(kCode, {kWfi, addi(a0, a0, 1)});
  EXPECT_EQ(m.run(100), StopReason::Idle);
  EXPECT_EQ(s.pc, kCode + 4);
  EXPECT_EQ(m.machine.icount(), 1u);
  m.vcpu().set_irq(kTimer, true);  // not enabled
  EXPECT_EQ(m.run(100), StopReason::Idle);
  m.vcpu().set_irq(kExternal, true);
  EXPECT_EQ(m.run(1), StopReason::Limit);
  EXPECT_EQ(m.x(a0), 1u);  // MIE is off: it goes on
}

TEST_P(Traps, WfiIsAnOrderlyNopWhenOneIsPendingAndIllegalToUsersWithTw) {
  TestMachine m("rv64,pmp=off", GetParam());
  m.state().mie = u64{1} << kTimer;
  m.vcpu().set_irq(kTimer, true);
  m.put(kCode, {kWfi, addi(a0, a0, 1)});
  EXPECT_EQ(m.run(2), StopReason::Limit);
  EXPECT_EQ(m.x(a0), 1u);

  m.clear();
  m.state().mtvec = kVector;
  m.state().privilege = riscv::kUser;
  m.state().mstatus |= riscv::mstatus::kTw;
  m.put(kCode, {kWfi});
  m.run(1);
  EXPECT_EQ(m.state().mcause, 2u);
  EXPECT_EQ(m.state().mtval, kWfi);
}

TEST_P(Traps, FetchFromNowhereAndFromTheLastHalfword) {
  TestMachine m("rv64", GetParam());
  m.state().mtvec = kVector;
  m.vcpu().set_pc(0x40);
  m.run(1);
  EXPECT_EQ(m.state().mcause, 1u);
  EXPECT_EQ(m.state().mtval, 0x40u);
  EXPECT_EQ(m.state().mepc, 0x40u);

  // A 32-bit instruction of which only the first half is there: the fault's address is that of the second
  // half.
  m.clear();
  m.state().mtvec = kVector;
  const GuestAddr last = kCode + kRamBytes - 2;
  const u16 half = 0x0013;
  m.machine.memory().host_write(last, &half, 2);
  m.vcpu().set_pc(last);
  m.run(1);
  EXPECT_EQ(m.state().mcause, 1u);
  EXPECT_EQ(m.state().mtval, last + 2);
  EXPECT_EQ(m.state().mepc, last);
}

TEST_P(Traps, TrapsEndReservations) {
  TestMachine m("rv64", GetParam());
  m.state().mtvec = kVector;
  m.x(a1) = kData;
  m.put(kVector, {csrr(t0, mepc), addi(t0, t0, 4), csrw(mepc, t0), kMret});
  m.put(kCode, {lr_w(a0, a1), sc_w(a2, a1, a1), lr_w(a0, a1), kEcall, sc_w(a3, a1, a1)});
  m.run(4 + 4 + 1);
  EXPECT_EQ(m.x(a2), 0u);
  EXPECT_EQ(m.x(a3), 1u);
}

/// A reservation does not survive the other vCPU's turn.
TEST_P(Traps, AnotherHartsTurnEndsReservations) {
  TestMachine m("rv64", GetParam(), 2);
  m.state(0).reservation = kData;
  m.state(0).reservation_valid = 1;
  m.run(60'000);  // more than a quantum
  EXPECT_EQ(m.state(0).reservation_valid, 0u);
}

TEST_P(Traps, StateSavedAndLoadedRunsOnTheSame) {
  const auto program = {csrr(a0, minstret), addi(a1, a1, 3), csrw(mscratch, a1), kEcall};
  TestMachine m("rv64", GetParam());
  m.state().mtvec = kCode;
  m.put(kCode, program);
  m.run(1003);
  SaveArchive saved;
  m.machine.state(saved);
  m.run(777);

  TestMachine again("rv64", GetParam());
  again.put(kCode, program);
  LoadArchive loaded(saved.bytes());
  again.machine.state(loaded);
  EXPECT_TRUE(loaded.at_end());
  again.run(777);
  SaveArchive first, second;
  m.machine.state(first);
  again.machine.state(second);
  EXPECT_EQ(first.bytes(), second.bytes());
  EXPECT_EQ(m.x(a0), again.x(a0));
}

// Who waits for another hart gives it the rest of its turn; a halt would do so too, hence the pending one.
TEST(WaitingHarts, GiveTurns) {
  constexpr u32 kPause = 0x0100000f, kNto = 0x00d00073, kSto = 0x01d00073;
  for (const bool jit : {false, true}) {
    for (const u32 insn : {kPause, kNto, kSto, kWfi, kNop}) {
      TestMachine m("rv64,pmp=off", jit, 2);
      m.put(kCode, {insn, kNop, kNop});
      m.state(0).mie = m.state(0).mip = u64{1} << riscv::irq::kSoftware;
      m.run(3);
      EXPECT_EQ(m.vcpu(1).executed(), insn == kNop ? 0u : 1u) << std::hex << insn;
    }
  }
}

}  // namespace
}  // namespace hindcast::test
