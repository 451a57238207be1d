#include "gdb/agent.h"

#include <gtest/gtest.h>

#include <random>

namespace hindcast::gdb {
namespace {

/// Memory holds its own address; register n holds 100 + n, for n below 4.
AgentWorld world() {
  return {[](GuestAddr va, unsigned size) -> std::optional<u64> {
            if (va >= 0x1000) return std::nullopt;
            return size == 8 ? va : va & ((u64{1} << 8 * size) - 1);
          },
          [](unsigned number) -> std::optional<u64> {
            if (number >= 4) return std::nullopt;
            return 100 + number;
          }};
}

std::optional<u64> run(const Bytes& code) { return evaluate(code, world()); }

/// Two constants, an operation, the end.
std::optional<u64> binary(i8 a, i8 b, u8 op) {
  return run({0x22, static_cast<u8>(a), 0x16, 8, 0x22, static_cast<u8>(b), 0x16, 8, op, 0x27});
}

TEST(Agent, Arithmetic) {
  EXPECT_EQ(binary(7, 5, 0x02), 12u);
  EXPECT_EQ(binary(5, 7, 0x03), u64(-2));
  EXPECT_EQ(binary(-3, 5, 0x04), u64(-15));
  EXPECT_EQ(binary(-7, 2, 0x05), u64(-3));
  EXPECT_EQ(binary(-7, 2, 0x06), u64(-7) / 2);
  EXPECT_EQ(binary(-7, 2, 0x07), u64(-1));
  EXPECT_EQ(binary(-7, 2, 0x08), u64(-7) % 2);
  EXPECT_EQ(binary(1, 4, 0x09), 16u);
  EXPECT_EQ(binary(-16, 2, 0x0a), u64(-4));
  EXPECT_EQ(binary(-16, 60, 0x0b), 15u);
  EXPECT_EQ(binary(12, 10, 0x0f), 8u);
  EXPECT_EQ(binary(12, 10, 0x10), 14u);
  EXPECT_EQ(binary(12, 10, 0x11), 6u);
  EXPECT_EQ(binary(5, 5, 0x13), 1u);
  EXPECT_EQ(binary(-1, 1, 0x14), 1u);
  EXPECT_EQ(binary(-1, 1, 0x15), 0u);
  EXPECT_EQ(run({0x22, 0, 0x0e, 0x27}), 1u);
  EXPECT_EQ(run({0x22, 0, 0x12, 0x27}), ~u64{0});
}

TEST(Agent, DivisionHasNoTraps) {
  EXPECT_FALSE(binary(1, 0, 0x05));
  EXPECT_FALSE(binary(1, 0, 0x08));
  const Bytes smallest = {0x25, 0x80, 0, 0, 0, 0, 0, 0, 0};
  for (const auto& [op, want] : {std::pair<u8, u64>{0x05, u64{1} << 63}, {0x07, 0}}) {
    Bytes code = smallest;
    code.insert(code.end(), {0x22, 0xff, 0x16, 8, op, 0x27});
    EXPECT_EQ(run(code), want);
  }
  EXPECT_EQ(binary(-1, 70, 0x09), 0u);
  EXPECT_EQ(binary(-1, 70, 0x0a), ~u64{0});
}

TEST(Agent, ConstantsStackAndExtension) {
  EXPECT_EQ(run({0x23, 0x12, 0x34, 0x27}), 0x1234u);
  EXPECT_EQ(run({0x24, 1, 2, 3, 4, 0x27}), 0x01020304u);
  EXPECT_EQ(run({0x25, 1, 2, 3, 4, 5, 6, 7, 8, 0x27}), 0x0102030405060708u);
  EXPECT_EQ(run({0x22, 0x80, 0x16, 8, 0x27}), u64(-128));
  EXPECT_EQ(run({0x23, 0x12, 0x34, 0x2a, 8, 0x27}), 0x34u);
  EXPECT_EQ(run({0x22, 9, 0x28, 0x02, 0x27}), 18u);
  EXPECT_EQ(run({0x22, 9, 0x22, 1, 0x29, 0x27}), 9u);
  EXPECT_EQ(run({0x22, 9, 0x22, 1, 0x2b, 0x03, 0x27}), u64(-8));
  EXPECT_EQ(run({0x22, 9, 0x22, 1, 0x32, 1, 0x27}), 9u);
  EXPECT_EQ(run({0x22, 1, 0x22, 2, 0x22, 3, 0x33, 0x27}), 2u);
}

TEST(Agent, LooksAtMemoryAndRegisters) {
  EXPECT_EQ(run({0x23, 0x01, 0x23, 0x17, 0x27}), 0x23u);
  EXPECT_EQ(run({0x23, 0x01, 0x23, 0x19, 0x27}), 0x123u);
  EXPECT_EQ(run({0x26, 0, 3, 0x27}), 103u);
  EXPECT_FALSE(run({0x23, 0x10, 0x00, 0x18, 0x27}));
  EXPECT_FALSE(run({0x26, 0, 4, 0x27}));
}

TEST(Agent, Jumps) {
  // if (1) goto 8; the constant 1 is skipped.
  EXPECT_EQ(run({0x22, 1, 0x20, 0, 8, 0x22, 1, 0x27, 0x22, 2, 0x27}), 2u);
  EXPECT_EQ(run({0x22, 0, 0x20, 0, 8, 0x22, 1, 0x27, 0x22, 2, 0x27}), 1u);
  EXPECT_EQ(run({0x21, 0, 3, 0x22, 5, 0x27}), 5u);
}

TEST(Agent, WhatIsMalformedOrEndlessHasNoValue) {
  EXPECT_FALSE(run({}));
  EXPECT_FALSE(run({0x27}));
  EXPECT_FALSE(run({0x22}));
  EXPECT_FALSE(run({0x22, 1}));
  EXPECT_FALSE(run({0x02, 0x27}));
  EXPECT_FALSE(run({0x21, 0, 0}));
  EXPECT_FALSE(run({0x21, 0xff, 0xff}));
  EXPECT_FALSE(run({0x22, 1, 0x21, 0, 0}));  // fills the stack
  EXPECT_FALSE(run({0x00, 0x27}));
  EXPECT_FALSE(run({0x22, 1, 0x16, 0, 0x27}));
  EXPECT_FALSE(run({0x22, 1, 0x16, 65, 0x27}));
}

TEST(Agent, AnyBytesAreEvaluatedWithoutHarm) {
  std::mt19937 random(2);
  for (int round = 0; round < 20000; ++round) {
    Bytes code(random() % 40);
    for (u8& byte : code) byte = static_cast<u8>(random() % 0x36);
    run(code);
  }
}

}  // namespace
}  // namespace hindcast::gdb
