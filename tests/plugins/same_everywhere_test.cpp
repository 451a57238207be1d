// Plugins give the same result live, in both engines, in a replay, and over the recording, whole or in part;
// and the guest does not notice them.
#include <filesystem>

#include "tests/plugins/fixture.h"

namespace hindcast::plugin_test {
namespace {

using cli_test::counter_program;
using cli_test::hindcast;

/// The line of --summary.
std::string summary(const std::string& log) {
  const std::size_t at = log.find("hindcast: icount ");
  return at == std::string::npos ? "no summary in: " + log : log.substr(at);
}
std::string without_summary(const std::string& log) { return log.substr(0, log.find("hindcast: icount ")); }

class Everywhere : public Plugins, public ::testing::WithParamInterface<const char*> {};

TEST_P(Everywhere, TheSame) {
  const std::string plugin = GetParam(), image = program("counter", counter_program(40, 500)),
                    rec = folder / "rec";
  const std::string plain = log_of({"record", "-o", rec, "--summary", image}, 5);
  const std::string live = log_of({"run", "-p", plugin, "--summary", image}, 5);
  EXPECT_EQ(summary(live), summary(plain));
  const std::string text = without_summary(live);
  EXPECT_NE(text, "");
  EXPECT_EQ(log_of({"run", "--engine", "interp", "-p", plugin, image}, 5), text);
  EXPECT_EQ(log_of({"run", "--code-cache", "256K", "-p", plugin, image}, 5), text);
  EXPECT_EQ(log_of({"replay", "-p", plugin, "--summary", rec}, 5), live);
  EXPECT_EQ(log_of({"analyze", "-p", plugin, rec}, 0), text);
  // Recorded under the plugin, it is the same recording.
  const std::string again = folder / "again";
  EXPECT_EQ(log_of({"record", "-o", again, "-p", plugin, "--summary", image}, 5), live);
  EXPECT_EQ(log_of({"replay", "--summary", again}, 5), summary(plain));
}

INSTANTIATE_TEST_SUITE_P(
    Bundled, Everywhere,
    ::testing::Values("insn", "insn,inline=on,sizes=on", "insn,match=sw,match=bne", "bb", "bb,inline=on",
                      "mem,inline=on,callback=on", "mem,hwaddr=on", "mem,print-accesses=on,track=w",
                      "mem,region-summary=on", "inline", "hotblocks", "hotblocks,inline=on", "hotpages",
                      "hotpages,io=on", "howvec", "howvec,inline=on,count=all", "execlog",
                      "execlog,reg=t*,reg=sp", "execlog,ifilter=sd,reg=a0,rdisas=on", "cache",
                      "cache,l2=on,evict=rand,icachesize=128,dcachesize=128,iassoc=1,dassoc=1", "cflow",
                      "discons"),
    [](const auto& info) {
      std::string name = info.param;
      for (char& c : name)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
      return name;
    });

using Counting = Plugins;

TEST_F(Counting, InstructionsAreThoseOfTheClock) {
  const std::string image = program("counter", counter_program(10, 100));
  const std::string log =
      log_of({"run", "-p", "insn", "-p", "insn,inline=on", "-p", "bb", "--summary", image}, 5);
  const std::uint64_t icount = number_behind(log, "hindcast: icount ");
  EXPECT_GT(icount, 1000u);
  const Strings lines = lines_of(log);
  ASSERT_EQ(lines.size(), 6u) << log;
  EXPECT_EQ(number_behind(lines[1], "total insns: "), icount);
  EXPECT_EQ(number_behind(lines[3], "total insns: "), icount);
  EXPECT_EQ(number_behind(lines[4], ", insns: "), icount);
}

/// Atomic operations on a page of code, where the store leaves translated code: the load before it is told of
/// once all the same.
TEST_F(Counting, AtomicOperationsOnCodeLoadOnce) {
  constexpr int kTimes = 50;
  cli_test::Assembler a;
  a.li(a.t0, kTimes);
  const unsigned loop = a.here();
  a.word(0x2f | 2 << 12 | a.t1 << 7 |
         8 << 15);  // amoadd.w t1, zero, (x8): adds nothing to the first instruction
  a.addi(a.t0, a.t0, -1);
  a.bne(a.t0, a.zero, loop);
  a.exit(a.zero);
  const std::string image = program("image", a.elf());
  const auto accesses = [&](const char* engine, const char* track) {
    return number_behind(
        log_of({"run", "--engine", engine, "-p", std::string("mem,callback=on,track=") + track, image}, 0),
        "callback mem accesses: ");
  };
  for (const char* track : {"r", "w", "rw"})
    EXPECT_EQ(accesses("jit", track), accesses("interp", track)) << track;
  EXPECT_GE(accesses("interp", "r"), kTimes);
}

TEST_F(Counting, AccessesAreThoseOfTheProgram) {
  // 7 loads of a byte and 5 stores of 8 bytes, before what ends the run stores two words and the host reads
  // them.
  cli_test::Assembler a;
  for (int i = 0; i < 7; ++i) a.lbu(a.t1, a.s1, i);
  for (int i = 0; i < 5; ++i) a.sd(a.t1, a.s1, 256 + 8 * i);
  a.exit(a.zero);
  const std::string log =
      log_of({"run", "-p", "mem,callback=on,region-summary=on", program("image", a.elf())}, 0);
  EXPECT_NE(log.find("callback mem accesses: 16\n"), std::string::npos) << log;
  EXPECT_NE(log.find("Region Base, Reads, Writes\n0x0000000000001000, 2, 0\n0x0000000080001000, 7, 7\n"),
            std::string::npos)
      << log;
}

using Parts = Plugins;

TEST_F(Parts, ALogOfAPartIsAPartOfTheLog) {
  const std::string image = program("counter", counter_program(30, 400)), rec = folder / "rec";
  log_of({"record", "-o", rec, "--checkpoints", "every=10000", image}, 5);
  const Strings whole = lines_of(log_of({"analyze", "-p", "execlog", rec}, 0));
  ASSERT_GT(whole.size(), 20'000u);
  for (const auto& [from, to] : {std::pair<std::size_t, std::size_t>{0, 1},
                                 {1, 5000},
                                 {9999, 10'001},
                                 {12'345, 19'876},
                                 {10'000, whole.size()}}) {
    const Strings part = lines_of(log_of(
        {"analyze", "-p", "execlog", "--from", std::to_string(from), "--to", std::to_string(to), rec}, 0));
    EXPECT_TRUE(part ==
                Strings(whole.begin() + static_cast<long>(from), whole.begin() + static_cast<long>(to)))
        << from << " to " << to << ": " << part.size() << " lines";
  }
  EXPECT_EQ(hindcast({"analyze", "-p", "insn", "--from", "10", "--to", "5", rec}).status, 125);
  EXPECT_EQ(hindcast({"analyze", "-p", "insn", "--from", "1000000000", rec}).status, 125);
}

/// What several processes put together is what one writes.
TEST_F(Parts, SeveralProcessesWriteTheSame) {
  const std::string image = program("counter", counter_program(2500, 500)), rec = folder / "rec";
  log_of({"record", "-o", rec, "--checkpoints", "every=1000000", image}, 5);
  const auto same = [&](const Strings& range, const std::string& what) {
    const std::string one = log_of(range, 0);
    Strings in_parts = range;
    in_parts.insert(in_parts.end(), {"--jobs", "2"});
    EXPECT_TRUE(log_of(in_parts, 0) == one) << what;
    return one;
  };
  for (const char* plugin :
       {"insn,sizes=on", "bb,inline=on", "mem,callback=on,inline=on,region-summary=on", "hotblocks",
        "hotblocks,inline=on", "hotpages", "howvec,count=all", "howvec,inline=on", "hwprofile",
        "execlog,reg=s*", "cflow", "cflow,sort=early,limit=100", "inline", "syscall", "discons",
        "discons,trace-all=on", "cache",
        "cache,limit=1000,icachesize=256,iassoc=2,dcachesize=512,dassoc=4,dblksize=16",
        "cache,icachesize=64,iassoc=1,dcachesize=4096,dassoc=64,cores=3"})
    EXPECT_NE(same({"analyze", "-p", plugin, "--from", "1000", "--to", "2300000", rec}, plugin), "")
        << plugin;
  same({"analyze", "-p", "empty", rec}, "empty");
  same({"analyze", "-p", "insn", "-p", "execlog,ifilter=sd", "-p", "bb", rec}, "several plugins");
  const std::string coverage = folder / "coverage";
  std::string files[2];
  for (std::string& file : files) {
    log_of({"analyze", "-p", "drcov,filename=" + coverage, "--jobs", &file == &files[0] ? "1" : "2", rec}, 0);
    file = cli_test::read_file(coverage);
  }
  EXPECT_TRUE(files[0] == files[1] && !files[0].empty());
  // Those that cannot run alone, and say so.
  for (const char* plugin :
       {"cache,l2=on", "cache,evict=fifo", "insn,match=sd", "execlog,ifilter=sd,reg=a0"}) {
    const std::string log = log_of({"analyze", "-p", plugin, "--to", "100000", "--jobs", "2", rec}, 0);
    EXPECT_NE(log.find("cannot put parts together: one job runs everything"), std::string::npos) << plugin;
    EXPECT_NE(log.find(log_of({"analyze", "-p", plugin, "--to", "100000", rec}, 0)), std::string::npos)
        << plugin;
  }
}

/// Processes that run several long parts, of a program that writes other instructions over some, and the old
/// ones back.
TEST_F(Parts, BlocksAreAnnouncedInEachPart) {
  constexpr std::uint32_t kAddi[] = {0x00130313, 0x00230313};  // to t1: 1 or 2
  cli_test::Assembler a;
  a.li(a.s3, 12);
  const unsigned round = a.here();
  a.andi(a.t1, a.s3, 1);
  a.li(a.t2, static_cast<std::int32_t>(kAddi[0]));
  const unsigned even = a.beq_later(a.t1, a.zero);
  a.li(a.t2, static_cast<std::int32_t>(kAddi[1]));
  a.bind(even);
  const unsigned store = a.here();
  a.sw(a.t2, a.s0, static_cast<int>(store + 4) * 4);  // over the loop's first instruction
  a.word(0x0000100f);                                 // fence.i
  a.li(a.t0, 250'000);
  const unsigned top = a.here();
  a.word(kAddi[0]);
  a.addi(a.t0, a.t0, -1);
  a.bne(a.t0, a.zero, top);
  a.addi(a.s3, a.s3, -1);
  a.bne(a.s3, a.zero, round);
  a.exit(a.s3);
  const std::string image = program("changes", a.elf()), rec = folder / "rec";
  log_of({"record", "-o", rec, image}, 0);
  for (const std::string plugin : {"hotblocks", "hotblocks,inline=on"}) {
    const std::string one = log_of({"analyze", "-p", plugin, rec}, 0);
    EXPECT_NE(one.find(", 12, 3, "), std::string::npos) << one;  // the loop: announced in each round
    for (const std::string jobs : {"2", "3"})
      EXPECT_EQ(log_of({"analyze", "-p", plugin, "--jobs", jobs, rec}, 0), one) << plugin << jobs;
  }
}

/// A loop of one instruction, as firmware ends, is divided like any other.
TEST_F(Parts, ALoopOfOneInstructionIsCutAnywhere) {
  cli_test::Assembler a;
  a.jump(a.here());
  const std::string image = program("forever", a.elf()), rec = folder / "rec";
  log_of({"record", "--max-icount", "200000000", "-o", rec, image}, 124);
  EXPECT_EQ(log_of({"analyze", "-p", "insn", "--jobs", "2", rec}, 0),
            log_of({"analyze", "-p", "insn", rec}, 0));
}

/// An instruction that is one thing when it is entered from one side, and another from the other: each of the
/// two blocks stays as it was, and is announced in each part.
TEST_F(Parts, TextOfAnInstructionThatChanges) {
  constexpr std::uint32_t kBne = 0x00029463, kBlt = 0x00504463;  // t0 != 0 and 0 < t0, over an instruction
  cli_test::Assembler a;
  const unsigned over = a.bne_later(a.s0, a.zero);
  a.addi(a.t3, a.t3, 1);
  const unsigned changes = a.here();
  a.word(kBne);
  a.addi(a.t3, a.t3, 1);
  a.jr(a.t4);
  a.bind(over);
  a.li(a.s3, 12);
  const unsigned round = a.here();
  for (const bool second : {false, true}) {
    a.li(a.t1, static_cast<std::int32_t>(second ? kBlt : kBne));
    a.sw(a.t1, a.s0, static_cast<int>(changes) * 4);
    a.word(0x0000100f);  // fence.i
    a.li(a.t0, second ? 100'000 : 100);
    a.addi(a.t4, a.s0, static_cast<int>(a.here() + 2) * 4);
    const unsigned turn = a.here();
    a.jump(second ? changes : changes - 1);
    a.addi(a.t0, a.t0, -1);
    a.bne(a.t0, a.zero, turn);
  }
  a.addi(a.s3, a.s3, -1);
  a.bne(a.s3, a.zero, round);
  a.exit(a.s3);
  const std::string image = program("changes", a.elf()), rec = folder / "rec";
  log_of({"record", "-o", rec, image}, 0);
  for (const std::string plugin : {"cflow", "hotblocks"}) {
    const std::string one = log_of({"analyze", "-p", plugin, rec}, 0);
    for (const std::string jobs : {"2", "3"})
      EXPECT_EQ(log_of({"analyze", "-p", plugin, "--jobs", jobs, rec}, 0), one) << jobs;
  }
}

/// Parts so short that each process runs many: with interrupts, and values of registers from part to part.
TEST_F(Parts, ManyPartsOfAProcess) {
  const std::string rec = folder / "rec", image = std::string(HINDCAST_GUEST_DIR) + "/interrupts.elf";
  if (!std::filesystem::exists(image)) GTEST_SKIP() << "no cross compiler for Arm";
  log_of({"record", "-M", "mps2-an386", "--max-icount", "2200000", "-o", rec, image}, 124);
  const std::string one = log_of({"analyze", "-p", "execlog,reg=sp", "--from", "17", rec}, 0);
  EXPECT_GT(one.size(), 50'000'000u);
  EXPECT_TRUE(log_of({"analyze", "-p", "execlog,reg=sp", "--from", "17", "--jobs", "3", rec}, 0) == one);
}

/// The parts' text where it can be written to no file's end: a pipe, and a device that is full.
TEST_F(Parts, TextOfPartsInAPipe) {
  const std::string image = program("counter", counter_program(1500, 500)), rec = folder / "rec";
  log_of({"record", "-o", rec, "--checkpoints", "every=1000000", image}, 5);
  const Outcome one = hindcast({"analyze", "-p", "execlog", rec}),
                two = hindcast({"analyze", "-p", "execlog", "--jobs", "2", rec});
  EXPECT_EQ(one.status, 0);
  EXPECT_EQ(two.status, 0);
  EXPECT_GT(one.err.size(), 10'000'000u);
  EXPECT_TRUE(one.err == two.err) << one.err.size() << " and " << two.err.size();
  const Outcome full = hindcast({"analyze", "-D", "/dev/full", "-p", "execlog", "--jobs", "2", rec});
  EXPECT_EQ(full.status, 125);
  EXPECT_TRUE(full.one_line()) << full.err.substr(0, 500);
  // stderr, where the line that says so cannot be read either; and one that nobody wants to read.
  cli_test::SpawnOptions no_room, closed;
  no_room.error_file = "/dev/full";
  closed.error = cli_test::Stream::Closed;
  for (const std::string jobs : {"1", "2"}) {
    EXPECT_EQ(hindcast({"analyze", "-p", "execlog", "--jobs", jobs, rec}, "", no_room).status, 125) << jobs;
    EXPECT_EQ(hindcast({"analyze", "-p", "execlog", "--jobs", jobs, rec}, "", closed).status, 0) << jobs;
  }
}

TEST_F(Parts, ExeclogShowsWhatEachInstructionDid) {
  cli_test::Assembler a;
  a.li(a.t0, 0x55);
  a.sb(a.t0, a.s1, 3);
  a.lbu(a.t1, a.s1, 3);
  a.exit(a.zero);
  const Strings lines = lines_of(
      log_of({"run", "-p", "execlog,reg=t?,reg=s1", program("image", a.elf(std::string(16, '\0')))}, 0));
  ASSERT_GT(lines.size(), 16u);
  EXPECT_EQ(lines[7], "0, 0x80000004, 0x14b7, \"lui s1,0x1\", s1 -> 0x0000000000001000");
  EXPECT_EQ(lines[9], "0, 0x8000000c, 0x5500293, \"li t0,85\", t0 -> 0x0000000000000055");
  EXPECT_EQ(lines[10], "0, 0x80000010, 0x5481a3, \"sb t0,3(s1)\", store, 0x80001003, RAM");
  EXPECT_EQ(lines[11],
            "0, 0x80000014, 0x34c303, \"lbu t1,3(s1)\", load, 0x80001003, RAM, t1 -> 0x0000000000000055");
}

}  // namespace
}  // namespace hindcast::plugin_test
