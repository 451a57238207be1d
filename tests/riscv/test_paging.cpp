// Address translation: every mode, every level, every way to fail; supervisor mode's traps.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "targets/riscv/paging.h"
#include "tests/riscv/encode.h"
#include "tests/riscv/test_machine.h"

namespace hindcast::test {
namespace {

using namespace rv;
using riscv::kSupervisor, riscv::kUser;

constexpr u64 kV = 1, kR = 2, kW = 4, kX = 8, kU = 16, kA = 64, kD = 128, kAll = kV | kR | kW | kX | kA | kD;
constexpr GuestAddr kRoot = kData;

struct Mode {
  const char* name;
  const char* cpu;
  u64 number;
  unsigned levels, index_bits, entry;
};
constexpr Mode kModes[] = {{"sv32", "rv32,pmp=off", 1, 2, 10, 4},
                           {"sv39", "rv64,pmp=off", 8, 3, 9, 8},
                           {"sv48", "rv64,pmp=off", 9, 4, 9, 8},
                           {"sv57", "rv64,pmp=off", 10, 5, 9, 8}};

/// Tables in the data memory: one page for each level, the root first.
struct Tables {
  explicit Tables(const Mode& which, bool jit = false, const char* cpu = nullptr)
      : mode(which), m(cpu != nullptr ? cpu : which.cpu, jit) {
    riscv::RiscvState& s = m.state();
    s.satp = (mode.entry == 4 ? u64{1} << 31 : mode.number << 60) | kRoot >> 12;
    s.privilege = kSupervisor;
  }
  GuestAddr table(unsigned level) const { return kRoot + (mode.levels - 1 - level) * 0x1000; }
  GuestAddr place(GuestAddr va, unsigned level) const {
    const u64 index = va >> (12 + level * mode.index_bits) & ((u64{1} << mode.index_bits) - 1);
    return table(level) + index * mode.entry;
  }
  void put(GuestAddr at, u64 entry) { m.machine.memory().host_write(at, &entry, mode.entry); }
  u64 get(GuestAddr at) {
    u64 entry = 0;
    m.machine.memory().host_read(at, &entry, mode.entry);
    return entry;
  }
  /// Maps `va` to `pa` at `level`, with all levels above it.
  void map(GuestAddr va, GuestAddr pa, u64 flags, unsigned level = 0) {
    for (unsigned l = mode.levels - 1; l > level; --l) put(place(va, l), table(l - 1) >> 12 << 10 | kV);
    put(place(va, level), pa >> 12 << 10 | flags);
  }
  Translation read(GuestAddr va, Access access = Access::Read) {
    return m.arch->probe(m.vcpu(), va, 1, access);
  }

