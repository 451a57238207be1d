#include "targets/arm/sse_gate.h"

#include <algorithm>
#include <cstring>

#include "targets/arm/state.h"
#include "targets/devices/component_id.h"

namespace hindcast::arm {
namespace {

constexpr u32 kControl = 0x00, kLastWord = 0x10, kBlockSize = 0x14, kIndex = 0x18, kLut = 0x1c,
              kStatus = 0x20, kClear = 0x24, kEnable = 0x28, kRefusedAddress = 0x2c, kRefused = 0x30,
              kSet = 0x34;
constexpr u16 kPart = 0x860;

}  // namespace

Gate::Gate(std::string name, Machine& machine, u32 base, u64 size, unsigned bit)
    : Device(std::move(name)),
      WordRegisters(devices::NarrowWrites::Merge),
      machine_(machine),
      base_(base),
      size_(size),
      bit_(bit) {
  lut_.resize((size / kBlock + 31) / 32);
}

u64 Gate::granule(GuestAddr physical) const {
  constexpr u64 kPage = AddressSpace::kPage;
  const u64 first = ((physical & ~(kPage - 1)) - base_) / kBlock;
  for (u64 block = first + 1; block < first + kPage / kBlock && block < size_ / kBlock; ++block)
    if (non_secure(block) != non_secure(first)) return kBlock;
  return kPage;
}

bool Gate::allows(GuestAddr physical, u32 secure) const {
  return !holds(physical) || non_secure((physical - base_) / kBlock) == (secure == kNonSecure);
}

bool Gate::refuse(GuestAddr physical, u32 secure) {
  if (status_ == 0) {
    status_ = 1;
    refused_address_ = static_cast<u32>(physical - base_);
    refused_ = (secure == kNonSecure ? 1u << 16 : 0) | (non_secure(refused_address_ / kBlock) ? 1u << 17 : 0);
    if (changed_) changed_();
  }
  return (control_ & kBusFault) != 0;
}

void Gate::reset() {
  control_ = kAutoIncrement;
  index_ = status_ = refused_address_ = refused_ = 0;
  enable_ = 1;
  std::fill(lut_.begin(), lut_.end(), 0);
  used_words_ = 0;
  if (changed_) changed_();
  if (owner_changed_) owner_changed_();
}

void Gate::state(Archive& ar) {
  ar.field("control", control_);
  ar.field("index", index_);
  if (index_ >= lut_.size()) index_ = 0;
  ar.field("enable", enable_);
  ar.field("status", status_);
  ar.field("refused_address", refused_address_);
  ar.field("refused", refused_);
  // All of a memory is mostly the Secure state's, and the table of a large one is large.
  Bytes table;
  const std::size_t size = lut_.size() * sizeof(u32);
  if (!ar.loading() && !all_secure()) {
    table.resize(size);
    std::memcpy(table.data(), lut_.data(), size);
  }
  ar.blob("lut", table, size);
  if (ar.loading()) {
    std::fill(lut_.begin(), lut_.end(), 0);
    std::memcpy(lut_.data(), table.data(), std::min(size, table.size()));
    used_words_ = lut_.size() - static_cast<std::size_t>(std::count(lut_.begin(), lut_.end(), 0u));
  }
  if (owner_changed_) owner_changed_();
}

/// To the next word of the table, after an access to one.
void Gate::go_on() {
  if ((control_ & kAutoIncrement) != 0) index_ = (index_ + 1) % static_cast<u32>(lut_.size());
}

u32 Gate::read_word(u32 at) {
  switch (at) {
    case kControl: return control_;
    case kLastWord: return static_cast<u32>(lut_.size() - 1);
    case kBlockSize: return 5;  // 2^(5 + 5) bytes
    case kIndex: return index_;
    case kLut: {
      const u32 value = lut_[index_];
      go_on();
      return value;
    }
    case kStatus: return status_;
    case kEnable: return enable_;
    case kRefusedAddress: return refused_address_;
    case kRefused: return refused_;
    default: return devices::component_id(at, kPart);
  }
}

void Gate::write_word(u32 at, u32 value) {
  const bool locked = (control_ & kLocked) != 0;
  switch (at) {
    case kControl:
      if (!locked) control_ = value & (kBusFault | kAutoIncrement | kLocked);
      return;
    case kIndex: index_ = value % static_cast<u32>(lut_.size()); return;
    case kLut:
      if (locked) return;
      if (u32& word = lut_[index_]; word != value) {
        used_words_ += (value != 0 ? 1 : 0) - (word != 0 ? 1 : 0);
        word = value;
        machine_.flush_translations();
      }
      go_on();
      if (owner_changed_) owner_changed_();
      return;
    case kClear: status_ &= ~value; break;
    case kEnable:
      if (!locked) enable_ = value & 1;
      break;
    case kSet: status_ |= value & 1; break;
    default: return;
  }
  if (changed_) changed_();
}

u32 Gate::unwritten(u32 at) const {
  switch (at) {
    case kControl: return control_;
    case kIndex: return index_;
    case kLut: return lut_[index_];
    default: return 0;
  }
}

}  // namespace hindcast::arm
