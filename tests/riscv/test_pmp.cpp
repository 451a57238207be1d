// Physical memory protection against a byte-by-byte reading of the manual, and as programs meet it.
#include <gtest/gtest.h>

#include "targets/riscv/pmp.h"
#include "tests/riscv/encode.h"
#include "tests/riscv/test_machine.h"

namespace hindcast::test {
namespace {

using namespace rv;
using riscv::kMachine, riscv::kUser, riscv::RiscvState;
namespace pmp = riscv::pmp;
constexpr GuestAddr kVector = kCode + 0x4000;
constexpr u8 kOff = 0, kTor = 1 << 3, kNa4 = 2 << 3, kNapot = 3 << 3;

u64 next_random(u64& state) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

/// Section 3.7.1, for one byte: the number of the entry that matches it, or -1.
int matching_entry(const RiscvState& s, u64 byte) {
  for (int i = 0; i < 16; ++i) {
    const u64 word = byte >> 2, address = s.pmpaddr[i];
    switch (s.pmpcfg[i] & pmp::kMode) {
      case kTor:
        if (word >= (i == 0 ? 0 : s.pmpaddr[i - 1]) && word < address) return i;
        break;
      case kNa4:
        if (word == address) return i;
        break;
      case kNapot: {
        u64 mask = 1;
        while ((address & mask) == mask) mask = mask << 1 | 1;
        if ((word | mask) == (address | mask)) return i;
        break;
      }
      default: break;
    }
  }
  return -1;
}

u8 permissions_of_entry(const RiscvState& s, u64 privilege, int entry) {
  if (entry < 0) return privilege == kMachine ? pmp::kAll : 0;
  if (privilege == kMachine && (s.pmpcfg[entry] & pmp::kLock) == 0) return pmp::kAll;
  return s.pmpcfg[entry] & pmp::kAll;
}

/// The lowest entry that matches any byte decides, and fails the access unless it matches all of them.
u8 expected_permissions(const RiscvState& s, u64 privilege, u64 address, unsigned size) {
  int lowest = 16;
  bool all_same = true;
  for (unsigned i = 0; i < size; ++i) {
    const int entry = matching_entry(s, address + i);
    if (entry >= 0 && entry < lowest) lowest = entry;
  }
  for (unsigned i = 0; i < size; ++i) {
    if (lowest < 16 && matching_entry(s, address + i) != lowest) {
      // A byte of a later entry, or of none, is not matched by the deciding one.
      all_same = false;
    }
  }
  return all_same ? permissions_of_entry(s, privilege, lowest == 16 ? -1 : lowest) : 0;
}

/// A configuration in a small area, so that entries overlap and touch.
void randomize(RiscvState& s, u64& seed) {
  for (unsigned i = 0; i < 16; ++i) {
    s.pmpaddr[i] = next_random(seed) % 64;
    if (next_random(seed) % 4 == 0) s.pmpaddr[i] |= 7;
    const u64 r = next_random(seed);
    s.pmpcfg[i] = static_cast<u8>((r % 5 < 2 ? 0 : r >> 8 & pmp::kMode) | (r >> 16 & pmp::kAll) |
                                  ((r >> 24) % 3 == 0 ? pmp::kLock : 0));
  }
}

TEST(Pmp, AgreesWithTheManualByteByByte) {
  for (const char* cpu : {"rv32", "rv64"}) {
    const auto arch = riscv::make_riscv_arch(cpu);
    u64 seed = 12345;
    unsigned refused = 0, allowed = 0;
    for (unsigned round = 0; round < 300; ++round) {
      RiscvState s{};
      randomize(s, seed);
      for (unsigned i = 0; i < 100; ++i) {
        const u64 address = next_random(seed) % 300;
        const unsigned size = 1u << next_random(seed) % 4;
        const u64 privilege = next_random(seed) % 2 == 0 ? kUser : kMachine;
        const u8 got = riscv::pmp_permissions(*arch, s, privilege, address, size, nullptr);
        ASSERT_EQ(got, expected_permissions(s, privilege, address, size)) << address << " " << size;
        (got == 0 ? refused : allowed) += 1;
      }
    }
    EXPECT_GT(refused, 1000u);
    EXPECT_GT(allowed, 1000u);
  }
}

/// What harts are told is partly remembered from accesses before.
TEST(Pmp, RemembersOnlyWhatHoldsAllAround) {
  TestMachine m("rv64");
  RiscvState& s = m.state();
  u64 seed = 4711;
  unsigned remembered = 0;
  for (unsigned round = 0; round < 300; ++round) {
    randomize(s, seed);
    riscv::pmp_changed(m.vcpu());
    for (unsigned i = 0; i < 100; ++i) {
      const u64 address = next_random(seed) % 300;
      const unsigned size = 1u << next_random(seed) % 4;
      const u64 privilege = next_random(seed) % 4 == 0 ? kMachine : kUser;
      remembered += privilege == kUser && address >= s.pmp_memo.first && address + size <= s.pmp_memo.end;
      bool uniform = false, expected_uniform = false;
      const u8 got = riscv::pmp_permissions(*m.arch, m.vcpu(), privilege, address, size, &uniform);
      ASSERT_EQ(got, expected_permissions(s, privilege, address, size)) << address << " " << size;
      riscv::pmp_permissions(*m.arch, s, privilege, address, size, &expected_uniform);
      ASSERT_EQ(uniform, expected_uniform) << address << " " << size;
    }
  }
  EXPECT_GT(remembered, 1000u);
}

/// translate() may claim a large block only if every byte of it is as the byte asked for.
TEST(Pmp, GranulesPromiseNoMoreThanHolds) {
  TestMachine m("rv64");
  RiscvState& s = m.state();
  u64 seed = 777;
  unsigned large = 0;
  for (unsigned round = 0; round < 200; ++round) {
    for (unsigned i = 0; i < 16; ++i) {
      s.pmpaddr[i] = (next_random(seed) % 64) << 8 | (next_random(seed) % 3 == 0 ? 0x3ff : 0);
      const u64 r = next_random(seed);
      s.pmpcfg[i] = static_cast<u8>((r % 3 == 0 ? 0 : r >> 8 & pmp::kMode) | (r >> 16 & pmp::kAll));
    }
    s.privilege = kUser;
    riscv::pmp_changed(m.vcpu());
    for (unsigned i = 0; i < 20; ++i) {
      const u64 address = next_random(seed) % 0x12000;
      const Translation t = m.arch->translate(m.vcpu(), address, 1, Access::Write);
      const int entry = matching_entry(s, address);
      ASSERT_EQ(t.ok, (permissions_of_entry(s, kUser, entry) & pmp::kWrite) != 0);
      if (!t.ok || t.granule < 4096) continue;
      ++large;
      const u64 first = address & ~(t.granule - 1);
      for (u64 at = first; at < first + std::min<u64>(t.granule, 0x20000); at += 4) {
        ASSERT_NE(permissions_of_entry(s, kUser, matching_entry(s, at)) & pmp::kWrite, 0) << at;
      }
    }
  }
  EXPECT_GT(large, 50u);
}

/// What translated code depends on: for users what they may execute, for machine mode nothing unless an entry
/// is locked. Rules for data alone change nothing.
TEST(Pmp, TranslationsDependOnWhatMayBeExecuted) {
  TestMachine m("rv64");
  RiscvState& s = m.state();
  constexpr u64 kAll = 0x1fff'ffff'ffff;
  const auto context = [&](u64 privilege, u64 data_entry, u8 cfg, u64 code_entry) {
    riscv::pmpaddr_write(*m.arch, m.vcpu(), 0, data_entry);
    riscv::pmpaddr_write(*m.arch, m.vcpu(), 1, code_entry);
    riscv::pmpcfg_write(*m.arch, m.vcpu(), 0,
                        u64{cfg} | u64{kNapot | pmp::kRead | pmp::kExecute} << 8 |
                            u64{kNapot | pmp::kRead | pmp::kWrite} << 16);
    riscv::pmpaddr_write(*m.arch, m.vcpu(), 2, kAll);
    s.privilege = privilege;
    return m.arch->context(m.vcpu());
  };
  const u64 code = kCode >> 2 | 0x1ff, more_code = kCode >> 2 | 0x3ff;
  const u8 none = kNapot, read = kNapot | pmp::kRead, execute = kNapot | pmp::kExecute;
  const u64 first = context(kUser, kData >> 2 | 0x1ff, none, code);
  EXPECT_EQ(m.arch->memory_mode(first), MemoryMode::Translated);
  EXPECT_EQ(context(kUser, kData >> 2 | 0x3ff, read, code), first);
  EXPECT_NE(context(kUser, kData >> 2 | 0x3ff, read, more_code), first);
  EXPECT_NE(context(kUser, kData >> 2 | 0x3ff, execute, code), first);
  EXPECT_NE(context(kUser, code, none, more_code), first);  // a hole in it
  EXPECT_EQ(context(kUser, more_code, execute, more_code), context(kUser, 0, none, more_code));
  EXPECT_EQ(context(kUser, kData >> 2 | 0x1ff, none, code), first) << "a rule that returns";

  const u64 machine = context(kMachine, kData >> 2, none, code);
  EXPECT_EQ(m.arch->memory_mode(machine), MemoryMode::Flat);
  EXPECT_EQ(context(kMachine, code, read, more_code), machine);
  EXPECT_NE(context(kMachine, kData >> 2, none | pmp::kLock, code), machine);
}

/// A write that changes nothing leaves the soft TLB as it is.
TEST(Pmp, WritesThatChangeNothing) {
  TestMachine m("rv64");
  riscv::pmpaddr_write(*m.arch, m.vcpu(), 3, 0x1234);
  riscv::pmpcfg_write(*m.arch, m.vcpu(), 0, u64{kTor | pmp::kLock} << 24);
  const u64 before = m.vcpu().protection_generation();
  riscv::pmpaddr_write(*m.arch, m.vcpu(), 3, 0x9999);  // locked
  riscv::pmpaddr_write(*m.arch, m.vcpu(), 4, 0);
  riscv::pmpcfg_write(*m.arch, m.vcpu(), 0, 0);
  EXPECT_EQ(m.vcpu().protection_generation(), before);
  riscv::pmpaddr_write(*m.arch, m.vcpu(), 4, 1);
  EXPECT_NE(m.vcpu().protection_generation(), before);
}

class PmpPrograms : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Engines, PmpPrograms, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "jit" : "interp"; });

