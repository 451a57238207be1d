// Packets that were damaged at random: each gets an answer, and nothing throws.
#include <array>
#include <random>

#include "tests/gdb/recording_fixture.h"
#include "tests/gdb/session_fixture.h"

namespace hindcast::gdb {
namespace {

const std::vector<std::string> kSeeds = {"qSupported:swbreak+",
                                         "qXfer:features:read:target.xml:0,ffff",
                                         "m80000100,4",
                                         "x80000100,4",
                                         "Z0,80000010,4",
                                         "Z2,80000100,4",
                                         "z2,80000100,4",
                                         "Z0,80000010,4;Xa,24800001001922071327",
                                         "vCont;s:2;c",
                                         "vCont;r10,20:1",
                                         "p20",
                                         "g",
                                         "Hg2",
                                         "T1",
                                         "qThreadExtraInfo,1",
                                         "qSearch:memory:80000000;1000;abc",
                                         "qCRC:80000000,1000",
                                         "qRcmd,7768656e",
                                         "vFile:open:2f,0,0",
                                         "vFile:pread:3,1,1",
                                         "vFile:open:2f696d6167652e656c66,0,0",
                                         "vFile:fstat:3",
                                         "vFile:close:3",
                                         "vFile:setfs:0",
                                         "vFile:readlink:2f",
                                         "vFile:unlink:2f",
                                         "vFile:pwrite:3,0,abc",
                                         "vCont?",
                                         "vKill;1",
                                         "!",
                                         "M80000100,2:0102",
                                         "G0011",
                                         "c80000000",
                                         "S05",
                                         "qTP:1:80000010",
                                         "QTEnable:1:80000010",
                                         "qXfer:exec-file:read:1:0,100",
                                         "qXfer:btrace-conf:read::0,100",
                                         "qRcmd,6c6173742d77726974652030783830303030313030",
                                         "bc",
                                         "bs",
                                         "?",
                                         "P20=00",
                                         "X80000100,1:a",
                                         "qXfer:memory-map:read::0,1000",
                                         "qRcmd,7365656b2031",
                                         "vRun;",
                                         "D;1",
                                         "QTDP:1:80000010:E:0:0-",
                                         "QTDP:2:80000020:E:3:1:X3,220127",
                                         "QTStart",
                                         "QTDP:-1:80000010:R0fM-1,80000000,4Xa,2c00012202022d000127",
                                         "QTDV:1:5:0:666f6f",
                                         "qTV:1",
                                         "Z0,80000010,4;X3,220127;cmds:0,Xf,2207220022003401000425640a0027",
                                         "Z2,80000100,4;Xa,24800002001922071327",
                                         "qXfer:osdata:read::0,1000",
                                         "qXfer:osdata:read:devices:0,1000",
                                         "vFlashErase:20000000,1000",
                                         "vFlashWrite:20000000:abc",
                                         "vFlashDone",
                                         "Qqemu.PhyMemMode:1",
                                         "qqemu.PhyMemMode",
                                         "vRun;;323525",
                                         "QTFrame:0",
                                         "QTFrame:range:0:ffffffff",
                                         "qTStatus",
                                         "Qbtrace:bts",
                                         "Qbtrace-conf:bts:size=20",
                                         "qXfer:btrace:read:all:0,1000",
                                         "qC"};

/// A packet that gdb sends, damaged.
std::string damaged(std::mt19937& random) {
  std::string packet = kSeeds[random() % kSeeds.size()];
  for (unsigned changes = random() % 4; changes-- > 0;) {
    const std::size_t at = random() % (packet.size() + 1);
    switch (random() % 4) {
      case 0: packet.insert(at, 1, static_cast<char>(random())); break;
      case 1: packet.erase(at, 1 + random() % 3); break;
      case 2: packet.insert(at, kSeeds[random() % kSeeds.size()]); break;
      default:
        if (at < packet.size()) packet[at] = ",;:-0f9#"[random() % 8];
    }
  }
  return packet;
}

void expect_answer(Session& session, const std::string& packet) {
  const auto reply = session.handle(packet);
  if (!reply) {
    EXPECT_TRUE(packet[0] == 'k' || packet[0] == 'R') << packet;
  }
}

TEST_F(SessionTest, AnyPacketGetsAnAnswerWithoutHarm) {
  std::mt19937 random(3);
  navigator.on_move = [&] {
    navigator.will_stop({std::array{Kind::Arrived, Kind::Breakpoint, Kind::Begin, Kind::End}[random() % 4],
                         static_cast<unsigned>(random() % 2),
                         {}},
                        random() % 1000);
  };
  for (int round = 0; round < 20000; ++round) expect_answer(session, damaged(random));
}

TEST_F(RecordingSession, AnyPacketGetsAnAnswerOnALiveRun) {
  std::mt19937 random(5);
  start();
  const Impatient impatient(*session);
  for (int round = 0; round < 3000; ++round) {
    const std::string packet = damaged(random);
    // Each branch is a folder.
    if (packet.find(to_hex("branch")) == packet.npos) expect_answer(*session, packet);
  }
  EXPECT_TRUE(ask("?").starts_with("T"));
  EXPECT_GT(timeline->end(), 0u);
}

}  // namespace
}  // namespace hindcast::gdb
