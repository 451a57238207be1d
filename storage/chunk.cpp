#include "storage/chunk.h"

#include <flatbuffers/flatbuffers.h>

#include <algorithm>

#include "storage/recording_generated.h"

namespace hindcast::storage {
namespace {

constexpr u32 kMagic = 0x014b4348;  // "HCK", version 1
constexpr std::size_t kHeaderSize = 64;
constexpr std::size_t kTrailerSize = 8;
constexpr std::size_t kMaxRaw = kMaxEventPayload + (std::size_t{1} << 20);

/// A column whose entries are all the same is stored as one entry. Entries of one byte each are the only case
/// worth it.
Bytes collapsed(const Bytes& column, u32 entries) {
  const bool uniform = column.size() == entries &&
                       std::all_of(column.begin(), column.end(), [&](u8 b) { return b == column[0]; });
  return uniform ? Bytes{column[0]} : column;
}

/// Reads a column of LEB128 numbers, collapsed or not.
class Column {
 public:
  Column(const flatbuffers::Vector<u8>* vector, u32 entries, bool may_repeat = true) {
    if (vector == nullptr || vector->size() == 0) throw StoreError("a column is missing");
    bytes_ = ByteView(vector->data(), vector->size());
    repeated_ = may_repeat && bytes_.size() == 1 && entries != 1;
  }
  u64 next(u64 limit) {
    if (repeated_) at_ = 0;
    const auto value = get_leb(bytes_, at_);
    if (!value || *value > limit) throw StoreError("a column is damaged");
    return *value;
  }
  bool at_end() const { return at_ == bytes_.size(); }

 private:
  ByteView bytes_;
  std::size_t at_ = 0;
  bool repeated_ = false;
};

/// Walks the columns once. Called twice: with no receiver to check, then to deliver.
class Walk {
 public:
  Walk(const ChunkHeader& header, const format::EventChunk& chunk)
      : header_(header),
        icounts_(chunk.icounts(), header.events, /*may_repeat=*/false),
        seqs_(chunk.seqs(), header.events),
        channels_(chunk.channels(), header.events),
        sizes_(chunk.sizes(), header.events) {
    if (chunk.kinds() == nullptr || (chunk.kinds()->size() != 1 && chunk.kinds()->size() != header.events)) {
      throw StoreError("a column is damaged");
    }
    kinds_ = ByteView(chunk.kinds()->data(), chunk.kinds()->size());
    if (chunk.payload() != nullptr) payload_ = ByteView(chunk.payload()->data(), chunk.payload()->size());
    event_.icount = header.first_icount;
    event_.seq = header.first_seq;
  }

  /// The next event's position, kind, channel; its payload as a view.
  const EventRecord& next(ByteView& payload) {
    const u64 step = icounts_.next(~u64{0} - event_.icount);
    event_.icount += step;
    if (index_ == 0) {
      if (step != 0 || seqs_.next(~u32{0}) != 0)
        throw StoreError("the first position differs from the frame's");
    } else if (step == 0) {
      if (event_.seq == ~u32{0}) throw StoreError("positions do not increase");
      event_.seq += 1 + static_cast<u32>(seqs_.next(~u32{0} - event_.seq - 1));
    } else {
      event_.seq = static_cast<u32>(seqs_.next(~u32{0}));
    }
    event_.kind = kinds_.size() == 1 ? kinds_[0] : kinds_[index_];
    event_.channel = static_cast<u16>(channels_.next(0xffff));
    const u64 size = sizes_.next(payload_.size() - used_);
    payload = payload_.subspan(used_, size);
    used_ += size;
    index_++;
    return event_;
  }

  void check_end() const {
    if (!icounts_.at_end() || !seqs_.at_end() || !channels_.at_end() || !sizes_.at_end() ||
        used_ != payload_.size()) {
      throw StoreError("there is more in it than its events");
    }
    if (event_.icount != header_.last_icount || event_.seq != header_.last_seq) {
      throw StoreError("the last position differs from the frame's");
    }
  }