/// Code may be executed by all; one word of the data may be read and not written, the rest neither.
TEST_P(PmpPrograms, UsersMayDoWhatAnEntryAllows) {
  TestMachine m("rv64", GetParam());
  RiscvState& s = m.state();
  s.mtvec = kVector;
  s.pmpaddr[0] = (kData + 8) >> 2;
  s.pmpcfg[0] = kNa4 | pmp::kRead;
  s.pmpaddr[1] = kCode >> 2 | ((kRamBytes >> 3) - 1);
  s.pmpcfg[1] = kNapot | pmp::kRead | pmp::kExecute;
  s.privilege = kUser;
  m.x(a1) = kData + 8;
  m.put(kData + 8, {42});
  m.put(kCode, {lw(a0, a1), sw(a0, a1)});
  m.run(2);
  EXPECT_EQ(m.x(a0), 42u);
  EXPECT_EQ(s.pc, kVector);
  EXPECT_EQ(s.mcause, 7u);
  EXPECT_EQ(s.mtval, kData + 8);
  EXPECT_EQ(s.mepc, kCode + 4);

  for (const u64 address : {kData, kData + 6, kData + 12}) {  // before, across the border, behind
    s.pc = kCode;
    s.privilege = kUser;
    m.x(a1) = address;
    m.run(1);
    EXPECT_EQ(s.mcause, 5u) << address;
    EXPECT_EQ(s.mtval, address);
  }
  // No entry matches: a user may not fetch either.
  s.privilege = kUser;
  s.pc = kData + 0x100;
  m.run(1);
  EXPECT_EQ(s.mcause, 1u);
  EXPECT_EQ(s.mtval, kData + 0x100);
}

