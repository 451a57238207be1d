// Packets that were damaged at random: each gets an answer, and nothing throws.
#include <array>
#include <random>

#include "tests/gdb/session_fixture.h"

namespace hindcast::gdb {
namespace {

TEST_F(SessionTest, AnyPacketGetsAnAnswerWithoutHarm) {
  const std::vector<std::string> seeds = {"qSupported:swbreak+",
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
                                          "QTFrame:0",
                                          "QTFrame:range:0:ffffffff",
                                          "qTStatus",
                                          "Qbtrace:bts",
                                          "Qbtrace-conf:bts:size=20",
                                          "qXfer:btrace:read:all:0,1000",
                                          "qC"};
  std::mt19937 random(3);
  navigator.on_move = [&] {
    navigator.will_stop({std::array{Kind::Arrived, Kind::Breakpoint, Kind::Begin, Kind::End}[random() % 4],
                         static_cast<unsigned>(random() % 2),
                         {}},
                        random() % 1000);
  };
  for (int round = 0; round < 20000; ++round) {
    std::string packet = seeds[random() % seeds.size()];
    for (unsigned changes = random() % 4; changes-- > 0;) {
      const std::size_t at = random() % (packet.size() + 1);
      switch (random() % 4) {
        case 0: packet.insert(at, 1, static_cast<char>(random())); break;
        case 1: packet.erase(at, 1 + random() % 3); break;
        case 2: packet.insert(at, seeds[random() % seeds.size()]); break;
        default:
          if (at < packet.size()) packet[at] = ",;:-0f9#"[random() % 8];
      }
    }
    const auto reply = session.handle(packet);
    if (!reply) {
      EXPECT_TRUE(packet[0] == 'k' || packet[0] == 'R') << packet;
    }
  }
}

}  // namespace
}  // namespace hindcast::gdb