 private:
  const ChunkHeader& header_;
  Column icounts_, seqs_, channels_, sizes_;
  ByteView kinds_, payload_;
  EventRecord event_;
  std::size_t used_ = 0;
  u32 index_ = 0;
};

}  // namespace

std::string chunk_key(u64 icount, u32 seq) {
  std::string key;
  put_be64(key, icount);
  put_be32(key, seq);
  return key;
}

void ChunkBuilder::append(const EventRecord& event) {
  if (events_ == 0) {
    header_.first_icount = header_.last_icount = event.icount;
    header_.first_seq = event.seq;
    put_leb(icounts_, 0);
    put_leb(seqs_, 0);
  } else {
    const u64 step = event.icount - header_.last_icount;
    put_leb(icounts_, step);
    put_leb(seqs_, step == 0 ? event.seq - header_.last_seq - 1 : event.seq);
  }
  kinds_.push_back(event.kind);
  put_leb(channels_, event.channel);
  put_leb(sizes_, event.payload.size());
  payload_.insert(payload_.end(), event.payload.begin(), event.payload.end());
  header_.last_icount = event.icount;
  header_.last_seq = event.seq;
  events_++;
}

std::size_t ChunkBuilder::raw_size() const {
  return icounts_.size() + seqs_.size() + kinds_.size() + channels_.size() + sizes_.size() + payload_.size();
}

std::string ChunkBuilder::finish(u64 sequence, u64 previous, u64 end_icount, u64& checksum, bool packed) {
  flatbuffers::FlatBufferBuilder builder(raw_size() + 128);
  const auto payload = builder.CreateVector(payload_);
  const auto column = [&](const Bytes& bytes) { return builder.CreateVector(collapsed(bytes, events_)); };
  const auto sizes = column(sizes_), channels = column(channels_), kinds = column(kinds_),
             seqs = column(seqs_),
             icounts =
                 builder.CreateVector(icounts_);  // never collapsed: bounds the number of events by the size
  builder.Finish(format::CreateEventChunk(builder, icounts, seqs, kinds, channels, sizes, payload), "HCEV");

  const ByteView raw(builder.GetBufferPointer(), builder.GetSize());
  std::string stored;
  if (packed)
    pack(stored, raw);
  else
    stored = as_text(raw);
  std::string value;
  value.reserve(kHeaderSize + stored.size() + kTrailerSize);
  put_le32(value, kMagic);
  put_le32(value, static_cast<u32>(stored.size()));
  put_le32(value, builder.GetSize());
  put_le32(value, events_);
  put_le32(value, header_.first_seq);
  put_le32(value, header_.last_seq);
  put_le64(value, sequence);
  put_le64(value, header_.first_icount);
  put_le64(value, header_.last_icount);
  put_le64(value, end_icount);
  put_le64(value, previous);
  value += stored;
  checksum = hash64(value, previous);
  put_le64(value, checksum);

  events_ = 0;
  for (Bytes* bytes : {&icounts_, &seqs_, &kinds_, &channels_, &sizes_, &payload_}) bytes->clear();
  return value;
}

ChunkHeader parse_chunk(std::string_view key, std::string_view value) {
  if (value.size() < kHeaderSize + kTrailerSize) throw StoreError("too short");
  if (get_le32(value, 0) != kMagic) throw StoreError("not an event chunk of this version");
  ChunkHeader header;
  header.stored_size = get_le32(value, 4);
  header.raw_size = get_le32(value, 8);
  header.events = get_le32(value, 12);
  header.first_seq = get_le32(value, 16);
  header.last_seq = get_le32(value, 20);
  header.sequence = get_le64(value, 24);
  header.first_icount = get_le64(value, 32);
  header.last_icount = get_le64(value, 40);
  header.end_icount = get_le64(value, 48);
  header.previous = get_le64(value, 56);
  const std::size_t body = value.size() - kTrailerSize;
  header.checksum = get_le64(value, body);
  if (header.stored_size != body - kHeaderSize) throw StoreError("its length is wrong");
  if (header.checksum != hash64(value.substr(0, body), header.previous)) throw StoreError("checksum differs");
  if (key != chunk_key(header.first_icount, header.first_seq)) throw StoreError("it stands in a wrong place");
  if (header.events == 0 || header.events > header.raw_size || header.last_icount < header.first_icount ||
      header.end_icount < header.last_icount) {
    throw StoreError("its positions contradict each other");
  }
  return header;
}

bool decode_chunk(const ChunkHeader& header, std::string_view value,
                  const std::function<bool(const EventRecord&)>& fn) {
  const Bytes raw = unpack(value.substr(kHeaderSize, header.stored_size), header.raw_size, kMaxRaw);
  flatbuffers::Verifier verifier(raw.data(), raw.size(), /*max_depth=*/4, /*max_tables=*/4);
  if (!verifier.VerifyBuffer<format::EventChunk>("HCEV")) throw StoreError("malformed FlatBuffer");
  const auto& chunk = *flatbuffers::GetRoot<format::EventChunk>(raw.data());

  ByteView payload;
  Walk check(header, chunk);
  for (u32 i = 0; i < header.events; i++) check.next(payload);
  check.check_end();

  Walk walk(header, chunk);
  EventRecord event;
  for (u32 i = 0; i < header.events; i++) {
    const EventRecord& at = walk.next(payload);
    event.icount = at.icount;
    event.seq = at.seq;
    event.kind = at.kind;
    event.channel = at.channel;
    event.payload.assign(payload.begin(), payload.end());
    if (!fn(event)) return false;
  }
  return true;
}

}  // namespace hindcast::storage