TEST_P(PmpPrograms, AnEntryWrittenByAProgramHoldsAtOnce) {
  TestMachine m("rv64", GetParam());
  RiscvState& s = m.state();
  s.mtvec = kVector;
  m.x(a1) = kData;
  m.x(t0) = kData >> 2;
  m.x(t1) = kNa4 | pmp::kLock | pmp::kRead;
  m.put(kCode, {sw(t0, a1), csrw(pmpaddr0, t0), csrw(pmpcfg0, t1), lw(a0, a1), sw(t0, a1)});
  m.run(5);
  EXPECT_EQ(m.x(a0), kData >> 2);
  EXPECT_EQ(s.mcause, 7u);  // locked: machine mode too
  EXPECT_EQ(s.mepc, kCode + 16);
  // And it stays so.
  m.x(t2) = 0;
  s.pc = kCode;
  m.put(kCode, {csrw(pmpcfg0, t2), csrw(pmpaddr0, t2), csrr(a2, pmpcfg0), csrr(a3, pmpaddr0)});
  m.run(4);
  EXPECT_EQ(m.x(a2), u64{kNa4 | pmp::kLock | pmp::kRead});
  EXPECT_EQ(m.x(a3), kData >> 2);
}

TEST_P(PmpPrograms, ALockedTopOfRangeLocksTheAddressBelow) {
  TestMachine m("rv64", GetParam());
  RiscvState& s = m.state();
  s.pmpaddr[0] = 0x100;
  s.pmpcfg[1] = kTor | pmp::kLock;
  m.x(t0) = 0x200;
  m.put(kCode, {csrw(pmpaddr0, t0), csrr(a0, pmpaddr0)});
  m.run(2);
  EXPECT_EQ(m.x(a0), 0x100u);
  s.pmpcfg[1] = kNapot | pmp::kLock;
  riscv::pmp_changed(m.vcpu());
  s.pc = kCode;
  m.run(2);
  EXPECT_EQ(m.x(a0), 0x200u);
}

