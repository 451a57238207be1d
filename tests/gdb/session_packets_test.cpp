// Packets beside the everyday ones: commands of breakpoints, conditions of watchpoints, tables, flash,
// physical addresses, a run from anywhere.
#include <fmt/format.h>

#include "tests/gdb/session_fixture.h"

namespace hindcast::gdb {
namespace {

class SessionPackets : public SessionTest {
 protected:
  std::string monitor(const std::string& line) {
    return from_hex(ask("qRcmd," + to_hex(line))).value_or("?");
  }
};

TEST_F(SessionPackets, CommandsOfABreakpointAreExecutedInsteadOfStopping) {
  std::string said;
  session.on_packet([&](const std::string& packet) { said += from_hex(packet.substr(1)).value_or("?"); });
  // printf("x=%d\n", 7)
  const std::string print = "22072200220034010006" + to_hex("x=%d\\n") + "0027";
  const std::string good =
      "2207220022003401"
      "0007" +
      to_hex("x=%d\\n") + "0027";
  EXPECT_EQ(ask(fmt::format("Z0,80000010,4;cmds:0,X{:x},{}", good.size() / 2, good)), "OK");
  const replay::NavStop stop{Kind::Breakpoint, 0, {}};
  set_pc(0, 0x80000010);
  bool counted = true;
  navigator.on_move = [&] { counted = navigator.filter(navigator.machine(), stop); };
  ask("vCont;c");
  EXPECT_FALSE(counted);
  EXPECT_EQ(said, "x=7\n");
  // A search backwards says nothing.
  ask("bc");
  EXPECT_FALSE(counted);
  EXPECT_EQ(said, "x=7\n");
  // With a condition that does not hold it is not there.
  EXPECT_EQ(ask(fmt::format("Z0,80000010,4;X3,220027;cmds:1,X{:x},{}", good.size() / 2, good)), "OK");
  ask("vCont;c");
  EXPECT_FALSE(counted);
  EXPECT_EQ(said, "x=7\n");
  // One that is malformed says so.
  EXPECT_EQ(ask(fmt::format("Z0,80000010,4;cmds:0,X{:x},{}", print.size() / 2, print)), "OK");
  ask("vCont;c");
  EXPECT_TRUE(contains(said, "cannot be executed"));
  for (const char* bad : {"Z0,80000010,4;cmds:", "Z0,80000010,4;cmds:0", "Z0,80000010,4;cmds:0,X5,22",
                          "Z0,80000010,4;cmds:0,X1,27;cmds:0,X1,27"})
    EXPECT_TRUE(ask(bad).starts_with("E.")) << bad;
}

TEST_F(SessionPackets, WatchpointsHaveConditionsToo) {
  // *(u32*)0x80000200 == 7
  EXPECT_EQ(ask("Z2,80000100,4;Xa,24800002001922071327"), "OK");
  navigator.will_stop(watch_stop(kRam + 0x100, 1, 2, true), 700);
  navigator.will_stop({Kind::End, 0, {}}, 1000);
  EXPECT_TRUE(contains(ask("vCont;c"), "replaylog:end;"));
  store(kRam + 0x200, 7);
  navigator.will_stop(watch_stop(kRam + 0x100, 1, 2, true), 700);
  EXPECT_TRUE(contains(ask("vCont;c"), "watch:80000100;"));
}

TEST_F(SessionPackets, TablesOfWhatIsBesideTheProgram) {
  const std::string types = ask("qXfer:osdata:read::0,1000");
  EXPECT_TRUE(contains(types, "<osdata type=\"types\">"));
  EXPECT_TRUE(contains(types, "<column name=\"Type\">devices</column>"));
  EXPECT_FALSE(contains(types, "events"));  // of no recording
  EXPECT_TRUE(contains(ask("qXfer:osdata:read:devices:0,2000"), "<column name=\"Name\">uart0</column>"));
  set_pc(1, 0x80000040);
  EXPECT_TRUE(contains(ask("qXfer:osdata:read:vcpus:0,1000"), "<column name=\"PC\">0x80000040</column>"));
  EXPECT_EQ(ask("qXfer:osdata:read:events:0,1000"), "E00");
  EXPECT_EQ(ask("qXfer:osdata:read:nonsense:0,1000"), "E00");
  EXPECT_EQ(ask("qXfer:osdata:read:nonsense:5,1000"), "E00");
}

TEST_F(SessionPackets, FlashIsWrittenByItsOwnPacketsOnly) {
  EXPECT_TRUE(contains(ask("qXfer:memory-map:read::0,2000"),
                       "<memory type=\"flash\" start=\"0x20000000\" length=\"0x2000000\">"
                       "<property name=\"blocksize\">0x1000</property></memory>"));
  EXPECT_TRUE(ask("vFlashErase:20000000,1000").starts_with("E.a recording cannot be changed"));
  EXPECT_TRUE(ask("vFlashWrite:20000000:abc").starts_with("E.a recording cannot be changed"));
  EXPECT_EQ(ask("vFlashErase:80000000,1000"), "E.memtype");
  EXPECT_EQ(ask("vFlashWrite:80000000:abc"), "E.memtype");
  EXPECT_EQ(ask("vFlashErase:20000000,ffffffffffffffff"), "E.memtype");
  EXPECT_EQ(ask("vFlashErase:20000000"), kError);
  EXPECT_EQ(ask("vFlashErase:20000000,1x"), kError);
  EXPECT_EQ(ask("vFlashWrite:20000000"), kError);
  EXPECT_EQ(ask("vFlashDone"), "OK");
  EXPECT_EQ(ask("vFlashNonsense"), "");
}

TEST_F(SessionPackets, PhysicalAddresses) {
  EXPECT_EQ(ask("qqemu.PhyMemMode"), "0");
  EXPECT_EQ(monitor("physical"), "addresses are virtual\n");
  EXPECT_EQ(monitor("physical on"), "addresses are physical\n");
  EXPECT_EQ(ask("qqemu.PhyMemMode"), "1");
  store(kRam + 0x100, 0x04030201);
  EXPECT_EQ(ask("m80000100,4"), "01020304");
  EXPECT_EQ(ask("Qqemu.PhyMemMode:0"), "OK");
  EXPECT_EQ(ask("qqemu.PhyMemMode"), "0");
  EXPECT_EQ(ask("Qqemu.PhyMemMode:2"), kError);
  EXPECT_TRUE(contains(monitor("physical 3"), "physical on, or physical off"));
}

TEST_F(SessionPackets, ARunCanStartAnywhere) {
  EXPECT_TRUE(ask("vRun;").starts_with("T05"));
  EXPECT_TRUE(ask("vRun;" + to_hex("/image.elf") + ";" + to_hex("25%")).starts_with("T05"));
  EXPECT_EQ(navigator.calls, (std::vector<std::string>{"seek 0", "seek 250"}));
  EXPECT_TRUE(ask("vRun;;" + to_hex("nowhere")).starts_with("E.'nowhere' is not a number"));
  EXPECT_EQ(ask("vRun;;zz"), kError);
}

}  // namespace
}  // namespace hindcast::gdb
