// CSRs: what exists, who may touch it, what sticks, and counters exact to the instruction. Each in both
// executors.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "targets/riscv/csr.h"
#include "tests/riscv/encode.h"
#include "tests/riscv/test_machine.h"

namespace hindcast::test {
namespace {

using namespace rv;
constexpr GuestAddr kVector = kCode + 0x4000;

class Csr : public ::testing::TestWithParam<bool> {
 protected:
  /// Executes the words from kCode on; traps go to kVector.
  void execute(TestMachine& m, std::initializer_list<u32> words) {
    m.state().mtvec = kVector;
    m.put(m.pc(), words);
    m.run(words.size());
  }
  bool trapped(TestMachine& m, u64 cause) { return m.pc() == kVector && m.state().mcause == cause; }
};
INSTANTIATE_TEST_SUITE_P(Engines, Csr, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "jit" : "interp"; });

TEST_P(Csr, IdentityAndResetValues) {
  TestMachine m("rv64", GetParam(), 2);
  execute(m, {csrr(a0, misa), csrr(a1, mhartid), csrr(a2, mstatus), csrr(a3, mvendorid)});
  EXPECT_EQ(m.x(a0), u64{2} << 62 | 1 << ('I' - 'A') | 1 << ('M' - 'A') | 1 << ('A' - 'A') |
                         1 << ('F' - 'A') | 1 << ('D' - 'A') | 1 << ('C' - 'A') | 1 << ('S' - 'A') |
                         1 << ('U' - 'A'));
  EXPECT_EQ(m.x(a1), 0u);
  EXPECT_EQ(m.x(a2), u64{10} << 32);  // SXL, UXL
  EXPECT_EQ(m.x(a3), 0u);
  TestMachine small("rv32,f=off,c=off", GetParam());
  execute(small, {csrr(a0, misa), csrr(a2, mstatus)});
  EXPECT_EQ(small.x(a0), 0x4000'0000u | 1 << 8 | 1 << 12 | 1 | 1 << 18 | 1 << 20);
  EXPECT_EQ(small.x(a2), 0u);
}

TEST_P(Csr, WritesKeepOnlyWhatIsLegal) {
  TestMachine m("rv64", GetParam());
  m.x(a0) = ~u64{0};
  execute(m, {csrw(mstatus, a0), csrr(a1, mstatus), csrw(mie, a0), csrr(a2, mie)});
  // SD, SXL, UXL; TSR, TW, TVM, MXR, SUM, MPRV, FS, MPP, SPP, MPIE, SPIE, MIE, SIE
  EXPECT_EQ(m.x(a1), u64{1} << 63 | u64{10} << 32 | 0x7e79aa);
  EXPECT_EQ(m.x(a2), 0xaaau);
  TestMachine without("rv64,s=off", GetParam());
  without.x(a0) = ~u64{0};
  execute(without, {csrw(mstatus, a0), csrr(a1, mstatus), csrw(mie, a0), csrr(a2, mie)});
  EXPECT_EQ(without.x(a1), u64{1} << 63 | u64{2} << 32 | 0x227888);  // SD, UXL; TW, MPRV, FS, MPP, MPIE, MIE
  EXPECT_EQ(without.x(a2), 0x888u);

  m.clear();
  m.state().mtvec = kVector;
  m.state().mstatus = riscv::mstatus::kMpp;
  m.x(t0) = kCode + 2;     // reserved mode
  m.x(t1) = u64{2} << 11;  // MPP = 2 does not exist
  m.x(t2) = kCode + 3;
  execute(m, {csrw(mtvec, t0), csrr(a0, mtvec), csrw(mstatus, t1), csrr(a1, mstatus), csrw(mepc, t2),
              csrr(a2, mepc), csrw(tselect, t2), csrr(a3, tselect)});
  EXPECT_EQ(m.x(a0), kVector);
  EXPECT_EQ(m.x(a1), u64{10} << 32 | riscv::mstatus::kMpp);
  EXPECT_EQ(m.x(a2), kCode + 2);
  EXPECT_EQ(m.x(a3), 0u);
}

TEST_P(Csr, OnlyWithoutCompressedInstructionsMepcHasTwoZeroBits) {
  TestMachine m("rv32,c=off", GetParam());
  m.x(t2) = static_cast<u32>(kCode + 3);
  execute(m, {csrw(mepc, t2), csrr(a2, mepc)});
  EXPECT_EQ(m.x(a2), kCode);
}

TEST_P(Csr, MachineRegistersAreOutOfAUsersReach) {
  for (const u32 insn : {csrr(a0, mstatus), csrr(a0, mscratch), csrw(mscratch, a0), kMret}) {
    TestMachine m("rv64,pmp=off", GetParam());
    m.state().privilege = riscv::kUser;
    execute(m, {insn});
    EXPECT_TRUE(trapped(m, 2)) << std::hex << insn;
    EXPECT_EQ(m.state().mtval, insn);
    EXPECT_EQ(m.state().privilege, riscv::kMachine);
  }
}

TEST_P(Csr, WhatDoesNotExistIsIllegal) {
  // Supervisor CSRs, medeleg, the second half of a register on RV64, write to read-only, and user-mode trap
  // CSRs.
  for (const u32 insn :
       {csrr(a0, 0x100), csrr(a0, 0x180), csrr(a0, 0x302), csrr(a0, minstreth), csrw(cycle, a0),
        csrrs(a0, mhartid, a1), csrr(a0, 0x041), csrr(a0, 0x3a1), csrr(a0, 0x7b0)}) {
    TestMachine m("rv64,s=off", GetParam());
    execute(m, {insn});
    EXPECT_TRUE(trapped(m, 2)) << std::hex << insn;
  }
  TestMachine m("rv64,pmp=off,zihpm=off,zicntr=off", GetParam());
  for (const u32 number : {0x3a0u, 0x3b0u, 0xb03u, 0xc00u})
    EXPECT_EQ(riscv::find_csr(*m.arch, number), nullptr);
}

TEST_P(Csr, UserCountersNeedMcounteren) {
  for (const u32 counter : {cycle, rv::time, instret, hpmcounter3}) {
    for (const bool enabled : {false, true}) {
      TestMachine m("rv64,pmp=off", GetParam());
      m.state().privilege = riscv::kUser;
      m.state().mcounteren = enabled ? 1u << (counter & 31) : ~(1u << (counter & 31));
      m.state().scounteren = ~u64{0};
      execute(m, {csrr(a0, counter)});
      EXPECT_EQ(trapped(m, 2), !enabled) << counter;
    }
  }
}

TEST_P(Csr, RetiredInstructionsAreCountedExactly) {
  TestMachine m("rv64", GetParam());
  // ecall does not retire; the handler comes back behind it.
  m.put(kVector, {csrr(t0, mepc), addi(t0, t0, 4), csrw(mepc, t0), kMret});
  m.state().mtvec = kVector;
  m.put(kCode, {kNop, csrr(a0, minstret), kEcall, csrr(a1, minstret), kNop, kNop, csrr(a2, minstret)});
  m.run(2 + 1 + 4 + 4);
  EXPECT_EQ(m.x(a0), 1u);
  EXPECT_EQ(m.x(a1), 2u + 4);  // nop and csrr, then the handler's four
  EXPECT_EQ(m.x(a2), m.x(a1) + 3);
}

TEST_P(Csr, CountersCanBeWritten) {
  TestMachine m("rv64", GetParam());
  m.x(t0) = ~u64{0} - 1;
  m.x(t1) = 1000;
  execute(m, {csrw(minstret, t0), csrr(a0, minstret), csrr(a1, minstret), csrr(a2, minstret),
              csrw(mcycle, t1), kNop, csrr(a3, mcycle)});
  EXPECT_EQ(m.x(a0), ~u64{0} - 1);  // as written, then counting on, over the top
  EXPECT_EQ(m.x(a1), ~u64{0});
  EXPECT_EQ(m.x(a2), 0u);
  EXPECT_EQ(m.x(a3), 1001u);
}

TEST_P(Csr, Rv32CountersComeInHalves) {
  TestMachine m("rv32", GetParam());
  m.x(t0) = 0xffff'ffff;
  m.x(t1) = 7;
  execute(m, {csrw(minstreth, t1), csrw(minstret, t0), csrr(a0, minstret), csrr(a1, minstreth),
              csrr(a2, minstret)});
  EXPECT_EQ(m.x(a0), 0xffff'ffffu);
  EXPECT_EQ(m.x(a1), 8u);  // one instruction later
  EXPECT_EQ(m.x(a2), 1u);
}

TEST_P(Csr, InhibitedCountersStand) {
  TestMachine m("rv64", GetParam());
  m.x(t0) = 5;
  execute(m, {kNop, csrw(mcountinhibit, t0), csrr(a0, minstret), kNop, csrr(a1, minstret),
              csrw(mcountinhibit, zero), csrr(a2, minstret), csrr(a3, minstret)});
  EXPECT_EQ(m.x(a0), 2u);
  EXPECT_EQ(m.x(a1), 2u);
  EXPECT_EQ(m.x(a2), 2u);
  EXPECT_EQ(m.x(a3), 3u);
}

TEST_P(Csr, TimeIsVirtualTime) {
  TestMachine m("rv64", GetParam());
  m.run(1000);
  m.clear();
  const Icount start = m.machine.icount();
  execute(m, {kNop, csrr(a0, rv::time)});
  EXPECT_EQ(m.x(a0), ((start + 1) << 3) / 100);
}

TEST_P(Csr, FloatingPointStateTurnsDirty) {
  TestMachine m("rv64", GetParam());
  m.state().mstatus |= u64{1} << 13;  // initial
  m.state().f[11] = m.state().f[12] = 0xffff'ffff'3f80'0000;
  execute(m, {csrr(a0, mstatus), fadd_s(10, 11, 12), csrr(a1, mstatus), csrr(a2, fcsr)});
  EXPECT_EQ(m.x(a0) & (u64{1} << 63 | 0x6000), 0x2000u);
  EXPECT_EQ(m.x(a1) & (u64{1} << 63 | 0x6000), u64{1} << 63 | 0x6000);
  EXPECT_EQ(m.state().f[10], 0xffff'ffff'4000'0000u);
  EXPECT_EQ(m.x(a2), 0u);
}

TEST_P(Csr, FloatingPointIsIllegalWhileOff) {
  for (const u32 insn : {fadd_s(10, 11, 12), csrr(a0, fcsr), csrw(frm, a0)}) {
    TestMachine m("rv64,s=off", GetParam());
    execute(m, {insn});
    EXPECT_TRUE(trapped(m, 2)) << std::hex << insn;
  }
}

TEST_P(Csr, FcsrIsFrmAndFflags) {
  TestMachine m("rv64", GetParam());
  m.state().mstatus |= riscv::mstatus::kFs;
  m.x(t0) = 0x1ff;
  m.x(t1) = 0x75;
  execute(m, {csrw(fcsr, t0), csrr(a0, fcsr), csrw(fcsr, t1), csrr(a1, frm), csrr(a2, fflags)});
  EXPECT_EQ(m.x(a0), 0xffu);
  EXPECT_EQ(m.x(a1), 3u);
  EXPECT_EQ(m.x(a2), 0x15u);
}

/// 1 + 2^-24 lies between two floats: the rounding mode decides, and takes effect with the next instruction.
TEST_P(Csr, RoundingModeTakesEffectAtOnce) {
  TestMachine m("rv64", GetParam());
  m.state().mstatus |= riscv::mstatus::kFs;
  m.state().f[11] = 0xffff'ffff'3f80'0000;
  m.state().f[12] = 0xffff'ffff'3380'0000;
  m.x(t0) = 3;  // up
  execute(m, {fadd_s(1, 11, 12), csrw(frm, t0), fadd_s(2, 11, 12), fadd_s(3, 11, 12, 1), csrw(frm, zero),
              fadd_s(4, 11, 12), csrr(a0, fflags)});
  EXPECT_EQ(m.state().f[1], 0xffff'ffff'3f80'0000u);
  EXPECT_EQ(m.state().f[2], 0xffff'ffff'3f80'0001u);
  EXPECT_EQ(m.state().f[3], 0xffff'ffff'3f80'0000u);
  EXPECT_EQ(m.state().f[4], 0xffff'ffff'3f80'0000u);
  EXPECT_EQ(m.x(a0), 1u);  // inexact
}

TEST(CsrTable, DebuggersSeeAndSetWhatHasStorage) {
  TestMachine m("rv64");
  const auto rows = m.arch->registers();
  unsigned checked = 0;
  for (unsigned i = 0; i < rows.size(); ++i) {
    const std::string_view name = rows[i].name;
    if (name == "mscratch" || name == "mepc" || name == "pmpaddr3") {
      EXPECT_TRUE(m.arch->write_register(m.vcpu(), i, 0x1234));
      EXPECT_EQ(m.arch->read_register(m.vcpu(), i), 0x1234u) << name;
      ++checked;
    }
    if (name == "mip") {
      EXPECT_TRUE(m.arch->write_register(m.vcpu(), i, 0xaa));
      EXPECT_EQ(m.arch->read_register(m.vcpu(), i), 0x22u);  // not the levels of lines
      ++checked;
    }
  }
  EXPECT_EQ(checked, 4u);
  EXPECT_EQ(m.state().pmpaddr[3], 0x1234u);
}

class CsrRows : public ::testing::TestWithParam<const char*> {};

/// What csrr gives machine mode, a debugger has under the CSR's name, and the other way round; but not what
/// reading would use up.
TEST_P(CsrRows, DebuggersSeeEveryCsrThatCanBeRead) {
  TestMachine m(GetParam());
  riscv::RiscvState& s = m.state();
  s.mstatus |= riscv::mstatus::kSum | riscv::mstatus::kFs;
  s.mideleg |= 0x2222;
  s.mie = s.mip = 0xaaaa;
  s.supervisor_lines = s.hvip = s.hideleg = 0;
  if (m.arch->features().has(riscv::ext::H)) s.hvip = s.hideleg = riscv::irq::kGuestAll;
  if (m.arch->features().has(riscv::ext::Smaia)) s.mvien = s.mvip = s.virtual_enabled = 3ull << 40;
  std::map<unsigned, unsigned> row_of;
  const auto rows = m.arch->registers();
  for (unsigned i = 0; i < rows.size(); ++i) {
    if (std::string_view(rows[i].group) != "control" || rows[i].gdb_number >= 65 + 4096) continue;
    EXPECT_TRUE(row_of.emplace(rows[i].gdb_number - 65, i).second) << rows[i].name;
  }
  unsigned different = 0;
  for (u32 number = 0; number < 4096; ++number) {
    const riscv::CsrRow* csr = riscv::find_csr(*m.arch, number);
    const bool nothing_there = std::string_view(csr == nullptr ? "" : csr->name).find("hpm") < 8 &&
                               ((number & 31) > 10 || !m.arch->features().has(riscv::ext::Sscofpmf));
    const bool shown = csr != nullptr && number != riscv::kSeed && !nothing_there;
    ASSERT_EQ(row_of.count(number), shown ? 1u : 0u) << std::hex << number;
    if (!shown) continue;
    EXPECT_STREQ(rows[row_of[number]].name, riscv::csr_name(number));
    const u64 seen = m.arch->read_register(m.vcpu(), row_of[number]);
    // Counters go on with the instruction that reads them.
    if ((number & 0xf60) == 0xb00 || (number & 0xf60) == 0xc00) continue;
    const riscv::RiscvState before = s;
    s.pc = kCode;
    m.put(kCode, {csrr(a0, number)});
    m.run(1);
    if (s.mcause == before.mcause) {  // else no instruction can read it as things are
      EXPECT_EQ(fmt::format("{:#x}", s.x[a0]), fmt::format("{:#x}", seen)) << rows[row_of[number]].name;
      different += seen != 0;
    }
    s = before;
  }
  EXPECT_GT(different, 3u);
}

INSTANTIATE_TEST_SUITE_P(Cpus, CsrRows,
                         ::testing::Values("max,h=on", "max", "rv32,h=on,sstc=on,smstateen=on",
                                           "rv32,smaia=on,ssaia=on,sscofpmf=on", "rv64,s=off,u=off",
                                           "rv64,zkr=on"));

TEST(CsrTable, DebuggersSetWhatIsAViewButNoCounter) {
  TestMachine m("max,h=on");
  const auto rows = m.arch->registers();
  const auto set = [&](std::string_view name, u64 value) {
    for (unsigned i = 0; i < rows.size(); ++i)
      if (rows[i].name == name) return m.arch->write_register(m.vcpu(), i, value);
    ADD_FAILURE() << name;
    return false;
  };
  EXPECT_TRUE(set("sstatus", riscv::mstatus::kSum));
  EXPECT_EQ(m.state().mstatus & riscv::mstatus::kSum, riscv::mstatus::kSum);
  EXPECT_TRUE(set("mvien", u64{1} << 40));
  EXPECT_EQ(m.state().mvien, u64{1} << 40);
  EXPECT_TRUE(set("hie", 0x44));
  EXPECT_EQ(m.state().mie, 0x44u);
  for (const char* name : {"mcycle", "minstret", "time", "mhartid", "misa"})
    EXPECT_FALSE(set(name, 1)) << name;
}

TEST(CsrTable, FlagBitsTranslateBothWays) {
  for (u32 flags = 0; flags < 32; ++flags) EXPECT_EQ(riscv::fflags_of(riscv::fp_flags_of(flags)), flags);
}

}  // namespace
}  // namespace hindcast::test
