// The hypervisor extension: what tests/oracle/hypervisor cannot compare, and its parts one by one.
#include <gtest/gtest.h>

#include "targets/riscv/csr.h"
#include "targets/riscv/isa_string.h"
#include "targets/riscv/paging.h"
#include "tests/riscv/hypervisor_guest.h"

namespace hindcast::test {
namespace {

using namespace rv;
using namespace hypervisor;

constexpr u64 kVsMode = 1;
constexpr u32 kHlvD = 0x6c05c573, kHsvD = 0x6ec5c073, kHlvxWu = 0x6835c573;  // a0 or a2, (a1)

class Hypervisor : public ::testing::TestWithParam<bool> {
 protected:
  bool jit_ = GetParam();
};

TEST(HypervisorCpu, IsAskedFor) {
  EXPECT_FALSE(riscv::parse_cpu("rv64", 0).has(riscv::ext::H));
  EXPECT_FALSE(riscv::parse_cpu("max", 0).has(riscv::ext::H));
  const riscv::Features cpu = riscv::parse_cpu("max,h=on", 0);
  EXPECT_TRUE(cpu.has(riscv::ext::H));
  EXPECT_FALSE(cpu.has(riscv::ext::Ssaia));
  EXPECT_NE(riscv::isa_string(riscv::parse_cpu("rv64,h=on", 0)).find("rv64imafdch_"), std::string::npos);
  EXPECT_THROW(riscv::parse_cpu("rv64,smaia=on,ssaia=on,h=on", 0), Fatal);
  EXPECT_THROW(riscv::parse_cpu("rv64,s=off,h=on", 0), Fatal);
  EXPECT_THROW(riscv::parse_cpu("rv32,e=on,h=on", 0), Fatal);
  // A device tree of a board whose interrupt files are more.
  EXPECT_EQ(riscv::cpu_of_isa("rv64imafdch_zicbom_smaia_ssaia", "").find(",h=on"), std::string::npos);
}

TEST_P(Hypervisor, MachineModeEntersAndLeaves) {
  Guest g(jit_);
  riscv::RiscvState& s = g.m.state();
  s.mepc = kCode + 0x100;
  s.mstatus = u64{kSupervisor} << riscv::mstatus::kMppShift;
  s.virtual_status = riscv::vstatus::kMpv;
  g.m.put(kCode + 0x100, {ld(a0, a1), kEcall});
  EXPECT_EQ(g.run(0, kMachine, kMret), 99u);
  EXPECT_EQ(s.virt, 1u);
  EXPECT_EQ(s.virtual_status, 0u);
  g.m.run(2);
  EXPECT_EQ(g.m.x(a0), 0x1122'3344'5566'7788u);
  EXPECT_EQ(s.mcause, 10u);
  EXPECT_EQ(s.virt, 0u);
  EXPECT_EQ(s.virtual_status, riscv::vstatus::kMpv);
  // To machine mode MPV means nothing.
  s.mstatus = riscv::mstatus::kMpp;
  g.run(0, kMachine, kMret);
  EXPECT_EQ(s.virt, 0u);
  EXPECT_EQ(s.virtual_status, 0u);
}

TEST_P(Hypervisor, MprvReachesTheGuest) {
  Guest g(jit_);
  riscv::RiscvState& s = g.m.state();
  s.mstatus = riscv::mstatus::kMprv | u64{kSupervisor} << riscv::mstatus::kMppShift;
  s.virtual_status = riscv::vstatus::kMpv;
  EXPECT_EQ(g.run(0, kMachine, ld(a0, a1)), 99u);
  EXPECT_EQ(g.m.x(a0), 0x1122'3344'5566'7788u);
  // MPV alone changes where the next load goes.
  s.pc = kCode + 0x100;
  g.m.put(kCode + 0x100, {csrrc(0, mstatus, a2), ld(a0, a1)});
  g.m.x(a2) = riscv::vstatus::kMpv;
  g.m.run(2);
  EXPECT_EQ(s.mcause, 5u);  // nothing is there without tables
  EXPECT_EQ(s.virtual_status, 0u);
  // A fault of the guest's, told to machine mode.
  s.mstatus = riscv::mstatus::kMprv | u64{kUser} << riscv::mstatus::kMppShift;
  s.virtual_status = riscv::vstatus::kMpv;
  EXPECT_EQ(g.run(0, kMachine, ld(a0, a1)), 13u);
  EXPECT_EQ(s.virtual_status, riscv::vstatus::kGva);
}

TEST_P(Hypervisor, TablesOfBothStagesAreNoticed) {
  Guest g(jit_);
  riscv::RiscvState& s = g.m.state();
  const GuestAddr other = kPage + 0x1000;
  g.write(other, 7);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(g.run(1, kSupervisor, ld(a0, a1)), 99u);
  g.put(g.second_leaf, g.leaf(other, kAll | kUserPage));
  g.run(1, kSupervisor, ld(a0, a1));
  EXPECT_EQ(g.m.x(a0), 7u);
  g.put(g.first_leaf, g.leaf(g.kGuestPhysical, kAll & ~u64{2} & ~u64{4}));  // not for loads
  EXPECT_EQ(g.run(1, kSupervisor, ld(a0, a1)), 13u);
  EXPECT_EQ(s.virtual_status, riscv::vstatus::kGva | riscv::vstatus::kMpv);
  g.put(g.first_leaf, g.leaf(g.kGuestPhysical, kAll));
  g.put(g.second_leaf, 0);
  EXPECT_EQ(g.run(1, kSupervisor, ld(a0, a1)), 21u);
  EXPECT_EQ(s.mtval, g.kVa);
  EXPECT_EQ(s.mtval2, g.kGuestPhysical >> 2);
  EXPECT_EQ(s.mtinst, ld(a0, 0));
  // A table of the guest's that its hypervisor has taken away: what was looked at is no address of the
  // guest's.
  g.put(g.second_leaf, g.leaf(other, kAll | kUserPage));
  g.put(kSecond + 0x4000 + 8 * (kData >> 21 & 511), 0);
  EXPECT_EQ(g.run(1, kSupervisor, ld(a0, a1)), 20u);
  EXPECT_EQ(s.mtval, kCode);
  EXPECT_EQ(s.mtval2, (kFirst + 16) >> 2);
  EXPECT_EQ(s.mtinst, 0x3000u);
}

TEST_P(Hypervisor, BitsOfTheFirstStageAreWrittenThroughTheSecond) {
  Guest g(jit_);
  riscv::RiscvState& s = g.m.state();
  s.henvcfg |= riscv::envcfg::kAdue;
  const u64 clean = g.leaf(g.kGuestPhysical, kAll & ~kDirty & ~kAccessed);
  g.put(g.first_leaf, clean);
  const GuestAddr tables = kSecond + 0x4000 + 8 * (kData >> 21 & 511);
  g.put(tables, g.leaf(kData, (kAll | kUserPage) & ~u64{4}));  // not for stores
  EXPECT_EQ(g.run(1, kSupervisor, ld(a0, a1)), 21u);
  EXPECT_EQ(s.mtval2, g.first_leaf >> 2);
  EXPECT_EQ(s.mtinst, 0x3020u);
  EXPECT_EQ(g.read(g.first_leaf), clean);
  g.put(tables, g.leaf(kData, (kAll | kUserPage) & ~kDirty));
  EXPECT_EQ(g.run(1, kSupervisor, ld(a0, a1)), 99u);
  EXPECT_EQ(g.read(g.first_leaf), clean | kAccessed);
  EXPECT_EQ(g.read(tables), g.leaf(kData, kAll | kUserPage));
  // Without henvcfg.ADUE it is the guest's own fault.
  s.henvcfg = 0;
  g.m.vcpu().protection_changed();
  g.put(g.first_leaf, clean);
  EXPECT_EQ(g.run(1, kSupervisor, ld(a0, a1)), 13u);
}

TEST_P(Hypervisor, LoadsAndStoresOfTheGuest) {
  Guest g(jit_);
  riscv::RiscvState& s = g.m.state();
  EXPECT_EQ(g.run(0, kSupervisor, kHlvD), 13u);  // as its user mode
  s.hstatus = riscv::hstatus::kSpvp;
  EXPECT_EQ(g.run(0, kSupervisor, kHlvD), 99u);
  EXPECT_EQ(g.m.x(a0), 0x1122'3344'5566'7788u);
  g.m.x(a2) = 99;
  EXPECT_EQ(g.run(0, kMachine, kHsvD), 99u);
  EXPECT_EQ(g.read(kPage), 99u);
  EXPECT_EQ(g.run(0, kUser, kHlvD), 2u);
  s.hstatus |= riscv::hstatus::kHu;
  EXPECT_EQ(g.run(0, kUser, kHlvD), 99u);
  EXPECT_EQ(g.run(1, kSupervisor, kHlvD), 22u);
  // What may be executed and not be read.
  g.put(g.first_leaf, g.leaf(g.kGuestPhysical, kAll & ~u64{6}));
  EXPECT_EQ(g.run(0, kSupervisor, kHlvD), 13u);
  EXPECT_EQ(s.virtual_status, riscv::vstatus::kGva);
  EXPECT_EQ(s.mtinst, kHlvD & ~(31u << 15));
  EXPECT_EQ(g.run(0, kSupervisor, kHlvxWu), 99u);
  EXPECT_EQ(g.m.x(a0), 99u);
  g.put(g.first_leaf, g.leaf(g.kGuestPhysical, kAll & ~u64{8}));
  EXPECT_EQ(g.run(0, kSupervisor, kHlvxWu), 13u);
  // The hypervisor's own loads are not the guest's.
  EXPECT_EQ(g.run(0, kSupervisor, ld(a0, a1)), 5u);
  EXPECT_EQ(s.virtual_status, 0u);
}

TEST_P(Hypervisor, FloatingPointStateIsBoths) {
  Guest g(jit_);
  riscv::RiscvState& s = g.m.state();
  constexpr u64 kInitial = u64{1} << riscv::mstatus::kFsShift;
  s.mstatus = kInitial;
  EXPECT_EQ(g.run(1, kSupervisor, fadd_s(0, 1, 2)), 2u);
  s.vsstatus = kInitial;
  s.mstatus = 0;
  EXPECT_EQ(g.run(1, kSupervisor, fadd_s(0, 1, 2)), 2u);
  EXPECT_EQ(g.run(1, kSupervisor, csrr(a0, fcsr)), 2u);
  s.mstatus = kInitial;
  EXPECT_EQ(g.run(1, kSupervisor, fadd_s(0, 1, 2)), 99u);
  EXPECT_EQ(s.vsstatus & riscv::mstatus::kFs, riscv::mstatus::kFs);
  EXPECT_EQ(s.mstatus & riscv::mstatus::kFs, riscv::mstatus::kFs);
  s.mstatus = s.vsstatus = kInitial;
  EXPECT_EQ(g.run(1, kSupervisor, csrw(frm, 0)), 99u);
  EXPECT_EQ(s.vsstatus & s.mstatus & riscv::mstatus::kFs, riscv::mstatus::kFs);
}

TEST_P(Hypervisor, TimeAndTimerOfTheGuest) {
  Guest g(jit_);
  riscv::RiscvState& s = g.m.state();
  s.mcounteren = s.hcounteren = 2;
  s.htimedelta = 1000;
  EXPECT_EQ(g.run(1, kSupervisor, csrr(a0, rv::time)), 99u);
  EXPECT_GE(g.m.x(a0), 1000u);
  EXPECT_LT(g.m.x(a0), 1010u);
  EXPECT_EQ(g.run(0, kSupervisor, csrr(a0, rv::time)), 99u);
  EXPECT_LT(g.m.x(a0), 10u);
  EXPECT_EQ(g.run(1, kSupervisor, csrr(a0, 0x14d)), 2u);
  s.menvcfg |= riscv::envcfg::kStce;
  EXPECT_EQ(g.run(1, kSupervisor, csrr(a0, 0x14d)), 22u);
  g.m.x(a2) = riscv::envcfg::kStce;
  EXPECT_EQ(g.run(0, kSupervisor, csrw(0x60a, a2)), 99u);
  EXPECT_EQ(s.guest_lines, 0x40u);  // vstimecmp is 0
  g.m.x(a2) = 1100;
  EXPECT_EQ(g.run(1, kSupervisor, csrw(0x14d, a2)), 99u);
  EXPECT_EQ(s.vstimecmp, 1100u);
  EXPECT_EQ(s.stimecmp, 0u);
  s.mie = s.hideleg = 0x40;
  s.vsstatus = riscv::mstatus::kSie;
  g.m.run(100'000);
  EXPECT_EQ(s.vscause, u64{1} << 63 | 5);
  EXPECT_EQ(s.virt, 1u);
  EXPECT_EQ(s.pc & ~u64{0xfff}, kGuestVector);
  EXPECT_EQ(s.guest_lines, 0x40u);
  g.m.x(a2) = ~u64{0};
  EXPECT_EQ(g.run(0, kSupervisor, csrw(0x24d, a2)), 99u);
  EXPECT_EQ(s.guest_lines, 0u);
}

TEST_P(Hypervisor, ConfigurationIsMaskedAndTraps) {
  Guest g(jit_, "rv64,pmp=off,h=on,smstateen=on,svpbmt=on");
  riscv::RiscvState& s = g.m.state();
  s.menvcfg = riscv::envcfg::kPbmte | riscv::envcfg::kCbcfe;
  g.m.x(a2) = ~u64{0} & ~riscv::envcfg::kCbie;
  EXPECT_EQ(g.run(0, kMachine, csrw(0x60a, a2)), 99u);
  EXPECT_EQ(s.henvcfg & riscv::envcfg::kGuestMasked, riscv::envcfg::kPbmte);
  g.m.x(a2) = riscv::envcfg::kCbcfe;
  EXPECT_EQ(g.run(0, kMachine, csrw(0x30a, a2)), 99u);
  EXPECT_EQ(s.henvcfg & riscv::envcfg::kGuestMasked, 0u);
  // State enables.
  EXPECT_EQ(g.run(0, kSupervisor, csrr(a0, 0x60c)), 2u);
  s.mstateen[0] = riscv::stateen::kStateen | riscv::stateen::kEnvcfg;
  g.m.x(a2) = ~u64{0};
  EXPECT_EQ(g.run(1, kSupervisor, csrr(a0, 0x10a)), 22u);
  EXPECT_EQ(g.run(1, kSupervisor, csrr(a0, 0x10c)), 22u);
  EXPECT_EQ(g.run(0, kSupervisor, csrw(0x60c, a2)), 99u);
  EXPECT_EQ(s.hstateen[0], s.mstateen[0]);
  EXPECT_EQ(g.run(1, kSupervisor, csrr(a0, 0x10a)), 99u);
  s.mstateen[0] = 0;
  EXPECT_EQ(g.run(1, kSupervisor, csrr(a0, 0x10a)), 2u);
  // Cache blocks: cbo.clean (a1).
  constexpr u32 kClean = 0x0015a00f;
  s.henvcfg = 0;
  EXPECT_EQ(g.run(1, kSupervisor, kClean), 22u);
  s.henvcfg = riscv::envcfg::kCbcfe;
  EXPECT_EQ(g.run(1, kSupervisor, kClean), 99u);
  s.menvcfg = 0;
  EXPECT_EQ(g.run(1, kSupervisor, kClean), 2u);
  // Waits.
  s.hstatus = riscv::hstatus::kVtw;
  EXPECT_EQ(g.run(1, kSupervisor, kWfi), 22u);
  EXPECT_EQ(g.run(1, kSupervisor, 0x00d00073), 22u);
  EXPECT_EQ(g.run(1, kSupervisor, 0x01d00073), 99u);
  s.mstatus = riscv::mstatus::kTw;
  EXPECT_EQ(g.run(1, kSupervisor, kWfi), 2u);
}

TEST_P(Hypervisor, ThirtyTwoBits) {
  TestMachine m("rv32,pmp=off,h=on", jit_);
  riscv::RiscvState& s = m.state();
  m.put(kCode, {csrw(0x310, a2), csrr(a0, 0x310), csrr(a1, mstatus)});
  m.x(a2) = 0xff;
  m.run(3);
  EXPECT_EQ(m.x(a0), 0xc0u);
  EXPECT_EQ(m.x(a1) & 0xc0, 0u);
  EXPECT_EQ(s.virtual_status, riscv::vstatus::kGva | riscv::vstatus::kMpv);
  // A physical address of 34 bits, through four pages of a root.
  s.hgatp = u64{1} << 31 | kSecond >> 12;
  s.vsatp = u64{1} << 31 | kFirst >> 12;
  const auto put = [&](GuestAddr at, u32 entry) { m.machine.memory().host_write(at, &entry, 4); };
  const u64 guest_physical = 0x3'0040'0000;
  put(kSecond + 4 * (kData >> 22), (kData >> 22 << 20) | kAll | kUserPage);
  put(kSecond + 4 * (guest_physical >> 22), (kData >> 22 << 20) | kAll | kUserPage);
  put(kFirst + 4, static_cast<u32>(guest_physical >> 12 << 10) | kAll);
  s.virt = kVsMode;
  s.privilege = kSupervisor;
  const Translation found = m.arch->probe(m.vcpu(), 0x40'a123, 1, Access::Read);
  EXPECT_TRUE(found.ok);
  EXPECT_EQ(found.physical, kPage + 0x123);
  put(kSecond + 4 * (guest_physical >> 22), 0);
  const Translation lost = m.arch->probe(m.vcpu(), 0x40'a123, 1, Access::Write);
  EXPECT_EQ(lost.cause, 23u);
  EXPECT_EQ(lost.detail >> 2, (guest_physical + 0xa123) >> 2);
}

TEST_P(Hypervisor, StateSavedAndLoaded) {
  Guest g(jit_), other(jit_);
  riscv::RiscvState& s = g.m.state();
  s.hvip = 4;
  s.virtual_status = riscv::vstatus::kMpv;
  s.hstatus = riscv::hstatus::kSpv;
  EXPECT_EQ(g.run(1, kSupervisor, ld(a0, a1)), 99u);
  SaveArchive saved;
  g.m.machine.state(saved);
  LoadArchive loaded(saved.bytes());
  other.m.machine.state(loaded);
  EXPECT_TRUE(loaded.at_end());
  const riscv::RiscvState& t = other.m.state();
  EXPECT_EQ(t.virt, 1u);
  EXPECT_EQ(t.virtual_status, s.virtual_status);
  EXPECT_EQ(t.hvip, 4u);
  EXPECT_EQ(t.vsatp, s.vsatp);
}

TEST(HypervisorText, WalksBothStages) {
  Guest g(false);
  g.m.state().virt = 1;
  g.m.state().privilege = kSupervisor;
  const std::string text = g.m.arch->describe_translation(g.m.vcpu(), g.kVa + 0x678);
  EXPECT_TRUE(
      text.starts_with("in a guest (V is 1); loads and stores now are those of its supervisor mode\n"
                       "Sv39, vsatp "))
      << text;
  EXPECT_NE(text.find("0x40000678 is at 0x1234678 of the guest's memory\nSv39x4, hgatp "), std::string::npos)
      << text;
  EXPECT_NE(text.find("0x1234678 is at 0x2000a678 in physical memory: data\n"), std::string::npos) << text;
  GuestAddr physical = 0;
  EXPECT_TRUE(g.m.arch->debug_translate(g.m.vcpu(), g.kVa + 0x678, &physical));
  EXPECT_EQ(physical, kPage + 0x678);
}

INSTANTIATE_TEST_SUITE_P(Engines, Hypervisor, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "jit" : "interp"; });

}  // namespace
}  // namespace hindcast::test
