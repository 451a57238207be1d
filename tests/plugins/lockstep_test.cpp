// lockstep over two runs in one command: where they part, and that it says so when it cannot tell.
#include <filesystem>

#include "tests/plugins/fixture.h"

namespace hindcast::plugin_test {
namespace {

using cli_test::counter_program;
using cli_test::hindcast;
using A = cli_test::Assembler;

class Pair : public Plugins {
 protected:
  std::string recorded(const std::string& name, const std::string& elf, int status, Strings more = {}) {
    Strings words = {"record", "-o", folder / name};
    words.insert(words.end(), more.begin(), more.end());
    words.push_back(program(name + ".elf", elf));
    EXPECT_EQ(hindcast(words).status, status);
    return folder / name;
  }
  /// A program of a few thousand instructions, then `seeded` instructions, then the end.
  template <typename Fn>
  std::string seeded(Fn fn) {
    A a;
    a.li(a.s2, 3000);
    const unsigned loop = a.here();
    a.sd(a.s2, a.s1, 64);
    a.addi(a.s2, a.s2, -1);
    a.bne(a.s2, a.zero, loop);
    fn(a);
    a.symbol("end");
    a.exit(a.zero);
    return a.elf(std::string(64, '\0'));
  }
  static bool has(const std::string& log, const std::string& text) {
    return log.find(text) != std::string::npos;
  }
};

TEST_F(Pair, EqualRunsWholeAndInPart) {
  const std::string image = counter_program(20, 300), a = recorded("a", image, 5),
                    b = recorded("b", image, 5);
  const std::uint64_t insns = number_behind(log_of({"analyze", "-p", "insn", a}, 0), "total insns: ");
  const std::string all = "No divergence :-)\nExecuted " + std::to_string(insns) + " instructions\n";
  for (const std::string options : {"", ",registers,memory"}) {
    const std::string plugin = "lockstep,with=" + b + options;
    EXPECT_EQ(log_of({"analyze", "-p", plugin, a}, 0), all);
    EXPECT_EQ(log_of({"run", "-p", plugin, program("image", image)}, 5), all);
    EXPECT_EQ(log_of({"replay", "-p", plugin, a}, 5), all);
    EXPECT_EQ(log_of({"analyze", "-p", plugin, "--from", "1500", "--to", "9000", a}, 0),
              "No divergence :-)\nExecuted 7500 instructions\n");
  }
}

TEST_F(Pair, ARegisterThatDiffers) {
  const auto with = [&](int value) {
    return seeded([&](A& a) {
      a.symbol("seed");
      a.li(a.t0, value);
      a.addi(a.t1, a.zero, 1);
    });
  };
  const std::string a = recorded("a", with(3), 0), b = recorded("b", with(4), 0);
  EXPECT_EQ(log_of({"analyze", "-p", "lockstep,with=" + b, a}, 0).find("No divergence"), 0u);
  const std::string log = log_of({"analyze", "-p", "lockstep,registers,with=" + b, a}, 1);
  const std::uint64_t icount = number_behind(log, "the runs part at icount ");
  EXPECT_TRUE(has(log, ": registers differ before it\n")) << log;
  // The one before it is to blame; the last of the context.
  EXPECT_TRUE(has(log, "<seed>, \"li t0,3\"\n  this   0x")) << log;
  EXPECT_TRUE(
      has(log, "\nregisters before it:\n  t0         this 0x0000000000000003  other 0x0000000000000004\n"))
      << log;
  EXPECT_FALSE(has(log, "memory accesses:")) << log;
  EXPECT_EQ(lines_of(log).size(), 1u + 5 + 2 + 2) << log;
  // Attached right before it, right behind it; live; and with the run going on.
  EXPECT_EQ(
      number_behind(
          log_of({"analyze", "-p", "lockstep,registers,with=" + b, "--from", std::to_string(icount), a}, 1),
          "the runs part at icount "),
      icount);
  EXPECT_EQ(log_of({"analyze", "-p", "lockstep,registers,with=" + b, "--to", std::to_string(icount), a}, 0)
                .find("No divergence"),
            0u);
  EXPECT_EQ(log_of({"run", "-p", "lockstep,registers,with=" + b, folder / "a.elf"}, 1), log);
  EXPECT_EQ(log_of({"run", "-p", "lockstep,registers,go-on,with=" + b, folder / "a.elf"}, 0), log);
}

TEST_F(Pair, AnAccessThatDiffers) {
  const auto with = [&](int offset) { return seeded([&](A& a) { a.sd(a.zero, a.s1, offset); }); };
  const std::string a = recorded("a", with(8), 0), b = recorded("b", with(16), 0);
  // No register shows it.
  EXPECT_EQ(log_of({"analyze", "-p", "lockstep,registers,with=" + b, a}, 0).find("No divergence"), 0u);
  const std::string log = log_of({"analyze", "-p", "lockstep,registers,memory,with=" + b, a}, 1);
  EXPECT_TRUE(has(log, ": its memory accesses differ\n")) << log;
  EXPECT_TRUE(has(log, "\"sd zero,8(s1)\"\n  other  0x")) << log;
  EXPECT_TRUE(has(log,
                  "memory accesses:\n  this   store of 8 bytes at 0x0000000080001008: 0x0\n"
                  "  other  store of 8 bytes at 0x0000000080001010: 0x0\n"))
      << log;
}

TEST_F(Pair, APathThatDiffers) {
  const auto with = [&](int value) {
    return seeded([&](A& a) {
      a.li(a.t0, value);
      const unsigned skip = a.beq_later(a.t0, a.zero);
      a.addi(a.t1, a.zero, 1);
      a.bind(skip);
      a.addi(a.t2, a.zero, 2);
    });
  };
  const std::string a = recorded("a", with(0), 0), b = recorded("b", with(1), 0);
  const std::string log = log_of({"analyze", "-p", "lockstep,with=" + b, a}, 1);
  EXPECT_TRUE(has(log, ": they go on at different addresses\n")) << log;
  const Strings lines = lines_of(log);
  ASSERT_EQ(lines.size(), 8u) << log;
  EXPECT_TRUE(has(lines[5], "\"beqz t0,")) << log;
  EXPECT_TRUE(has(lines[6], "\"li t2,2\"")) << log;
  EXPECT_TRUE(has(lines[7], "\"li t1,1\"")) << log;
}

TEST_F(Pair, LengthsThatDiffer) {
  const std::string image = counter_program(20, 300), a = recorded("a", image, 5),
                    b = recorded("b", image, 124, {"--max-icount", "7000"});
  EXPECT_EQ(log_of({"analyze", "-p", "lockstep,with=" + b, a}, 1),
            "lockstep: the same 7000 instructions, then " + b + " ends\n");
  EXPECT_EQ(log_of({"analyze", "-p", "lockstep,with=" + a, b}, 1),
            "lockstep: the same 7000 instructions, then this run ends\n");
  // Also where the part ends with a chunk of what is exchanged.
  const std::string c = recorded("c", image, 124, {"--max-icount", "2048"});
  EXPECT_EQ(log_of({"analyze", "-p", "lockstep,with=" + c, a}, 1),
            "lockstep: the same 2048 instructions, then " + c + " ends\n");
  EXPECT_EQ(log_of({"analyze", "-p", "lockstep,with=" + c, "--to", "2048", a}, 0),
            "No divergence :-)\nExecuted 2048 instructions\n");
  const Outcome late = hindcast({"analyze", "-p", "lockstep,with=" + c, "--from", "5000", a});
  EXPECT_EQ(late.status, 125);
  EXPECT_TRUE(late.one_line() && has(late.err, "ends at icount 2048")) << late.err;
}

TEST_F(Pair, WhatCannotBeTold) {
  const std::string image = counter_program(200, 300), a = recorded("a", image, 5);
  const auto refused = [&](const std::string& options) {
    const Outcome outcome = hindcast({"analyze", "-p", "lockstep" + options, a});
    EXPECT_EQ(outcome.status, 125) << options << outcome.describe();
    EXPECT_EQ(lines_of(outcome.err).size(), 1u) << options << outcome.err;
    return outcome.err;
  };
  EXPECT_TRUE(has(refused(",with=" + (folder / "nowhere")), "does not exist"));
  EXPECT_TRUE(has(refused(",with=" + a + ",sockpath=x"), "exclude each other"));
  EXPECT_TRUE(has(refused(",registers"), "is needed"));
  A other(32);
  other.exit(other.zero);
  EXPECT_TRUE(has(refused(",with=" + recorded("rv32", other.elf(), 0)), "another architecture"));
  // Damaged in the middle: the same up to there says nothing.
  const std::string b = recorded("b", image, 5, {"--checkpoints", "every=5000"});
  for (const auto& entry : std::filesystem::directory_iterator(b)) {
    if (entry.file_size() < 20'000) continue;
    std::string bytes = cli_test::read_file(entry.path());
    for (std::size_t at = bytes.size() / 2; at < bytes.size() / 2 + 200; ++at) bytes[at] ^= 0x55;
    cli_test::write_file(entry.path(), bytes);
  }
  EXPECT_TRUE(has(refused(",with=" + b), "lockstep: " + b + ": recording " + b + " is damaged"));
}

}  // namespace
}  // namespace hindcast::plugin_test
