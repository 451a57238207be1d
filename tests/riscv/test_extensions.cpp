// Privileged extensions beside the base: Sstc, Svinval, Svnapot, Svpbmt, Zawrs, Zicbom, Zicboz, Smstateen.
#include <gtest/gtest.h>

#include "targets/riscv/paging.h"
#include "targets/riscv/pmp.h"
#include "tests/riscv/encode.h"
#include "tests/riscv/test_machine.h"

namespace hindcast::test {
namespace {

using namespace rv;
using riscv::kMachine, riscv::kSupervisor, riscv::kUser;
namespace envcfg = riscv::envcfg;
constexpr GuestAddr kVector = kCode + 0x4000;
constexpr u32 stimecmp = 0x14d, stimecmph = 0x15d, senvcfg = 0x10a, sstateen0 = 0x10c, sip = 0x144,
              menvcfg = 0x30a, mstateen0 = 0x30c;
constexpr u64 kStip = u64{1} << 5;

class Extensions : public ::testing::TestWithParam<bool> {
 protected:
  /// Runs one instruction at `privilege`; the exception that it raised, or 99.
  u64 cause_of(TestMachine& m, u64 privilege, u32 insn) {
    riscv::RiscvState& s = m.state();
    s.mtvec = kVector;
    s.mcause = 99;
    s.privilege = privilege;
    s.pc = kCode;
    m.put(kCode, {insn});
    m.run(1);
    return s.mcause;
  }
  const bool jit_ = GetParam();
};
INSTANTIATE_TEST_SUITE_P(Engines, Extensions, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "jit" : "interp"; });

TEST_P(Extensions, SupervisorTimerInterruptsWhenTimeReachesTheComparator) {
  TestMachine m("rv64,pmp=off", jit_);
  riscv::RiscvState& s = m.state();
  s.privilege = kSupervisor;
  s.menvcfg = envcfg::kStce;
  s.mcounteren = 2;
  s.mideleg = s.mie = kStip;
  s.stvec = kVector;
  s.mstatus |= riscv::mstatus::kSie;
  const u64 ticks = 40, per_tick = 100 >> m.machine.clock().shift();  // attempts, rounded down
  m.x(a0) = ticks;
  m.put(kCode, {csrw(stimecmp, a0), kSpinHere});
  m.run(ticks * per_tick);
  EXPECT_NE(s.pc, kVector);
  while (s.pc != kVector && m.machine.icount() < 2 * ticks * (per_tick + 1)) m.run(1);
  ASSERT_EQ(s.pc, kVector);
  EXPECT_EQ(s.scause, u64{1} << 63 | 5);
  // The first instruction boundary at which time is 40 ticks; the entry is an attempt.
  EXPECT_EQ(m.machine.clock().icount_of(ticks * 100) + 1, m.machine.icount());
  // A later comparator takes the interrupt back.
  m.x(a0) = ~u64{0};
  m.put(kVector, {csrw(stimecmp, a0), csrr(a1, sip)});
  m.run(2);
  EXPECT_EQ(m.x(a1) & kStip, 0u);
}

TEST_P(Extensions, ComparatorIsReachableOnlyWhereItIsEnabled) {
  TestMachine m("rv64,pmp=off", jit_);
  const u32 read = csrr(a1, stimecmp);
  for (unsigned bits = 0; bits < 4; ++bits) {
    m.state().menvcfg = (bits & 1) != 0 ? envcfg::kStce : 0;
    m.state().mcounteren = (bits & 2) != 0 ? 2 : 0;
    EXPECT_EQ(cause_of(m, kSupervisor, read), bits == 3 ? 99u : 2u) << bits;
    EXPECT_EQ(cause_of(m, kMachine, read), 99u);
    EXPECT_EQ(cause_of(m, kUser, read), 2u);
  }
  TestMachine without("rv64,pmp=off,sstc=off", jit_);
  EXPECT_EQ(cause_of(without, kMachine, read), 2u);
  TestMachine narrow("rv32,pmp=off", jit_);
  narrow.x(a0) = 0x1234'5678;
  EXPECT_EQ(cause_of(narrow, kMachine, csrw(stimecmph, a0)), 99u);
  EXPECT_EQ(narrow.state().stimecmp, 0x1234'5678'0000'0000u);
}

TEST_P(Extensions, SoftwareRaisesTheTimerInterruptOnlyWithoutTheComparator) {
  TestMachine m("rv64,pmp=off", jit_);
  m.state().stimecmp = ~u64{0};
  m.x(a0) = kStip;
  cause_of(m, kMachine, csrrs(a1, mip, a0));
  EXPECT_EQ(riscv::pending_of(m.state()), kStip);
  m.x(a0) = envcfg::kStce;
  cause_of(m, kMachine, csrw(menvcfg, a0));
  EXPECT_EQ(riscv::pending_of(m.state()), 0u);
  m.x(a0) = kStip;
  cause_of(m, kMachine, csrrs(a1, mip, a0));
  EXPECT_EQ(riscv::pending_of(m.state()), 0u);
  // What is in the past is pending at once, and gone with the enable bit.
  m.x(a0) = 0;
  cause_of(m, kMachine, csrw(stimecmp, a0));
  EXPECT_EQ(riscv::pending_of(m.state()), kStip);
  cause_of(m, kMachine, csrw(menvcfg, a0));
  EXPECT_EQ(riscv::pending_of(m.state()), 0u);
}

TEST_P(Extensions, FencesOfSvinvalAreSupervisors) {
  TestMachine m("rv64,pmp=off,svinval=on", jit_);
  constexpr u32 kSinval = 0x16000073, kFirst = 0x18000073, kLast = 0x18100073;
  for (const bool tvm : {false, true}) {
    m.state().mstatus = tvm ? riscv::mstatus::kTvm : 0;
    EXPECT_EQ(cause_of(m, kSupervisor, kSinval), tvm ? 2u : 99u);
    m.state().mstatus = tvm ? riscv::mstatus::kTvm : 0;
    for (const u32 insn : {kFirst, kLast}) EXPECT_EQ(cause_of(m, kSupervisor, insn), 99u);
  }
  for (const u32 insn : {kSinval, kFirst, kLast}) {
    EXPECT_EQ(cause_of(m, kMachine, insn), 99u);
    EXPECT_EQ(cause_of(m, kUser, insn), 2u);
  }
  TestMachine without("rv64,pmp=off", jit_);
  EXPECT_EQ(cause_of(without, kMachine, kSinval), 2u);
}

TEST_P(Extensions, WaitingOnAReservationEndsIt) {
  TestMachine m("rv64,pmp=off", jit_);
  constexpr u32 kNto = 0x00d00073, kSto = 0x01d00073;
  for (const u32 insn : {kNto, kSto}) {
    m.state().reservation_valid = 1;
    EXPECT_EQ(cause_of(m, kUser, insn), 99u);
    EXPECT_EQ(m.state().reservation_valid, 0u);
    EXPECT_EQ(m.pc(), kCode + 4);
  }
  m.state().mstatus = riscv::mstatus::kTw;
  EXPECT_EQ(cause_of(m, kUser, kSto), 99u);
  EXPECT_EQ(cause_of(m, kMachine, kNto), 99u);
  EXPECT_EQ(cause_of(m, kSupervisor, kNto), 2u);
}

constexpr u32 cbo(u32 operation, u32 rs1) { return i_type(0x0f, 2, 0, rs1, operation); }
constexpr u32 kInval = 0, kClean = 1, kFlush = 2, kZero = 4;

TEST_P(Extensions, CacheBlocksAreManagedByWhoIsLet) {
  TestMachine m("rv64,pmp=off", jit_);
  struct Right {
    u32 operation;
    u64 bits;
  };
  for (const Right& right :
       {Right{kInval, envcfg::kCbie}, Right{kInval, u64{1} << envcfg::kCbieShift},
        Right{kClean, envcfg::kCbcfe}, Right{kFlush, envcfg::kCbcfe}, Right{kZero, envcfg::kCbze}}) {
    for (unsigned bits = 0; bits < 4; ++bits) {
      m.state().menvcfg = (bits & 1) != 0 ? right.bits : ~right.bits & (envcfg::kCbie | 0xff);
      m.state().senvcfg = (bits & 2) != 0 ? right.bits : 0;
      if ((bits & 1) == 0 && right.operation == kInval) m.state().menvcfg = envcfg::kCbcfe | envcfg::kCbze;
      m.x(a0) = kData;
      const u32 insn = cbo(right.operation, a0);
      EXPECT_EQ(cause_of(m, kMachine, insn), 99u);
      EXPECT_EQ(cause_of(m, kSupervisor, insn), (bits & 1) != 0 ? 99u : 2u) << right.operation << bits;
      EXPECT_EQ(cause_of(m, kUser, insn), bits == 3 ? 99u : 2u) << right.operation << bits;
    }
  }
  // The reserved kind of cbo.inval is not taken.
  m.x(a0) = envcfg::kCbcfe | u64{1} << envcfg::kCbieShift;
  cause_of(m, kMachine, csrw(menvcfg, a0));
  m.x(a0) = u64{2} << envcfg::kCbieShift;
  cause_of(m, kMachine, csrw(menvcfg, a0));
  EXPECT_EQ(m.state().menvcfg, u64{1} << envcfg::kCbieShift);
}

TEST_P(Extensions, ZeroingWritesTheWholeBlockOrNothing) {
  for (const char* cpu : {"rv64", "rv32"}) {
    TestMachine m(cpu, jit_);
    const Bytes ones(0x100, 0xff);
    m.machine.memory().host_write(kData, ones.data(), ones.size());
    m.x(a0) = kData + 0x7b;
    EXPECT_EQ(cause_of(m, kMachine, cbo(kZero, a0)), 99u);
    Bytes after(0x100);
    m.machine.memory().host_read(kData, after.data(), after.size());
    for (unsigned i = 0; i < 0x100; ++i) EXPECT_EQ(after[i], i >= 0x40 && i < 0x80 ? 0 : 0xff) << i;
    // A byte of the block that may not be written; one that is no memory.
    m.machine.memory().host_write(kData, ones.data(), ones.size());
    m.state().pmpcfg[0] = 0x99;  // locked, eight bytes, read
    m.state().pmpaddr[0] = (kData + 0x78) >> 2;
    riscv::pmp_changed(m.vcpu());
    EXPECT_EQ(cause_of(m, kMachine, cbo(kZero, a0)), 7u);
    EXPECT_EQ(m.state().mtval, kData + 0x7b);
    m.machine.memory().host_read(kData, after.data(), after.size());
    EXPECT_EQ(after, ones);
    EXPECT_EQ(cause_of(m, kMachine, cbo(kFlush, a0)), 99u);
    m.x(a0) = 0x7000'0004;
    EXPECT_EQ(cause_of(m, kMachine, cbo(kZero, a0)), 7u);
    EXPECT_EQ(m.state().mtval, 0x7000'0004u);
  }
}

/// Sv39 with one page at 0x5000'0000.
struct OnePage {
  OnePage(const char* cpu, bool jit) : m(cpu, jit) {
    m.state().satp = u64{8} << 60 | kData >> 12;
    m.state().privilege = kSupervisor;
    put(kData + 8 * 1, (kData + 0x1000) >> 12 << 10 | 1);
    put(kData + 0x1000 + 8 * 0x80, (kData + 0x2000) >> 12 << 10 | 1);
  }
  void put(GuestAddr at, u64 entry) { m.machine.memory().host_write(at, &entry, 8); }
  void map(u64 entry, unsigned page = 0) { put(kData + 0x2000 + u64{8} * page, entry); }
  Translation read(GuestAddr va) { return m.arch->probe(m.vcpu(), va, 1, Access::Read); }
  static constexpr GuestAddr kVa = 0x5000'0000;
  TestMachine m;
};
constexpr u64 kLeaf = 0xcf, kN = u64{1} << 63;

TEST_P(Extensions, CacheBlockFaultsAreStores) {
  OnePage t("rv64,pmp=off", jit_);
  t.m.state().menvcfg = envcfg::kCbze | envcfg::kCbcfe | envcfg::kCbie;
  t.m.x(a0) = OnePage::kVa + 0x23;
  for (const u32 operation : {kInval, kClean, kFlush, kZero}) {
    t.map(0);
    EXPECT_EQ(cause_of(t.m, kSupervisor, 0x13), 12u);  // the code is not mapped: through MPRV then
    t.m.state().mstatus = riscv::mstatus::kMprv | riscv::kSupervisor << riscv::mstatus::kMppShift;
    EXPECT_EQ(cause_of(t.m, kMachine, cbo(operation, a0)), 15u) << operation;
    EXPECT_EQ(t.m.state().mtval, OnePage::kVa + 0x23);
    t.m.state().mstatus = riscv::mstatus::kMprv | riscv::kSupervisor << riscv::mstatus::kMppShift;
    t.map(kCode >> 12 << 10 | (kLeaf & ~u64{4 | 0x80}));  // for reading, clean
    EXPECT_EQ(cause_of(t.m, kMachine, cbo(operation, a0)), operation == kZero ? 15u : 99u);
    t.m.state().mstatus = 0;
  }
}

TEST_P(Extensions, WhatMayNeitherBeLoadedNorStoredIsRefusedAsAStoreIs) {
  OnePage t("rv64", jit_);
  riscv::RiscvState& s = t.m.state();
  s.pmpaddr[0] = (kCode + 0x8000) >> 2 | 0x1ff;  // this page for nobody, all else for all
  s.pmpcfg[0] = 0x18;
  s.pmpaddr[1] = ~u64{0} >> 10;
  s.pmpcfg[1] = 0x1f;
  riscv::pmp_changed(t.m.vcpu());
  t.m.x(a0) = OnePage::kVa + 0x23;
  for (const u32 operation : {kInval, kClean, kFlush, kZero}) {
    for (const bool writable : {false, true}) {
      s.mstatus = riscv::mstatus::kMprv | riscv::kSupervisor << riscv::mstatus::kMppShift;
      t.map((kCode + 0x8000) >> 12 << 10 | (writable ? kLeaf : kLeaf & ~u64{4}));
      EXPECT_EQ(cause_of(t.m, kMachine, cbo(operation, a0)), writable ? 7u : 15u) << operation;
      EXPECT_EQ(s.mtval, OnePage::kVa + 0x23);
    }
  }
}

TEST_P(Extensions, NaturallyAlignedPagesOfSixtyFourKilobytes) {
  OnePage t("rv64,pmp=off,svnapot=on", jit_);
  const u64 entry = kN | (kCode + 0x8000) >> 12 << 10 | kLeaf;
  for (unsigned page = 0; page < 16; ++page) t.map(entry, page);
  for (unsigned page = 0; page < 16; ++page) {
    const Translation found = t.read(OnePage::kVa + page * 0x1000 + 5);
    ASSERT_TRUE(found.ok);
    EXPECT_EQ(found.physical, kCode + page * 0x1000 + 5);
  }
  for (const u64 ppn : {0x0u, 0x1u, 0x4u, 0x9u, 0x10u}) {  // reserved sizes
    t.map(kN | (kCode >> 12 | ppn) << 10 | kLeaf);
    EXPECT_FALSE(t.read(OnePage::kVa).ok) << ppn;
  }
  t.put(kData + 0x1000 + 8 * 0x80, kN | (kCode + 0x8000) >> 12 << 10 | kLeaf);  // a superpage
  EXPECT_FALSE(t.read(OnePage::kVa).ok);
  t.put(kData + 0x1000 + 8 * 0x80, kN | (kData + 0x2000) >> 12 << 10 | 1);  // a table
  EXPECT_FALSE(t.read(OnePage::kVa).ok);
  OnePage without("rv64,pmp=off", jit_);
  without.map(entry);
  EXPECT_FALSE(without.read(OnePage::kVa).ok);
}

TEST_P(Extensions, MemoryTypesOfPages) {
  OnePage t("rv64,pmp=off,svpbmt=on", jit_);
  for (const bool enabled : {false, true}) {
    t.m.state().menvcfg = enabled ? envcfg::kPbmte : 0;
    for (u64 type = 0; type < 4; ++type) {
      t.map(type << 61 | kCode >> 12 << 10 | kLeaf);
      EXPECT_EQ(t.read(OnePage::kVa).ok, type == 0 || (enabled && type < 3)) << type;
    }
    t.put(kData + 8 * 1, u64{1} << 61 | (kData + 0x1000) >> 12 << 10 | 1);
    EXPECT_FALSE(t.read(OnePage::kVa).ok);
    t.put(kData + 8 * 1, (kData + 0x1000) >> 12 << 10 | 1);
  }
  // Setting the bit counts from the next access on.
  t.map(u64{1} << 61 | kCode >> 12 << 10 | kLeaf);
  t.m.state().mstatus = riscv::mstatus::kMprv | riscv::kSupervisor << riscv::mstatus::kMppShift;
  t.m.state().privilege = kMachine;
  t.m.state().pc = kCode;
  t.m.state().mcause = 99;
  t.m.state().mtvec = kVector;
  t.m.x(a0) = OnePage::kVa;
  t.m.x(a1) = 0;
  t.m.put(kCode, {lw(a2, a0), csrw(menvcfg, a1), lw(a2, a0)});
  t.m.run(3);
  EXPECT_EQ(t.m.state().mcause, 13u);
  EXPECT_EQ(t.m.state().mepc, kCode + 8);
}

TEST_P(Extensions, StateEnableBitsGuardWhatTheyName) {
  TestMachine m("rv64,pmp=off,smstateen=on", jit_);
  EXPECT_EQ(cause_of(m, kMachine, csrr(a1, sstateen0)), 99u);
  EXPECT_EQ(cause_of(m, kSupervisor, csrr(a1, mstateen0)), 2u);
  for (unsigned bits = 0; bits < 4; ++bits) {
    m.x(a0) = ((bits & 1) != 0 ? riscv::stateen::kStateen : 0) |
              ((bits & 2) != 0 ? riscv::stateen::kEnvcfg : 0) | 0xffff;
    cause_of(m, kMachine, csrw(mstateen0, a0));
    cause_of(m, kMachine, csrr(a1, mstateen0));
    EXPECT_EQ(m.x(a1), m.x(a0) & ~u64{0xffff});
    EXPECT_EQ(cause_of(m, kSupervisor, csrr(a1, sstateen0)), (bits & 1) != 0 ? 99u : 2u);
    EXPECT_EQ(cause_of(m, kSupervisor, csrr(a1, senvcfg)), (bits & 2) != 0 ? 99u : 2u);
  }
  EXPECT_EQ(cause_of(m, kSupervisor, csrr(a1, sstateen0 + 1)), 2u);
  m.x(a0) = ~u64{0};
  cause_of(m, kMachine, csrw(mstateen0 + 1, a0));
  EXPECT_EQ(m.state().mstateen[1], riscv::stateen::kStateen);
  EXPECT_EQ(cause_of(m, kSupervisor, csrr(a1, sstateen0 + 1)), 99u);
  TestMachine narrow("rv32,pmp=off,smstateen=on", jit_);
  narrow.x(a0) = 0xc000'0000;
  EXPECT_EQ(cause_of(narrow, kMachine, csrw(0x31c, a0)), 99u);
  EXPECT_EQ(narrow.state().mstateen[0], 0xc000'0000'0000'0000u);
  EXPECT_EQ(cause_of(narrow, kSupervisor, csrr(a1, sstateen0)), 99u);
}

/// Answers each question for random bytes with the next number.
class Counting : public SilentPort {
 public:
  Bytes answer(InputKind kind, Channel, ByteView request) override {
    EXPECT_EQ(kind, InputKind::Entropy);
    EXPECT_EQ(request[0], 2);
    ++answers;
    return {static_cast<u8>(answers), 0xab};
  }
  unsigned answers = 0;
};

TEST_P(Extensions, EverySeedIsAnAnswerFromOutside) {
  constexpr u32 seed = 0x015;
  Counting port;
  TestMachine m("rv64,pmp=off,zkr=on", jit_);
  m.machine.set_port(&port);
  EXPECT_EQ(cause_of(m, kMachine, csrr(a1, seed)), 2u);  // it is used up: only by a write
  EXPECT_EQ(port.answers, 0u);
  EXPECT_EQ(cause_of(m, kMachine, csrrw(a1, seed, zero)), 99u);
  EXPECT_EQ(m.x(a1), 0x8000'ab01u);
  EXPECT_EQ(cause_of(m, kMachine, csrrs(a1, seed, a0)), 99u);
  EXPECT_EQ(m.x(a1), 0x8000'ab02u);
  for (const u64 bits : {u64{0}, riscv::mseccfg::kUseed, riscv::mseccfg::kSseed}) {
    m.x(a0) = bits | 7;
    EXPECT_EQ(cause_of(m, kMachine, csrw(0x747, a0)), 99u);
    EXPECT_EQ(m.state().mseccfg, bits);
    EXPECT_EQ(cause_of(m, kUser, csrrw(a1, seed, zero)), bits == riscv::mseccfg::kUseed ? 99u : 2u);
    EXPECT_EQ(cause_of(m, kSupervisor, csrrw(a1, seed, zero)), bits == riscv::mseccfg::kSseed ? 99u : 2u);
  }
  EXPECT_EQ(port.answers, 4u);
}

}  // namespace
}  // namespace hindcast::test
