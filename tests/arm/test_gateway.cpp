// Secure gateways and TT (Armv8-M): whose faults the calls of Non-secure code end in, and what is said of
// addresses that no memory protection unit has a say in.
#include <gtest/gtest.h>

#include "tests/arm/test_machine.h"

namespace hindcast::test {
namespace {

using namespace arm;

constexpr u32 kCcr = 0xe000ed14, kShcsr = 0xe000ed24, kCfsr = 0xe000ed28, kMmfar = 0xe000ed34,
              kBfar = 0xe000ed38, kMpuCtrl = 0xe000ed94, kMpuRnr = 0xe000ed98, kMpuRbar = 0xe000ed9c,
              kMpuRlar = 0xe000eda0, kSauCtrl = 0xe000edd0, kSauRnr = 0xe000edd8, kSauRbar = 0xe000eddc,
              kSauRlar = 0xe000ede0;
constexpr u32 kGate = 0x4000, kNonSecureAlias = 0x20000, kSecureStack = kData + 0x400;
constexpr u32 kAllFaults = 15 << 16;

/// Non-secure code at kCode; a gate for it at kGate; both states' data in kData, whose second half alone the
/// Non-secure state may use.
class Gateway : public ::testing::TestWithParam<std::tuple<const char*, bool>> {
 protected:
  Gateway() {
    m.system(kShcsr, kAllFaults);
    m.system(kShcsr | kNonSecureAlias, 7 << 16);
    region(0, 0, kGate, 0);
    region(1, kGate, kGate + 0x1000, 2);
    region(2, kData + kRamBytes / 2, kData + kRamBytes, 0);
    m.system(kSauCtrl, 1);
    m.put(kGate, {0xe97f, 0xe97f, 0x2021});  // sg; movs r0, #0x21
    m.state().banks[kNonSecure].sp[0] = kData + kRamBytes - 0x100;
    switch_security(m.state(), kNonSecure);
    m.state().banks[kSecure].sp[0] = kSecureStack;
    m.state().pc = kGate;
    m.r(14) = kCode | 1;
  }
  void region(u32 n, u32 base, u32 end, u32 flags) {
    m.system(kSauRnr, n);
    m.system(kSauRbar, base);
    m.system(kSauRlar, (end - 32) | flags | 1);
  }
  /// The Secure state's memory protection unit: privileged code has one region, and no background.
  void protect(u32 base, u32 limit, u32 rbar_flags) {
    const u32 secure = m.state().secure;
    m.state().secure = kSecure;
    m.system(kMpuRnr, 0);
    m.system(kMpuRbar, base | rbar_flags);
    m.system(kMpuRlar, (limit & ~u32{31}) | 1);
    m.system(kMpuCtrl, 1);
    m.state().secure = secure;
  }
  u32 secure_status(u32 address) {
    EXPECT_EQ(m.state().secure, kSecure);
    return m.system(address);
  }
  bool reads_the_stack() const { return m.arch.has(ext::V81); }

