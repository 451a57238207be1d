// What a session does with what was really recorded.
#include <fmt/format.h>

#include "tests/gdb/recording_fixture.h"

namespace hindcast::gdb {
namespace {

TEST_F(RecordingSession, LastWriteNamesTheStoreJustExecuted) {
  for (const bool live : {false, true}) {
    SCOPED_TRACE(live);
    if (live)
      start();
    else
      open();
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(ask(fmt::format("Z2,{:x},8", kChecksum)), "OK");
      EXPECT_TRUE(contains(ask("vCont;c"), "watch:"));
      // The stop is before the access, over which gdb steps without the watchpoint.
      EXPECT_EQ(ask(fmt::format("z2,{:x},8", kChecksum)), "OK");
      ask("vCont;s:1");
    }
    const Icount here = timeline->position();
    EXPECT_TRUE(contains(monitor(fmt::format("last-write {:#x} 8", kChecksum)),
                         fmt::format("icount {} of", here - 1)));
    EXPECT_EQ(timeline->position(), here);
  }
}

TEST_F(RecordingSession, InterruptedSearchesComeBack) {
  start();
  timeline->run(4'000'000);
  const Icount here = 3'900'000;
  timeline->seek(here);
  EXPECT_EQ(ask("QTDP:1:f0000000:E:0:0"), "OK");  // never
  EXPECT_EQ(ask("Qbtrace-conf:bts:size=100000"), "OK");
  EXPECT_EQ(ask("Qbtrace:bts"), "OK");
  const Impatient impatient(*session);
  EXPECT_EQ(monitor("last-write 0x80f00000 8"), "interrupted\n");
  EXPECT_EQ(timeline->position(), here);
  EXPECT_EQ(ask("QTStart"), "OK");
  EXPECT_TRUE(contains(ask("qTStatus"), "tstop:" + to_hex("interrupted")));
  EXPECT_EQ(timeline->position(), here);
  EXPECT_EQ(ask("qXfer:btrace:read:all:0,1000"), kError);
  EXPECT_EQ(timeline->position(), here);
}

TEST_F(RecordingSession, ABranchLeavesAndForgetsTheFrames) {
  open();
  timeline->seek(20'000);
  const GuestAddr pc = timeline->machine().current().pc();
  timeline->seek(30'000);
  EXPECT_EQ(ask(fmt::format("QTDP:1:{:x}:E:0:3", pc)), "OK");
  EXPECT_EQ(ask("QTStart"), "OK");
  EXPECT_EQ(ask("QTFrame:0"), "F0T1");
  EXPECT_NE(timeline->position(), 30'000u);
  EXPECT_TRUE(contains(monitor("branch " + (folder_ / "branch")), "icount 30000 of"));
  EXPECT_EQ(timeline->position(), 30'000u);
  EXPECT_EQ(ask("qTStatus"), "T0;tnotrun:0");
  EXPECT_EQ(ask("QTFrame:0"), "F-1");
  EXPECT_TRUE(ask("s").starts_with("T05"));
  EXPECT_EQ(timeline->position(), 30'001u);
}

/// Each hart counts for ever.
Bytes counting_program() {
  using A = replay::test::Assembler;
  A a;
  const A::Label loop = a.label();
  a.bind(loop);
  for (int i = 0; i < 5; ++i) a.addi(A::t0, A::t0, 1);
  a.j(loop);
  return a.take();
}

TEST_F(RecordingSession, BranchHistoryIsOfTheInstructionsOfOneVcpu) {
  start(counting_program(), 2);
  timeline->run(20'000);
  // The other one has run almost until now.
  timeline->step(1);
  timeline->step(0, 3);
  const Icount here = timeline->position();
  const GuestAddr last = timeline->machine().vcpu(0).pc();
  std::vector<GuestAddr> pcs;
  for (int i = 0; i < 4; ++i) {
    timeline->step_back(0);
    pcs.push_back(timeline->machine().vcpu(0).pc());
  }
  ASSERT_LT(timeline->position() + 100, here);
  timeline->seek(here);
  EXPECT_EQ(ask("Qbtrace:bts"), "OK");
  EXPECT_EQ(ask("Qbtrace-conf:bts:size=4"), "OK");
  // From wherever in the loop: four instructions, and the one to come.
  std::string blocks;
  GuestAddr begin = pcs.back(), end = begin;
  const auto add = [&] {
    blocks = fmt::format("<block begin=\"{:#x}\" end=\"{:#x}\"/>\n", begin, end) + blocks;
  };
  for (std::size_t i = pcs.size(); i-- > 0;) {
    const GuestAddr next = i == 0 ? last : pcs[i - 1];
    if (next != end + 4) {
      add();
      begin = next;
    }
    end = next;
  }
  add();
  const std::string document = ask("qXfer:btrace:read:all:0,1000");
  EXPECT_TRUE(contains(document, "<btrace version=\"1.0\">\n" + blocks + "</btrace>")) << document << blocks;
  EXPECT_EQ(timeline->position(), here);
  // All that there is, from the beginning.
  EXPECT_EQ(ask("Qbtrace-conf:bts:size=f4240"), "OK");
  EXPECT_TRUE(contains(ask("qXfer:btrace:read:all:0,100000"), "begin=\"0x80000000\""));
  EXPECT_EQ(timeline->position(), here);
}

}  // namespace
}  // namespace hindcast::gdb
