#include <fmt/format.h>

#include "tests/gdb/session_fixture.h"

namespace hindcast::gdb {
namespace {

class Session32Test : public SessionTest {
 protected:
  Session32Test() : SessionTest(1, "rv32") {}
};

TEST_F(SessionTest, SaysWhatItSupports) {
  const std::string reply = ask("qSupported:multiprocess+;swbreak+;hwbreak+;xmlRegisters=i386");
  for (const char* feature :
       {"ReverseStep+", "ReverseContinue+", "vContSupported+", "QStartNoAckMode+", "swbreak+", "hwbreak+",
        "ConditionalBreakpoints+", "qXfer:features:read+", "qXfer:memory-map:read+", "qXfer:threads:read+",
        "qXfer:exec-file:read+", "qXfer:osdata:read+", "BreakpointCommands+", "PacketSize=100000"})
    EXPECT_TRUE(contains(";" + reply + ";", std::string(";") + feature + ";")) << feature;
  EXPECT_FALSE(contains(reply, "multiprocess+"));
  EXPECT_EQ(ask("vMustReplyEmpty"), "");
  EXPECT_FALSE(session.no_ack());
  EXPECT_EQ(ask("QStartNoAckMode"), "OK");
  EXPECT_TRUE(session.no_ack());
}

TEST_F(SessionTest, DescribesItsRegisters) {
  std::string document, piece;
  do {
    piece = ask(fmt::format("qXfer:features:read:target.xml:{:x},{:x}", document.size(), 700));
    ASSERT_FALSE(piece.empty());
    document += unescape(std::string_view(piece).substr(1));
  } while (piece[0] == 'm');
  EXPECT_EQ(piece[0], 'l');
  EXPECT_TRUE(contains(document, "<architecture>riscv:rv64</architecture>"));
  EXPECT_TRUE(contains(document, "name=\"a0\" bitsize=\"64\" type=\"int\" regnum=\"10\" group=\"general\""));
  EXPECT_TRUE(contains(document, "name=\"pc\" bitsize=\"64\" type=\"code_ptr\" regnum=\"32\""));
  EXPECT_TRUE(
      contains(document, "name=\"fa0\" bitsize=\"64\" type=\"ieee_double\" regnum=\"43\" group=\"float\""));
  EXPECT_TRUE(
      contains(document, "name=\"mstatus\" bitsize=\"64\" type=\"int\" regnum=\"833\" group=\"csr\""));
  EXPECT_TRUE(contains(document, "name=\"sstatus\" bitsize=\"64\" type=\"int\" regnum=\"321\""));
  EXPECT_FALSE(contains(document, "name=\"seed\""));
  EXPECT_EQ(ask("qXfer:features:read:other.xml:0,100"), "E00");
  EXPECT_EQ(ask("qXfer:features:read:target.xml:100000,100"), "l");
  EXPECT_EQ(ask("qXfer:features:write:target.xml:0,100"), "");
}

TEST_F(Session32Test, DescribesA32BitMachine) {
  EXPECT_TRUE(contains(ask("qXfer:features:read:target.xml:0,8000"), "riscv:rv32"));
  EXPECT_EQ(ask("g").size(), 33u * 8);
  set_pc(0, 0x80001234);
  EXPECT_EQ(ask("p20"), "34120080");
}

TEST_F(SessionTest, ReadsRegisters) {
  set_pc(0, 0x80001234);
  EXPECT_EQ(ask("p20"), "3412008000000000");
  const std::string all = ask("g");
  EXPECT_EQ(all.size(), 33u * 16);
  EXPECT_EQ(all.substr(32 * 16), "3412008000000000");
  EXPECT_EQ(ask("p0"), "0000000000000000");
  EXPECT_EQ(ask("pffff"), "E01");
  EXPECT_EQ(ask("p"), "E01");
  EXPECT_EQ(ask("p20x"), "E01");
}

TEST_F(SessionTest, ReadsMemoryAndNoDevices) {
  store(kRam + 0x100, 0x04030201);
  EXPECT_EQ(ask("m80000100,4"), "01020304");
  EXPECT_EQ(ask("x80000100,4"), "b\x01\x02\x03\x04");
  EXPECT_EQ(ask("m10000000,1"), "E01");
  EXPECT_EQ(ask("m0,4"), "E01");
  // The RAM ends within what is asked for.
  EXPECT_EQ(ask("m800ffffe,8"), "0000");
  EXPECT_EQ(ask("mffffffffffffffff,8"), "E01");
  EXPECT_EQ(ask("m80000000"), "E01");
  EXPECT_EQ(ask("m80000000,"), "E01");
  EXPECT_TRUE(contains(ask("qXfer:memory-map:read::0,2000"),
                       "<memory type=\"ram\" start=\"0x80000000\" length=\"0x100000\"/>"));
}

TEST_F(SessionTest, RefusesToChangeTheRecording) {
  for (const char* packet : {"P20=0000000000000000", "M80000100,4:01020304", "X80000100,1:a", "c80000000"})
    EXPECT_TRUE(ask(packet).starts_with("E.a recording cannot be changed")) << packet;
  EXPECT_EQ(notices.size(), 4u);
  for (const char* malformed : {"G00", "P20=00", "P999=00", "P20", "M80000100,4:0102", "M80000100,1:zz",
                                "X80000100,2:a", "X80000100:a", "c8000000x"})
    EXPECT_EQ(ask(malformed), kError) << malformed;
  EXPECT_EQ(ask("X80000100,0:"), "OK");  // gdb asks whether the packet is known
  EXPECT_EQ(ask("m80000100,4"), "00000000");
  EXPECT_TRUE(navigator.calls.empty());
}

TEST_F(SessionTest, SearchesAndSums) {
  store(kRam + 0x20ffe, 0x64636261);  // across the blocks in which it looks
  EXPECT_EQ(ask("qSearch:memory:80000000;100000;abcd"), "1,80020ffe");
  EXPECT_EQ(ask("qSearch:memory:80000000;20fff;abcd"), "0");
  EXPECT_EQ(ask("qSearch:memory:80000000;100000;abce"), "0");
  EXPECT_EQ(ask("qSearch:memory:80000000;100000"), "E01");
  store(kRam + 0x200, 0x34333231);
  EXPECT_EQ(ask("qCRC:80000200,4"), "Ca695c4aa");
  EXPECT_EQ(ask("qCRC:0,4"), "E01");
}

TEST_F(SessionTest, ThreadsAreVcpus) {
  EXPECT_EQ(ask("qfThreadInfo"), "m1,2");
  EXPECT_EQ(ask("qsThreadInfo"), "l");
  EXPECT_EQ(ask("qC"), "QC1");
  EXPECT_EQ(ask("T2"), "OK");
  EXPECT_EQ(ask("T3"), "E01");
  EXPECT_EQ(ask("T0"), "E01");
  set_pc(1, 0x80004444);
  EXPECT_EQ(ask("Hg2"), "OK");
  EXPECT_EQ(ask("p20"), "4444008000000000");
  EXPECT_EQ(ask("Hg3"), "E01");
  EXPECT_EQ(ask("Hgx"), "E01");
  EXPECT_EQ(ask("Hc-1"), "OK");
  EXPECT_EQ(from_hex(ask("qThreadExtraInfo,2")), "vCPU 1, running");
  EXPECT_TRUE(contains(ask("qXfer:threads:read::0,1000"), "<thread id=\"2\" core=\"1\" name=\"vCPU 1\">"));
}

TEST_F(SessionTest, MovesTheThreadThatIsMeant) {
  ask("vCont;s:2;c");
  ask("Hg1");
  ask("Hc0");
  ask("bs");
  ask("Hc2");
  ask("bs");
  ask("vCont;c");
  ask("bc");
  ask("vCont;S05:1");
  EXPECT_EQ(navigator.calls,
            (std::vector<std::string>{"step 1", "step_back 0", "step_back 1", "run", "run_back", "step 0"}));
  for (const char* bad :
       {"vCont;", "vCont;q", "vCont;s:9", "vCont;r1", "vCont;r5,3", "vCont;Szz", "vCont;s:1x"})
    EXPECT_EQ(ask(bad), "E01") << bad;
  EXPECT_EQ(navigator.calls.size(), 6u);
}

TEST_F(SessionTest, LookingAtThreadsDoesNotChangeWhichOneIsReported) {
  set_pc(1, 0x80000010);
  navigator.will_stop({Kind::Breakpoint, 1, {}}, 600);
  EXPECT_TRUE(contains(ask("vCont;c"), "thread:2;"));
  ask("Hg1");
  navigator.will_stop({Kind::End, 0, {}}, 1000);
  EXPECT_TRUE(contains(ask("vCont;c"), "thread:2;replaylog:end;"));
}

TEST_F(SessionTest, BothEndsAreStopsWithAReason) {
  navigator.will_stop({Kind::End, 0, {}}, 1000);
  navigator.will_stop({Kind::Begin, 0, {}}, 0);
  EXPECT_TRUE(contains(ask("vCont;c"), "replaylog:end;"));
  EXPECT_TRUE(contains(ask("bc"), "replaylog:begin;"));
  navigator.on_move = [this] { session.interrupt(); };
  navigator.will_stop({Kind::Interrupted, 0, {}}, 7);
  EXPECT_TRUE(ask("vCont;c").starts_with("T02"));
}

TEST_F(SessionTest, ARequestThatCameTooLateStopsNoLaterMove) {
  navigator.will_stop({Kind::Interrupted, 0, {}}, 7);
  navigator.will_stop({Kind::End, 0, {}}, 1000);
  EXPECT_TRUE(contains(ask("vCont;c"), "replaylog:end;"));
}

TEST_F(SessionTest, BreakpointsHaveTheirReason) {
  ask("qSupported:swbreak+;hwbreak+");
  EXPECT_EQ(ask("Z0,80000010,4"), "OK");
  EXPECT_EQ(ask("Z1,80000020,4"), "OK");
  set_pc(1, 0x80000010);
  navigator.will_stop({Kind::Breakpoint, 1, {}}, 600);
  const std::string reply = ask("vCont;c");
  EXPECT_EQ(navigator.breakpoints, (std::set<GuestAddr>{0x80000010, 0x80000020}));
  EXPECT_EQ(reply, "T0520:1000008000000000;thread:2;swbreak:;");
  set_pc(1, 0x80000020);
  navigator.will_stop({Kind::Breakpoint, 1, {}}, 600);
  EXPECT_TRUE(contains(ask("bc"), "hwbreak:;"));
  EXPECT_EQ(ask("z0,80000010,4"), "OK");
  ask("vCont;s:1");
  EXPECT_EQ(navigator.breakpoints, (std::set<GuestAddr>{0x80000020}));
  EXPECT_EQ(ask("Z5,0,0"), "");
  EXPECT_EQ(ask("Z0"), "E01");
  EXPECT_EQ(ask("Z2,80000000,0").substr(0, 2), "E.");
}

TEST_F(SessionTest, ConditionsAreEvaluatedHere) {
  // *(u32*)0x80000100 == 7
  EXPECT_EQ(ask("Z0,80000010,4;Xa,2480000100192207131627"), "E.malformed condition or command");
  EXPECT_EQ(ask("Z0,80000010,4;Xa,24800001001922071327"), "OK");
  ask("vCont;s");
  set_pc(0, 0x80000010);
  const replay::NavStop stop{Kind::Breakpoint, 0, {}};
  EXPECT_FALSE(navigator.filter(navigator.machine(), stop));
  store(kRam + 0x100, 7);
  EXPECT_TRUE(navigator.filter(navigator.machine(), stop));
  // A second condition at the same place: one of them is enough.
  store(kRam + 0x100, 8);
  EXPECT_EQ(ask("Z0,80000010,4;Xa,24800001001922071327Xa,24800001001922081327"), "OK");
  EXPECT_TRUE(navigator.filter(navigator.machine(), stop));
  // What cannot be evaluated is left to gdb.
  store(kRam + 0x100, 9);
  EXPECT_FALSE(navigator.filter(navigator.machine(), stop));
  EXPECT_EQ(ask("Z0,80000010,4;X1,00"), "OK");
  EXPECT_TRUE(navigator.filter(navigator.machine(), stop));
}

TEST_F(SessionTest, WatchpointsStopWhereGdbSeesTheValueChange) {
  EXPECT_EQ(ask("Z2,80000102,2"), "OK");
  navigator.will_stop(watch_stop(kRam + 0x100, 0x00010000, 0x00020000, true, 1), 700);
  std::string reply = ask("vCont;c");
  // gdb steps over the access itself: forward it must not have happened yet, backwards it must have.
  EXPECT_TRUE(contains(reply, "thread:2;watch:80000102;")) << reply;
  EXPECT_EQ(navigator.calls.back(), "seek 699");
  ASSERT_EQ(navigator.watches.size(), 1u);
  EXPECT_EQ(navigator.watches[0].base, kRam + 0x102);
  EXPECT_TRUE(navigator.watches[0].stores);
  EXPECT_FALSE(navigator.watches[0].loads);
  navigator.will_stop(watch_stop(kRam + 0x100, 0x00010000, 0x00020000, true), 650);
  EXPECT_TRUE(contains(ask("bc"), "watch:80000102;"));
  EXPECT_EQ(navigator.calls.back(), "run_back");
}

TEST_F(SessionTest, GoingBackUndoesTheAccessJustMade) {
  EXPECT_EQ(ask("Z2,80000100,4"), "OK");
  navigator.will_stop(watch_stop(kRam + 0x100, 1, 2, true), 500);
  EXPECT_TRUE(contains(ask("bc"), "watch:80000100;"));
  EXPECT_EQ(navigator.calls, std::vector<std::string>{"run_back"});
  // One that does not count is passed over.
  navigator.will_stop(watch_stop(kRam + 0x100, 2, 2, true), 500);
  navigator.will_stop(watch_stop(kRam + 0x100, 1, 2, true), 400);
  navigator.calls.clear();
  EXPECT_TRUE(contains(ask("bc"), "watch:80000100;"));
  EXPECT_EQ(navigator.calls, (std::vector<std::string>{"run_back", "run_back, not here"}));
}

TEST_F(SessionTest, StoresThatChangeNoWatchedByteDoNotCount) {
  EXPECT_EQ(ask("Z2,80000102,2"), "OK");
  navigator.will_stop(watch_stop(kRam + 0x100, 0x00010000, 0x00010001, true), 700);
  navigator.will_stop(watch_stop(kRam + 0x100, 0x00010000, 0x00010000, true), 710);
  navigator.will_stop({Kind::End, 0, {}}, 1000);
  EXPECT_TRUE(contains(ask("vCont;c"), "replaylog:end;"));
  EXPECT_EQ(ask("Z3,80000200,4"), "OK");
  EXPECT_EQ(ask("Z4,80000300,4"), "OK");
  navigator.will_stop(watch_stop(kRam + 0x200, 1, 2, true), 700);
  navigator.will_stop(watch_stop(kRam + 0x200, 1, 1, false), 710);
  EXPECT_TRUE(contains(ask("vCont;c"), "rwatch:80000200;"));
  navigator.will_stop(watch_stop(kRam + 0x300, 1, 1, true), 700);
  EXPECT_TRUE(contains(ask("vCont;c"), "awatch:80000300;"));
}

TEST_F(SessionTest, RangeSteppingEndsOutsideTheRange) {
  set_pc(0, 0x80000010);
  navigator.on_move = [this] { set_pc(0, navigator.machine().vcpu(0).pc() + 4); };
  ask("vCont;r80000010,80000020:1");
  EXPECT_EQ(navigator.calls.size(), 4u);
  navigator.will_stop({Kind::Arrived, 0, {}}, 1);
  navigator.will_stop({Kind::End, 0, {}}, 1000);
  set_pc(0, 0x80000010);
  EXPECT_TRUE(contains(ask("vCont;r80000010,80000020:1"), "replaylog:end;"));
}

TEST_F(SessionTest, AFailedMoveIsAStopAndIsSaid) {
  std::vector<std::string> sent;
  session.on_packet([&](const std::string& packet) { sent.push_back(packet); });
  navigator.on_move = [] { throw Fatal("the recording is damaged"); };
  EXPECT_TRUE(ask("vCont;c").starts_with("T05"));
  EXPECT_EQ(notices, std::vector<std::string>{"the recording is damaged"});
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(from_hex(sent[0].substr(1)), "hindcast: the recording is damaged\n");
}

TEST_F(SessionTest, OffersTheImageAndNoOtherFile) {
  EXPECT_EQ(ask("qXfer:exec-file:read:1:0,100"), "l/image.elf");
  EXPECT_EQ(ask("vFile:setfs:0"), "F0");
  const std::string image = to_hex("/image.elf");
  EXPECT_EQ(ask("vFile:open:" + image + ",0,0"), "F3");
  EXPECT_EQ(ask("vFile:pread:3,100,1"), std::string("F3;\x02\x03}\x03"));
  EXPECT_EQ(ask("vFile:pread:3,100,ffffffffffffffff"), "F0;");
  EXPECT_TRUE(ask("vFile:fstat:3").starts_with("F40;"));
  EXPECT_EQ(ask("vFile:close:3"), "F0");
  EXPECT_EQ(ask("vFile:close:3"), "F-1,9");
  EXPECT_EQ(ask("vFile:pread:3,100,0"), "F-1,9");
  EXPECT_EQ(ask("vFile:open:" + image + ",1,0"), "F-1,1e");
  EXPECT_EQ(ask("vFile:open:" + to_hex("/etc/passwd") + ",0,0"), "F-1,2");
  EXPECT_EQ(ask("vFile:open:" + to_hex("/image.elf/../etc/passwd") + ",0,0"), "F-1,2");
  EXPECT_EQ(ask("vFile:unlink:" + image), "F-1,1e");
  EXPECT_EQ(ask("vFile:nonsense"), "F-1,58");
}

TEST_F(SessionTest, Monitor) {
  auto monitor = [&](const std::string& line) {
    return from_hex(ask("qRcmd," + to_hex(line))).value_or("?");
  };
  EXPECT_TRUE(contains(monitor("help"), "last-write ADDR"));
  set_pc(0, kRam);
  EXPECT_TRUE(contains(monitor("when"), "icount 500 of 1000 (50.0 %), virtual time 0.0"));
  EXPECT_TRUE(contains(monitor("when"), "vCPU 0 at 0x80000000: j"));
  monitor("seek +10");
  monitor("seek -20");
  monitor("seek 25%");
  monitor("seek 0x20");
  monitor("seek end");
  monitor("seek begin");
  monitor("seek -1");
  monitor("seek 99999999999");
  EXPECT_EQ(navigator.calls, (std::vector<std::string>{"seek 510", "seek 490", "seek 250", "seek 32",
                                                       "seek 1000", "seek 0", "seek 0", "seek 1000"}));
  EXPECT_TRUE(contains(monitor("checkpoint"), "checkpoint 1: icount 1000"));
  monitor("seek 5");
  monitor("seek c1");
  EXPECT_EQ(navigator.calls.back(), "seek 1000");
  EXPECT_TRUE(contains(monitor("checkpoint list"), "c1: icount 1000"));
  for (const char* bad : {"seek", "seek x", "seek c2", "seek 101%", "seek nan%", "seek 18446744073709551616",
                          "events", "last-write", "last-write zz", "last-write 0x80000000 0", "nonsense"})
    EXPECT_FALSE(monitor(bad).empty()) << bad;
  EXPECT_EQ(navigator.calls.back(), "seek 1000");
  EXPECT_TRUE(contains(monitor("device"), "uart"));
  EXPECT_EQ(ask("qRcmd,0"), "E01");
}

TEST_F(SessionTest, LastWriteLooksBackAndReturns) {
  set_pc(0, kRam);
  navigator.will_stop(watch_stop(kRam + 0x100, 1, 1, true), 300);
  const std::string answer = from_hex(ask("qRcmd," + to_hex("last-write 0x80000100 4"))).value_or("?");
  EXPECT_TRUE(contains(answer, "icount 299 of 1000")) << answer;
  EXPECT_TRUE(contains(answer, "wrote 4 bytes at 0x80000100: 0x1, was 0x1")) << answer;
  EXPECT_EQ(navigator.calls, (std::vector<std::string>{"run_back", "seek 299", "seek 500"}));
  EXPECT_EQ(navigator.position(), 500u);
}

TEST_F(SessionTest, EndsWhenToldTo) {
  EXPECT_EQ(ask("D"), "OK");
  EXPECT_EQ(session.request(), Session::Request::Detach);
  session.begin();
  EXPECT_EQ(session.request(), Session::Request::None);
  EXPECT_EQ(ask("k"), "<none>");
  EXPECT_EQ(session.request(), Session::Request::Kill);
  session.begin();
  EXPECT_EQ(ask("vKill;1"), "OK");
  EXPECT_EQ(session.request(), Session::Request::Kill);
}

TEST_F(SessionTest, RunStartsAgain) {
  EXPECT_EQ(ask("!"), "OK");
  EXPECT_TRUE(ask("vRun;").starts_with("T05"));
  EXPECT_EQ(ask("R00"), "<none>");
  EXPECT_EQ(navigator.calls, (std::vector<std::string>{"seek 0", "seek 0"}));
}

}  // namespace
}  // namespace hindcast::gdb
