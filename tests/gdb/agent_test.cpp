#include "gdb/agent.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace hindcast::gdb {
namespace {

/// Memory holds its own address; register n holds 100 + n, for n below 4.
class World final : public AgentWorld {
 public:
  std::optional<u64> memory(GuestAddr va, unsigned size) override {
    if (va >= 0x900 && va < 0x900 + kText.size()) return static_cast<u8>(kText[va - 0x900]);
    if (va >= 0x1000) return std::nullopt;
    return size == 8 ? va : va & ((u64{1} << 8 * size) - 1);
  }
  std::optional<u64> reg(unsigned number) override {
    if (number >= 4) return std::nullopt;
    return 100 + number;
  }
  unsigned word_bits() const override { return 32; }
  std::optional<u64> variable(unsigned number) override {
    return variables.contains(number) ? std::optional(variables[number]) : std::nullopt;
  }
  bool set_variable(unsigned number, u64 value) override {
    if (!variables.contains(number)) return false;
    variables[number] = value;
    return true;
  }
  bool print(const std::string& text) override {
    printed += text;
    return true;
  }

  static constexpr std::string_view kText{"text\0", 5};
  std::map<unsigned, u64> variables{{1, 5}};
  std::string printed;
};

std::optional<u64> run(const Bytes& code) {
  World world;
  return evaluate(code, world);
}

/// What a dprintf with these arguments prints; "?" if it cannot be executed.
std::string print(std::string format, const std::vector<u64>& arguments) {
  Bytes code;
  auto constant = [&](u64 value) {
    code.push_back(0x25);
    for (int shift = 56; shift >= 0; shift -= 8) code.push_back(static_cast<u8>(value >> shift));
  };
  for (auto it = arguments.rbegin(); it != arguments.rend(); ++it) constant(*it);
  constant(0);
  constant(0);
  const std::size_t size = format.size() + 1;
  code.insert(code.end(),
              {0x34, static_cast<u8>(arguments.size()), static_cast<u8>(size >> 8), static_cast<u8>(size)});
  code.insert(code.end(), format.begin(), format.end());
  code.insert(code.end(), {0, 0x27});
  World world;
  return execute(code, world) ? world.printed : "?";
}

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

TEST(Agent, Prints) {
  EXPECT_EQ(print("nothing\\n", {}), "nothing\n");
  EXPECT_EQ(print("%d|%u|%#x|%5d|%-5d|%05ld", {u64(-1), u64(-1), 255, 7, 7, u64(-3)}),
            "-1|4294967295|0xff|    7|7    |-0003");
  EXPECT_EQ(print("%ld %lu %lld %llx", {0xffffffff, u64(-1), u64(-1), ~u64{0}}),
            "-1 4294967295 -1 ffffffffffffffff");
  EXPECT_EQ(print("%hhd %hx %zu %jd", {0x80, 0x12345, u64(-1), u64(-5)}), "-128 2345 4294967295 -5");
  EXPECT_EQ(print("%s, %.2s%c %p 100%%\\101\\\"", {0x900, 0x900, 'x', 0x10}), "text, tex 0x10 100%A\"");
  for (const char* bad : {"%d", "%f", "%n", "%", "%*d", "%9999d", "%.9999d", "\\q", "\\"})
    EXPECT_EQ(print(bad, {}), "?") << bad;
  for (const char* bad : {"%f", "%n", "%", "%*d", "%9999d", "%l", "%s", "\\777%d"})
    EXPECT_EQ(print(bad, {0x5000}), "?") << bad;
  EXPECT_EQ(print(std::string(20, ' ') + "%1000d%1000d%1000d%1000d%1000d%1000d%1000d%1000d%1000d%1000d",
                  std::vector<u64>(10, 1)),
            "?");
}

TEST(Agent, VariablesAndWhatIsOnlyForItsEffect) {
  World world;
  // variable 1 = variable 1 + 2, and it stays on the stack
  EXPECT_EQ(evaluate(Bytes{0x2c, 0, 1, 0x22, 2, 0x02, 0x2d, 0, 1, 0x27}, world), 7u);
  EXPECT_EQ(world.variables[1], 7u);
  EXPECT_FALSE(evaluate(Bytes{0x2c, 0, 2, 0x27}, world));
  EXPECT_FALSE(evaluate(Bytes{0x22, 1, 0x2d, 0, 2, 0x27}, world));
  // Collecting: the address stays for the short form, both go for the long one.
  EXPECT_EQ(evaluate(Bytes{0x22, 9, 0x0d, 4, 0x30, 0, 4, 0x2e, 0, 1, 0x27}, world), 9u);
  EXPECT_TRUE(execute(Bytes{0x22, 9, 0x22, 4, 0x0c, 0x27}, world));
  EXPECT_FALSE(evaluate(Bytes{0x22, 9, 0x22, 4, 0x0c, 0x27}, world));
  EXPECT_FALSE(execute(Bytes{0x22, 9, 0x0c, 0x27}, world));
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
    if (code.size() > 20 && random() % 4 == 0) code[random() % 20] = '%';
    run(code);
  }
}

}  // namespace
}  // namespace hindcast::gdb
