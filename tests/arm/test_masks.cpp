// What code of negative priority may do: faults that it ignores, masks that it cannot set.
#include <gtest/gtest.h>

#include "tests/arm/test_machine.h"

namespace hindcast::test {
namespace {

using namespace arm;

constexpr u32 kAircr = 0xe000ed0c, kCcr = 0xe000ed14, kIcsr = 0xe000ed04, kCfsr = 0xe000ed28,
              kBfar = 0xe000ed38, kHfsr = 0xe000ed2c, kVectKey = 0x05fa0000;
constexpr u32 kNothing = 0x60000000;  // no memory is there
constexpr u16 kBxLr = 0x4770;

class Masks : public ::testing::TestWithParam<bool> {};

struct BusAccess {
  const char* name;
  std::initializer_list<u16> code;  // r1 is the address
  u32 r0, r2;                       // afterwards
};
const BusAccess kAccesses[] = {
    {"ldr r0, [r1]", {0x6808}, 0, 2},
    {"ldrsb.w r0, [r1]", {0xf991, 0x0000}, 0, 2},
    {"str r0, [r1]", {0x6008}, 0x77, 2},
    {"ldrd r0, r2, [r1]", {0xe9d1, 0x0200}, 0, 0},
    {"ldm r1, {r0, r2}", {0xe891, 0x0005}, 0, 0},
    {"stm r1, {r0, r2}", {0xe881, 0x0005}, 0x77, 2},
    {"ldrex r0, [r1]", {0xe851, 0x0f00}, 0, 2},
    {"ldrt r0, [r1]", {0xf851, 0x0e00}, 0, 2},
};

TEST_P(Masks, BusFaultsOfDataAreIgnoredUnderFaultmaskIfAsked) {
  for (const char* cpu : {"cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"}) {
    for (const BusAccess& access : kAccesses) {
      for (const bool ignores : {false, true}) {
        SCOPED_TRACE(std::string(cpu) + ": " + access.name + (ignores ? ", ignored" : ""));
        TestMachine m(cpu, GetParam());
        m.put(kCode, access.code);
        m.half(kCode + 2 * access.code.size(), 0x2333);  // movs r3, #0x33
        m.r(0) = 0x77;
        m.r(1) = kNothing;
        m.r(2) = 2;
        m.state().bank().faultmask = 1;
        if (ignores) m.system(kCcr, m.system(kCcr) | ccr::kBfhfnmign);
        EXPECT_EQ(m.run(2), ignores ? StopReason::Limit : StopReason::Idle);
        EXPECT_EQ(m.state().lockup, ignores ? 0u : 1u);
        EXPECT_EQ(m.r(0), ignores ? access.r0 : 0x77u);
        EXPECT_EQ(m.r(2), ignores ? access.r2 : 2u);
        EXPECT_EQ(m.r(3), ignores ? 0x33u : 0u);
        EXPECT_EQ(m.system(kCfsr), cfsr::kPrecisErr | cfsr::kBfarValid);
        EXPECT_EQ(m.system(kBfar) & ~u32{7}, kNothing);
      }
    }
  }
}

TEST_P(Masks, BusFaultsOfDataAreIgnoredInNmiAndHardFault) {
  for (const u32 exception : {2u, 3u}) {
    TestMachine m("cortex-m3", GetParam());
    m.system(kCcr, m.system(kCcr) | ccr::kBfhfnmign);
    m.put(kCode, {0x6808});  // ldr r0, [r1]
    m.put(TestMachine::handler(exception), {0x6808, 0x2333});
    m.r(0) = 0x77;
    m.r(1) = kNothing;
    if (exception == 2) m.system(kIcsr, u32{1} << 31);
    m.run(1);  // in Thread mode the fault is one
    EXPECT_EQ(m.state().ipsr, exception);
    EXPECT_EQ(m.system(kHfsr), exception == 3 ? hfsr::kForced : 0);
    m.system(kCfsr, ~u32{0});
    m.run(2);
    EXPECT_EQ(m.state().ipsr, exception);
    EXPECT_EQ(m.r(0), 0u);
    EXPECT_EQ(m.r(3), 0x33u);
    EXPECT_EQ(m.system(kCfsr), cfsr::kPrecisErr | cfsr::kBfarValid);
  }
}

TEST_P(Masks, OtherFaultsAndOrdinaryPrioritiesIgnoreNothing) {
  TestMachine m("cortex-m3", GetParam());
  m.system(kCcr, m.system(kCcr) | ccr::kBfhfnmign);
  m.put(kCode, {0x6808});
  m.r(1) = kNothing;
  m.state().bank().primask = 1;
  m.run(1);
  EXPECT_EQ(m.state().ipsr, 3u);
  for (const bool undefined : {false, true}) {
    TestMachine locked("cortex-m3", GetParam());
    locked.system(kCcr, locked.system(kCcr) | ccr::kBfhfnmign | ccr::kUnalignTrap);
    locked.put(kCode, {static_cast<u16>(undefined ? 0xde00 : 0x6808)});
    locked.r(1) = kData + 1;
    locked.state().bank().faultmask = 1;
    EXPECT_EQ(locked.run(2), StopReason::Idle);
    EXPECT_EQ(locked.state().lockup, 1u);
  }
  TestMachine fetch("cortex-m3", GetParam());
  fetch.system(kCcr, fetch.system(kCcr) | ccr::kBfhfnmign);
  fetch.state().bank().faultmask = 1;
  fetch.state().pc = kNothing;
  EXPECT_EQ(fetch.run(2), StopReason::Idle);
  EXPECT_EQ(fetch.state().lockup, 1u) << "fetches are no data";
  TestMachine baseline("cortex-m23", GetParam());
  baseline.system(kCcr, baseline.system(kCcr) | ccr::kBfhfnmign);
  EXPECT_EQ(baseline.system(kCcr) & ccr::kBfhfnmign, 0u);
}

TEST_P(Masks, TheNonSecureStateHasTheBitWhereBusFaultsAreIts) {
  constexpr u32 kNonSecureCcr = 0xe002ed14, kSauCtrl = 0xe000edd0;
  TestMachine m("cortex-m33", GetParam());
  m.system(kNonSecureCcr, m.system(kNonSecureCcr) | ccr::kBfhfnmign);
  EXPECT_EQ(m.system(kCcr) & ccr::kBfhfnmign, 0u);
  m.system(kAircr, kVectKey | aircr::kBfhfnmins);
  m.system(kNonSecureCcr, m.system(kNonSecureCcr) | ccr::kBfhfnmign);
  EXPECT_NE(m.system(kCcr) & ccr::kBfhfnmign, 0u) << "there is one of it";
  EXPECT_NE(m.system(kNonSecureCcr) & ccr::kBfhfnmign, 0u);
  m.system(kAircr, kVectKey);
  EXPECT_NE(m.system(kCcr) & ccr::kBfhfnmign, 0u);
  EXPECT_EQ(m.system(kNonSecureCcr) & ccr::kBfhfnmign, 0u) << "it shows where it can be written";
  m.system(kAircr, kVectKey | aircr::kBfhfnmins);
  m.system(kSauCtrl, sau_ctrl::kAllNs);
  m.put(kCode, {0x6808, 0x2333});
  m.r(1) = kNothing;
  m.state().banks[kNonSecure].faultmask = 1;  // not the priority of the Secure state, which runs
  m.run(1);
  EXPECT_EQ(m.state().ipsr, 3u);
}

TEST_P(Masks, StacksMayBeNowhereInArmv8) {
  struct Case {
    const char* cpu;
    bool ignores, goes_on;
  };
  for (const Case& c :
       {Case{"cortex-m33", false, false}, Case{"cortex-m33", true, true}, Case{"cortex-m3", true, false}}) {
    SCOPED_TRACE(fmt::format("{} {}", c.cpu, c.ignores));
    TestMachine m(c.cpu, GetParam());
    if (c.ignores) m.system(kCcr, m.system(kCcr) | ccr::kBfhfnmign);
    m.state().bank().faultmask = 1;
    m.system(kIcsr, u32{1} << 31);
    m.r(13) = kNothing + 0x100;
    m.put(TestMachine::handler(2), {kBxLr});
    m.run(1);
    EXPECT_EQ(m.state().ipsr, 2u);
    EXPECT_EQ(m.system(kCfsr), cfsr::kStkErr);
    m.run(2);
    EXPECT_EQ(m.state().lockup, c.goes_on ? 0u : 1u);
    EXPECT_EQ(m.state().ipsr, c.goes_on ? 0u : 2u);
    EXPECT_EQ(m.system(kCfsr), cfsr::kStkErr | cfsr::kUnstkErr);
  }
}

TEST_P(Masks, FaultmaskIsNotSetAtNegativePriorities) {
  // cpsid f; cpsie f; msr faultmask, r1
  const std::initializer_list<u16> set = {0xb671}, clear = {0xb661}, write = {0xf381, 0x8813};
  for (const char* cpu : {"cortex-m3", "cortex-m33,security=off", "cortex-m33", "cortex-m55"}) {
    for (const u32 exception : {0u, 2u, 3u}) {
      for (const bool by_msr : {false, true}) {
        SCOPED_TRACE(fmt::format("{} {} {}", cpu, exception, by_msr));
        TestMachine m(cpu, GetParam());
        const GuestAddr at = exception == 0 ? kCode : TestMachine::handler(exception);
        if (exception != 0) {
          m.put(kCode, {0xde00});  // undefined: a HardFault
          if (exception == 2) m.system(kIcsr, u32{1} << 31);
          m.run(1);
        }
        ASSERT_EQ(m.state().ipsr, exception);
        m.put(at, by_msr ? write : set);
        m.r(1) = 1;
        m.run(1);
        EXPECT_EQ(m.state().bank().faultmask, exception == 0 ? 1u : 0u);
        // Cleared at all priorities, its own included.
        m.state().bank().faultmask = 1;
        m.put(m.pc(), by_msr ? write : clear);
        m.r(1) = 2;  // bit 0 counts
        m.run(1);
        EXPECT_EQ(m.state().bank().faultmask, 0u);
      }
    }
  }
}

TEST_P(Masks, MasksOfTheNonSecureStateWeighWhatAircrSays) {
  constexpr u32 kFaultmaskNs = 0x8893, kPrimaskNs = 0x8890, kBasepriNs = 0x8891;
  struct Case {
    u32 reg, value, aircr;
    i32 priority;
  };
  const Case cases[] = {{kPrimaskNs, 1, 0, 0},
                        {kPrimaskNs, 1, aircr::kPris, 0x80},
                        {kBasepriNs, 0x40, 0, 0x40},
                        {kBasepriNs, 0x40, aircr::kPris, 0xa0},
                        {kFaultmaskNs, 1, 0, 0},
                        {kFaultmaskNs, 1, aircr::kPris, 0x80},
                        {kFaultmaskNs, 1, aircr::kBfhfnmins, kPriorityHardFault},
                        {kFaultmaskNs, 1, aircr::kBfhfnmins | aircr::kPris, kPriorityHardFault}};
  for (const Case& c : cases) {
    TestMachine m("cortex-m33", GetParam());
    m.system(kAircr, kVectKey | c.aircr);
    m.put(kCode, {0xf381, static_cast<u16>(c.reg)});  // msr ..., r1
    m.r(1) = c.value;
    m.run(1);
    EXPECT_EQ(execution_priority(m.state()), c.priority) << std::hex << c.reg << " " << c.aircr;
  }
  // And of the Secure state.
  TestMachine m("cortex-m33", GetParam());
  m.system(kAircr, kVectKey | aircr::kBfhfnmins);
  m.put(kCode, {0xb671});
  m.run(1);
  EXPECT_EQ(execution_priority(m.state()), kPrioritySecureHardFault);
}

INSTANTIATE_TEST_SUITE_P(Engines, Masks, ::testing::Values(false, true),
                         [](const auto& info) { return info.param ? "jit" : "interpreter"; });

}  // namespace
}  // namespace hindcast::test
