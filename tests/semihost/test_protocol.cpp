#include <gtest/gtest.h>

#include <random>

#include "semihost/protocol.h"

namespace hindcast::semihost {
namespace {

Request sample() { return {FileOp::Rename, 11, 63, 0x123456789abcdef0, kMaxTransfer, {1, 2, 3}, {4, 5}}; }

TEST(Protocol, RequestSurvives) {
  auto got = decode_request(encode(sample()));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->op, FileOp::Rename);
  EXPECT_EQ(got->mode, 11);
  EXPECT_EQ(got->handle, 63);
  EXPECT_EQ(got->offset, 0x123456789abcdef0u);
  EXPECT_EQ(got->count, kMaxTransfer);
  EXPECT_EQ(got->data, (Bytes{1, 2, 3}));
  EXPECT_EQ(got->data2, (Bytes{4, 5}));
}

TEST(Protocol, ReplySurvives) {
  auto got = decode_reply(encode(Reply{Errno::Loop, 77, {9}}));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->error, Errno::Loop);
  EXPECT_EQ(got->value, 77u);
  EXPECT_EQ(got->data, (Bytes{9}));
}

TEST(Protocol, EveryTruncationAndExtensionIsRefused) {
  Bytes request = encode(sample()), reply = encode(Reply{Errno::None, 1, {1, 2, 3}});
  for (std::size_t n = 0; n < request.size(); ++n) EXPECT_FALSE(decode_request({request.data(), n})) << n;
  for (std::size_t n = 0; n < reply.size(); ++n) EXPECT_FALSE(decode_reply({reply.data(), n})) << n;
  request.push_back(0);
  reply.push_back(0);
  EXPECT_FALSE(decode_request(request));
  EXPECT_FALSE(decode_reply(reply));
}

TEST(Protocol, LimitsAreChecked) {
  auto refused = [](auto change) {
    Request request = sample();
    change(request);
    return !decode_request(encode(request));
  };
  EXPECT_TRUE(refused([](Request& r) { r.op = static_cast<FileOp>(0); }));
  EXPECT_TRUE(refused([](Request& r) { r.op = static_cast<FileOp>(9); }));
  EXPECT_TRUE(refused([](Request& r) { r.mode = 12; }));
  EXPECT_TRUE(refused([](Request& r) { r.handle = kMaxHandles; }));
  EXPECT_TRUE(refused([](Request& r) { r.count = kMaxTransfer + 1; }));
  EXPECT_TRUE(refused([](Request& r) { r.data.resize(kMaxTransfer + 1); }));
  EXPECT_TRUE(refused([](Request& r) { r.data2.resize(kMaxName + 1); }));
  EXPECT_FALSE(decode_reply(encode(Reply{Errno::None, 0, Bytes(kMaxTransfer + 1)})));
  EXPECT_FALSE(decode_reply(encode(Reply{static_cast<Errno>(-1), 0, {}})));
}

// Whatever is decoded from damaged bytes must be within the limits, and encode to the same bytes again.
TEST(Protocol, DamagedBytes) {
  std::mt19937 random(1);
  unsigned accepted = 0;
  for (int i = 0; i < 200'000; ++i) {
    Bytes bytes = encode(sample());
    for (unsigned flips = random() % 4 + 1; flips != 0; --flips)
      bytes[random() % bytes.size()] ^= 1u << random() % 8;
    if (auto request = decode_request(bytes)) {
      ++accepted;
      ASSERT_EQ(encode(*request), bytes);
      ASSERT_LT(request->handle, kMaxHandles);
      ASSERT_LE(request->count, kMaxTransfer);
    }
    if (auto reply = decode_reply(bytes)) {
      ASSERT_EQ(encode(*reply), bytes);
    }
  }
  EXPECT_GT(accepted, 0u);
}

}  // namespace
}  // namespace hindcast::semihost