  TestMachine m{std::get<0>(GetParam()), std::get<1>(GetParam())};
};

TEST_P(Gateway, LetsCallsIn) {
  m.run(2);
  EXPECT_EQ(m.state().secure, kSecure);
  EXPECT_EQ(m.r(0), 0x21u);
  EXPECT_EQ(m.r(14), kCode);
}

TEST_P(Gateway, AnotherInstructionIsNoEntryPoint) {
  m.put(kGate, {0xe97f, 0xbf00});
  m.run(1);
  EXPECT_EQ(m.state().ipsr, 7u);
  EXPECT_EQ(m.state().sfsr, sfsr::kInvEp);
}

TEST_P(Gateway, TheFetchIsTheSecureProtectionUnits) {
  protect(kGate, kGate + 0xfff, 1);  // never to be executed
  m.run(1);
  EXPECT_EQ(m.state().ipsr, 4u);
  EXPECT_EQ(secure_status(kCfsr), cfsr::kIaccViol);
  EXPECT_EQ(m.system(kCfsr | kNonSecureAlias), 0u);
  EXPECT_EQ(m.state().sfsr, 0u);
}

TEST_P(Gateway, TheStackWordIsTheSecureProtectionUnits) {
  protect(kGate, kGate + 0xfff, 0);  // the gate alone
  m.run(1);
  if (!reads_the_stack()) {
    EXPECT_EQ(m.state().ipsr, 0u);
    return;
  }
  EXPECT_EQ(m.state().ipsr, 4u);
  EXPECT_EQ(secure_status(kCfsr), cfsr::kDaccViol | cfsr::kMmarValid);
  EXPECT_EQ(m.system(kMmfar), kSecureStack);
  EXPECT_EQ(m.system(kCfsr | kNonSecureAlias), 0u);
  EXPECT_EQ(m.state().sfsr, 0u);
}

TEST_P(Gateway, AStackThatIsNowhereIsABusFault) {
  m.state().banks[kSecure].sp[0] = 0x60000000;
  m.run(1);
  if (!reads_the_stack()) {
    EXPECT_EQ(m.state().ipsr, 0u);
    return;
  }
  EXPECT_EQ(m.state().ipsr, 5u);
  EXPECT_EQ(secure_status(kCfsr), cfsr::kPrecisErr | cfsr::kBfarValid);
  EXPECT_EQ(m.system(kBfar), 0x60000000u);
  EXPECT_EQ(m.state().sfsr, 0u);
}

TEST_P(Gateway, AnOpenFrameIsNotBuiltUpon) {
  if (!reads_the_stack()) return;
  m.state().banks[kSecure].ccr |= ccr::kTrd;
  m.state().banks[kSecure].control |= control::kNpriv;
  for (const u32 word : {0xfefa125au, 0xfefa125bu, 0u}) {
    m.word(kSecureStack, word);
    m.state().pc = kGate;
    m.run(1);
    EXPECT_EQ(m.state().ipsr, word != 0 ? 7u : 0u) << std::hex << word;
    EXPECT_EQ(m.state().sfsr, word != 0 ? sfsr::kInvEp : 0u);
    m.state().sfsr = 0;
    if (word == 0) break;
    // Back to where it came from.
    m.state().active = {};
    m.state().ipsr = 0;
    update_exceptions(m.state());
    switch_security(m.state(), kNonSecure);
    m.state().banks[kSecure].sp[0] = kSecureStack;
  }
}

/// IsAccessible() asks MPUCheck(), which leaves the private peripheral bus to itself (DDI 0553, E2.1).
TEST_P(Gateway, NoRegionIsOfThePrivatePeripherals) {
  switch_security(m.state(), kSecure);
  m.system(kMpuRnr, 2);
  m.system(kMpuRbar, 0xe0000000 | 4);  // privileged code may read
  m.system(kMpuRlar, 0xe00fffe0 | 1);
  m.system(kMpuCtrl, 1);  // no background
  // tt r0, r9; ttt r1, r9; nothing is there behind it
  m.put(0x9000, {0xe849, 0xf000, 0xe849, 0xf140, 0xe849, 0xf200});
  m.system(kMpuCtrl, 0);
  m.system(kMpuRnr, 3);
  m.system(kMpuRbar, 0x9000);
  m.system(kMpuRlar, 0x9fe0 | 1);
  m.system(kMpuCtrl, 1);
  m.state().pc = 0x9000;
  m.r(9) = 0xe000ed00;
  m.run(2);
  EXPECT_EQ(m.state().ipsr, 0u);
  for (const unsigned n : {0u, 1u}) EXPECT_EQ(m.r(n), 0x004c0000u) << n;  // S, RW, R
  m.r(9) = 0x60000000;
  m.run(1);
  EXPECT_EQ(m.r(2), 0x00400000u) << "elsewhere there is no background";
}

INSTANTIATE_TEST_SUITE_P(Models, Gateway,
                         ::testing::Combine(::testing::Values("cortex-m33", "cortex-m55"), ::testing::Bool()),
                         [](const auto& info) {
                           const std::string model = std::get<0>(info.param);
                           return model.substr(7) + (std::get<1>(info.param) ? "_jit" : "_interpreter");
                         });

}  // namespace
}  // namespace hindcast::test
