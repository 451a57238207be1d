// Armv8-M beside what random programs reach: stack limits, the memory protection unit, TT, and both security
// states' registers through the system control space.
#include <gtest/gtest.h>

#include "tests/arm/test_machine.h"

namespace hindcast::test {
namespace {

using namespace arm;

constexpr u32 kShcsr = 0xe000ed24, kCfsr = 0xe000ed28, kMpuCtrl = 0xe000ed94, kMpuRnr = 0xe000ed98,
              kMpuRbar = 0xe000ed9c, kMpuRlar = 0xe000eda0, kMmfar = 0xe000ed34, kVtor = 0xe000ed08,
              kSauCtrl = 0xe000edd0, kSauRnr = 0xe000edd8, kSauRbar = 0xe000eddc, kSauRlar = 0xe000ede0,
              kIcsr = 0xe000ed04, kItns = 0xe000e380, kIser = 0xe000e100;
constexpr u32 kUsageEnabled = 7 << 16;

class V8m : public ::testing::TestWithParam<bool> {
 protected:
  TestMachine m{"cortex-m33", GetParam()};
  void limit_main_stack(u32 limit) {
    m.state().bank().sp_limit[0] = limit;
    update_stack_limit(m.state());
  }
};

TEST_P(V8m, StartsInTheSecureState) {
  EXPECT_EQ(m.state().secure, kSecure);
  EXPECT_EQ(m.r(13), kStackTop);
  m.put(kCode, {0xdf00});  // svc
  m.run(1);
  EXPECT_EQ(m.r(14), 0xfffffff9u);
}

TEST_P(V8m, APushBelowTheLimitFaultsBeforeItStores) {
  m.system(kShcsr, kUsageEnabled);
  m.put(kCode, {0xb40f, 0xb40f});  // push {r0-r3}, twice
  limit_main_stack(kStackTop - 24);
  m.word(kStackTop - 32, 0x5a5a5a5a);
  m.run(1);
  EXPECT_EQ(m.r(13), kStackTop - 16);
  m.run(1);
  EXPECT_EQ(m.state().ipsr, 6u);
  // The frame of the fault itself does not fit either: nothing is stored, and the pointer is at its limit.
  EXPECT_EQ(m.system(kCfsr), cfsr::kStkOf);
  EXPECT_EQ(m.r(13), kStackTop - 24);
  EXPECT_EQ(m.word(kStackTop - 32), 0x5a5a5a5au);
}

TEST_P(V8m, ALimitThatIsKeptDisturbsNobody) {
  limit_main_stack(kStackTop - 64);
  // sub sp, #64; add sp, #32; push {r0}; pop {r1}; str r0, [sp, #-4]!; mov sp, r4
  m.put(kCode, {0xb090, 0xb008, 0xb401, 0xbc02, 0xf84d, 0x0d04, 0x46a5});
  m.r(0) = 7;
  m.r(4) = kStackTop - 64;
  m.run(6);
  EXPECT_EQ(m.state().ipsr, 0u);
  EXPECT_EQ(m.r(1), 7u);
  EXPECT_EQ(m.r(13), kStackTop - 64);
}

TEST_P(V8m, RegionsGoFromABaseToALimit) {
  m.system(kShcsr, kUsageEnabled);
  m.system(kMpuRnr, 3);
  m.system(kMpuRbar, kData | 4);                           // privileged code may read
  m.system(kMpuRlar, (kData + 0x40 - 32) | 1);             // 64 bytes
  m.system(kMpuCtrl, 5);                                   // with the default map behind it
  m.put(kCode, {0x6808, 0x6048, 0xbf00, 0xe849, 0xf100});  // ldr r0, [r1]; str r0, [r1, #4]; nop; tt r1, r9
  m.r(1) = kData;
  m.run(2);
  EXPECT_EQ(m.state().ipsr, 4u);
  EXPECT_EQ(m.system(kCfsr), cfsr::kDaccViol | cfsr::kMmarValid);
  EXPECT_EQ(m.system(kMmfar), kData + 4);
  m.machine.reset();
  m.system(kMpuRnr, 3);
  m.system(kMpuRbar, kData | 4);
  m.system(kMpuRlar, (kData + 0x40 - 32) | 1);
  m.system(kMpuCtrl, 5);
  m.state().pc = kCode + 6;
  m.r(9) = kData + 0x20;
  m.run(1);
  EXPECT_EQ(m.r(1) & 0xd00ffu, 0x50003u);  // region 3, which is valid, readable, not writable
  m.state().pc = kCode + 6;
  m.r(9) = kData + 0x40;
  m.run(1);
  EXPECT_EQ(m.r(1) & 0xd0000u, 0xc0000u);
}

TEST_P(V8m, EachSecurityStateHasItsOwnRegisters) {
  m.system(kVtor, 0x400);
  m.system(kVtor | 0x20000, 0x800);  // the Non-secure one's, through the alias
  EXPECT_EQ(m.state().banks[kSecure].vtor, 0x400u);
  EXPECT_EQ(m.state().banks[kNonSecure].vtor, 0x800u);
  m.system(kItns, 2);
  m.system(kIser | 0x20000, 7);  // only its own interrupt is seen
  EXPECT_EQ(m.system(kIser), 2u);
}

TEST(V8mPending, OnlyFromArmv81OnIsItHiddenWhich) {
  for (const auto& [cpu, seen] : {std::pair("cortex-m33", 14u), std::pair("cortex-m55", 1u)}) {
    TestMachine m(cpu);
    m.state().bank().primask = 1;
    m.system(kIcsr, 1 << 28);  // PendSV
    EXPECT_EQ(m.system(kIcsr) >> 12 & 0x1ff, 14u);
    EXPECT_EQ(m.system(kIcsr | 0x20000) >> 12 & 0x1ff, seen) << cpu;
  }
}

TEST_P(V8m, NonSecureCodeMayNotReachSecureMemory) {
  m.system(kShcsr, 15 << 16);
  m.system(kSauRnr, 0);
  m.system(kSauRbar, 0);
  m.system(kSauRlar, (0x8000 - 32) | 1);  // code, but not data
  m.system(kSauCtrl, 1);
  m.put(kCode + 0x100, {0x6808});  // ldr r0, [r1]
  // Secure code runs from Secure memory: behind the region.
  m.put(0x9000, {0x4704});  // bxns r0
  m.state().pc = 0x9000;
  m.r(0) = kCode + 0x100;
  m.r(1) = kData;
  m.state().banks[kNonSecure].sp[0] = 0x7000;
  m.run(1);
  EXPECT_EQ(m.state().secure, kNonSecure);
  EXPECT_EQ(m.pc(), kCode + 0x100);
  m.run(1);
  EXPECT_NE(m.state().sfsr & sfsr::kAuViol, 0u);
  EXPECT_EQ(m.state().sfar, kData);
  EXPECT_EQ(m.state().secure, kSecure);
}

TEST_P(V8m, HardFaultsCanBePendedAndEndedBySoftware) {
  constexpr u32 kShcsrNs = 0xe002ed24, kAircr = 0xe000ed0c, kPended = 1 << 21, kActive = 1 << 2,
                kNmi = 1 << 5;
  m.system(kShcsrNs, kPended);
  EXPECT_EQ(m.system(kShcsrNs), kPended);
  m.run(1);
  EXPECT_EQ(m.state().ipsr, 0u) << "without BFHFNMINS it does not preempt";
  m.system(kShcsrNs, 0);
  EXPECT_EQ(m.system(kShcsrNs), 0u);
  m.state().banks[kNonSecure].sp[0] = 0x7000;
  m.system(kAircr, 0x05fa0000 | aircr::kBfhfnmins);
  m.state().active.set(exc::kHardFault, true);
  m.state().active.set(exc::kNmi, true);
  m.system(kShcsrNs, kActive | kNmi);
  EXPECT_EQ(m.system(kShcsrNs), kActive | kNmi) << "ones change nothing";
  m.system(kShcsr, 0);
  EXPECT_EQ(m.system(kShcsrNs), kActive | kNmi) << "the Secure state's own register";
  m.system(kShcsrNs, 0);
  EXPECT_EQ(m.system(kShcsrNs), 0u);
  m.system(kShcsr, kPended);
  m.run(1);
  EXPECT_EQ(m.state().ipsr, 3u);
  EXPECT_EQ(m.state().secure, kSecure);
}

INSTANTIATE_TEST_SUITE_P(Engines, V8m, ::testing::Values(false, true),
                         [](const auto& info) { return info.param ? "jit" : "interpreter"; });

TEST(V81m, ClearingUnderAConditionLeavesTheFlagsWhereItIsFalse) {
  for (const bool jit : {false, true}) {
    TestMachine m("cortex-m55", jit);
    m.put(kCode, {0xbf08, 0xe89f, 0x8002, 0xe7fe});  // it eq; clrmeq {r1, apsr}
    m.r(1) = 5;
    write_xpsr(m.state(), u32{1} << 24 | u32{1} << 31);  // N alone
    m.run(2);
    EXPECT_EQ(m.r(1), 5u);
    EXPECT_EQ(read_xpsr(m.state()) >> 28, 8u);
    m.state().pc = kCode;
    write_xpsr(m.state(), u32{1} << 24 | u32{1} << 30);  // Z
    m.run(2);
    EXPECT_EQ(m.r(1), 0u);
    EXPECT_EQ(read_xpsr(m.state()) >> 28, 0u);
  }
}

TEST(V8mBaseline, EveryFaultIsAHardFault) {
  TestMachine m("cortex-m23");
  m.put(kCode, {0x6808});  // ldr r0, [r1]
  m.r(1) = kData + 2;      // misaligned
  m.run(1);
  EXPECT_EQ(m.state().ipsr, 3u);
  EXPECT_EQ(m.state().secure, kSecure);
}

}  // namespace
}  // namespace hindcast::test
