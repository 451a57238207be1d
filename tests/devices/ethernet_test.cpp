// The Ethernet controllers of the Arm boards, as drivers and the wire use them.
#include <gtest/gtest.h>

#include <random>

#include "targets/devices/ethernet.h"
#include "tests/devices/arm_board.h"
#include "tests/devices/virt_fixture.h"

namespace hindcast::test {
namespace {

const Bytes kOwn = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56}, kOther = {0x52, 0x54, 0x00, 0x12, 0x34, 0x57},
            kAll = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, kGroup = {0x01, 0x00, 0x5e, 0x00, 0x00, 0xfb};

Bytes frame_to(const Bytes& to, std::size_t size = 60) {
  Bytes frame = to;
  frame.insert(frame.end(), kOther.begin(), kOther.end());
  frame.insert(frame.end(), {0x08, 0x00});
  for (std::size_t i = frame.size(); i < size; ++i) frame.push_back(static_cast<u8>(i));
  return frame;
}
std::string text(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

TEST(Ethernet, ChecksumAndHashAreTheStandards) {
  const std::string_view digits = "123456789";
  const ByteView view{reinterpret_cast<const u8*>(digits.data()), digits.size()};
  EXPECT_EQ(devices::frame_check(view), 0xcbf43926u);
  // The upper six bits of the checksum that leaves first-bit-first, as Linux's ether_crc() has it.
  EXPECT_EQ(devices::group_hash(kAll), 0xff48647du >> 26);
}

TEST(Ethernet, MoreCablesThanAdaptersAreRefused) {
  FakePort port;
  const auto message = [&](const char* board, unsigned cables) {
    MachineConfig config = arm_config(board, cables);
    return fatal_message([&] { Registry::instance().build(config, {}, port); });
  };
  EXPECT_NE(message("microbit", 1).find("no network adapter"), std::string::npos);
  EXPECT_NE(message("mps2-an385", 2).find("1 network adapter"), std::string::npos);
  EXPECT_EQ(message("mps2-an385", 1), "");
}

// ---- LAN9118 -------------------------------------------------------------------------------------------

constexpr GuestAddr kLan = 0x40200000;
constexpr unsigned kLanIrq = 13;

class Lan : public Board {
 public:
  explicit Lan(bool cable = true, const char* board = "mps2-an385", GuestAddr at = kLan)
      : Board(board, {}, cable ? 1 : 0), base(at) {
    write(base + 0x70, 2);
    mac_write(1, 1 << 20 | 1 << 3 | 1 << 2);
    write(base + 0x5c, 1 << 3);
    write(base + 0x54, 0x111);
  }
  u32 mac_read(u32 n) {
    write(base + 0xa4, 0xc0000000 | n);
    return read(base + 0xa8);
  }
  void mac_write(u32 n, u32 value) {
    write(base + 0xa8, value);
    write(base + 0xa4, 0x80000000 | n);
  }
  u32 phy_read(u32 n) {
    mac_write(6, 1 << 11 | n << 6);
    return mac_read(7);
  }
  void phy_write(u32 n, u32 value) {
    mac_write(7, value);
    mac_write(6, 1 << 11 | n << 6 | 2);
  }
  u32 waiting() { return read(base + 0x7c) >> 16; }
  u32 status() { return read(base + 0x58); }
  u32 take_words(u32 words, Bytes* out = nullptr) {
    for (u32 i = 0; i < words; ++i) {
      const u32 word = read(base);
      for (unsigned k = 0; out != nullptr && k < 4; ++k) out->push_back(static_cast<u8>(word >> (8 * k)));
    }
    return read(base + 0x7c) & 0xffff;
  }
  const GuestAddr base;
  /// One buffer of a packet.
  void load(u32 a, u32 b, u32 words) {
    write(base + 0x20, a);
    write(base + 0x20, b);
    for (u32 i = 0; i < words; ++i) write(base + 0x20, 0x03020100 + 0x04040404 * i);
  }
};

TEST(Lan9118, IsFoundWithItsAddressAndALink) {
  Lan lan;
  EXPECT_EQ(lan.read(kLan + 0x50) >> 16, 0x118u);
  EXPECT_EQ(lan.read(kLan + 0x64), 0x87654321u);
  EXPECT_EQ(lan.mac_read(3), 0x12005452u);
  EXPECT_EQ(lan.mac_read(2), 0x5634u);
  EXPECT_EQ(lan.phy_read(2), 7u);
  EXPECT_EQ(lan.phy_read(1) & 0x24, 0x24u);
  EXPECT_EQ(Lan(false).phy_read(1) & 0x24, 0u);
  // Another PHY address: nobody.
  lan.mac_write(6, 2 << 11 | 1 << 6);
  EXPECT_EQ(lan.mac_read(7), 0xffffu);
}

TEST(Lan9118, IsOnEveryMpsBoard) {
  struct {
    const char* board;
    GuestAddr at;
    unsigned irq;
  } const boards[] = {{"mps2-an385", kLan, 13},       {"mps2-an386", kLan, 13},
                      {"mps2-an500", 0xa0000000, 13}, {"mps2-an505", 0x42000000, 48},
                      {"mps2-an505", 0x52000000, 48}, {"mps2-an521", 0x42000000, 48},
                      {"mps3-an547", 0x41400000, 49}, {"mps3-an547", 0x51400000, 49}};
  for (const auto& [board, at, irq] : boards) {
    SCOPED_TRACE(board);
    Lan lan(true, board, at);
    EXPECT_EQ(lan.read(at + 0x50), 0x01180001u);
    ASSERT_TRUE(lan.arrive(frame_to(kOwn)));
    EXPECT_TRUE(lan.pending(irq));
    EXPECT_EQ(lan.read(at), 0x12005452u);
    lan.load(1 << 13 | 1 << 12 | 16, 1 << 12 | 16, 4);
    EXPECT_EQ(lan.sent(), text({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}));
  }
}

TEST(Lan9118, TheAddressComesFromTheEeprom) {
  Lan lan;
  lan.write(kLan + 0xb0, 0x80000001);
  EXPECT_EQ(lan.read(kLan + 0xb4), 0x52u);
  lan.write(kLan + 0xb4, 0x66);
  lan.write(kLan + 0xb0, 0xb0000001);  // not without permission
  lan.write(kLan + 0xb0, 0x80000001);
  EXPECT_EQ(lan.read(kLan + 0xb4), 0x52u);
  lan.write(kLan + 0xb0, 0xa0000000);
  lan.write(kLan + 0xb4, 0x66);
  lan.write(kLan + 0xb0, 0xb0000001);
  lan.write(kLan + 0xb0, 0xf0000000);  // load again
  EXPECT_EQ(lan.mac_read(3), 0x12005466u);
}

TEST(Lan9118, AFrameArrivesWithItsChecksumAndAnInterrupt) {
  Lan lan;
  const Bytes frame = frame_to(kOwn, 61);
  ASSERT_TRUE(lan.arrive(frame));
  EXPECT_TRUE(lan.pending(kLanIrq));
  EXPECT_EQ(lan.waiting(), 1u);
  EXPECT_EQ(lan.read(kLan + 0x7c) & 0xffff, 68u);
  EXPECT_EQ(lan.read(kLan + 0x44), 65u << 16 | 0x20);
  EXPECT_EQ(lan.read(kLan + 0x40), 65u << 16 | 0x20);
  Bytes bytes;
  EXPECT_EQ(lan.take_words(17, &bytes), 0u);
  EXPECT_TRUE(std::equal(frame.begin(), frame.end(), bytes.begin()));
  bytes.resize(65);
  EXPECT_EQ(devices::frame_check(bytes), 0x2144df1cu);  // what every right frame leaves
  lan.write(kLan + 0x58, 1 << 3);
  EXPECT_EQ(lan.status() & 8, 0u);
}

TEST(Lan9118, AnInterruptTakenBackComesAgainWithTheNextFrameOrWhenAskedAnew) {
  Lan lan;
  lan.arrive(frame_to(kOwn));
  lan.write(kLan + 0x58, 1 << 3);
  EXPECT_EQ(lan.status() & 8, 0u) << "although the frame is still there, as under QEMU";
  lan.arrive(frame_to(kOwn));
  EXPECT_NE(lan.status() & 8, 0u);
  lan.write(kLan + 0x58, 1 << 3);
  lan.write(kLan + 0x5c, 0);
  lan.write(kLan + 0x5c, 1 << 3);
  EXPECT_NE(lan.status() & 8, 0u);
}

TEST(Lan9118, OffsetsAndAlignmentOfReceivedData) {
  Lan lan;
  lan.write(kLan + 0x6c, 2u << 30 | 2 << 8);
  lan.arrive(frame_to(kOwn, 60));
  EXPECT_EQ(lan.read(kLan + 0x7c) & 0xffff, 96u);  // 2 + 64, to 32
  EXPECT_EQ(lan.read(kLan) >> 16, 0x5452u);
  lan.write(kLan + 0x78, 0x80000000);
  EXPECT_EQ(lan.read(kLan + 0x7c) & 0xffff, 0u);
}

TEST(Lan9118, FiltersByAddress) {
  Lan lan;
  const auto passes = [&](const Bytes& to) {
    lan.write(kLan + 0x6c, 0x8000);
    EXPECT_TRUE(lan.arrive(frame_to(to)));
    return lan.waiting() != 0;
  };
  constexpr u32 kOn = 1 << 20 | 12;
  EXPECT_TRUE(passes(kOwn));
  EXPECT_TRUE(passes(kAll));
  EXPECT_FALSE(passes(kOther));
  EXPECT_FALSE(passes(kGroup));
  lan.mac_write(1, kOn | 1 << 19);
  EXPECT_TRUE(passes(kGroup));
  lan.mac_write(1, kOn | 1 << 13);
  EXPECT_FALSE(passes(kGroup));
  const unsigned hash = devices::group_hash(kGroup);
  lan.mac_write(hash >= 32 ? 4 : 5, 1u << hash % 32);
  EXPECT_TRUE(passes(kGroup));
  lan.mac_write(1, kOn | 1 << 11);
  EXPECT_FALSE(passes(kAll));
  lan.mac_write(1, kOn | 1 << 17);
  EXPECT_TRUE(passes(kOther));
  EXPECT_FALSE(passes(kOwn));
  lan.mac_write(1, kOn | 1u << 31);
  EXPECT_TRUE(passes(kOther));
  EXPECT_NE(lan.read(kLan + 0x40) & 1 << 30, 0u) << "marked as filtered";
  lan.mac_write(1, kOn | 1 << 18);
  EXPECT_TRUE(passes(kOther));
}

TEST(Lan9118, FramesWaitOnTheWireWhileThereIsNoRoom) {
  Lan lan;
  unsigned n = 0;
  while (lan.arrive(frame_to(kOwn, 1514))) ++n;
  EXPECT_EQ(n, 6u);  // of 1520 bytes in 10560
  EXPECT_EQ(lan.waiting(), n);
  const unsigned before = lan.port.readies[kWire];
  lan.read(kLan + 0x40);
  lan.take_words(380);
  EXPECT_GT(lan.port.readies[kWire], before);
  EXPECT_TRUE(lan.arrive(frame_to(kOwn, 1514)));
  lan.mac_write(1, 1 << 3);
  EXPECT_FALSE(lan.arrive(frame_to(kOwn))) << "the receiver is off";
  EXPECT_NE(lan.status() & 1 << 24, 0u);
}

TEST(Lan9118, SendsPacketsOfSeveralBuffers) {
  Lan lan;
  lan.write(kLan + 0x5c, 1 << 21);
  // 3 bytes from the second of a word on; then 13 with alignment to 16 bytes.
  lan.load(1 << 16 | 1 << 13 | 3, 0xabcd << 16 | 1 << 12 | 16, 1);
  EXPECT_EQ(lan.sent(), "");
  EXPECT_LT(lan.read(kLan + 0x80) & 0xffff, 0x1200u);
  EXPECT_FALSE(lan.pending(kLanIrq));
  lan.load(1u << 31 | 1 << 24 | 1 << 12 | 13, 0xabcd << 16 | 1 << 12 | 16, 4);
  EXPECT_EQ(lan.sent(), text({1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
  EXPECT_TRUE(lan.pending(kLanIrq));
  EXPECT_EQ(lan.read(kLan + 0x80), 1u << 16 | 0x1200);
  EXPECT_EQ(lan.read(kLan + 0x4c), 0xabcd0000u);
  EXPECT_EQ(lan.read(kLan + 0x48), 0xabcd0000u);
  EXPECT_EQ(lan.read(kLan + 0x80), 0x1200u);
}

TEST(Lan9118, PadsAndTakesTheGuestsOwnChecksumOff) {
  Lan lan;
  lan.load(1 << 13 | 1 << 12 | 16, 16, 4);
  EXPECT_EQ(lan.sent().size(), 60u);
  lan.load(1 << 13 | 1 << 12 | 20, 1 << 13 | 1 << 12 | 20, 5);
  EXPECT_EQ(lan.sent().size(), 16u);
}

TEST(Lan9118, CommandsThatContradictEachOtherAreAnError) {
  Lan lan;
  lan.load(1 << 13 | 1 << 12 | 16, 20, 4);  // lengths differ
  EXPECT_NE(lan.status() & 1 << 13, 0u);
  lan.write(kLan + 0x58, ~0u);
  lan.load(1 << 12 | 16, 16, 4);  // never begun
  EXPECT_NE(lan.status() & 1 << 13, 0u);
  lan.write(kLan + 0x58, ~0u);
  EXPECT_EQ(lan.sent(), "");
  lan.load(1 << 13 | 1 << 12 | 16, 1 << 12 | 16, 4);
  EXPECT_EQ(lan.status() & 1 << 13, 0u);
  EXPECT_EQ(lan.sent().size(), 16u);
}

TEST(Lan9118, PacketsWaitForTheTransmitterAndOverrunsAreTold) {
  Lan lan;
  lan.write(kLan + 0x70, 0);
  for (int i = 0; i < 8; ++i) lan.load(1 << 13 | 1 << 12 | 1000, 1000, 250);
  EXPECT_EQ(lan.sent(), "");
  EXPECT_NE(lan.status() & 1 << 10, 0u);
  EXPECT_LT(lan.read(kLan + 0x80) & 0xffff, 1000u);
  lan.write(kLan + 0x70, 2);
  EXPECT_EQ(lan.sent().size(), 4000u);
  lan.write(kLan + 0x70, 0x4000 | 0x8000 | 2);
  EXPECT_EQ(lan.read(kLan + 0x80), 0x1200u);
}

TEST(Lan9118, PacketsWithoutDataHaveABoundToo) {
  Lan lan;
  lan.write(kLan + 0x70, 0);
  for (int i = 0; i < 1000; ++i) lan.load(1 << 13 | 1 << 12, 0, 0);
  EXPECT_NE(lan.status() & 1 << 10, 0u);
  lan.write(kLan + 0x70, 2);
  const u32 told = lan.read(kLan + 0x80) >> 16 & 0xff;
  EXPECT_GT(told, 0u);
  EXPECT_LE(told, 128u);
}

TEST(Lan9118, LoopsBackInside) {
  Lan lan;
  lan.phy_write(0, 0x4000);
  lan.mac_write(1, 1 << 20 | 1 << 18 | 12);
  lan.load(1 << 13 | 1 << 12 | 60, 60, 15);
  EXPECT_EQ(lan.sent(), "");
  EXPECT_EQ(lan.waiting(), 1u);
}

TEST(Lan9118, ReadingWhatIsNotThereIsAnError) {
  Lan lan;
  EXPECT_EQ(lan.read(kLan), 0u);
  EXPECT_NE(lan.status() & 1 << 14, 0u);
  lan.write(kLan + 0x78, 0x80000000);
  lan.read(kLan + 0x40);
}

TEST(Lan9118, AnyGuestIsWithinBounds) {
  for (u64 seed = 0; seed < 4; ++seed) {
    Lan lan(seed % 2 == 0);
    std::mt19937_64 random(seed);
    for (int i = 0; i < 20'000; ++i) {
      const GuestAddr at = kLan + (random() % 3 == 0 ? 0x20 : random() % 64 * 4);
      switch (random() % 8) {
        case 0: lan.read(at, 1u << random() % 3); break;
        case 1:
          if (seed % 2 == 0) lan.arrive(frame_to(random() % 2 == 0 ? kOwn : kAll, 14 + random() % 2000));
          break;
        case 2: lan.mac_write(random() % 16, static_cast<u32>(random())); break;
        case 3: lan.load(static_cast<u32>(random()) & 0x831f37ff, static_cast<u32>(random()), 3); break;
        default: lan.write(at, static_cast<u32>(random())); break;
      }
      lan.sent();
    }
  }
}

// ---- Stellaris -----------------------------------------------------------------------------------------

constexpr GuestAddr kMac = 0x40048000;
constexpr unsigned kMacIrq = 42;

class Stellaris : public Board {
 public:
  explicit Stellaris(bool cable = true) : Board("lm3s6965evb", {}, cable ? 1 : 0) {
    write(kMac + 0x04, 0x7f);
    write(kMac + 0x08, 1);
    write(kMac + 0x0c, 1 | 2 | 4);
    write(kMac, 0x7f);
    take_back(kMacIrq);
  }
  u32 phy_read(u32 n) {
    write(kMac + 0x20, n << 3 | 1);
    return read(kMac + 0x30);
  }
  void load(u32 length, std::size_t bytes) {
    for (std::size_t at = 0; at < bytes; at += 4)
      write(kMac + 0x10, static_cast<u32>(at == 0 ? length : 0) | 0x01010101 * static_cast<u32>(at / 4)
                                                                      << 16);
  }
};

TEST(StellarisEthernet, HasItsAddressAndALink) {
  Stellaris board;
  EXPECT_EQ(board.read(kMac + 0x14), 0x12005452u);
  EXPECT_EQ(board.read(kMac + 0x18), 0x5634u);
  EXPECT_EQ(board.phy_read(1) & 0x24, 0x24u);
  EXPECT_EQ(board.phy_read(2), 0xeu);
  EXPECT_NE(board.read(kMac) & 0x20, 0u);
  EXPECT_EQ(Stellaris(false).phy_read(1) & 0x24, 0u);
}

TEST(StellarisEthernet, NegotiationBeginsWhenItIsAllowedOrAskedFor) {
  Stellaris board;
  const auto write_control = [&](u32 value) {
    board.write(kMac + 0x2c, value);
    board.write(kMac + 0x20, 0 << 3 | 3);
  };
  EXPECT_EQ(board.phy_read(17) & 1, 1u) << "after the reset";
  EXPECT_EQ(board.phy_read(17), 0u) << "read to clear";
  write_control(0x2100);
  EXPECT_EQ(board.phy_read(1) & 0x24, 4u) << "a link without negotiation";
  EXPECT_EQ(board.phy_read(17), 0u);
  for (const u32 control : {0x3100u, 0x3300u}) {
    write_control(control);
    EXPECT_EQ(board.phy_read(17) & 1, 1u);
    EXPECT_EQ(board.phy_read(1) & 0x24, 0x24u);
    EXPECT_EQ(board.phy_read(0), 0x3100u);
  }
  write_control(0x3100);
  EXPECT_EQ(board.phy_read(17), 0u) << "nothing new";
}

TEST(StellarisEthernet, AFrameArrivesBehindItsLength) {
  Stellaris board;
  const Bytes frame = frame_to(kOwn, 61);
  ASSERT_TRUE(board.arrive(frame));
  EXPECT_TRUE(board.pending(kMacIrq));
  EXPECT_EQ(board.read(kMac + 0x34), 1u);
  Bytes bytes;
  for (int i = 0; i < 17; ++i) {
    EXPECT_EQ(board.read(kMac + 0x34), 1u);
    const u32 word = board.read(kMac + 0x10);
    for (unsigned k = 0; k < 4; ++k) bytes.push_back(static_cast<u8>(word >> (8 * k)));
  }
  EXPECT_EQ(board.read(kMac + 0x34), 0u);
  EXPECT_EQ(bytes[0] | bytes[1] << 8, 67);
  EXPECT_TRUE(std::equal(frame.begin(), frame.end(), bytes.begin() + 2));
  EXPECT_EQ(devices::frame_check(ByteView(bytes).subspan(2, 65)), 0x2144df1cu);
}

TEST(StellarisEthernet, FiltersAndHoldsWhatFits) {
  Stellaris board;
  board.arrive(frame_to(kOther));
  board.arrive(frame_to(kGroup));
  EXPECT_EQ(board.read(kMac + 0x34), 0u);
  board.write(kMac + 0x08, 1 | 2);
  board.arrive(frame_to(kGroup));
  board.write(kMac + 0x08, 1 | 4);
  board.arrive(frame_to(kOther));
  EXPECT_EQ(board.read(kMac + 0x34), 2u);
  board.write(kMac + 0x08, 1 | 0x10);
  EXPECT_EQ(board.read(kMac + 0x34), 0u);
  unsigned n = 0;
  while (board.arrive(frame_to(kOwn))) ++n;
  EXPECT_EQ(n, 30u);  // of 68 bytes in 2048
}

TEST(StellarisEthernet, SendsWhenAskedOrAtTheThreshold) {
  Stellaris board;
  board.load(46, 64);
  EXPECT_EQ(board.sent(), "");
  board.write(kMac + 0x38, 1);
  EXPECT_EQ(board.sent().size(), 60u);
  EXPECT_NE(board.read(kMac) & 4, 0u);
  EXPECT_EQ(board.read(kMac + 0x38), 0u);
  board.write(kMac + 0x1c, 4);
  board.load(100, 116);
  EXPECT_EQ(board.sent().size(), 114u);
  board.write(kMac + 0x1c, 0x3f);
  board.load(1500, 16);
  board.write(kMac + 0x38, 1);
  EXPECT_EQ(board.sent(), "");
  EXPECT_NE(board.read(kMac) & 2, 0u) << "a frame that is not all there";
  board.load(1500, 4000);
  EXPECT_NE(board.read(kMac) & 2, 0u) << "more than the FIFO holds";
  board.write(kMac, 2);
  board.load(10, 28);
  board.write(kMac + 0x38, 1);
  EXPECT_EQ(board.sent().size(), 60u) << "padded, and nothing is left of what was before";
}

TEST(StellarisEthernet, AnyGuestIsWithinBounds) {
  for (u64 seed = 0; seed < 4; ++seed) {
    Stellaris board(seed % 2 == 0);
    std::mt19937_64 random(seed);
    for (int i = 0; i < 20'000; ++i) {
      const GuestAddr at = kMac + (random() % 3 == 0 ? 0x10 : random() % 20 * 4);
      if (random() % 4 == 0)
        board.read(at, 1u << random() % 3);
      else if (random() % 4 == 0 && seed % 2 == 0)
        board.arrive(frame_to(kAll, 14 + random() % 2000));
      else
        board.write(at, static_cast<u32>(random()) >> random() % 32);
      board.sent();
    }
  }
}

}  // namespace
}  // namespace hindcast::test
