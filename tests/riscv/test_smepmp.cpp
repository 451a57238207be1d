// Smepmp: the truth table of machine-mode lockdown, and what its bits do to writes.
#include <gtest/gtest.h>

#include "targets/riscv/pmp.h"
#include "tests/riscv/encode.h"
#include "tests/riscv/test_machine.h"

namespace hindcast::test {
namespace {

using namespace rv;
using riscv::kMachine, riscv::kSupervisor, riscv::kUser;
namespace pmp = riscv::pmp;
namespace mseccfg = riscv::mseccfg;
constexpr GuestAddr kVector = kCode + 0x4000;
constexpr u32 kMseccfg = 0x747;
constexpr u8 kNapot = 3 << 3;

class Smepmp : public ::testing::TestWithParam<bool> {
 protected:
  Smepmp() : m_("rv64,smepmp=on", GetParam()) {}

  riscv::RiscvState& s() { return m_.state(); }
  /// Runs one instruction in machine mode; the exception that it raised, or 99.
  u64 cause_of(u32 insn) {
    s().mtvec = kVector;
    s().mcause = 99;
    s().privilege = kMachine;
    s().pc = kCode;
    m_.put(kCode, {insn});
    m_.run(1);
    return s().mcause;
  }
  u64 write(u32 csr, u64 value) {
    m_.x(a0) = value;
    EXPECT_EQ(cause_of(csrw(csr, a0)), 99u);
    EXPECT_EQ(cause_of(csrr(a1, csr)), 99u);
    return m_.x(a1);
  }
  u8 allowed(u64 privilege, GuestAddr at) {
    return riscv::pmp_permissions(*m_.arch, s(), privilege, at, 1, nullptr);
  }
  TestMachine m_;
};
INSTANTIATE_TEST_SUITE_P(Engines, Smepmp, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "jit" : "interp"; });

TEST_P(Smepmp, TruthTable) {
  // By L, R, W, X: what machine mode may do, what the others may.
  const char* const table[16][2] = {
      {"", ""}, {"", "x"}, {"rw", "r"}, {"rw", "rw"}, {"", "r"}, {"", "rx"}, {"", "rw"}, {"", "rwx"},
      {"", ""}, {"x", ""}, {"x", "x"},  {"rx", "x"},  {"r", ""}, {"rx", ""}, {"rw", ""}, {"r", "r"}};
  const auto bits = [](std::string_view text) {
    u8 rights = 0;
    for (const char c : text) rights |= c == 'r' ? pmp::kRead : c == 'w' ? pmp::kWrite : pmp::kExecute;
    return rights;
  };
  s().mseccfg = mseccfg::kMml;
  s().pmpaddr[0] = kData >> 2 | 0x1ff;
  for (unsigned row = 0; row < 16; ++row) {
    const u8 config = static_cast<u8>((row & 8) << 4 | (row & 4) >> 2 | (row & 2) | (row & 1) << 2 | kNapot);
    s().pmpcfg[0] = config;
    riscv::pmp_changed(m_.vcpu());
    EXPECT_EQ(allowed(kMachine, kData), bits(table[row][0])) << row;
    EXPECT_EQ(allowed(kSupervisor, kData), bits(table[row][1])) << row;
    EXPECT_EQ(allowed(kUser, kData), bits(table[row][1])) << row;
    // As instructions meet it.
    for (const bool machine : {true, false}) {
      const std::string_view rights = table[row][machine ? 0 : 1];
      s().pmpcfg[1] = 0x80 | kNapot | pmp::kRead | pmp::kExecute;  // the code and its vector: for all, by two
      s().pmpaddr[1] = kCode >> 2 | 0x1fff;
      s().mstatus = machine ? 0 : riscv::mstatus::kMprv;
      riscv::pmp_changed(m_.vcpu());
      m_.x(a0) = kData;
      EXPECT_EQ(cause_of(lw(a1, a0)) == 99, rights.find('r') != rights.npos) << row << machine;
      s().mstatus = machine ? 0 : riscv::mstatus::kMprv;
      EXPECT_EQ(cause_of(sw(a1, a0)) == 99, rights.find('w') != rights.npos) << row << machine;
      s().pmpcfg[1] = 0;
    }
  }
  // Where no entry matches.
  EXPECT_EQ(allowed(kMachine, kCode), pmp::kRead | pmp::kWrite);
  s().mseccfg = mseccfg::kMml | mseccfg::kMmwp;
  EXPECT_EQ(allowed(kMachine, kCode), 0);
  s().mseccfg = mseccfg::kMmwp;
  EXPECT_EQ(allowed(kMachine, kCode), 0);
  EXPECT_EQ(allowed(kUser, kCode), 0);
}

TEST_P(Smepmp, LockdownStopsUncoveredCodeOfMachineMode) {
  m_.x(a0) = mseccfg::kMml;
  s().mtvec = kVector;
  m_.put(kCode, {csrw(kMseccfg, a0), kNop});
  m_.run(2);
  EXPECT_EQ(s().mcause, 1u);
  EXPECT_EQ(s().mepc, kCode + 4);
}

TEST_P(Smepmp, BitsOfTheConfigurationStay) {
  s().pmpcfg[0] = 0x80 | kNapot | pmp::kRead | pmp::kExecute;
  s().pmpaddr[0] = kCode >> 2 | 0x1fff;
  riscv::pmp_changed(m_.vcpu());
  EXPECT_EQ(write(kMseccfg, mseccfg::kRlb), 0u);  // something is locked
  s().pmpcfg[0] = kNapot;  // matches the code, so that it goes on without whatever matches nothing
  riscv::pmp_changed(m_.vcpu());
  EXPECT_EQ(write(kMseccfg, ~u64{0} & ~mseccfg::kMml), mseccfg::kMmwp | mseccfg::kRlb);
}

TEST_P(Smepmp, LocksAndNewCode) {
  const u8 code = 0x80 | kNapot | pmp::kRead | pmp::kExecute;
  s().pmpaddr[0] = kCode >> 2 | 0x1fff;
  s().mseccfg = mseccfg::kRlb;
  EXPECT_EQ(write(pmpcfg0, code), code);
  EXPECT_EQ(write(pmpcfg0, code | u64{0x9a} << 8), code | u64{0x98} << 8);  // write-only is reserved
  EXPECT_EQ(write(pmpcfg0, code), code);                                    // locked, and yet written
  EXPECT_EQ(write(pmpaddr0, s().pmpaddr[0]), s().pmpaddr[0]);
  EXPECT_EQ(write(kMseccfg, mseccfg::kMml | mseccfg::kRlb), mseccfg::kMml | mseccfg::kRlb);
  EXPECT_EQ(write(pmpcfg0, code | u64{0x9a} << 8), code | u64{0x9a} << 8);
  EXPECT_EQ(write(kMseccfg, 0), mseccfg::kMml);
  // Locked: neither of these is written any more; and no more code for machine mode.
  EXPECT_EQ(write(pmpcfg0, code | u64{0x18} << 8), code | u64{0x9a} << 8);
  for (const u64 config : {0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0x1f, 0x1a}) {
    const bool makes_code = config != 0x99 && config != 0x9f && config != 0x9b && (config & 0x80) != 0;
    s().pmpcfg[2] = 0;
    riscv::pmp_changed(m_.vcpu());
    EXPECT_EQ(write(pmpcfg0, config << 16) >> 16 & 0xff, makes_code ? 0 : config) << std::hex << config;
  }
  EXPECT_EQ(write(kMseccfg, mseccfg::kRlb), mseccfg::kMml);
}

}  // namespace
}  // namespace hindcast::test
