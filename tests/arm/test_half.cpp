// Conversions from and to half precision as a storage format, against the manual.
#include <gtest/gtest.h>

#include "targets/arm/flags.h"
#include "tests/arm/test_machine.h"

namespace hindcast::test {
namespace {

constexpr u32 kCpacr = 0xe000ed88, kAhp = 1u << 26;
constexpr u32 kInvalid = 1, kOverflow = 4, kUnderflow = 8, kInexact = 16;

class HalfPrecision : public ::testing::TestWithParam<bool> {
 protected:
  HalfPrecision() {
    m.system(kCpacr, 0xf00000);
    // vmsr fpscr, r1; vmov s1, r2; vmov d1, r2, r3
    m.put(kCode, {0xeee1, 0x1a10, 0xee00, 0x2a90, 0xec43, 0x2b11});
  }
  /// The low half of s0, all ones before, after the conversion; the flags in `flags`.
  u32 narrow(u16 first, u16 second, u64 value, u32 control = 0) {
    // vcvt; vmov r4, s0; vmrs r0, fpscr
    m.put(kCode + 12, {first, second, 0xee10, 0x4a10, 0xeef1, 0x0a10});
    start(value, control);
    m.run(10);
    return m.r(4);
  }
  u64 widen(u16 first, u16 second, u32 half, u32 control = 0) {
    // vmov s0, r4; vcvt; vmov r4, r5, d1; vmrs r0, fpscr
    m.put(kCode + 12, {0xee00, 0x4a10, first, second, 0xec55, 0x4b11, 0xeef1, 0x0a10});
    m.r(4) = half;
    start(0, control);
    m.run(10);
    return m.r(4) | u64{m.r(5)} << 32;
  }
  u32 flags() { return m.r(0) & 0x9f; }
  u32 from_single(u32 v, u32 control = 0) { return narrow(0xeeb3, 0x0a60, v, control) & 0xffff; }
  u32 from_double(u64 v, u32 control = 0) { return narrow(0xeeb3, 0x0b41, v, control) & 0xffff; }

  TestMachine m{"cortex-m7", GetParam()};

 private:
  void start(u64 value, u32 control) {
    m.machine.flush_translations();
    m.state().pc = kCode;
    m.r(1) = control;
    m.r(2) = static_cast<u32>(value);
    m.r(3) = static_cast<u32>(value >> 32);
  }
};

TEST_P(HalfPrecision, IsRoundedOnce) {
  EXPECT_EQ(from_double(0x3ff0000000000000), 0x3c00u);
  EXPECT_EQ(flags(), 0u);
  // A little more than the middle between two halves, by less than a single-precision number can tell.
  EXPECT_EQ(from_double(0x3ff0020000000001), 0x3c01u);
  EXPECT_EQ(flags(), kInexact);
  EXPECT_EQ(from_double(0x40effe0000000000), 0x7c00u);
  EXPECT_EQ(flags(), kOverflow | kInexact);
  EXPECT_EQ(from_double(0x7ff0000000000001), 0x7e00u);
  EXPECT_EQ(flags(), kInvalid);
}

TEST_P(HalfPrecision, IsTinyBeforeRounding) {
  EXPECT_EQ(from_single(0x387fffff), 0x0400u);
  EXPECT_EQ(flags(), kUnderflow | kInexact);
  EXPECT_EQ(from_double(0x3f0fffffffffffff), 0x0400u);
  EXPECT_EQ(flags(), kUnderflow | kInexact);
  EXPECT_EQ(from_double(0x3f10000000000001), 0x0400u);
  EXPECT_EQ(flags(), kInexact);
}

TEST_P(HalfPrecision, HasOneMoreExponentInsteadOfInfinities) {
  EXPECT_EQ(from_double(0x40f0000000000000, kAhp), 0x7c00u);
  EXPECT_EQ(flags(), 0u);
  EXPECT_EQ(from_double(0x7ff0000000000000, kAhp), 0x7fffu);
  EXPECT_EQ(flags(), kInvalid);
  // vcvtb.f64.f16 d1, s0
  EXPECT_EQ(widen(0xeeb2, 0x1b40, 0x7c00, kAhp), 0x40f0000000000000u);
  EXPECT_EQ(widen(0xeeb2, 0x1b40, 0x7c00), 0x7ff0000000000000u);
}

TEST_P(HalfPrecision, TakesAndLeavesTheOtherHalf) {
  // vcvtt.f64.f16 d1, s0
  EXPECT_EQ(widen(0xeeb2, 0x1bc0, 0xbc000001), 0xbff0000000000000u);
  EXPECT_EQ(widen(0xeeb2, 0x1bc0, 0x7c017fff), 0x7ff8040000000000u);
  EXPECT_EQ(flags(), kInvalid);
  // vcvtt.f16.f64 s0, d1, onto what is in s0
  EXPECT_EQ(narrow(0xeeb3, 0x0bc1, 0xc000000000000000), 0xc0007fffu);
}

INSTANTIATE_TEST_SUITE_P(Engines, HalfPrecision, ::testing::Bool(),
                         [](const auto& info) { return std::string(info.param ? "jit" : "interp"); });

}  // namespace
}  // namespace hindcast::test
