// The rules of the hypervisor extension, one by one: each test fails if its rule is left out.
#include <gtest/gtest.h>

#include "tests/riscv/hypervisor_guest.h"

namespace hindcast::test {
namespace {

using namespace rv;
using namespace hypervisor;
namespace hs = riscv::hstatus;
constexpr u64 kInterrupt = u64{1} << 63;
constexpr u32 kSret = 0x10200073, kSfence = 0x12000073, kHfenceVvma = 0x22000073, kHfenceGvma = 0x62000073;
constexpr u32 satp = 0x180, vsstatus = 0x200, hstatus = 0x600, hip = 0x644;

class HypervisorRules : public ::testing::TestWithParam<bool> {
 protected:
  Guest g{GetParam()};
  riscv::RiscvState& s = g.m.state();

  /// A write by the hypervisor.
  void set(u32 csr, u64 value) {
    g.m.x(a2) = value;
    EXPECT_EQ(g.run(0, kSupervisor, csrw(csr, a2)), 99u) << csr;
  }
  u64 get(u64 virt, u32 csr) {
    EXPECT_EQ(g.run(virt, kSupervisor, csrr(a0, csr)), 99u) << csr;
    return g.m.x(a0);
  }
};

TEST_P(HypervisorRules, InstructionsOfTrapsHaveNoAddress) {
  constexpr u32 kCompressedLw = 0x4190;  // c.lw a2, 0(a1)
  g.put(g.second_leaf, 0);
  EXPECT_EQ(g.run(1, kSupervisor, kCompressedLw), 21u);
  EXPECT_EQ(s.mtinst, lw(a2, 0) & ~2u);  // told to have been compressed
  g.put(g.second_leaf, g.leaf(kPage, kAll | kUserPage));
  EXPECT_EQ(g.run(1, kSupervisor, ld(a0, a1), g.kVa + 0xffc), 13u);  // the second half is in the next page
  EXPECT_EQ(s.mtval, g.kVa + 0x1000);
  EXPECT_EQ(s.mtinst, ld(a0, 4));  // the distance stands in the place of the register
}

TEST_P(HypervisorRules, ExceptionsGoWhereTheyAreDelegated) {
  constexpr u64 kPageFault = 1 << 13, kGuestPageFault = 1 << 21, kCall = 1 << 8;
  s.stvec = kVector + 0x100;
  s.medeleg = kPageFault | kGuestPageFault | kCall;
  s.hedeleg = kPageFault | kCall;
  g.put(g.first_leaf, 0);
  EXPECT_EQ(g.run(1, kSupervisor, ld(a0, a1)), 99u);
  EXPECT_EQ(s.vscause, 13u);
  EXPECT_EQ(s.vstval, g.kVa);
  EXPECT_EQ(s.vsepc, kCode);
  EXPECT_EQ(s.virt, 1u);
  EXPECT_EQ(s.pc, kGuestVector);
  EXPECT_EQ(s.vsstatus & riscv::mstatus::kSpp, riscv::mstatus::kSpp);
  g.put(g.first_leaf, g.leaf(g.kGuestPhysical, kAll));
  g.put(g.second_leaf, 0);
  EXPECT_EQ(g.run(1, kSupervisor, ld(a0, a1)), 99u);
  EXPECT_EQ(s.scause, 21u);
  EXPECT_EQ(s.stval, g.kVa);
  EXPECT_EQ(s.htval, g.kGuestPhysical >> 2);
  EXPECT_EQ(s.htinst, ld(a0, 0));
  EXPECT_EQ(s.virt, 0u);
  EXPECT_EQ(s.pc, kVector + 0x100);
  EXPECT_EQ(s.hstatus, hs::kGva | hs::kSpv | hs::kSpvp);
  // Of user mode, whose page the code is.
  g.put(kFirst + 8 * 2, g.leaf(kCode, kAll | kUserPage));
  EXPECT_EQ(g.run(1, kUser, kEcall), 99u);
  EXPECT_EQ(s.vscause, 8u);
  EXPECT_EQ(s.vsstatus & riscv::mstatus::kSpp, 0u);
  s.hedeleg = 0;
  EXPECT_EQ(g.run(1, kUser, kEcall), 99u);
  EXPECT_EQ(s.scause, 8u);
  EXPECT_EQ(s.hstatus, hs::kSpv);
  // A fetch's fault is at an address of the guest's.
  g.put(kFirst + 8 * 2, 0);
  EXPECT_EQ(g.run(1, kSupervisor, kNop), 12u);
  EXPECT_EQ(s.virtual_status, riscv::vstatus::kGva | riscv::vstatus::kMpv);
}

TEST_P(HypervisorRules, InterruptsGoWhereTheyAreDelegated) {
  s.stvec = kVector + 0x100;
  s.hvip = s.hideleg = s.mie = 4;
  g.run(1, kSupervisor, kNop);
  EXPECT_EQ(s.pc, kCode + 4);  // VS mode has them off
  s.vsstatus = riscv::mstatus::kSie;
  g.run(0, kSupervisor, kNop);
  EXPECT_EQ(s.pc, kCode + 4);  // the hypervisor itself is running
  g.run(1, kSupervisor, kNop);
  EXPECT_EQ(s.vscause, kInterrupt | 1);
  EXPECT_EQ(s.pc, kGuestVector);
  s.vsstatus = s.vscause = 0;
  g.run(1, kUser, kNop);
  EXPECT_EQ(s.vscause, kInterrupt | 1);
  // The hypervisor's, whatever its own mode allows: while V is 1 it is the more privileged one.
  s.hideleg = 0;
  g.run(0, kSupervisor, kNop);
  EXPECT_EQ(s.pc, kCode + 4);
  g.run(1, kSupervisor, kNop);
  EXPECT_EQ(s.scause, kInterrupt | 2);
  EXPECT_EQ(s.virt, 0u);
  EXPECT_EQ(s.pc, kVector + 0x100);
  s.hvip = 0;
  s.mip = s.mie = 2;
  s.mideleg |= 2;
  g.run(1, kSupervisor, kNop);
  EXPECT_EQ(s.scause, kInterrupt | 1);
}

TEST_P(HypervisorRules, AGuestsInterruptEndsWaits) {
  s.hvip = s.hideleg = s.mie = 4;
  EXPECT_EQ(g.run(1, kSupervisor, kWfi), 99u);
  EXPECT_FALSE(g.m.vcpu().halted());
  s.hvip = 0;
  g.run(1, kSupervisor, kWfi);
  EXPECT_TRUE(g.m.vcpu().halted());
}

TEST_P(HypervisorRules, TheGuestsTimerHasItsOwnTime) {
  s.mcounteren = 2;
  s.menvcfg |= riscv::envcfg::kStce;
  set(0x24d, 500);
  EXPECT_EQ(s.guest_lines, 0u);
  set(0x605, 1000);
  EXPECT_EQ(s.guest_lines, 0u);  // not without henvcfg.STCE
  set(0x60a, riscv::envcfg::kStce);
  EXPECT_EQ(s.guest_lines, 0x40u);
  set(0x605, 0);
  EXPECT_EQ(s.guest_lines, 0u);
  set(0x24d, 0);
  EXPECT_EQ(s.guest_lines, 0x40u);
  set(0x60a, 0);
  EXPECT_EQ(s.guest_lines, 0u);
  EXPECT_EQ(g.run(1, kSupervisor, csrr(a0, rv::time)), 22u);  // nor time without hcounteren
}

TEST_P(HypervisorRules, ReturnsAndFences) {
  s.sepc = s.vsepc = kCode + 0x100;
  s.hstatus = hs::kSpv;
  s.mstatus |= riscv::mstatus::kSpp;
  EXPECT_EQ(g.run(0, kSupervisor, kSret), 99u);
  EXPECT_EQ(s.virt, 1u);
  EXPECT_EQ(s.hstatus, 0u);
  EXPECT_EQ(s.pc, kCode + 0x100);
  s.mstatus |= riscv::mstatus::kSpp;
  EXPECT_EQ(g.run(0, kSupervisor, kSret), 99u);
  EXPECT_EQ(s.virt, 0u);
  EXPECT_EQ(g.run(1, kSupervisor, kSret), 99u);
  EXPECT_EQ(s.virt, 1u);
  EXPECT_EQ(s.privilege, kUser);
  s.hstatus = hs::kVtsr;
  EXPECT_EQ(g.run(1, kSupervisor, kSret), 22u);
  EXPECT_EQ(g.run(1, kSupervisor, kSfence), 99u);
  EXPECT_EQ(g.run(1, kSupervisor, csrr(a0, satp)), 99u);
  s.hstatus = hs::kVtvm;
  EXPECT_EQ(g.run(1, kSupervisor, kSfence), 22u);
  EXPECT_EQ(g.run(1, kSupervisor, csrr(a0, satp)), 22u);
  for (const u32 fence : {kHfenceVvma, kHfenceGvma}) {
    EXPECT_EQ(g.run(1, kSupervisor, fence), 22u);
    EXPECT_EQ(g.run(0, kUser, fence), 2u);
    EXPECT_EQ(g.run(0, kSupervisor, fence), 99u);
  }
  s.mstatus |= riscv::mstatus::kTvm;
  EXPECT_EQ(g.run(0, kSupervisor, kHfenceGvma), 2u);
  EXPECT_EQ(g.run(0, kSupervisor, kHfenceVvma), 99u);
}

TEST_P(HypervisorRules, EachStageHasItsRights) {
  constexpr u64 kMxr = riscv::mstatus::kMxr, kSum = riscv::mstatus::kSum, kNoData = ~u64{6};
  const auto load = [&](u64 guests, u64 hypervisors) {
    s.vsstatus = guests;
    s.mstatus = hypervisors;
    return g.run(1, kSupervisor, ld(a0, a1));
  };
  g.put(g.first_leaf, g.leaf(g.kGuestPhysical, kAll & kNoData));
  EXPECT_EQ(load(0, 0), 13u);
  EXPECT_EQ(load(kMxr, 0), 99u);
  EXPECT_EQ(load(0, kMxr), 99u);
  g.put(g.second_leaf, g.leaf(kPage, (kAll | kUserPage) & kNoData));
  EXPECT_EQ(load(kMxr, 0), 21u);
  EXPECT_EQ(load(0, kMxr), 99u);
  g.put(g.second_leaf, g.leaf(kPage, kAll | kUserPage));
  g.put(g.first_leaf, g.leaf(g.kGuestPhysical, kAll | kUserPage));
  EXPECT_EQ(load(0, kSum), 13u);
  EXPECT_EQ(load(kSum, 0), 99u);
  // Tables are read, also for a store.
  g.put(g.first_leaf, g.leaf(g.kGuestPhysical, kAll));
  g.put(kSecond + 0x4000 + 8 * (kData >> 21 & 511), g.leaf(kData, (kAll | kUserPage) & ~u64{4}));
  EXPECT_EQ(g.run(1, kSupervisor, sw(a2, a1)), 99u);
  // A guest's physical address has two bits more than a virtual one, and no others.
  s.vsatp = s.guest_space = 0;
  g.put(kSecond + 0x4000, g.leaf(kCode, kAll | kUserPage));
  EXPECT_EQ(g.run(1, kSupervisor, ld(a0, a1), 8), 99u);
  EXPECT_EQ(g.run(1, kSupervisor, ld(a0, a1), u64{1} << 41 | 8), 21u);
}

TEST_P(HypervisorRules, CsrsOfTheGuest) {
  s.hideleg = 4;
  s.mie = 0x44;
  EXPECT_EQ(get(0, 0x204), 2u);
  EXPECT_EQ(get(1, 0x104), 2u);
  s.hideleg = riscv::irq::kGuestAll;
  g.m.x(a2) = ~u64{0};
  EXPECT_EQ(g.run(1, kSupervisor, csrw(0x144, a2)), 99u);
  EXPECT_EQ(s.hvip, 4u);
  s.hvip = 0;
  set(hip, ~u64{0});
  EXPECT_EQ(s.hvip, 4u);
  s.hvip = 0;
  s.vsstatus = riscv::mstatus::kFs;
  EXPECT_EQ(get(0, vsstatus) >> 63, 1u);
  s.vsstatus = 0;
  EXPECT_EQ(get(0, vsstatus) >> 63, 0u);
  s.mstatus |= riscv::mstatus::kFs;
  EXPECT_EQ(g.run(1, kSupervisor, csrr(a0, fcsr)), 2u);  // off for the guest is enough
  EXPECT_EQ(g.run(1, kSupervisor, csrr(a0, hstatus)), 22u);
  EXPECT_EQ(g.run(1, kSupervisor, csrr(a0, vsstatus)), 22u);
  EXPECT_EQ(g.run(0, kUser, csrr(a0, hstatus)), 2u);
}

INSTANTIATE_TEST_SUITE_P(Engines, HypervisorRules, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "jit" : "interp"; });

}  // namespace
}  // namespace hindcast::test
