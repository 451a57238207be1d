#include "targets/devices/virtio/queue.h"

#include <algorithm>
#include <bit>

namespace hindcast::devices::virtio {
namespace {

constexpr u16 kNext = 1, kWrite = 2, kIndirect = 4;  // flags of a descriptor
constexpr u16 kNoInterrupt = 1;                      // flag of the available ring
constexpr u64 kDescriptorSize = 16, kUsedEntrySize = 8;
constexpr u64 kIndexOffset = 2, kRingOffset = 4;  // in both rings

const char* const kOutsideRam = "a ring does not lie in RAM";

}  // namespace

Queue::Queue(AddressSpace& memory, u16 max_size) : memory_(memory), max_size_(max_size), size_(max_size) {}

void Queue::set_size(u32 size) {
  if (!ready_ && std::has_single_bit(size) && size <= max_size_) size_ = static_cast<u16>(size);
}

void Queue::set_address(Part part, u64 address) {
  if (!ready_) addresses_[static_cast<std::size_t>(part)] = address;
}

void Queue::reset() {
  size_ = max_size_;
  ready_ = false;
  std::fill(std::begin(addresses_), std::end(addresses_), 0);
  indirect_ = event_index_ = false;
  next_avail_ = next_used_ = told_used_ = 0;
  told_valid_ = false;
  broken_ = nullptr;
}

void Queue::negotiated(bool indirect, bool event_index) {
  indirect_ = indirect;
  event_index_ = event_index;
}

void Queue::state(Archive& ar) {
  bool broken = broken_ != nullptr;
  ar.field("size", size_);
  ar.field("ready", ready_);
  ar.field("addresses", addresses_);
  ar.field("indirect", indirect_);
  ar.field("event_index", event_index_);
  ar.field("next_avail", next_avail_);
  ar.field("next_used", next_used_);
  ar.field("told_used", told_used_);
  ar.field("told_valid", told_valid_);
  ar.field("broken", broken);
  if (!ar.loading()) return;
  broken_ = broken ? "it was so when the state was saved" : nullptr;
  if (std::has_single_bit(size_) && size_ <= max_size_) return;
  reset();
  throw Fatal("saved state: a virtqueue has an impossible size");
}

unsigned Queue::available() {
  if (!ready_ || broken()) return 0;
  u16 index = 0;
  if (!memory_.read_le(avail() + kIndexOffset, index)) {
    break_it(kOutsideRam);
    return 0;
  }
  const u16 count = static_cast<u16>(index - next_avail_);
  if (count <= size_) return count;
  break_it("more buffers are available than the queue holds");
  return 0;
}

bool Queue::has_available() const {
  u16 index = 0;
  return ready_ && !broken() && memory_.read_le(avail() + kIndexOffset, index) && index != next_avail_;
}

std::optional<Chain> Queue::pop() {
  if (available() == 0) return std::nullopt;
  Chain chain;
  if (!memory_.read_le(avail() + kRingOffset + 2 * (next_avail_ % size_), chain.head)) {
    break_it(kOutsideRam);
    return std::nullopt;
  }
  if (!walk(chain.head, chain)) return std::nullopt;
  ++next_avail_;
  // The driver is to say when there is more than what was taken.
  if (event_index_ && !memory_.write_le(used() + kRingOffset + kUsedEntrySize * size_, next_avail_)) {
    break_it(kOutsideRam);
    return std::nullopt;
  }
  return chain;
}

bool Queue::enter_indirect(const Descriptor& descriptor, bool inside, u64& table, u32& count) {
  if (!indirect_)
    break_it("an indirect descriptor, which was not negotiated");
  else if (inside)
    break_it("an indirect descriptor in an indirect table");
  else if ((descriptor.flags & kNext) != 0)
    break_it("an indirect descriptor that has a next one");
  else if (descriptor.size == 0 || descriptor.size % kDescriptorSize != 0)
    break_it("an indirect table of an impossible size");
  if (broken()) return false;
  table = descriptor.address;
  count = static_cast<u32>(descriptor.size / kDescriptorSize);
  return true;
}

bool Queue::add(const Descriptor& descriptor, Chain& chain) {
  const bool write = (descriptor.flags & kWrite) != 0;
  if (!write && !chain.writable.empty()) return false;
  (write ? chain.writable : chain.readable).push_back({descriptor.address, descriptor.size});
  return true;
}

bool Queue::walk(u16 head, Chain& chain) {
  u64 table = desc();
  u32 count = size_;
  u32 index = head;
  bool inside = false;
  for (unsigned segments = 0;;) {
    if (index >= count) {
      break_it("a descriptor that is not in its table");
      return false;
    }
    Descriptor descriptor{};
    if (!memory_.read(table + kDescriptorSize * index, &descriptor, sizeof descriptor)) {
      break_it(kOutsideRam);
      return false;
    }
    if ((descriptor.flags & kIndirect) != 0) {
      if (!enter_indirect(descriptor, inside, table, count)) return false;
      inside = true;
      index = 0;
      continue;
    }
    if (descriptor.size == 0)
      break_it("an empty descriptor");
    else if (++segments > kMostSegments)
      break_it("a chain that is too long, or goes round in a circle");
    else if (!add(descriptor, chain))
      break_it("a chain in which a part to be read follows one to be written");
    if (broken()) return false;
    if ((descriptor.flags & kNext) == 0) return true;
    index = descriptor.next;
  }
}

void Queue::push(u16 head, u32 written) {
  if (broken() || !ready_) return;
  const u32 entry[2] = {head, written};
  const u16 next = static_cast<u16>(next_used_ + 1);
  if (!memory_.write(used() + kRingOffset + kUsedEntrySize * (next_used_ % size_), entry, sizeof entry) ||
      !memory_.write_le(used() + kIndexOffset, next)) {
    break_it(kOutsideRam);
    return;
  }
  next_used_ = next;
}

bool Queue::take_wants_interrupt() {
  if (broken() || !ready_) return false;
  const u16 before = std::exchange(told_used_, next_used_);
  const bool valid = std::exchange(told_valid_, true);
  u16 word = 0;
  if (!memory_.read_le(event_index_ ? avail() + kRingOffset + 2 * size_ : avail(), word)) {
    break_it(kOutsideRam);
    return false;
  }
  if (!event_index_) return (word & kNoInterrupt) == 0 && before != next_used_;
  // Section 2.7.7.2: whether the event index was passed.
  return !valid || static_cast<u16>(next_used_ - word - 1) < static_cast<u16>(next_used_ - before);
}

}  // namespace hindcast::devices::virtio
