// compare finds one-bit bugs of a translator: to the instruction, in no more than two replays, and in a way
// that `git bisect run` understands. tests/cli/seeded/bugs.cpp has the bugs.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "tests/cli/guest.h"
#include "tests/cli/process.h"

namespace hindcast::cli_test {
namespace {

using A = Assembler;

constexpr unsigned kRounds = 60'000;
/// The round in which a branch goes the other way than before.
constexpr unsigned kBranchRound = 50'000;
/// With interrupts, the serial port is read in each round that is a multiple of this.
constexpr unsigned kInputRounds = 4096;
/// Instructions of the reset code.
constexpr unsigned kBoot = 6;
constexpr const char* kInput = "fifteen letters";

/// The instruction that goes wrong with a bug, and in which round for the first time.
struct Expected {
  const char* bug;
  unsigned round;
  unsigned at = 0;  // its index in the program
  const char* insn;
  const char* difference;  // a name in the report
  const char* a;           // and its values
  const char* b;
};

struct Kind {
  const char* name;
  unsigned xlen;
  bool interrupts;  // from the timer; and input
};
constexpr Kind kKinds[] = {{"rv64", 64, false},
                           {"rv32", 32, false},
                           {"rv64, interrupts and input", 64, true},
                           {"rv32, interrupts and input", 32, true}};

struct Program {
  std::vector<Expected> bugs;
  unsigned loop = 0, jump = 0, end = 0;  // indices
  std::string elf;
  /// Without interrupts: instructions before that one, in that round.
  std::uint64_t icount(const Expected& bug) const {
    return loop + std::uint64_t{bug.round} * (end - loop - 2) + (bug.at - loop) - (bug.at > jump ? 1 : 0);
  }
};

/// Every 100 microseconds counts s6 up; keeps to t3-t6 and s6, which the program leaves alone.
void interrupt_handler(A& a) {
  const unsigned over = a.here();
  a.word(0);
  const unsigned handler = a.here();
  a.symbol("handler");
  a.add(A::t4, A::t4, A::t5);
  a.store(A::t4, A::t3, 0);
  a.addi(A::s6, A::s6, 1);
  a.word(0x30200073);  // mret
  a.bind_jump(over);
  a.li(A::t3, 0x2004000);  // mtimecmp
  a.li(A::t5, 1000);
  a.addi(A::t4, A::t5, 0);
  if (a.xlen() == 32) a.sw(A::zero, A::t3, 4);
  a.store(A::t4, A::t3, 0);
  a.addi(A::t0, A::s0, static_cast<int>(4 * handler));
  a.word(0x30529073);  // csrw mtvec, t0
  a.li(A::t0, 0x80);
  a.word(0x3042a073);  // csrs mie, t0: the timer
  a.word(0x30046073);  // csrsi mstatus, 8: interrupts on
}

/// A byte from the serial port, if there is one, goes into s4 in every 4096th round.
void read_input(A& a) {
  a.li(A::t0, kInputRounds - 1);
  a.word(0x0122f2b3);  // and t0, t0, s2
  const unsigned skip = a.bne_later(A::t0, A::zero);
  a.li(A::t1, 0x10000000);
  a.lbu(A::t0, A::t1, 5);
  a.andi(A::t0, A::t0, 1);
  const unsigned none = a.beq_later(A::t0, A::zero);
  a.lbu(A::t0, A::t1, 0);
  a.word(0x005a4a33);  // xor s4, s4, t0
  a.bind(none);
  a.bind(skip);
}

/// Computes with ever other operands; each bug is met in one round only, and leaves a trace in s4 or s5.
Program make_program(const Kind& kind) {
  const bool wide = kind.xlen == 64;
  Program out;
  A a(kind.xlen);
  const auto sub_constant = [&](std::int64_t constant) {  // t0 = round - constant
    a.li(A::t1, static_cast<std::int32_t>(constant));
    a.sub(A::t0, A::s2, A::t1);
  };
  const auto culprit = [&](const char* bug, unsigned round, const char* insn, std::uint32_t bits,
                           const char* difference, const char* right, const char* wrong) {
    a.symbol(std::string("do_") + bug);
    out.bugs.push_back({bug, round, a.here(), insn, difference, right, wrong});
    a.word(bits);
    a.symbol("after");
  };
  if (kind.interrupts) interrupt_handler(a);
  a.li(A::t0, 0x6000);
  a.word(0x3002a073);  // csrs mstatus, t0: floating point on
  a.li(A::t0, 0x3f800000);
  a.word(0xf00280d3);  // fmv.w.x ft1, t0
  a.li(A::s2, 0);
  a.li(A::s3, kRounds);
  a.li(A::s4, 0);
  a.li(A::s5, 0);
  out.loop = a.here();
  if (kind.interrupts) read_input(a);
  sub_constant(9'000 - 13);
  culprit("shift", 9'000, "sll", 0x005915b3, "vcpu0.x11", "0x4650000", "0x2328000");  // sll a1, s2, t0
  a.word(0x00ba4a33);                                                                 // xor s4, s4, a1
  sub_constant(13'001);
  a.li(A::t1, 1);
  culprit("carry", 13'000, "add", 0x00628633, "vcpu0.x12", "0x0", "0x10000");  // add a2, t0, t1
  a.word(0x00ca4a33);                                                          // xor s4, s4, a2
  sub_constant(17'001 - 0x40000000);
  a.word(0xf0028053);  // fmv.w.x ft0, t0; half a unit below 2.0 rounds up to 3.0, a round before
  culprit("box", 17'000, "fadd.s", 0x00107153, "vcpu0.f2", "0xffffffff40400000", "0xfffffeff40400000");
  a.word(0xa02128d3);  // feq.s a7, ft2, ft2
  a.word(0x411a8ab3);  // sub s5, s5, a7: in two rounds
  sub_constant(21'000 - 0x8000);
  a.sw(A::t0, A::s1, 64);
  culprit("sign", 21'000, "lh", 0x04049683, "vcpu0.x13", wide ? "0xffffffffffff8000" : "0xffff8000",
          "0x8000");   // lh a3, 64(s1)
  a.word(0x00da4a33);  // xor s4, s4, a3
  sub_constant(25'000 - 7);
  a.li(A::t1, 7);
  culprit("less", 25'000, "sltu", 0x0062b733, "vcpu0.x14", "0x0", "0x1");  // sltu a4, t0, t1
  a.word(0x00ea4a33);                                                      // xor s4, s4, a4
  sub_constant(29'001);
  culprit("product", 29'000, "mulhu", 0x0252b7b3, "vcpu0.x15", wide ? "0xfffffffffffffffe" : "0xfffffffe",
          wide ? "0x7ffffffffffffffe" : "0x7ffffffe");  // mulhu a5, t0, t0
  a.word(0x00fa4a33);                                   // xor s4, s4, a5
  sub_constant(33'000 - 0x1234);
  culprit("address", 33'000, "sw", 0x0854a023, "0x80001080", "0x0000000000001234",
          "0x0000000000001233");  // sw t0, 128(s1)
  out.jump = a.here();
  culprit("offset", 37'000, "j", 0x0080006f, "vcpu0.pc", "+8", "+12");  // jal zero, over the next
  a.addi(A::s5, A::s5, 1);
  a.addi(A::s5, A::s5, 1);
  culprit("csr", 41'001, "csrrw", 0x34091873, "vcpu0.x16", "0xa028", "0xa020");  // csrrw a6, mscratch, s2
  a.word(0x010a4a33);                                                            // xor s4, s4, a6
  a.li(A::t1, kBranchRound);
  culprit("branch", kBranchRound, "bltu", 0x00696463, "vcpu0.pc", "+4", "+8");  // bltu s2, t1, over the next
  a.addi(A::s5, A::s5, 1);
  a.addi(A::s2, A::s2, 1);
  a.bne(A::s2, A::s3, out.loop);
  out.end = a.here();
  a.symbol("done");
  a.li(A::t2, 0);
  a.exit(A::t2);
  out.elf = a.elf();
  return out;
}

/// A value of the report.
std::string field(const std::string& json, const std::string& name) {
  const std::size_t at = json.find("\"" + name + "\": ");
  if (at == std::string::npos) return "(no " + name + ")";
  const std::size_t begin = json.find_first_not_of("\" ", at + name.size() + 3);
  return json.substr(begin, json.find_first_of("\",\n", begin) - begin);
}

SpawnOptions with_bug(const std::string& name) {
  SpawnOptions options;
  options.environment = {"HINDCAST_SEEDED_BUG=" + name};
  return options;
}

struct Recorded {
  Recorded(const TempFolder& folder, const Kind& kind) : program(make_program(kind)), rec(folder / "rec") {
    write_file(folder / "guest.elf", program.elf);
    const Outcome out =
        hindcast({"record", "--force", "-o", rec, folder / "guest.elf"}, kind.interrupts ? kInput : "");
    EXPECT_EQ(out.status, 0) << out.describe();
    icounts = std::stoull(field(hindcast({"info", "--json", rec}).out, "icount"));
  }
  Program program;
  std::string rec;
  std::uint64_t icounts = 0;
};

Outcome compare_with_bug(const std::string& rec, const std::string& bug, bool json) {
  std::vector<std::string> words = {"compare", rec, "--with", HINDCAST_SEEDED_COMMAND};
  if (json) words.push_back("--json");
  return hindcast(words, "", with_bug(bug));
}

TEST(Seeded, WithoutABugTheBuildsAgree) {
  TempFolder folder;
  const Recorded recorded(folder, kKinds[2]);
  const Outcome out = hindcast({"compare", recorded.rec, "--with", HINDCAST_SEEDED_COMMAND, "--json"});
  EXPECT_EQ(out.status, 0) << out.describe();
  EXPECT_EQ(field(out.out, "verdict"), "same");
  for (const char* side : {"executed_a", "executed_b"})
    EXPECT_LE(std::stoull(field(out.out, side)), 2 * recorded.icounts) << side;
}

/// The value that a side has of a name, as the report has it.
std::string value_of(const Expected& bug, const char* value) {
  if (value[0] != '+') return value;
  char text[20];
  std::snprintf(text, sizeof text, "0x%llx",
                static_cast<unsigned long long>(A::kBase + 4ull * bug.at + std::stoull(value)));
  return text;
}

void expect_found(const Recorded& recorded, const Kind& kind, const Expected& bug, const Outcome& out) {
  EXPECT_EQ(out.status, 1) << out.describe();
  ASSERT_EQ(field(out.out, "verdict"), "differ");
  EXPECT_EQ(field(out.out, "pc"), value_of(bug, "+0"));
  EXPECT_EQ(field(out.out, "symbol"), std::string("do_") + bug.bug);
  EXPECT_EQ(field(out.out, "insn").substr(0, std::string(bug.insn).size() + 1), std::string(bug.insn) + " ");
  const std::size_t difference = out.out.find(bug.difference);
  ASSERT_NE(difference, std::string::npos) << out.out;
  EXPECT_EQ(field(out.out.substr(difference), "a"), value_of(bug, bug.a)) << out.out;
  EXPECT_EQ(field(out.out.substr(difference), "b"), value_of(bug, bug.b)) << out.out;
  for (const char* side : {"executed_a", "executed_b"})
    EXPECT_LE(std::stoull(field(out.out, side)), 2 * recorded.icounts) << side;
  const std::uint64_t icount = std::stoull(field(out.out, "icount"));
  if (!kind.interrupts) {
    EXPECT_EQ(icount, kBoot + recorded.program.icount(bug));
    return;
  }
  // The byte that was read in the last such round.
  const std::size_t input = out.out.find("\"input_b\": {");
  ASSERT_NE(input, std::string::npos) << out.out;
  const std::uint64_t length = recorded.icounts / kRounds;  // of a round, about
  const std::uint64_t before = icount - std::stoull(field(out.out.substr(input), "icount"));
  EXPECT_NEAR(static_cast<double>(before), static_cast<double>(bug.round % kInputRounds * length),
              static_cast<double>(2 * kInputRounds * length / 100));
  EXPECT_EQ(field(out.out.substr(input), "kind"), "serial");
}

TEST(Seeded, EachIsFoundToTheInstruction) {
  TempFolder folder;
  for (const Kind& kind : kKinds) {
    const Recorded recorded(folder, kind);
    for (const Expected& bug : recorded.program.bugs) {
      SCOPED_TRACE(std::string(kind.name) + ": " + bug.bug);
      expect_found(recorded, kind, bug, compare_with_bug(recorded.rec, bug.bug, true));
    }
  }
}

TEST(Seeded, TheRecordingMayBeOfEitherBuild) {
  TempFolder folder;
  const Recorded recorded(folder, kKinds[0]);
  const Expected& bug = recorded.program.bugs.front();
  const std::string other = folder / "other";
  const std::string command = std::string("HINDCAST_SEEDED_BUG=") + bug.bug + " '" + HINDCAST_SEEDED_COMMAND +
                              "' record -o '" + other + "' '" + folder / "guest.elf" + "'";
  ASSERT_EQ(std::system(command.c_str()), 0);
  expect_found(recorded, kKinds[0], bug, compare_with_bug(other, bug.bug, true));
  // Each replayed by this build, they are the same.
  EXPECT_EQ(hindcast({"compare", recorded.rec, other}).status, 0);
}

TEST(Seeded, TheTextSaysItToo) {
  TempFolder folder;
  const Recorded recorded(folder, kKinds[2]);
  const Outcome out = compare_with_bug(recorded.rec, "carry", false);
  EXPECT_EQ(out.status, 1) << out.describe();
  EXPECT_NE(out.out.find("the first difference is made at icount "), std::string::npos) << out.out;
  EXPECT_NE(out.out.find(" <do_carry>: add "), std::string::npos) << out.out;
  EXPECT_NE(out.out.find("vcpu0.x12"), std::string::npos) << out.out;
  EXPECT_NE(out.out.find("0x10000\n"), std::string::npos) << out.out;
  EXPECT_NE(out.out.find("last input of A: serial"), std::string::npos) << out.out;
}

TEST(Seeded, ItCannotBeToldWithoutAnotherBuild) {
  TempFolder folder;
  write_file(folder / "guest.elf", exit_program(0));
  const std::string rec = folder / "rec";
  ASSERT_EQ(hindcast({"record", "-o", rec, folder / "guest.elf"}).status, 0);
  for (const std::string& other :
       {std::string("/nowhere/hindcast"), std::string("/bin/true"), folder / "guest.elf"}) {
    const Outcome out = hindcast({"compare", rec, "--with", other});
    EXPECT_EQ(out.status, 125) << out.describe();
    EXPECT_TRUE(out.one_line()) << out.err;
  }
  EXPECT_EQ(compare_with_bug(rec, "none such", false).status, 125);
  EXPECT_EQ(hindcast({"compare", folder / "none", "--with", HINDCAST_SEEDED_COMMAND}).status, 125);
  EXPECT_EQ(hindcast({"compare", rec}).status, 125);
}

/// A history of builds in which the fifth has the bug, and the fourth and the seventh cannot be built.
TEST(Seeded, GitBisectFindsTheCommit) {
  if (std::system("git --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no git";
  TempFolder folder;
  const Recorded recorded(folder, kKinds[0]);
  write_file(folder / "bisect", R"(set -e
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b
export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
mkdir "$1/repo"
cd "$1/repo"
git init -q .
for n in 1 2 3 4 5 6 7 8 9; do
  bug=; program=$4
  if [ $n -ge 5 ]; then bug=product; fi
  if [ $n = 4 ] || [ $n = 7 ]; then program=/nowhere; fi
  printf '%s\n%s\n' "$program" "$bug" > build
  echo $n > number
  git add build number
  git commit -q -m "build $n"
done
cat > "$1/run" <<END
program=\$(sed -n 1p build) HINDCAST_SEEDED_BUG=\$(sed -n 2p build)
[ -z "\$HINDCAST_SEEDED_BUG" ] && unset HINDCAST_SEEDED_BUG || export HINDCAST_SEEDED_BUG
exec "$2" compare "$3" --with "\$program" > /dev/null
END
git bisect start HEAD HEAD~8 > /dev/null
git bisect run sh "$1/run" > "$1/log" 2>&1 || true
git bisect log | tail -n 6
)");
  const std::string command = "sh '" + folder / "bisect" + "' '" + folder.path() + "' '" + HINDCAST_COMMAND +
                              "' '" + recorded.rec + "' '" + HINDCAST_SEEDED_COMMAND + "' > '" +
                              folder / "out" + "' 2>&1";
  EXPECT_EQ(std::system(command.c_str()), 0) << read_file(folder / "out");
  const std::string out = read_file(folder / "out");
  // The fourth may be it as well: nobody can tell.
  EXPECT_NE(out.find("build 5"), std::string::npos) << out << read_file(folder / "log");
  EXPECT_NE(out.find("build 4"), std::string::npos) << out;
  EXPECT_EQ(out.find("first bad commit: [") == std::string::npos &&
                out.find("possible first bad commit") == std::string::npos,
            false)
      << out;
}

}  // namespace
}  // namespace hindcast::cli_test
