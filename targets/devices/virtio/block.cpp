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
  timer_ = machine.clock().add_timer(this->name() + ".done", [this] { step(); });
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

void BlockDevice::notified(unsigned) {
  if (current_)
    arm();  // it may have been held back
  else
    take_next(machine().clock().now());
}

void BlockDevice::take_next(VirtualNs begin) {
  if (std::optional<Chain> chain = pop(0)) take(std::move(*chain), begin);
  arm();
}

void BlockDevice::take(Chain chain, VirtualNs begin) {
  Request request;
  request.head = chain.head;
  request.begun_at = begin;
  const std::vector<Segment> status = take_back(chain.writable, 1);
  const std::vector<Segment> head = take_front(chain.readable, sizeof(Header));
  Header header{};
  if (gather(memory(), head, &header, sizeof header) != sizeof header) return fail("a request has no header");
  if (status.empty() || !memory().is_ram(status[0].address, 1))
    return fail("a request has no place for its status");
  request.status_address = status[0].address;
  parse(header.type, header.sector, chain, request);
  current_ = std::move(request);
}

/// What the request is, and whether it can be done, as far as that can be told without the disk's bytes.
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
  if (request.status == kOk) return;
  request.kind = Kind::Nothing;
  request.size = 0;
}

void BlockDevice::parse_transfer(u64 sector, const std::vector<Segment>& data, Request& request) {
  const u64 size = total_size(data);
  const bool fits = sector < Disk::kLargest && size % Disk::kSector == 0 && size <= kMostData &&
                    disk_.contains(sector * Disk::kSector, size);
  request.status = fits ? kOk : kIoError;
  if (!fits) return;
  request.offset = sector * Disk::kSector;
  request.size = size;
  request.data = data;
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
  if (!fits) return;
  request.kind = Kind::Clear;
  request.status = kOk;
  request.offset = range.sector * Disk::kSector;
  request.size = size;
}

/// How far the request is when its next portion is done: the end of a page, or its own.
u64 BlockDevice::portion_end() const {
  const u64 portion = current_->kind == Kind::Clear ? kClearPortion : kPortion;
  const u64 end = (current_->offset + current_->moved + portion) / AddressSpace::kPage * AddressSpace::kPage;
  return std::min(end - current_->offset, current_->size);
}

VirtualNs BlockDevice::due() const {
  const u64 bytes =
      current_->kind == Kind::Clear ? portion_end() / (kClearPortion / kPortion) : portion_end();
  return current_->begun_at + kLatency + bytes * kPerByte;
}

void BlockDevice::step() {
  if (!current_ || !running()) return;
  if (current_->status == kOk && current_->moved < current_->size) {
    if (!move_portion()) return finish(kIoError, 0);
    if (current_->moved < current_->size) return arm();
  }
  u32 written = 0;
  if (current_->status == kOk && !conclude(written)) return finish(kIoError, 0);
  finish(current_->status, written);
}

bool BlockDevice::move_portion() {
  Request& request = *current_;
  const u64 end = portion_end(), size = end - request.moved, at = request.offset + request.moved;
  if (request.kind == Kind::Clear) {
    request.moved = end;
    return disk_.clear(at, size);
  }
  const std::vector<Segment> part = part_of(request.data, request.moved, size);
  request.moved = end;
  Bytes bytes(size);
  if (request.kind == Kind::Read)
    return disk_.read(at, bytes.data(), size) && scatter(memory(), part, bytes.data(), size) == size;
  return gather(memory(), part, bytes.data(), size) == size && disk_.write(at, bytes);
}

/// What is left to do when all bytes are moved; `written`: how many of guest memory were.
bool BlockDevice::conclude(u32& written) {
  switch (current_->kind) {
    case Kind::Read: written = static_cast<u32>(current_->size); return true;
    case Kind::Identify: {
      std::array<char, kIdSize> id{};
      name().copy(id.data(), id.size());
      written = static_cast<u32>(scatter(memory(), current_->data, id.data(), id.size()));
      return true;
    }
    case Kind::Write:
    case Kind::Clear:
      // A driver that knows no flushing relies on what is done (section 5.2.6.2).
      return has_feature(kFlush) || disk_.flush();
    case Kind::Flush: return disk_.flush();
    case Kind::Nothing: return true;
  }
  return false;
}

void BlockDevice::finish(u8 status, u32 written) {
  const VirtualNs end = due();
  const Request request = std::move(*current_);
  current_.reset();
  memory().write(request.status_address, &status, 1);
  push(0, request.head, written + 1);
  flush(0);
  take_next(end);
}

void BlockDevice::arm() { machine().clock().arm(timer_, current_ ? due() : kNever); }

void BlockDevice::reset_type() {
  current_.reset();
  arm();
}

void BlockDevice::save_request(Archive& ar, Request& request) {
  ar.field("head", request.head);
  ar.field("kind", request.kind);
  ar.field("status", request.status);
  ar.field("offset", request.offset);
  ar.field("size", request.size);
  ar.field("moved", request.moved);
  ar.field("status_address", request.status_address);
  ar.field("begun_at", request.begun_at);
  save_segments(ar, "data", request.data);
}

/// What was saved could have been taken from a queue.
bool BlockDevice::plausible(const Request& request) const {
  if (request.kind > Kind::Nothing || request.data.size() > Queue::kMostSegments) return false;
  if (request.kind != Kind::Read && request.kind != Kind::Write && request.kind != Kind::Clear)
    return request.size == 0;
  const bool sized = request.kind == Kind::Clear || total_size(request.data) == request.size;
  return sized && request.moved <= request.size && disk_.contains(request.offset, request.size);
}

void BlockDevice::save(Archive& ar) {
  disk_.state(ar);
  bool busy = current_.has_value();
  ar.field("busy", busy);
  if (ar.loading()) current_.reset();  // the deadline is the clock's
  if (!busy) return;
  Request request;
  if (current_) request = *current_;
  save_request(ar, request);
  if (!ar.loading()) return;
  if (!plausible(request)) throw Fatal(fmt::format("saved state: the request of {} makes no sense", name()));
  current_ = std::move(request);
}

}  // namespace hindcast::devices::virtio
