#include "gdb/packet.h"

#include <gtest/gtest.h>

#include <random>

namespace hindcast::gdb {
namespace {

using Kind = Item::Kind;

TEST(Packet, FramesCarryTheSumOfTheirBytes) {
  EXPECT_EQ(frame(""), "$#00");
  EXPECT_EQ(frame("OK"), "$OK#9a");
  EXPECT_EQ(frame("g"), "$g#67");
}

TEST(Packet, AreReadWhateverPiecesTheyArriveIn) {
  const std::string stream = "+$qC#b4-\x03" + frame("m0,4");
  PacketReader reader;
  std::vector<Item> items;
  for (char c : stream) {
    reader.feed({&c, 1});
    while (auto item = reader.next()) items.push_back(*item);
  }
  ASSERT_EQ(items.size(), 5u);
  EXPECT_EQ(items[0].kind, Kind::Ack);
  EXPECT_EQ(items[1].kind, Kind::Packet);
  EXPECT_EQ(items[1].data, "qC");
  EXPECT_EQ(items[2].kind, Kind::Nack);
  EXPECT_EQ(items[3].kind, Kind::Interrupt);
  EXPECT_EQ(items[4].data, "m0,4");
}

TEST(Packet, AWrongChecksumIsNoticedUnlessBothSidesTrustTheLine) {
  PacketReader reader;
  reader.feed("$qC#b5$qC#zz");
  EXPECT_EQ(reader.next()->kind, Kind::Damaged);
  EXPECT_EQ(reader.next()->kind, Kind::Damaged);
  EXPECT_FALSE(reader.next());
  reader.trust(true);
  reader.feed("$qC#00");
  EXPECT_EQ(reader.next()->data, "qC");
}

TEST(Packet, AnInterruptByteInsideAPacketIsData) {
  PacketReader reader;
  reader.feed(frame("X0,1:\x03"));
  const auto item = reader.next();
  ASSERT_TRUE(item);
  EXPECT_EQ(item->data, "X0,1:\x03");
  EXPECT_FALSE(reader.next());
}

TEST(Packet, TheLargestIsTakenAndALongerOneIsSkippedWhole) {
  PacketReader reader;
  reader.feed(frame(std::string(kMaxPacket, 'a')));
  EXPECT_EQ(reader.next()->data.size(), kMaxPacket);
  const std::string longer = frame(std::string(3 * kMaxPacket, 'a')) + frame("g");
  for (std::size_t at = 0; at < longer.size(); at += 50'000) {
    reader.feed(std::string_view(longer).substr(at, 50'000));
    if (at + 50'000 < longer.size()) {
      EXPECT_FALSE(reader.next());
    }
  }
  EXPECT_EQ(reader.next()->kind, Kind::TooLong);
  EXPECT_EQ(reader.next()->data, "g");
}

TEST(Packet, NoiseBetweenPacketsIsSkipped) {
  PacketReader reader;
  reader.feed("hello\r\n" + frame("g") + "garbage");
  EXPECT_EQ(reader.next()->data, "g");
  EXPECT_FALSE(reader.next());
}

TEST(Packet, EscapesComeBack) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  const std::string escaped = escape(all);
  EXPECT_EQ(escaped.find_first_of("#$*"), std::string::npos);
  EXPECT_EQ(unescape(escaped), all);
  EXPECT_EQ(unescape("}"), "");
}

TEST(Packet, Hexadecimal) {
  EXPECT_EQ(to_hex(std::string("\x00\xff\x1a", 3)), "00ff1a");
  EXPECT_EQ(from_hex("00FF1a"), std::string("\x00\xff\x1a", 3));
  EXPECT_FALSE(from_hex("0"));
  EXPECT_FALSE(from_hex("0g"));
}

TEST(Packet, FieldsReadNumbersUpTo64Bits) {
  Fields fields("ffffffffffffffff,10000000000000000");
  EXPECT_EQ(fields.number(), ~u64{0});
  EXPECT_TRUE(fields.take(','));
  EXPECT_FALSE(fields.number());
  EXPECT_FALSE(Fields("").number());
  EXPECT_FALSE(Fields("x").number());
}

TEST(Packet, ManySmallItemsTakeTimeInProportion) {
  PacketReader reader;
  reader.feed(std::string(16u << 20, '+') + frame("?"));
  std::size_t acks = 0;
  std::optional<Item> item;
  while ((item = reader.next()) && item->kind == Item::Kind::Ack) ++acks;
  EXPECT_EQ(acks, 16u << 20);
  ASSERT_TRUE(item);
  EXPECT_EQ(item->data, "?");
  EXPECT_FALSE(reader.next());
}

TEST(Packet, AnyBytesAreCutIntoItemsWithoutHarm) {
  std::mt19937 random(1);
  const std::string alphabet = "$#+-\x03}*a0";
  for (int round = 0; round < 2000; ++round) {
    PacketReader reader;
    std::string bytes;
    for (unsigned i = 0, n = random() % 200; i < n; ++i) bytes += alphabet[random() % alphabet.size()];
    reader.feed(bytes);
    while (reader.next()) {
    }
    reader.feed("#00");  // ends whatever was begun
    while (reader.next()) {
    }
    reader.feed(frame("?"));
    const auto item = reader.next();
    ASSERT_TRUE(item) << bytes;
    EXPECT_EQ(item->data, "?") << bytes;
  }
}

}  // namespace
}  // namespace hindcast::gdb
