// The floating-point context around calls between the security states, as Armv8.1-M has it: what a function
// of the Secure state does at its begin and end, and what of it the Non-secure caller must find again.
#include <gtest/gtest.h>

#include "targets/arm/fp_state.h"
#include "tests/arm/test_machine.h"

namespace hindcast::test {
namespace {

using namespace arm;

constexpr u32 kFpdscr = 0xe000ef3c, kFpdscrNs = 0xe002ef3c, kNoTail = 4 << 16;

/// Non-secure code has used floating point, and a Secure function has been called.
class FpContext : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ArmState& s = m.state();
    for (Bank& bank : s.banks) bank.cpacr = 0xf << 20;
    s.nsacr = 0xc00;
    s.banks[kSecure].fpccr &= ~fpccr::kSecure;
    s.fp_context = control::kFpca;
    for (unsigned n = 0; n < 32; ++n) s.s[n] = 0x1000 + n;
    write_fpscr(s, 0x80000001);
  }
  TestMachine m{"cortex-m55", GetParam()};
};

TEST_P(FpContext, NothingOfTheCallersIsCleared) {
  m.put(kCode, {0xec9f, 0x0a10});  // vscclrm {s0-s15, vpr}
  m.run(1);
  EXPECT_EQ(m.pc(), kCode + 4);
  for (unsigned n = 0; n < 32; ++n) EXPECT_EQ(m.state().s[n], 0x1000 + n);
  EXPECT_EQ(m.state().fp_context, control::kFpca);
}

TEST_P(FpContext, WhatSecureCodeHasUsedIsCleared) {
  m.state().fp_context |= control::kSfpa;
  m.state().banks[kSecure].fpccr |= fpccr::kSecure;
  m.put(kCode, {0xec9f, 0x0a10});
  m.run(1);
  for (unsigned n = 0; n < 32; ++n) EXPECT_EQ(m.state().s[n], n < 16 ? 0 : 0x1000 + n);
}

TEST_P(FpContext, TheCallersIsSavedWithoutBeginningOnesOwn) {
  m.system(kFpdscrNs, 1 << 24);
  m.put(kCode, {0xed6d, 0xcf81});  // vstr fpcxtns, [sp, #-4]!
  m.run(1);
  EXPECT_EQ(m.r(13), kStackTop - 4);
  EXPECT_EQ(m.word(kStackTop - 4), 1u | kNoTail);
  EXPECT_EQ(m.state().fp_context, control::kFpca) << "SFPA stays";
  EXPECT_EQ(read_fpscr(m.state()), 1u << 24 | kNoTail) << "the Non-secure state's default";
}

TEST_P(FpContext, AnInactiveOneReadsAsTheDefault) {
  m.state().fp_context = 0;
  m.system(kFpdscrNs, 3 << 22);
  m.put(kCode, {0xed6d, 0xcf81, 0xecfd, 0xcf81});  // and vldr fpcxtns, [sp], #4
  m.run(1);
  EXPECT_EQ(m.word(kStackTop - 4), 3u << 22 | kNoTail);
  m.run(1);
  EXPECT_EQ(m.r(13), kStackTop);
  EXPECT_EQ(m.state().fp_context, 0u);
}

TEST_P(FpContext, LoopsHaveNoTails) {
  m.state().fp_context |= control::kSfpa;
  m.state().banks[kSecure].fpccr |= fpccr::kSecure;
  m.r(1) = 7 << 16;
  m.put(kCode, {0xeee1, 0x1a10, 0xeef1, 0x2a10});  // vmsr fpscr, r1; vmrs r2, fpscr
  m.run(2);
  EXPECT_EQ(m.r(2), kNoTail);
  m.system(kFpdscr, 0);
  EXPECT_EQ(m.system(kFpdscr), kNoTail);
}

TEST_P(FpContext, AFramesReservedWordStays) {
  TestMachine m4("cortex-m4", GetParam());
  ArmState& s = m4.state();
  s.bank().cpacr = 0xf << 20;
  s.bank().fpccr &= ~fpccr::kLspen;
  s.fp_context = control::kFpca;
  write_fpscr(s, 1u << 31);
  m4.word(kStackTop - 4, 0x5a5a5a5a);
  m4.put(kCode, {0xdf00});  // svc
  m4.run(1);
  EXPECT_EQ(m4.r(13), kStackTop - 0x68);
  EXPECT_EQ(m4.word(kStackTop - 8), 1u << 31);
  EXPECT_EQ(m4.word(kStackTop - 4), 0x5a5a5a5au);
}

INSTANTIATE_TEST_SUITE_P(Engines, FpContext, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "jit" : "interpreter"; });

}  // namespace
}  // namespace hindcast::test