TEST_P(PmpPrograms, WriteWithoutReadIsNotKept) {
  TestMachine m("rv64", GetParam());
  m.x(t0) = 0x62 | kOff | 0x7c00;  // W alone, reserved bits; the second entry locked, NAPOT, X
  m.put(kCode, {csrw(pmpcfg0, t0), csrr(a0, pmpcfg0)});
  m.run(2);
  EXPECT_EQ(m.x(a0), 0x1c00u);
}

/// Machine mode meets no entry that is not locked, but for an access that one matches in part; a misaligned
/// access is made in parts that do not cross a multiple of 8, whatever the other entries are.
TEST_P(PmpPrograms, MachineModeAcrossABorder) {
  for (const bool other : {false, true}) {
    TestMachine m("rv64", GetParam());
    RiscvState& s = m.state();
    s.mtvec = kVector;
    s.pmpaddr[0] = (kData + 0x100) >> 2;
    s.pmpcfg[0] = kOff;
    s.pmpaddr[1] = (kData + 0x200) >> 2;
    s.pmpcfg[1] = kTor;
    s.pmpaddr[2] = 4;  // if it counts: a border that divides aligned accesses, elsewhere
    s.pmpcfg[2] = other ? kNa4 | pmp::kLock : kOff;
    riscv::pmp_changed(m.vcpu());
    m.put(kData + 0xfc, {1, 2});
    m.x(a1) = kData + 0xfc;
    m.put(kCode, {ld(a0, a1), kNop});
    m.run(1);
    EXPECT_EQ(s.pc, kCode + 4) << other;
    EXPECT_EQ(m.x(a0), u64{2} << 32 | 1) << other;
    // The border moves into an aligned double word.
    s.pc = kCode;
    s.pmpaddr[0] = (kData + 0x104) >> 2;
    riscv::pmp_changed(m.vcpu());
    m.x(a1) = kData + 0x100;
    m.run(1);
    EXPECT_EQ(s.mcause, 5u) << other;
    EXPECT_EQ(s.mtval, kData + 0x100) << other;
  }
}

/// With MPRV loads and stores are checked as MPP's, instruction fetch is not.
TEST_P(PmpPrograms, MprvLendsDataAccessesTheOtherPrivilege) {
  TestMachine m("rv64", GetParam());
  RiscvState& s = m.state();
  s.mtvec = kVector;
  m.x(a1) = kData;
  m.x(t0) = riscv::mstatus::kMprv;  // MPP is user
  m.put(kCode, {lw(a0, a1), csrrs(zero, mstatus, t0), kNop, lw(a0, a1)});
  m.run(4);
  EXPECT_EQ(s.mcause, 5u);
  EXPECT_EQ(s.mepc, kCode + 12);
}

}  // namespace
}  // namespace hindcast::test
