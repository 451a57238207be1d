#include "targets/devices/virtio/block.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace hindcast::devices::virtio {
namespace {

// Section 5.2.3.
constexpr u64 kSegmentMax = u64{1} << 2, kReadOnly = u64{1} << 5, kBlockSize = u64{1} << 6,
              kFlush = u64{1} << 9, kTopology = u64{1} << 10, kDiscard = u64{1} << 13,
              kWriteZeroes = u64{1} << 14;

// Section 5.2.6.
enum RequestType : u32 {
  kIn = 0,
  kOut = 1,
  kFlushCache = 4,
  kGetId = 8,
  kDiscardSectors = 11,
  kZeroSectors = 13,
};
constexpr u8 kOk = 0, kIoError = 1, kUnsupported = 2;

struct Header {
  u32 type, reserved;
  u64 sector;
};
struct ClearRange {
  u64 sector;
  u32 sectors, flags;
};
constexpr u32 kUnmap = 1;  // flag of write zeroes
constexpr u32 kMostClearSectors = 1u << 22;
constexpr std::size_t kIdSize = 20;

void put(Bytes& to, u64 value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) to.push_back(static_cast<u8>(value >> (8 * i)));
}

}  // namespace

BlockDevice::BlockDevice(std::string name, Machine& machine, const Disk::Site& site)
    : VirtioDevice(std::move(name), machine, Type::Block, {kQueueSize}), disk_(machine, this->name(), site) {
  timer_ = machine.clock().add_timer(this->name() + ".done", [this] { finish_first(); });
}

u64 BlockDevice::features() const {
  const u64 common = kSegmentMax | kBlockSize | kFlush | kTopology;
  return common | (disk_.read_only() ? kReadOnly : kDiscard | kWriteZeroes);
}

/// Section 5.2.4, struct virtio_blk_config.
Bytes BlockDevice::config() const {
  Bytes out;
  put(out, disk_.bytes() / Disk::kSector, 8);
  put(out, 0, 4);               // largest segment: not offered
  put(out, kQueueSize - 2, 4);  // most segments
  put(out, 0, 4);               // geometry: not offered
  put(out, Disk::kSector, 4);
  put(out, 0, 4);  // topology: a physical block is a logical one, aligned
  put(out, 0, 4);  // no optimal size
  put(out, 0, 1);  // write cache: not offered
  put(out, 0, 1);
  put(out, 1, 2);  // queues
  put(out, kMostClearSectors, 4);
  put(out, 1, 4);  // ranges in a discard request
  put(out, 1, 4);  // alignment, in sectors
  put(out, kMostClearSectors, 4);
  put(out, 1, 4);
  put(out, 1, 1);  // write zeroes may unmap
  put(out, 0, 3);
  return out;
}

void BlockDevice::notified(unsigned queue) {
  while (std::optional<Chain> chain = pop(queue)) take(std::move(*chain));
  arm();
}

void BlockDevice::take(Chain chain) {
  Request request;
  request.head = chain.head;
  const std::vector<Segment> status = take_back(chain.writable, 1);
  const std::vector<Segment> head = take_front(chain.readable, sizeof(Header));
  Header header{};
  if (gather(memory(), head, &header, sizeof header) != sizeof header) return fail("a request has no header");
  if (status.empty() || !memory().is_ram(status[0].address, 1))
    return fail("a request has no place for its status");
  // A driver that gives the same buffers twice could fill the list for ever.
  if (requests_.size() >= kQueueSize) return fail("there are more requests than the queue holds");
  request.status_address = status[0].address;
  parse(header.type, header.sector, chain, request);
  VirtualNs begin = machine().clock().now();
  if (!requests_.empty()) begin = std::max(begin, requests_.back().done_at);
  request.done_at = begin + kLatency + (request.kind == Kind::Clear ? 0 : request.size * kPerByte);
  requests_.push_back(std::move(request));
}

/// What the request is, and whether it can be done; what is read becomes known.
void BlockDevice::parse(u32 type, u64 sector, const Chain& chain, Request& request) {
  const bool changes = type == kOut || type == kDiscardSectors || type == kZeroSectors;
  if (changes && disk_.read_only()) {
    request.status = kIoError;
    return;
  }
  switch (type) {
    case kIn:
      request.kind = Kind::Read;
      parse_transfer(sector, chain.writable, request);
      break;
    case kOut:
      request.kind = Kind::Write;
      parse_transfer(sector, chain.readable, request);
      break;
    case kFlushCache: request.kind = Kind::Flush; break;
    case kGetId:
      request.kind = Kind::Identify;
      request.data = chain.writable;
      break;
    case kDiscardSectors:
    case kZeroSectors: parse_clear(type, chain.readable, request); break;
    default: request.status = kUnsupported; break;
  }
  if (request.status == kOk && !all_ram(memory(), request.data)) request.status = kIoError;
  if (request.status != kOk) request.kind = Kind::Nothing;
}

