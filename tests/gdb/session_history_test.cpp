// What packets say of the past: tracepoints and branch traces.
#include "tests/gdb/session_fixture.h"

namespace hindcast::gdb {
namespace {

TEST_F(SessionTest, TracepointsAreThePositionsOfTheirHits) {
  EXPECT_EQ(ask("qTStatus"), "T0;tnotrun:0");
  EXPECT_EQ(ask("QTinit"), "OK");
  EXPECT_EQ(ask("QTDP:1:0000000080000010:E:0:0-"), "OK");
  EXPECT_EQ(ask("QTDP:-1:0000000080000010:R07"), "OK");
  EXPECT_EQ(ask("QTDP:2:80000020:E:0:2:X3,220027"), "OK");  // never: its condition is 0
  EXPECT_EQ(ask("QTDP:3:80000010:D:0:0"), "OK");
  for (const char* harmless : {"QTro:0,100", "QTBuffer:circular:0", "QTNotes:user:"})
    EXPECT_EQ(ask(harmless), "OK") << harmless;
  for (const char* bad :
       {"QTDP:1", "QTDP:1:80000010", "QTDP:1:80000010:Q:0:0", "QTDP:1:80000010:E:0:0:X5,22", "QTDP:-9:1:R1",
        "QTDP:1:80000010:E:0:0:Z", "QTEnable:7:1", "qTP:9:1", "QTFrame:x", "QTFrame:range:1", "QTFrame:1:2"})
    EXPECT_EQ(ask(bad), kError) << bad;
  set_pc(0, 0x80000010);
  set_pc(1, 0x80000020);
  navigator.will_stop({Kind::Breakpoint, 0, {}}, 100);
  navigator.will_stop({Kind::Breakpoint, 1, {}}, 150);
  navigator.will_stop({Kind::Breakpoint, 0, {}}, 200);
  navigator.will_stop({Kind::End, 0, {}}, 1000);
  EXPECT_EQ(ask("QTStart"), "OK");
  EXPECT_EQ(navigator.breakpoints, (std::set<GuestAddr>{0x80000010, 0x80000020}));
  EXPECT_EQ(navigator.calls, (std::vector<std::string>{"seek 0", "run", "run", "run", "run", "seek 500"}));
  EXPECT_TRUE(contains(ask("qTStatus"), "T0;tstop::0;tframes:2;"));
  EXPECT_EQ(ask("qTP:1:80000010"), "V2:40");
  EXPECT_EQ(ask("qTP:2:80000020"), "V0:0");
  // Frames are places to go to.
  EXPECT_EQ(ask("QTFrame:0"), "F0T1");
  EXPECT_EQ(navigator.position(), 100u);
  EXPECT_EQ(ask("QTFrame:pc:80000010"), "F1T1");
  EXPECT_EQ(navigator.position(), 200u);
  EXPECT_EQ(ask("QTFrame:pc:80000010"), "F-1");
  EXPECT_EQ(ask("QTFrame:tdp:1"), "F-1");
  EXPECT_EQ(navigator.position(), 200u);
  EXPECT_EQ(ask("QTFrame:5"), "F-1");
  EXPECT_EQ(ask("QTFrame:ffffffff"), "F-1");
  EXPECT_EQ(navigator.position(), 500u);
  EXPECT_EQ(ask("QTFrame:range:80000010:80000010"), "F0T1");
  EXPECT_EQ(ask("QTFrame:outside:0:1"), "F1T1");
  // Whatever moves leaves the frame first.
  navigator.calls.clear();
  navigator.will_stop({Kind::Arrived, 0, {}}, 501);
  ask("s");
  EXPECT_EQ(navigator.calls, (std::vector<std::string>{"seek 500", "step 0"}));
  // So does a monitor command that does.
  EXPECT_EQ(ask("QTFrame:0"), "F0T1");
  navigator.calls.clear();
  ask("qRcmd," + to_hex("seek +7"));
  EXPECT_EQ(navigator.calls, (std::vector<std::string>{"seek 501", "seek 508"}));
  ask("s");
  EXPECT_EQ(navigator.calls.back(), "step 0");
  EXPECT_EQ(navigator.calls.size(), 3u);
  EXPECT_EQ(ask("QTinit"), "OK");
  EXPECT_EQ(ask("qTStatus"), "T0;tnotrun:0");
}

TEST_F(SessionTest, AnInterruptedWayToAFrameIsSaid) {
  EXPECT_EQ(ask("QTDP:1:80000010:E:0:0"), "OK");
  set_pc(0, 0x80000010);
  for (Icount at : {100, 200}) navigator.will_stop({Kind::Breakpoint, 0, {}}, at);
  navigator.will_stop({Kind::End, 0, {}}, 1000);
  navigator.seeks_interrupted = 2;
  EXPECT_EQ(ask("QTStart"), "OK");
  EXPECT_EQ(navigator.position(), 500u);
  navigator.on_seek = [this] { session.interrupt(); };
  navigator.seeks_interrupted = 3;
  EXPECT_EQ(ask("QTFrame:1"), "E.interrupted");
  EXPECT_EQ(navigator.position(), 500u);
  navigator.on_seek = nullptr;
  EXPECT_EQ(ask("QTFrame:0"), "F0T1");
  navigator.seeks_interrupted = 2;
  EXPECT_EQ(ask("QTFrame:ffffffff"), "F-1");
  EXPECT_EQ(navigator.position(), 500u);
  navigator.on_seek = [this] { session.interrupt(); };
  navigator.seeks_interrupted = 1;
  EXPECT_TRUE(ask("vRun;").starts_with("T02"));
}

TEST_F(SessionTest, AllExpressionsTogetherAreBounded) {
  const std::string code = "X10000," + std::string(2 * 0x10000, '2');
  unsigned points = 0, actions = 0;
  while (points < 1000 &&
         ask("Z0," + to_hex(std::string(1, static_cast<char>(points))) + ",4;" + code) == "OK")
    ++points;
  EXPECT_EQ(points, Motion::kMaxExpressionBytes / 0x10000);
  EXPECT_EQ(ask("Z0,80000000,4"), "OK");
  EXPECT_EQ(ask("QTDP:1:80000010:E:0:0:" + code), "OK");
  while (actions < 1000 && ask("QTDP:-1:80000010:" + code) == "OK") ++actions;
  EXPECT_EQ(actions + 1, Motion::kMaxExpressionBytes / 0x10000);
}

TEST_F(SessionTest, SearchesThatFailLeaveNothingBehind) {
  EXPECT_EQ(ask("Z2,80000100,4"), "OK");
  EXPECT_EQ(ask("QTDP:1:80000010:E:0:0"), "OK");
  navigator.on_move = [] { throw Fatal("the recording is damaged"); };
  EXPECT_EQ(from_hex(ask("qRcmd," + to_hex("last-write 0x80000100 4"))), "the recording is damaged\n");
  EXPECT_EQ(navigator.position(), 500u);
  // A store that changes nothing does not count.
  EXPECT_EQ(ask("QTStart"), kError);
  EXPECT_EQ(navigator.position(), 500u);
  EXPECT_TRUE(contains(ask("qTStatus"), "tstop:" + to_hex("failed")));
  navigator.on_move = nullptr;
  navigator.will_stop(watch_stop(kRam + 0x100, 1, 1, true), 700);
  navigator.will_stop({Kind::End, 0, {}}, 1000);
  EXPECT_TRUE(contains(ask("vCont;c"), "replaylog:end;"));
  EXPECT_TRUE(navigator.breakpoints.empty());
  EXPECT_EQ(navigator.watches.size(), 1u);
}

TEST_F(SessionTest, ActionsOfTracepointsCountInStateVariables) {
  EXPECT_EQ(ask("QTDV:1:5:0:666f6f"), "OK");
  EXPECT_EQ(ask("qTV:1"), "V5");
  EXPECT_EQ(ask("qTV:2"), "U");
  EXPECT_EQ(ask("QTDP:1:80000010:E:0:0-"), "OK");
  const std::string mask(1100, 'f');  // more registers than fit in a number
  // $foo = $foo + 2
  EXPECT_EQ(ask("QTDP:-1:80000010:R" + mask + "M-1,80000000,4Xa,2c00012202022d000127"), "OK");
  EXPECT_EQ(ask("QTDP:-1:80000010:SR03"), "OK");
  for (const char* bad : {"QTDP:-1:80000010:Q", "QTDP:-1:80000010:M1", "QTDP:-1:80000010:X5,22", "QTDV:1",
                          "QTDV:1:5", "QTDV:x:5:0:", "QTDV:10000:5:0:", "qTV:", "qTV:1x"})
    EXPECT_EQ(ask(bad), kError) << bad;
  set_pc(0, 0x80000010);
  for (Icount at : {100, 200}) navigator.will_stop({Kind::Breakpoint, 0, {}}, at);
  navigator.will_stop({Kind::End, 0, {}}, 1000);
  EXPECT_EQ(ask("QTStart"), "OK");
  EXPECT_EQ(ask("qTV:1"), "V9");
  EXPECT_EQ(ask("QTFrame:0"), "F0T1");
  EXPECT_EQ(ask("qTV:1"), "V7");
  EXPECT_EQ(ask("QTFrame:ffffffff"), "F-1");
  EXPECT_EQ(ask("QTinit"), "OK");
  EXPECT_EQ(ask("qTV:1"), "U");
}

TEST_F(SessionTest, BranchHistoryIsAskedForBySize) {
  EXPECT_EQ(ask("qXfer:btrace:read:all:0,1000"), kError);
  EXPECT_EQ(ask("qXfer:btrace-conf:read::0,1000"), kError);
  EXPECT_EQ(ask("Qbtrace-conf:bts:size=x10"), kError);
  EXPECT_EQ(ask("Qbtrace-conf:bts:size=0x4"), "OK");
  EXPECT_EQ(ask("Qbtrace:pt"), "");
  EXPECT_EQ(ask("Qbtrace:bts"), "OK");
  EXPECT_TRUE(contains(ask("qXfer:btrace-conf:read::0,1000"), "<bts size=\"0x4\"/>"));
  EXPECT_EQ(ask("qXfer:btrace:read:delta:0,1000"), kError);
  set_pc(0, 0x80000010);
  EXPECT_TRUE(
      contains(ask("qXfer:btrace:read:all:0,1000"),
               "<btrace version=\"1.0\">\n<block begin=\"0x80000010\" end=\"0x80000010\"/>\n</btrace>"));
  EXPECT_EQ(navigator.position(), 500u);
  EXPECT_EQ(ask("Qbtrace:off"), "OK");
  EXPECT_EQ(ask("qXfer:btrace:read:all:0,1000"), kError);
}

}  // namespace
}  // namespace hindcast::gdb
