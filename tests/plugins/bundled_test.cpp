// The bundled plugins against what a program is known to do.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <sstream>
#include <thread>

#include "tests/plugins/fixture.h"

namespace hindcast::plugin_test {
namespace {

using cli_test::Assembler;
using cli_test::counter_program;
using cli_test::hindcast;
using cli_test::read_file;
using A = Assembler;

/// `turns` times through a loop of four instructions: load, add, store, branch.
std::string loop_program(int turns) {
  A a;
  a.li(a.t0, turns);
  const unsigned top = a.here();
  a.lbu(a.t1, a.s1, 0);
  a.addi(a.t0, a.t0, -1);
  a.sb(a.t1, a.s1, 64);
  a.bne(a.t0, a.zero, top);
  a.exit(a.zero);
  return a.elf(std::string(128, '\0'));
}
constexpr std::uint64_t kLoop = A::kBase + 4 * 4;  // behind the assembler's three instructions and the li

using Bundled = Plugins;

TEST_F(Bundled, StoptriggerEndsTheRunWithItsStatus) {
  const std::string image = program("loop", loop_program(100)), rec = folder / "rec";
  EXPECT_EQ(log_of({"run", "-p", "stoptrigger,icount=20:41", "-p", "insn", image}, 41),
            "icount reached at 0x80000018, exiting\n"
            "cpu 0 insns: 20\ntotal insns: 20\n"
            "hindcast: stopped at icount 20: by a plugin\n");
  EXPECT_EQ(log_of({"run", "-p", "stoptrigger,addr=0x8000001c,addr=0x80000020:42", image}, 0),
            "0x8000001c reached, exiting\nhindcast: stopped at icount 13: by a plugin\n");
  // It stops a replay and an analysis in the same place; a recording that it ended is sound.
  log_of({"record", "-o", rec, image}, 0);
  EXPECT_NE(
      log_of({"replay", "-p", "stoptrigger,icount=20:41", rec}, 41).find("icount reached at 0x80000018"),
      std::string::npos);
  EXPECT_NE(
      log_of({"analyze", "-p", "stoptrigger,icount=20:41", rec}, 41).find("icount reached at 0x80000018"),
      std::string::npos);
  log_of({"record", "--force", "-o", rec, "-p", "stoptrigger,icount=20:41", image}, 41);
  EXPECT_EQ(hindcast({"verify", rec}).status, 0);
  EXPECT_EQ(hindcast({"run", "-p", "stoptrigger", image}).status, 125);
}

TEST_F(Bundled, CacheCountsItsMisses) {
  // 100 turns; all of it fits into the caches: each block of 64 bytes misses once. The reset code reads its
  // ROM twice, the loop touches two blocks of data, the end one of them.
  const std::string log =
      log_of({"run", "-p", "cache,l2=on", "-p", "insn", program("loop", loop_program(100))}, 0);
  const Strings lines = lines_of(log);
  ASSERT_GT(lines.size(), 8u);
  EXPECT_EQ(lines[0],
            "core #, data accesses, data misses, dmiss rate, insn accesses, insn misses, imiss rate, "
            "l2 accesses, l2 misses, l2 miss rate");
  std::istringstream row(lines[1]);
  std::uint64_t core = 9, data = 0, data_misses = 0, insns = 0, insn_misses = 0, second = 0,
                second_misses = 0;
  std::string rate;
  row >> core >> data >> data_misses >> rate >> insns >> insn_misses >> rate >> second >> second_misses;
  EXPECT_EQ(core, 0u);
  EXPECT_EQ(data, 2u + 200 + 2);
  EXPECT_EQ(data_misses, 3u);
  EXPECT_EQ(insns, number_behind(log, "total insns: "));
  EXPECT_EQ(insn_misses, 2u);  // the reset code, and the program
  EXPECT_EQ(second, data_misses + insn_misses);
  EXPECT_EQ(second_misses, second - 1) << "the ROM's block, which both want";
  EXPECT_NE(log.find("address, data misses, instruction\n"), std::string::npos);
  EXPECT_NE(log.find("\n0x80000010, 1, lbu t1,0(s1)\n"), std::string::npos) << log;
}

TEST_F(Bundled, CacheEvictsAsAsked) {
  // Three blocks in turn in a set of two: the least recently used has always just gone.
  A a;
  a.li(a.t0, 100);
  const unsigned top = a.here();
  for (int block = 0; block < 3; ++block) a.lbu(a.t1, a.s1, 128 * block);
  a.lbu(a.t1, a.s1, 0);
  a.addi(a.t0, a.t0, -1);
  a.bne(a.t0, a.zero, top);
  a.exit(a.zero);
  const std::string image = program("thrash", a.elf(std::string(512, '\0')));
  auto misses = [&](const std::string& options) {
    const std::string log =
        log_of({"run", "-p", "cache,dcachesize=256,dblksize=64,dassoc=2" + options, image}, 0);
    std::istringstream row(lines_of(log)[1]);
    std::uint64_t core, accesses, found = 0;
    row >> core >> accesses >> found;
    return found;
  };
  // Apart from the reset code's one, and the end's, which finds its block.
  EXPECT_EQ(misses(""), 1u + 3 + 99 * 2 + 1 + 99);
  EXPECT_EQ(misses(",evict=fifo"), misses(",evict=fifo"));
  EXPECT_EQ(misses(",evict=rand"), misses(",evict=rand"));
  EXPECT_NE(misses(",evict=rand"), misses(""));
  for (const char* wrong :
       {"cache,dcachesize=100", "cache,iassoc=0", "cache,evict=maybe", "cache,l2blksize=48"})
    EXPECT_EQ(hindcast({"run", "-p", wrong, image}).status, 125) << wrong;
}

TEST_F(Bundled, HwprofileNamesDevices) {
  A a;
  a.li(a.t0, 0x10000000);  // the serial port
  for (int i = 0; i < 5; ++i) a.lbu(a.t1, a.t0, 5);
  a.sb(a.zero, a.t0, 7);
  a.exit(a.zero);
  const std::string image = program("serial", a.elf());
  EXPECT_EQ(log_of({"run", "-p", "hwprofile", image}, 0),
            "Device, Address, RCPUs, Reads,  WCPUs, Writes\nuart0, 0x10000000, 1, 5, 1, 1\n");
  EXPECT_EQ(log_of({"run", "-p", "hwprofile,pattern", image}, 0),
            "uart0 @ 0x10000000\n  off:00000005, 1, 5, 0, 0\n  off:00000007, 0, 0, 1, 1\n");
  const std::string source = log_of({"run", "-p", "hwprofile,source,track=write", image}, 0);
  EXPECT_EQ(source, "uart0 @ 0x10000000\n  pc:80000028, 1, 1\n");
  EXPECT_EQ(hindcast({"run", "-p", "hwprofile,source,pattern", image}).status, 125);
}

TEST_F(Bundled, CflowShowsBranches) {
  const std::string log = log_of({"run", "-p", "cflow", program("loop", loop_program(100))}, 0);
  EXPECT_NE(log.find("  addr: 0x8000001c : bnez t0,0x80000010 (branch)\n    branches 99\n"
                     "      to 0x80000010 (99)\n"),
            std::string::npos)
      << log;
}

TEST_F(Bundled, BbvCountsInstructionsOfBlocks) {
  const std::string out = folder / "out";
  log_of({"run", "-p", "bbv,interval=100,outfile=" + out, program("loop", loop_program(100))}, 0);
  const Strings lines = lines_of(read_file(out + ".0.bb"));
  ASSERT_GE(lines.size(), 4u);
  for (const std::string& line : lines) {
    EXPECT_EQ(line[0], 'T');
    std::uint64_t sum = 0;
    for (std::size_t at = line.find(':'); at != std::string::npos; at = line.find(" :", at + 1))
      sum += std::stoull(line.substr(line.find(':', at + 2) + 1));
    EXPECT_GE(sum, 96u) << line;
    EXPECT_LE(sum, 110u) << line;
  }
  EXPECT_EQ(hindcast({"run", "-p", "bbv", folder / "loop"}).status, 125);
}

TEST_F(Bundled, DrcovListsTheBlocks) {
  const std::string file = folder / "trace";
  log_of({"run", "-p", "drcov,filename=" + file + ",image=loop.elf", program("loop", loop_program(3))}, 0);
  EXPECT_NE(log_of({"run", "-p", "drcov,filename=/dev/full", program("loop", loop_program(3))}, 1)
                .find("/dev/full could not be written: No space left"),
            std::string::npos);
  const std::string data = read_file(file);
  EXPECT_EQ(data.find("DRCOV VERSION: 2\nDRCOV FLAVOR: drcov-64\nModule Table: version 2, count 1\n"
                      "Columns: id, base, end, entry, path\n0, 0x1000, 0x800000"),
            0u)
      << data;
  const std::string mark = " bbs\n";
  const std::size_t table = data.find(mark) + mark.size();
  const std::uint64_t count = number_behind(data, "BB Table: ");
  ASSERT_EQ(data.size(), table + count * 8);
  bool loop_found = false;
  for (std::size_t at = table; at < data.size(); at += 8) {
    std::uint32_t start;
    std::uint16_t size, module;
    std::memcpy(&start, &data[at], 4);
    std::memcpy(&size, &data[at + 4], 2);
    std::memcpy(&module, &data[at + 6], 2);
    EXPECT_EQ(module, 0u);
    loop_found |= 0x1000 + start == kLoop && size == 16;
  }
  EXPECT_TRUE(loop_found);
}

TEST_F(Bundled, DisconsFindsNoMismatch) {
  const std::string log =
      log_of({"run", "-p", "discons,abort", program("counter", counter_program(5, 100))}, 5);
  // One call of the host for each line and one for the end.
  EXPECT_NE(log.find("VCPU, interrupts, exceptions, hostcalls, mismatches\n   0,          0,          0, "),
            std::string::npos)
      << log;
  EXPECT_GE(number_behind(log, "   0,          0,          0,"), 6u);
}

TEST_F(Bundled, IpsHoldsTheSpeed) {
  const std::string image = program("loop", loop_program(5000));  // 20,000 instructions
  const auto begin = std::chrono::steady_clock::now();
  log_of({"run", "-p", "ips,ips=100k", image}, 0);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_GT(took.count(), 0.15);
  EXPECT_EQ(hindcast({"run", "-p", "ips", image}).status, 125);
}

TEST_F(Bundled, SyscallHasNothingToSayOfAMachine) {
  EXPECT_EQ(log_of({"run", "-p", "syscall", program("loop", loop_program(3))}, 0),
            "syscall no.  calls  errors\n");
}

TEST_F(Bundled, UftraceWritesCallsAndReturns) {
  // Calls a function of two instructions three times.
  A a;
  a.li(a.t0, 3);
  const unsigned top = a.here();
  a.word(0x00c000ef);  // jal ra, +12
  a.addi(a.t0, a.t0, -1);
  const unsigned over = a.beq_later(a.zero, a.zero);
  a.addi(a.t1, a.t1, 1);
  a.word(0x00008067);  // ret
  a.bind(over);
  a.bne(a.t0, a.zero, top);
  a.exit(a.zero);
  const std::string data = folder / "data", image = program("calls", a.elf()), rec = folder / "rec";
  log_of({"run", "-p", "uftrace,dir=" + data, image}, 0);
  const std::string track = read_file(data + "/100.dat");
  // Three calls, and the outermost function, which the reset code begins.
  ASSERT_EQ(track.size(), 16u * (3 * 2 + 2));
  std::string kinds, depths;
  for (std::size_t at = 0; at < track.size(); at += 16) {
    std::uint64_t record;
    std::memcpy(&record, &track[at + 8], 8);
    EXPECT_EQ(record >> 3 & 7, 5u);
    kinds += static_cast<char>('0' + (record & 3));
    depths += static_cast<char>('0' + (record >> 6 & 0x3ff));
    EXPECT_EQ(record >> 16, (record >> 6 & 0x3ff) == 0 ? 0x1000u : A::kBase + 4u * (top + 3));
  }
  EXPECT_EQ(kinds, "00101011");
  EXPECT_EQ(depths, "01111110");
  // The same of a recording.
  log_of({"record", "-o", rec, image}, 0);
  log_of({"analyze", "-p", "uftrace,dir=" + data + "2", rec}, 0);
  EXPECT_TRUE(read_file(data + "2/100.dat") == track);
}

class Lockstep : public Plugins {
 protected:
  /// What two commands that meet over a socket write.
  std::pair<std::string, std::string> both(Strings one, Strings two, const std::string& options = "") {
    const std::string plugin = "lockstep,sockpath=" + (folder / "socket") + options;
    one.insert(one.begin() + 1, {"-D", folder / "one", "-p", plugin});
    two.insert(two.begin() + 1, {"-D", folder / "two", "-p", plugin});
    cli_test::write_file(folder / "one", "");
    cli_test::write_file(folder / "two", "");
    std::thread other([&] { hindcast(one); });
    hindcast(two);
    other.join();
    return {read_file(folder / "one"), read_file(folder / "two")};
  }
};

TEST_F(Lockstep, TheSameProgramDoesNotDiverge) {
  const std::string image = program("counter", counter_program(5, 100)), rec = folder / "rec";
  log_of({"record", "-o", rec, image}, 5);
  for (const char* options : {"", ",registers=on,memory=on"}) {
    const auto [one, two] = both({"run", image}, {"analyze", rec}, options);
    EXPECT_EQ(one.find("No divergence :-)\nExecuted "), 0u) << one;
    EXPECT_EQ(one, two);
  }
}

TEST_F(Lockstep, RefusesAPeerThatComparesSomethingElse) {
  const std::string image = program("counter", counter_program(5, 100)), at = folder / "socket";
  int first = 0;
  std::thread other([&] { first = hindcast({"run", "-p", "lockstep,sockpath=" + at, image}).status; });
  const auto second = hindcast({"run", "-p", "lockstep,sockpath=" + at + ",registers", image});
  other.join();
  EXPECT_EQ(first, 125);
  EXPECT_EQ(second.status, 125);
  EXPECT_NE(second.err.find("the other compares something else"), std::string::npos) << second.err;
}

TEST_F(Lockstep, RefusesAPeerThatTalksNonsense) {
  const std::string image = program("counter", counter_program(5, 100)), at = folder / "socket";
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  ASSERT_LT(at.size(), sizeof address.sun_path);
  std::memcpy(address.sun_path, at.c_str(), at.size() + 1);
  const int listening = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::bind(listening, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listening, 1), 0);
  std::thread other([&] {
    const int fd = ::accept(listening, nullptr, nullptr);
    const std::string nonsense(1000, 'x');
    char greeting[32];
    EXPECT_EQ(::recv(fd, greeting, sizeof greeting, MSG_WAITALL), static_cast<ssize_t>(sizeof greeting));
    EXPECT_EQ(::send(fd, nonsense.data(), nonsense.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(nonsense.size()));
    ::close(fd);
  });
  const auto result = hindcast({"run", "-p", "lockstep,sockpath=" + at, image});
  other.join();
  ::close(listening);
  EXPECT_EQ(result.status, 125);
  EXPECT_NE(result.err.find("what answers is no lockstep"), std::string::npos) << result.err;
}

TEST_F(Lockstep, SaysWhereTwoPart) {
  const std::string a = program("a", counter_program(5, 100)), b = program("b", counter_program(6, 50));
  const auto [one, two] = both({"run", a}, {"run", b});
  for (const std::string& log : {one, two}) {
    EXPECT_NE(log.find("Δ too high, we have diverged, previous insns\n  previously @ 0x"), std::string::npos)
        << log;
    EXPECT_NE(log.find("giving up\n"), std::string::npos) << log;
  }
}

TEST_F(Lockstep, RegistersPartBeforeThePc) {
  A same, other;
  for (A* a : {&same, &other}) {
    a->li(a->t0, a == &same ? 3 : 4);
    const unsigned next = a->here() + 1;
    a->beq(a->zero, a->zero, next);
    a->exit(a->zero);
  }
  const std::string a = program("a", same.elf()), b = program("b", other.elf());
  EXPECT_EQ(both({"run", a}, {"run", b}).first.find("No divergence"), 0u);
  EXPECT_NE(both({"run", a}, {"run", b}, ",registers=on").first.find("registers differ, we have diverged"),
            std::string::npos);
}

}  // namespace
}  // namespace hindcast::plugin_test