void BlockDevice::parse_transfer(u64 sector, const std::vector<Segment>& data, Request& request) {
  const u64 size = total_size(data);
  const bool fits = sector < Disk::kLargest && size % Disk::kSector == 0 && size <= kMostData &&
                    disk_.contains(sector * Disk::kSector, size);
  request.status = kIoError;
  if (!fits) return;
  request.offset = sector * Disk::kSector;
  request.size = size;
  request.data = data;
  const bool known =
      request.kind == Kind::Read ? disk_.fetch(request.offset, size) : disk_.fetch_ends(request.offset, size);
  if (known) request.status = kOk;
}

void BlockDevice::parse_clear(u32 type, const std::vector<Segment>& data, Request& request) {
  ClearRange range{};
  request.status = kIoError;
  if (total_size(data) != sizeof range || gather(memory(), data, &range, sizeof range) != sizeof range)
    return;
  request.status = kUnsupported;
  if ((range.flags & ~(type == kZeroSectors ? kUnmap : 0)) != 0) return;
  request.status = kIoError;
  const u64 size = range.sectors * Disk::kSector;
  const bool fits = range.sector < Disk::kLargest && range.sectors <= kMostClearSectors &&
                    disk_.contains(range.sector * Disk::kSector, size);
  if (!fits || !disk_.fetch_ends(range.sector * Disk::kSector, size)) return;
  request.kind = Kind::Clear;
  request.status = kOk;
  request.offset = range.sector * Disk::kSector;
  request.size = size;
}

void BlockDevice::finish_first() {
  if (requests_.empty()) return;
  const Request request = std::move(requests_.front());
  requests_.pop_front();
  if (!running()) return;
  u32 written = 0;
  u8 status = request.status;
  if (status == kOk && !move(request, written)) status = kIoError;
  memory().write(request.status_address, &status, 1);
  push(0, request.head, written + 1);
  flush(0);
  arm();
}

/// Moves the data; `written`: how many bytes of guest memory.
bool BlockDevice::move(const Request& request, u32& written) {
  switch (request.kind) {
    case Kind::Read: {
      u64 at = request.offset;
      for (const Segment& segment : request.data) {
        if (!memory().write(segment.address, disk_.at(at), segment.size)) return false;
        at += segment.size;
      }
      written = static_cast<u32>(request.size);
      return true;
    }
    case Kind::Write: {
      u64 at = request.offset;
      for (const Segment& segment : request.data) {
        const ByteView data = memory().view(segment.address, segment.size);
        if (data.size() != segment.size || !disk_.write(at, data)) return false;
        at += segment.size;
      }
      return true;
    }
    case Kind::Identify: {
      std::array<char, kIdSize> id{};
      name().copy(id.data(), id.size());
      written = static_cast<u32>(scatter(memory(), request.data, id.data(), id.size()));
      return true;
    }
    case Kind::Clear: return disk_.clear(request.offset, request.size);
    case Kind::Flush:
    case Kind::Nothing: return true;
  }
  return false;
}

void BlockDevice::arm() {
  machine().clock().arm(timer_, requests_.empty() ? kNever : requests_.front().done_at);
}

void BlockDevice::reset_type() {
  requests_.clear();
  arm();
}

void BlockDevice::save_request(Archive& ar, Request& request) {
  ar.field("head", request.head);
  ar.field("kind", request.kind);
  ar.field("status", request.status);
  ar.field("offset", request.offset);
  ar.field("size", request.size);
  ar.field("status_address", request.status_address);
  ar.field("done_at", request.done_at);
  Bytes data;
  for (const Segment& segment : request.data) {
    put(data, segment.address, 8);
    put(data, segment.size, 4);
  }
  ar.field("data", data);
  if (!ar.loading()) return;
  request.data.clear();
  for (std::size_t at = 0; at + 12 <= data.size(); at += 12) {
    Segment segment;
    std::memcpy(&segment.address, data.data() + at, 8);
    std::memcpy(&segment.size, data.data() + at + 8, 4);
    request.data.push_back(segment);
  }
}

/// What was saved could have been taken from a queue.
bool BlockDevice::plausible(const Request& request) const {
  if (request.kind > Kind::Nothing || request.data.size() > Queue::kMostSegments) return false;
  if (request.kind != Kind::Read && request.kind != Kind::Write && request.kind != Kind::Clear) return true;
  const bool sized = request.kind == Kind::Clear || total_size(request.data) == request.size;
  return sized && disk_.contains(request.offset, request.size);
}

void BlockDevice::save(Archive& ar) {
  disk_.state(ar);
  u32 count = static_cast<u32>(requests_.size());
  ar.field("requests", count);
  if (ar.loading()) {
    requests_.clear();  // the deadline is the clock's
    if (count > kQueueSize) throw Fatal(fmt::format("saved state: {} has {} requests", name(), count));
    requests_.resize(count);
  }
  for (Request& request : requests_) save_request(ar, request);
  if (!ar.loading()) return;
  auto good = [this](const Request& request) { return plausible(request); };
  if (std::all_of(requests_.begin(), requests_.end(), good)) return;
  requests_.clear();
  throw Fatal(fmt::format("saved state: a request of {} makes no sense", name()));
}

}  // namespace hindcast::devices::virtio
