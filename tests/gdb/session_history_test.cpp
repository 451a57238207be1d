// What packets say of the past: tracepoints and branch traces.
#include <array>

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
  EXPECT_EQ(ask("QTinit"), "OK");
  EXPECT_EQ(ask("qTStatus"), "T0;tnotrun:0");
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

TEST_F(SessionTest, BranchHistoryIsTheWayToTheCursor) {
  EXPECT_EQ(ask("qXfer:btrace:read:all:0,1000"), kError);
  EXPECT_EQ(ask("qXfer:btrace-conf:read::0,1000"), kError);
  EXPECT_EQ(ask("Qbtrace-conf:bts:size=x10"), kError);
  EXPECT_EQ(ask("Qbtrace-conf:bts:size=0x4"), "OK");
  EXPECT_EQ(ask("Qbtrace:pt"), "");
  EXPECT_EQ(ask("Qbtrace:bts"), "OK");
  EXPECT_TRUE(contains(ask("qXfer:btrace-conf:read::0,1000"), "<bts size=\"0x4\"/>"));
  EXPECT_EQ(ask("qXfer:btrace:read:delta:0,1000"), kError);
  const std::array<GuestAddr, 5> way = {0x80000010, 0x80000014, 0x80000100, 0x80000102, 0x80000010};
  std::size_t at = 0;
  set_pc(0, way[0]);
  navigator.on_move = [&] {
    set_pc(0, way[++at]);
    navigator.will_stop({Kind::Arrived, 0, {}}, 496 + at);
  };
  const std::string document = ask("qXfer:btrace:read:all:0,1000");
  EXPECT_TRUE(contains(document,
                       "<block begin=\"0x80000010\" end=\"0x80000010\"/>\n"
                       "<block begin=\"0x80000100\" end=\"0x80000102\"/>\n"
                       "<block begin=\"0x80000010\" end=\"0x80000014\"/>\n"))
      << document;
  EXPECT_EQ(navigator.position(), 500u);
  EXPECT_EQ(ask("Qbtrace:off"), "OK");
  EXPECT_EQ(ask("qXfer:btrace:read:all:0,1000"), kError);
}

}  // namespace
}  // namespace hindcast::gdb
