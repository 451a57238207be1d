// Plugins that change the guest: what they write is an input like any other. The recording holds it, and
// replays without the plugin.
#include <filesystem>

#include "tests/case_name.h"
#include "tests/plugins/fixture.h"

namespace hindcast::plugin_test {
namespace {

using cli_test::Assembler;
using cli_test::hindcast;
using A = Assembler;

/// 100 turns: t1 is loaded (0), a0 grows by one, t1 is stored; ends with a0 + t1 + the byte at data + 128.
std::string loop_program() {
  A a;
  a.li(a.t0, 100);
  a.li(a.a0, 0);
  const unsigned top = a.here();
  a.lbu(a.t1, a.s1, 0);
  a.addi(a.t0, a.t0, -1);
  a.addi(a.a0, a.a0, 1);
  a.sb(a.t1, a.s1, 64);
  a.bne(a.t0, a.zero, top);
  a.lbu(a.t2, a.s1, 128);
  a.add(a.a0, a.a0, a.t1);
  a.add(a.a0, a.a0, a.t2);
  a.exit(a.a0);
  return a.elf(std::string(256, '\0'));
}
constexpr std::uint64_t kTop = A::kBase + 4 * 5;  // behind the assembler's three instructions and the two li
constexpr std::uint64_t kData = A::kBase + A::kData;

std::string summary(const std::string& log) {
  const std::size_t at = log.find("hindcast: icount ");
  return at == std::string::npos ? "no summary in: " + log : log.substr(at);
}
std::string address(std::uint64_t value) { return std::to_string(value); }

struct Case {
  const char* name;
  std::string options;
  int status;  // of the guest
  std::string event;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class Changing : public Plugins, public ::testing::WithParamInterface<Case> {};

TEST_P(Changing, IsRecordedAndReplaysWithoutThePlugin) {
  const std::string image = program("loop", loop_program()), rec = folder / "rec";
  const std::string plugin = loaded("changes") + "," + GetParam().options;
  const int status = GetParam().status;
  const std::string live = log_of({"run", "-p", plugin, "--summary", image}, status);
  EXPECT_EQ(live, summary(live)) << "the plugin has a complaint";
  EXPECT_EQ(log_of({"run", "--engine", "interp", "-p", plugin, "--summary", image}, status), live);
  EXPECT_EQ(
      log_of({"record", "-o", rec, "--checkpoints", "every=50", "-p", plugin, "--summary", image}, status),
      live);
  EXPECT_EQ(hindcast({"verify", rec}).status, 0);
  for (const char* engine : {"jit", "interp"})
    EXPECT_EQ(log_of({"replay", "--engine", engine, "--summary", rec}, status), live) << engine;
  for (const char* from : {"10", "60", "300"})
    EXPECT_EQ(log_of({"replay", "--from-checkpoint", from, "--summary", rec}, status), live) << from;
  const Outcome events = hindcast({"events", rec});
  EXPECT_NE(events.out.find(GetParam().event), std::string::npos) << events.describe();
  // With it, its writes are refused, and everything is as it was. The instruction before which it set the pc
  // does not begin here.
  const bool writes = GetParam().options.find("do=pc") == std::string::npos && GetParam().event != "clock";
  const bool jumps = GetParam().options.find("access pc") != std::string::npos ||
                     GetParam().options.find("start pc") != std::string::npos;
  const std::string again = log_of({"replay", "-p", plugin, "--summary", rec}, jumps ? 125 : status);
  if (jumps)
    EXPECT_NE(again.find("only in a live run"), std::string::npos) << again;
  else
    EXPECT_EQ(summary(again), live);
  if (writes && GetParam().options.find("pc") == std::string::npos) {
    EXPECT_NE(again.find("may not change the guest in a replay"), std::string::npos) << again;
  }
  // What others see is the same live and replayed.
  const Strings log = {"-p", "execlog,reg=t*,reg=a0", "-p", "insn", "-p", "hotblocks"};
  Strings with = {"run", "-p", plugin}, without = {"analyze"};
  with.insert(with.end(), log.begin(), log.end());
  with.push_back(image);
  without.insert(without.end(), log.begin(), log.end());
  without.push_back(rec);
  EXPECT_TRUE(log_of(with, status) == log_of(without, 0));
}

/// At the tenth turn, of the load unless said otherwise.
const std::string kAt = "count=10,at=" + address(kTop);

INSTANTIATE_TEST_SUITE_P(
    One, Changing,
    ::testing::Values(
        Case{"Register", "do=register,name=t0,value=1," + kAt, 10, "register-write"},
        Case{"RegisterInTheMiddle", "do=register,name=t0,value=5,count=10,at=" + address(kTop + 4), 14,
             "register-write"},
        Case{"Memory", "do=memory,value=7,to=" + address(kData + 128) + "," + kAt, 107, "memory-write"},
        Case{"PhysicalMemory", "do=physical,value=8,to=" + address(kData) + "," + kAt, 108, "memory-write"},
        // What is about to be loaded.
        Case{"BeforeTheLoad", "do=memory,value=3,count=100,to=" + address(kData) + ",at=" + address(kTop),
             103, "memory-write"},
        // The instruction that is about to run becomes addi a0, a0, 2.
        Case{"Code",
             "do=memory,value=0x25,count=100,to=" + address(kTop + 8 + 2) + ",at=" + address(kTop + 8), 101,
             "memory-write"},
        Case{"Pc", "do=pc,to=" + address(kTop + 20) + "," + kAt, 9, "register-write"},
        Case{"PcInTheMiddle", "do=pc,count=10,to=" + address(kTop + 20) + ",at=" + address(kTop + 8), 9,
             "register-write"},
        Case{"RegisterAndPc", "do=register pc,name=a0,value=77,to=" + address(kTop + 20) + "," + kAt, 77,
             "register-write"},
        Case{"Time", "do=time,value=5000000," + kAt, 100, "clock"},
        // After the access, when the load is complete: its register is what the plugin says.
        Case{"AccessRegister", "do=access register,name=t1,value=9,count=100,at=" + address(kTop), 109,
             "register-write"},
        Case{"AccessMemory",
             "do=access memory,value=9,count=10,to=" + address(kData + 128) + ",at=" + address(kTop + 12),
             109, "memory-write"},
        Case{"AccessPc", "do=access pc,count=10,to=" + address(kTop + 20) + ",at=" + address(kTop + 12), 10,
             "register-write"},
        Case{"Start", "do=start memory,value=6,to=" + address(kData + 128), 106, "memory-write"},
        Case{"StartPc", "do=start pc,to=" + address(A::kBase), 100, "register-write"}),
    [](const auto& info) { return std::string(info.param.name); });

using Refused = Plugins;

TEST_F(Refused, WithOneLine) {
  const std::string image = program("loop", loop_program());
  const auto first = [&](const std::string& options, int status) {
    const std::string log = log_of({"run", "-p", loaded("changes") + "," + options, image}, status);
    return log;
  };
  EXPECT_NE(first("do=unasked register," + kAt, 100).find("not registered with QEMU_PLUGIN_CB_RW_REGS"),
            std::string::npos);
  EXPECT_NE(first("do=nopc pc," + kAt, 125).find("not registered with QEMU_PLUGIN_CB_RW_REGS_PC"),
            std::string::npos);
  EXPECT_NE(first("do=install memory,to=" + address(kData), 100).find("may not change the guest here"),
            std::string::npos);
  EXPECT_NE(first("do=foreign," + kAt, 125).find("which it does not hold"), std::string::npos);
  // No memory, a device, more than there is: nothing is written.
  for (const char* to : {"0x10", "0x10000000", "0xffffffffffffffff"})
    for (const char* how : {"memory", "physical", "large"})
      EXPECT_EQ(first(std::string("do=") + how + ",to=" + to + "," + kAt, 100), "changes: memory refused\n")
          << to << how;
  // The pc is not written as a register.
  EXPECT_EQ(first("do=register,name=pc," + kAt, 100), "changes: register refused\n");
}

class Storm : public Plugins, public ::testing::WithParamInterface<const char*> {};

/// Changes of all kinds, everywhere, in guests with interrupts, faults, several vCPUs: the recording of each
/// run replays exactly, in both engines, and from its checkpoints.
TEST_P(Storm, ReplaysExactly) {
  const std::string image = std::string(HINDCAST_GUEST_DIR) + "/" + GetParam() + ".elf", rec = folder / "rec";
  if (!std::filesystem::exists(image)) GTEST_SKIP() << "guest programs were not built";
  const bool arm = image.find("cortex") != std::string::npos;
  for (const char* every : {"1", "40"}) {
    const std::string plugin =
        loaded("changes") + ",every=" + every + ",to=" + (arm ? "0x20003f00" : "0x87fff000");
    Strings command = {"record", "--force", "-o", rec,     "--checkpoints", "every=2500",   "-p",  plugin,
                       "-p",     "insn",    "-p", "cflow", "--summary",     "--max-icount", "6000"};
    if (image.find("smp") != std::string::npos) command.insert(command.end(), {"--smp", "2"});
    const auto run = [&](Strings options) {
      const std::string log = folder / "log";
      std::filesystem::remove(log);
      options.insert(options.begin() + 1, {"-D", log});
      hindcast(options);
      return cli_test::read_file(log);
    };
    Strings interpreted = command;
    interpreted.insert(interpreted.end(), {"--engine", "interp", image});
    const std::string by_interpreter = run(interpreted);
    command.push_back(image);
    const std::string live = run(command);
    EXPECT_EQ(live, by_interpreter) << every;
    const Outcome events = hindcast({"events", rec});
    for (const char* kind : {"memory-write", "clock", "register-write"})
      EXPECT_NE(events.out.find(kind), std::string::npos) << kind << " " << every;
    EXPECT_EQ(run({"replay", "-p", "insn", "-p", "cflow", "--summary", "--quiet", rec}), live) << every;
    for (Strings options : {Strings{"replay", "--summary", "--quiet", rec},
                            Strings{"replay", "--summary", "--quiet", "--engine", "interp", rec},
                            Strings{"replay", "--summary", "--quiet", "--from-checkpoint", "4000", rec}})
      EXPECT_EQ(summary(run(options)), summary(live)) << every;
  }
}

INSTANTIATE_TEST_SUITE_P(Firmware, Storm,
                         ::testing::Values("irq-fifo-rv64gc", "smp-rv64gc", "smc-rv64gc", "faults-rv32imac",
                                           "storm-rv32gc", "hello-cortex-m0"),
                         [](const auto& info) { return case_name(info.param); });

}  // namespace
}  // namespace hindcast::plugin_test