  Mode mode;
  TestMachine m;
};

u64 fault_of(Access access) { return access == Access::Read ? 13 : access == Access::Write ? 15 : 12; }

TEST(Paging, ToldToAUser) {
  const Mode& sv39 = kModes[1];
  Tables t(sv39);
  const GuestAddr va = 0x1234'5678;
  t.map(va, kCode, kAll);
  const auto told = [&](GuestAddr at) { return t.m.arch->describe_translation(t.m.vcpu(), at); };
  EXPECT_EQ(told(va),
            fmt::format("Sv39, satp {:#x}, root table at {:#x}; loads and stores now are those of "
                        "supervisor mode\n"
                        "level 2: entry 0 at {:#x} is {:#x}: table at {:#x}\n"
                        "level 1: entry 145 at {:#x} is {:#x}: table at {:#x}\n"
                        "level 0: entry 325 at {:#x} is {:#x}: page of 4 KiB at {:#x}, rwx "
                        "supervisor accessed dirty\n"
                        "0x12345678 is at {:#x} in physical memory: {}\n",
                        t.m.state().satp, kRoot, t.place(va, 2), t.get(t.place(va, 2)), t.table(1),
                        t.place(va, 1), t.get(t.place(va, 1)), t.table(0), t.place(va, 0),
                        t.get(t.place(va, 0)), kCode, kCode + 0x678, t.m.machine.memory().name_at(kCode)));
  t.put(t.place(va, 1), 0);
  EXPECT_TRUE(told(va).ends_with(": not valid\n0x12345678 is not mapped\n")) << told(va);
  EXPECT_TRUE(told(u64{1} << 40).ends_with("0x10000000000 is no address of 39 bits\n"));
  t.map(va, kCode + 0x1000, kAll, 1);
  EXPECT_TRUE(told(va).ends_with("page fault\n")) << told(va);
  t.m.state().satp = 0;
  EXPECT_EQ(told(va), "no paging: satp's mode is Bare\n");
}

TEST(Paging, ExtensionsToldToAUser) {
  constexpr u64 kNapot = u64{1} << 63, kNonCacheable = u64{1} << 61, kIo = u64{2} << 61;
  Tables t(kModes[1], false, "rv64,pmp=off,svnapot=on,svpbmt=on");
  const GuestAddr va = 0x1234'5678;
  const auto told = [&] { return t.m.arch->describe_translation(t.m.vcpu(), va); };
  const auto has = [&](const std::string& text) { return told().find(text) != std::string::npos; };
  const auto agrees = [&] {
    GuestAddr physical = 0;
    return t.m.arch->debug_translate(t.m.vcpu(), va, &physical) &&
           has(fmt::format("0x12345678 is at {:#x} in physical memory", physical));
  };
  // Sixteen pages: the lowest four bits of the page number say so, and which one it is comes from the
  // address.
  t.map(va, (kCode & ~u64{0xffff}) + 0x8000, kAll | kNapot);
  EXPECT_TRUE(has(fmt::format("page of 64 KiB (Svnapot) at {:#x}, rwx supervisor accessed dirty\n",
                              kCode & ~u64{0xffff})))
      << told();
  EXPECT_TRUE(agrees()) << told();
  t.map(va, (kCode & ~u64{0xffff}) + 0x4000, kAll | kNapot);
  EXPECT_TRUE(told().ends_with("sixteen pages (Svnapot) of a reserved form: page fault\n")) << told();

  t.map(va, kCode, kAll | kIo);
  EXPECT_TRUE(told().ends_with("reserved bits are set: page fault\n")) << told();
  t.m.state().menvcfg |= riscv::envcfg::kPbmte;
  EXPECT_TRUE(has("rwx supervisor accessed dirty, memory type IO\n")) << told();
  EXPECT_TRUE(agrees()) << told();
  t.map(va, kCode, kAll | kNonCacheable);
  EXPECT_TRUE(has("dirty, memory type NC\n")) << told();
  t.map(va, kCode, kAll | kIo | kNonCacheable);
  EXPECT_TRUE(told().ends_with("reserved bits are set: page fault\n")) << told();
}

TEST(Paging, ReservedEntriesToldToAUser) {
  Tables t(kModes[1]);
  const GuestAddr va = 0x1234'5678;
  const auto told = [&] { return t.m.arch->describe_translation(t.m.vcpu(), va); };
  t.map(va, kCode, kV | riscv::pte::kWrite);
  EXPECT_TRUE(told().ends_with("writable but not readable: page fault\n")) << told();
  t.map(va, kCode, kAll);
  t.put(t.place(va, 1), t.get(t.place(va, 1)) | riscv::pte::kUser);
  EXPECT_TRUE(told().ends_with("a table with rights of a page: page fault\n")) << told();
  t.put(t.place(va, 1), u64{0x123'4567'89ab} << 10 | kV);
  EXPECT_TRUE(told().find("level 0: no memory at 0x123456789ab") != std::string::npos) << told();
  t.map(va, t.table(0), kV);  // the last level has one more table
  EXPECT_TRUE(told().ends_with("the last level has no page: page fault\n")) << told();
}

TEST(Paging, LeavesAtEveryLevel) {
  for (const Mode& mode : kModes) {
    for (unsigned level = 0; level < mode.levels; ++level) {
      Tables t(mode);
      const unsigned shift = 12 + level * mode.index_bits;
      const GuestAddr va = 0x1234'5678, size = u64{1} << shift, pa = level == 0 ? kCode : 0;
      t.map(va, pa, kAll, level);
      const Translation found = t.read(va);
      ASSERT_TRUE(found.ok) << mode.name << " level " << level;
      EXPECT_EQ(found.physical, pa + (va & (size - 1))) << mode.name << " level " << level;
      EXPECT_EQ(found.granule, 4096u);
      // A superpage that does not begin where it must.
      if (level == 0) continue;
      t.map(va, 0x1000, kAll, level);
      EXPECT_FALSE(t.read(va).ok) << mode.name << " level " << level;
      EXPECT_EQ(t.read(va).cause, 13u);
    }
  }
}

TEST(Paging, EntriesThatAreNotValid) {
  const GuestAddr va = 0x1234'5678;
  for (const Mode& mode : kModes) {
    for (unsigned level = 0; level < mode.levels; ++level) {
      std::vector<u64> bad = {0,       kAll & ~kV, kV | kW | kA | kD, kV | kW | kX | kA | kD, kV | kA,
                              kV | kD, kV | kU};
      if (mode.entry == 8)
        for (unsigned bit = 54; bit < 64; ++bit) bad.push_back(kAll | u64{1} << bit);
      if (level == 0) bad.push_back(kV);  // a pointer where there is nothing below
      for (const u64 entry : bad) {
        for (const Access access : {Access::Read, Access::Write, Access::Execute}) {
          Tables t(mode);
          t.map(va, 0, entry, level);
          const Translation found = t.read(va, access);
          EXPECT_FALSE(found.ok) << mode.name << " level " << level << " entry " << std::hex << entry;
          EXPECT_EQ(found.cause, fault_of(access));
          EXPECT_EQ(found.value, va);
        }
      }
    }
    // Tables where there is no memory.
    Tables t(mode);
    t.put(t.place(va, mode.levels - 1), 0x7000'0000 >> 12 << 10 | kV);
    EXPECT_EQ(t.read(va, Access::Write).cause, 7u);
    EXPECT_EQ(t.read(va, Access::Execute).cause, 1u);
  }
}

TEST(Paging, AddressesWhoseUpperBitsAreNotCopies) {
  for (const Mode& mode : {kModes[1], kModes[2], kModes[3]}) {
    Tables t(mode);
    const unsigned bits = 12 + 9 * mode.levels;
    const GuestAddr high = ~u64{0} << (bits - 1);
    t.map(high, kCode, kAll);
    EXPECT_TRUE(t.read(high).ok) << mode.name;
    EXPECT_FALSE(t.read(high & ~(u64{1} << 63)).ok) << mode.name;
    EXPECT_FALSE(t.read(high ^ u64{1} << bits).ok) << mode.name;
  }
}

TEST(Paging, Permissions) {
  const GuestAddr va = 0x40'0000;
  for (const Mode& mode : kModes) {
    for (u64 flags = kV; flags < 32; flags += 2) {
      if ((flags & (kR | kW | kX)) == 0 || (flags & (kR | kW)) == kW) continue;
      for (unsigned bits = 0; bits < 8; ++bits) {
        const bool user = (bits & 1) != 0, sum = (bits & 2) != 0, mxr = (bits & 4) != 0;
        Tables t(mode);
        t.m.state().privilege = user ? kUser : kSupervisor;
        t.m.state().mstatus = (sum ? riscv::mstatus::kSum : 0) | (mxr ? riscv::mstatus::kMxr : 0);
        t.map(va, kCode, flags | kA | kD);
        const bool page_of_user = (flags & kU) != 0;
        const bool data = user ? page_of_user : !page_of_user || sum;
        EXPECT_EQ(t.read(va).ok, data && ((flags & kR) != 0 || (mxr && (flags & kX) != 0)));
        EXPECT_EQ(t.read(va, Access::Write).ok, data && (flags & kW) != 0);
        EXPECT_EQ(t.read(va, Access::Execute).ok, user == page_of_user && (flags & kX) != 0);
      }
    }
  }
}

TEST(Paging, AccessedAndDirtyBits) {
  const GuestAddr va = 0x40'0000;
  for (const char* cpu : {"rv64,pmp=off", "rv64,pmp=off,svade=on", "rv64,pmp=off,svadu=off"}) {
    const bool hardware = std::string(cpu) == "rv64,pmp=off";
    Tables t(kModes[1], false, cpu);
    t.map(va, kCode, kV | kR | kW | kX);
    const GuestAddr at = t.place(va, 0);
    const u64 before = t.get(at);
    EXPECT_EQ(t.read(va).ok, hardware);
    EXPECT_EQ(t.get(at), before);  // only looked at
    auto access = [&](Access how) { return t.m.arch->translate(t.m.vcpu(), va, 1, how).ok; };
    EXPECT_EQ(access(Access::Execute), hardware);
    EXPECT_EQ(t.get(at), before | (hardware ? kA : 0));
    EXPECT_EQ(access(Access::Write), hardware);
    EXPECT_EQ(t.get(at), before | (hardware ? kA | kD : 0));
    GuestAddr physical = 0;
    EXPECT_TRUE(t.m.arch->debug_translate(t.m.vcpu(), va + 5, &physical));
    EXPECT_EQ(physical, kCode + 5);
  }
}

TEST(Paging, ProtectionOfTheTables) {
  Tables t(kModes[1], false, "rv64");
  riscv::RiscvState& s = t.m.state();
  const GuestAddr va = 0x40'0000;
  t.map(va, kCode, kV | kR | kW);
  // 0: the level 0 table, by its rights; 1: everything.
  s.pmpaddr[0] = (t.table(0) >> 2) + 0x1ff;
  s.pmpaddr[1] = ~u64{0} >> 10;
  const auto rights = [&](u8 cfg) {
    s.pmpcfg[0] = cfg;
    s.pmpcfg[1] = 0x1f;
    for (auto& summary : s.pmp_summary) summary.known = 0;
    t.m.vcpu().protection_changed();
  };
  rights(0x18);
  EXPECT_EQ(t.read(va).cause, 5u);
  EXPECT_EQ(t.read(va, Access::Execute).cause, 1u);
  rights(0x19);  // readable, but the accessed bit cannot be set
  EXPECT_EQ(t.read(va, Access::Write).cause, 7u);
  rights(0x1b);
  EXPECT_TRUE(t.read(va, Access::Write).ok);
}

class Supervisor : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Engines, Supervisor, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "jit" : "interp"; });

/// An instruction whose second half is in a page that cannot be fetched, and a load that ends in such a page.
TEST_P(Supervisor, FaultsOfTheSecondPage) {
  Tables t(kModes[1], GetParam());
  riscv::RiscvState& s = t.m.state();
  const GuestAddr va = 0x40'0000;
  t.map(va, kCode, kAll);
  t.map(va + 0x2000, kCode + 0x2000, kAll);
  s.medeleg = 0xb3ff;
  s.stvec = va + 0x2000;
  t.m.put(kCode + 0xff4, {ld(a0, a1)});
  const u32 crossing = addi(a0, a0, 1);
  t.m.put(kCode + 0xff8, {kNop, crossing << 16 | 0x0001});
  s.x[a1] = va + 0xffc;
  s.pc = va + 0xff4;
  t.m.run(1);
  EXPECT_EQ(s.scause, 13u);
  EXPECT_EQ(s.stval, va + 0x1000);
  EXPECT_EQ(s.sepc, va + 0xff4);
  s.pc = va + 0xff8;
  t.m.run(3);
  EXPECT_EQ(s.scause, 12u);
  EXPECT_EQ(s.stval, va + 0x1000);
  EXPECT_EQ(s.sepc, va + 0xffe);
  EXPECT_EQ(s.pc, s.stvec);
  EXPECT_EQ(s.mstatus & (riscv::mstatus::kSpp | riscv::mstatus::kSie), riscv::mstatus::kSpp);
}

/// Code that ends with its page leaves no trace in the next one's entry.
TEST_P(Supervisor, NothingIsFetchedAhead) {
  Tables t(kModes[1], GetParam());
  riscv::RiscvState& s = t.m.state();
  const GuestAddr va = 0x40'0000;
  t.map(va, kCode, kAll);
  t.map(va + 0x1000, kCode + 0x1000, kV | kX);
  t.m.put(kCode + 0xff8, {kNop, 0x0001'0001});  // nop; c.nop; c.nop
  s.pc = va + 0xff8;
  t.m.run(3);
  EXPECT_EQ(s.pc, va + 0x1000);
  EXPECT_EQ(t.get(t.place(va + 0x1000, 0)) & kA, 0u);
  t.m.run(1);
  EXPECT_EQ(t.get(t.place(va + 0x1000, 0)) & kA, kA);
}

TEST_P(Supervisor, InterruptsAreDelegated) {
  TestMachine m("rv64,pmp=off", GetParam());
  riscv::RiscvState& s = m.state();
  s.privilege = kUser;
  s.mideleg = s.mie = riscv::irq::kSupervisorAll;
  s.stvec = kCode + 0x4001;  // vectored
  s.pc = kCode;
  m.machine.vcpu(0).set_irq(riscv::irq::kSupervisorExternal, true);
  m.run(1);
  EXPECT_EQ(s.privilege, kSupervisor);
  EXPECT_EQ(s.scause, u64{1} << 63 | 9);
  EXPECT_EQ(s.pc, kCode + 0x4000 + 4 * 9);
  EXPECT_EQ(s.sepc, kCode);
  m.run(5);  // not again: SIE is off
  EXPECT_EQ(s.pc, kCode + 0x4000 + 4 * 9);
  m.machine.vcpu(0).set_irq(riscv::irq::kSupervisorExternal, false);
  EXPECT_EQ(riscv::pending_of(s), 0u);
}

TEST_P(Supervisor, WhatMachineModeTraps) {
  constexpr u32 kSret = 0x1020'0073, kSfence = 0x1200'0073, kSatp = 0x180;
  struct Case {
    u32 insn;
    u64 bit;
  };
  for (const Case& c : {Case{kSret, riscv::mstatus::kTsr}, Case{kSfence, riscv::mstatus::kTvm},
                        Case{csrr(a0, kSatp), riscv::mstatus::kTvm}, Case{kWfi, riscv::mstatus::kTw}}) {
    for (const bool trapped : {false, true}) {
      TestMachine m("rv64,pmp=off", GetParam());
      riscv::RiscvState& s = m.state();
      s.privilege = kSupervisor;
      s.mtvec = kCode + 0x4000;
      s.sepc = kCode + 0x100;
      s.mstatus = riscv::mstatus::kSpp | (trapped ? c.bit : 0);
      m.put(kCode, {c.insn});
      m.run(1);
      EXPECT_EQ(s.pc == kCode + 0x4000, trapped) << std::hex << c.insn;
      if (trapped) {
        EXPECT_EQ(s.mtval, c.insn);
      }
    }
  }
}

}  // namespace
}  // namespace hindcast::test
