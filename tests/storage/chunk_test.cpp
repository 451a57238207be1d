// Chunks: small when they should be, and not to be fooled by hostile bytes that carry right checksums.
#include <algorithm>
#include <functional>

#include "storage/chunk.h"
#include "tests/storage/support.h"

namespace hindcast::storage::test {
namespace {

std::vector<EventRecord> random_events(std::mt19937_64& random, std::size_t count) {
  std::vector<EventRecord> events;
  u64 icount = random() % 1000;
  u32 seq = 0;
  for (std::size_t i = 0; i < count; i++) {
    if (random() % 3 == 0) {
      seq += 1 + random() % 3;
    } else {
      icount += 1 + random() % 1000000;
      seq = random() % 2;
    }
    events.push_back(
        event_at(icount, seq, random_bytes(random, random() % 5, 30), random() % 3, random() % 300));
  }
  return events;
}

std::string build(const std::vector<EventRecord>& events, std::string& key) {
  ChunkBuilder builder;
  for (const EventRecord& event : events) builder.append(event);
  key = builder.key();
  u64 checksum = 0;
  return builder.finish(3, 0x1234, events.back().icount + 10, checksum);
}

std::vector<EventRecord> decode(std::string_view key, std::string_view value) {
  std::vector<EventRecord> events;
  decode_chunk(parse_chunk(key, value), value, [&](const EventRecord& event) {
    events.push_back(event);
    return true;
  });
  return events;
}

TEST(Chunk, RoundTrip) {
  std::mt19937_64 random(1);
  for (unsigned i = 0; i < 300; i++) {
    const auto events = random_events(random, 1 + random() % 200);
    std::string key;
    const std::string value = build(events, key);
    const auto found = decode(key, value);
    ASSERT_EQ(found.size(), events.size());
    for (std::size_t e = 0; e < events.size(); e++) ASSERT_TRUE(same(found[e], events[e]));
    const ChunkHeader header = parse_chunk(key, value);
    EXPECT_EQ(header.sequence, 3u);
    EXPECT_EQ(header.previous, 0x1234u);
    EXPECT_EQ(header.end_icount, events.back().icount + 10);
  }
}

TEST(Chunk, UniformColumns) {
  std::vector<EventRecord> events;
  for (u32 seq = 0; seq < 5000; seq++) events.push_back(event_at(7, seq, {}));
  std::string key;
  const auto found = decode(key, build(events, key));
  (void)found;
  const std::string value = build(events, key);
  EXPECT_EQ(decode(key, value).size(), 5000u);
  EXPECT_LT(value.size(), 300u);
}

/// Serial bytes at irregular distances, as typed or sent over a line.
TEST(Chunk, SerialBytesCostFewBytes) {
  std::mt19937_64 random(2);
  std::vector<EventRecord> events;
  u64 icount = 1000000;
  for (unsigned i = 0; i < 5000; i++) {
    icount += 86000 + random() % 2000;
    events.push_back(event_at(icount, 0, Bytes(1, static_cast<u8>(32 + random() % 90)), 2, 0));
  }
  std::string key;
  const std::string value = build(events, key);
  EXPECT_LT(value.size(), 5 * events.size());
  EXPECT_LT(build({events[0]}, key).size(), 200u);
}

/// Puts right lengths and checksums on `packed`, as somebody would who wants it to be read.
std::string reseal(std::string value) {
  value.resize(value.size() - 8);
  put_le64(value, hash64(value, get_le64(value, 56)));
  return value;
}

TEST(Chunk, HostileBytesWithRightChecksums) {
  std::mt19937_64 random(3);
  unsigned accepted = 0, refused = 0;
  for (unsigned round = 0; round < 200; round++) {
    const auto events = random_events(random, 1 + random() % 60);
    std::string key;
    const std::string value = build(events, key);
    for (unsigned i = 0; i < 100; i++) {
      std::string changed = value;
      for (unsigned n = 1 + random() % 3; n > 0; n--) {
        changed[random() % (changed.size() - 8)] =
            static_cast<char>(random() % 2 == 0 ? random() : random() % 4);
      }
      if (random() % 10 == 0) changed.resize(72 + random() % changed.size());
      changed = reseal(changed);
      try {
        // What is accepted must at least hang together.
        const ChunkHeader header = parse_chunk(key, changed);
        const auto found = decode(key, changed);
        ASSERT_EQ(found.size(), header.events);
        for (std::size_t e = 1; e < found.size(); e++) {
          ASSERT_TRUE(found[e].icount > found[e - 1].icount ||
                      (found[e].icount == found[e - 1].icount && found[e].seq > found[e - 1].seq));
        }
        ASSERT_LE(found.back().icount, header.end_icount);
        accepted++;
      } catch (const StoreError&) {
        refused++;
      }
    }
  }
  EXPECT_GT(accepted, 100u);
  EXPECT_GT(refused, 10000u);
}

TEST(Chunk, HostileFlatBuffers) {
  std::mt19937_64 random(4);
  std::vector<EventRecord> events;
  for (unsigned i = 0; i < 4; i++) events.push_back(event_at(i, 0, random_bytes(random, 3)));
  std::string key;
  const std::string value = build(events, key);
  const ChunkHeader header = parse_chunk(key, value);
  const Bytes raw = unpack(std::string_view(value).substr(64, header.stored_size), header.raw_size, 1 << 20);
  unsigned refused = 0;
  for (unsigned i = 0; i < 30000; i++) {
    Bytes changed = raw;
    for (unsigned n = 1 + random() % 2; n > 0; n--) {
      changed[random() % changed.size()] = static_cast<u8>(random() % 3 == 0 ? 0xff : random());
    }
    if (random() % 20 == 0) changed.resize(random() % changed.size());
    std::string hostile = value.substr(0, 64);
    std::string packed;
    pack(packed, changed);
    std::string sizes;
    put_le32(sizes, static_cast<u32>(packed.size()));
    put_le32(sizes, static_cast<u32>(changed.size()));
    hostile.replace(4, 8, sizes);
    hostile = reseal(hostile + packed + "checksum");
    try {
      ASSERT_EQ(decode(key, hostile).size(), 4u);
    } catch (const StoreError&) {
      refused++;
    }
  }
  EXPECT_GT(refused, 5000u);
}

TEST(Codec, SealedValues) {
  std::mt19937_64 random(5);
  for (unsigned i = 0; i < 200; i++) {
    const Bytes raw = random_bytes(random, random() % 2000, 1 + random() % 255);
    const std::string sealed = seal("family", "key", raw);
    EXPECT_EQ(unseal("family", "key", sealed, 2000), raw);
    EXPECT_THROW(unseal("family", "kez", sealed, 2000), StoreError);
    EXPECT_THROW(unseal("famila", "key", sealed, 2000), StoreError);
    if (!raw.empty()) {
      EXPECT_THROW(unseal("family", "key", sealed, raw.size() - 1), StoreError);
    }
    std::string changed = sealed;
    changed[random() % changed.size()] ^= static_cast<char>(1 + random() % 255);
    EXPECT_THROW(unseal("family", "key", changed, 2000), StoreError);
    EXPECT_THROW(unseal("family", "key", std::string_view(sealed).substr(0, random() % sealed.size()), 2000),
                 StoreError);
  }
}

TEST(Codec, Leb) {
  for (unsigned bit = 0; bit < 64; bit++) {
    for (const u64 value : {u64{1} << bit, (u64{1} << bit) - 1, ~(u64{1} << bit)}) {
      Bytes bytes;
      put_leb(bytes, value);
      std::size_t at = 0;
      EXPECT_EQ(get_leb(bytes, at), value);
      EXPECT_EQ(at, bytes.size());
      bytes.pop_back();
      at = 0;
      EXPECT_FALSE(get_leb(bytes, at));
    }
  }
  std::size_t at = 0;
  EXPECT_FALSE(get_leb(Bytes{0x80, 0x00}, at));  // not the shortest form
  at = 0;
  EXPECT_FALSE(
      get_leb(Bytes{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}, at));  // beyond 64 bits
}

}  // namespace
}  // namespace hindcast::storage::test
