#include "targets/devices/aplic.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "targets/devices/msi.h"

namespace hindcast::devices {
namespace {

// Section 4.5: the control region.
constexpr u64 kDomainConfig = 0x0000, kSourceConfig = 0x0004, kMsiAddress = 0x1bc0, kMsiAddressEnd = 0x1bd0,
              kSetPending = 0x1c00, kSetPendingNumber = 0x1cdc, kClearPending = 0x1d00,
              kClearPendingNumber = 0x1ddc, kSetEnable = 0x1e00, kSetEnableNumber = 0x1edc,
              kClearEnable = 0x1f00, kClearEnableNumber = 0x1fdc, kSetPendingLittle = 0x2000,
              kSetPendingBig = 0x2004, kGenerate = 0x3000, kTarget = 0x3004, kBitsEnd = 0x80;
constexpr u32 kDomainConstant = 0x8000'0000, kDomainEnable = 1 << 8, kDomainMsi = 1 << 2;

// sourcecfg.
constexpr u32 kDelegate = 1 << 10, kChildIndex = 0x3ff, kMode = 7;
enum Mode : u32 { kInactive = 0, kDetached = 1, kEdgeHigh = 4, kEdgeLow = 5, kLevelHigh = 6, kLevelLow = 7 };

// target.
constexpr unsigned kHartShift = 18;
constexpr u32 kPriority = 0xff, kIdentity = 0x7ff, kHart = ~u32{0} << kHartShift;

// mmsiaddrcfgh and smsiaddrcfgh: lock, shifts and widths of hart numbers, high part of the page.
constexpr u32 kLock = u32{1} << 31, kMachineHigh = 0x9f77'ffff, kSupervisorHigh = 0x0070'0fff;

// Section 4.8.1: interrupt delivery control.
constexpr u64 kDelivery = 0x00, kForce = 0x04, kThreshold = 0x08, kTop = 0x18, kClaim = 0x1c;

bool bit(const std::vector<u32>& bits, unsigned n) { return (bits[n / 32] >> (n % 32) & 1) != 0; }
void put_bit(std::vector<u32>& bits, unsigned n, bool value) {
  const u32 mask = u32{1} << (n % 32);
  bits[n / 32] = value ? bits[n / 32] | mask : bits[n / 32] & ~mask;
}

u32 field(u32 value, unsigned shift, unsigned width) { return value >> shift & ((u32{1} << width) - 1); }

}  // namespace

Aplic::Aplic(std::string name, Machine& machine, Shape shape)
    : Device(std::move(name)),
      machine_(machine),
      sources_(shape.sources),
      machine_level_(shape.machine_level),
      source_(shape.sources + 1),
      target_(shape.sources + 1),
      level_(shape.sources / 32 + 1),
      pending_(shape.sources / 32 + 1),
      enable_(shape.sources / 32 + 1) {
  for (const IrqLine& line : shape.harts) controls_.push_back({line});
}

void Aplic::set_child(unsigned index, Aplic& child) {
  if (index >= children_.size()) children_.resize(index + 1);
  child.parent_ = this;
  children_[index] = &child;
}

Aplic* Aplic::child_of(u32 config) const {
  const u32 index = config & kChildIndex;
  return (config & kDelegate) != 0 && index < children_.size() ? children_[index] : nullptr;
}

void Aplic::reset() {
  enabled_ = false;
  generated_ = 0;
  // The wires keep their levels: those are the devices', which drive them anew as they are reset.
  for (std::vector<u32>* all : {&source_, &target_, &pending_, &enable_})
    std::fill(all->begin(), all->end(), 0);
  for (Control& control : controls_) control.delivery = control.force = control.threshold = 0;
  msi_address_ = {};
  update();
}

void Aplic::state(Archive& ar) {
  ar.field("enabled", enabled_);
  ar.field("generated", generated_);
  for (unsigned i = 1; i <= sources_; ++i) {
    ar.field("source", source_[i]);
    ar.field("target", target_[i]);
  }
  for (Bits* bits : {&level_, &pending_, &enable_})
    for (u32& word : *bits) ar.field("bits", word);
  for (Control& control : controls_) {
    ar.field("delivery", control.delivery);
    ar.field("force", control.force);
    ar.field("threshold", control.threshold);
  }
  for (u32& word : msi_address_) ar.field("msi_address", word);
  if (!ar.loading()) return;
  // What is loaded may be anything: nothing stays that no guest could have brought about.
  bool sound = true;
  const auto keep = [&](u32& value, u32 mask) {
    sound = sound && (value & ~mask) == 0;
    value &= mask;
  };
  for (unsigned i = 1; i <= sources_; ++i) {
    const bool delegated = (source_[i] & kDelegate) != 0;
    if (delegated && child_of(source_[i]) == nullptr) keep(source_[i], 0);
    keep(source_[i], delegated ? kDelegate | kChildIndex : kMode);
    keep(target_[i], kHart | (msi() ? kIdentity : kPriority));
  }
  const u32 beyond = sources_ % 32 == 31 ? 0 : ~u32{0} << (sources_ % 32 + 1);
  for (Bits* bits : {&level_, &pending_, &enable_}) {
    keep(bits->front(), ~u32{1});
    keep(bits->back(), ~beyond);
  }
  for (Control& control : controls_) {
    keep(control.delivery, 1);
    keep(control.force, 1);
    keep(control.threshold, kPriority);
  }
  keep(generated_, msi() ? kHart | kIdentity : 0);
  keep(msi_address_[1], kMachineHigh);
  keep(msi_address_[3], kSupervisorHigh);
  if (!sound) throw Fatal(fmt::format("saved state: {} has no such sources or modes", name()));
}

// ---- sources

bool Aplic::mine(unsigned source) const {
  if (source == 0 || source > sources_) return false;
  if (parent_ == nullptr) return true;
  if (!parent_->mine(source)) return false;
  return parent_->child_of(parent_->source_[source]) == this;
}

bool Aplic::active(unsigned source) const {
  return mine(source) && (source_[source] & kDelegate) == 0 && source_[source] != kInactive;
}

bool Aplic::rectified(unsigned source) const {
  if (!active(source)) return false;
  switch (source_[source]) {
    case kEdgeHigh:
    case kLevelHigh: return bit(level_, source);
    case kEdgeLow:
    case kLevelLow: return !bit(level_, source);
    default: return false;
  }
}

void Aplic::set_irq(unsigned source, bool level) { root().wire_changed(source, level); }

void Aplic::wire_changed(unsigned source, bool level) {
  if (source == 0 || source > sources_ || bit(level_, source) == level) return;
  put_bit(level_, source, level);
  for (Aplic* child : children_)
    if (child != nullptr) child->wire_changed(source, level);
  if (!active(source)) return;
  if (rectified(source))
    put_bit(pending_, source, true);
  else if (source_[source] >= kLevelHigh)
    put_bit(pending_, source, false);
  update();
}

/// Section 4.7: a level can only be made pending again, and only where it is forgotten when it is forwarded.
void Aplic::set_pending(unsigned source) {
  if (!active(source)) return;
  if (source_[source] >= kLevelHigh && (!msi() || !rectified(source))) return;
  put_bit(pending_, source, true);
}

void Aplic::clear_pending(unsigned source) {
  if (active(source) && (msi() || source_[source] < kLevelHigh)) put_bit(pending_, source, false);
}

void Aplic::configure(unsigned source, u32 value) {
  if (!mine(source)) return;
  if ((value & kDelegate) != 0) {
    // Without such a child the source becomes inactive.
    value = child_of(value) != nullptr ? value & (kDelegate | kChildIndex) : u32{kInactive};
  } else {
    value &= kMode;
    if (value == 2 || value == 3) value = kInactive;
  }
  const u32 before = source_[source];
  source_[source] = value;
  if (Aplic* child = child_of(before); child != nullptr && before != value) child->lost(source);
  if (!active(source)) {
    put_bit(pending_, source, false);
    put_bit(enable_, source, false);
    target_[source] = 0;
    return;
  }
  if (target_[source] == 0) write_target(source, 0);
  if (rectified(source))
    put_bit(pending_, source, true);
  else if (value >= kLevelHigh)
    put_bit(pending_, source, false);
}

void Aplic::lost(unsigned source) {
  if (source > sources_) return;
  const u32 before = std::exchange(source_[source], u32{kInactive});
  if (Aplic* child = child_of(before); child != nullptr) child->lost(source);
  put_bit(pending_, source, false);
  put_bit(enable_, source, false);
  target_[source] = 0;
  update();
}

// ---- delivery

u32 Aplic::top(unsigned hart) const {
  u32 best = 0;
  for (std::size_t word = 0; word < pending_.size(); ++word) {
    for (u32 bits = pending_[word] & enable_[word]; bits != 0; bits &= bits - 1) {
      const u32 source = static_cast<u32>(word * 32) + static_cast<u32>(std::countr_zero(bits));
      const u32 priority = target_[source] & kPriority;
      if (target_[source] >> kHartShift != hart) continue;
      if (best == 0 || priority < (best & kPriority)) best = source << 16 | priority;
    }
  }
  const u32 threshold = controls_[hart].threshold;
  return threshold == 0 || (best & kPriority) < threshold ? best : 0;
}

unsigned Aplic::external_priority(unsigned hart) const {
  return hart < controls_.size() ? top(hart) & kPriority : 0;
}

u32 Aplic::claim(unsigned hart) {
  const u32 best = top(hart);
  if (best == 0)
    controls_[hart].force = 0;
  else
    clear_pending(best >> 16);
  update();
  return best;
}

void Aplic::update() {
  if (msi()) {
    forward();
    return;
  }
  for (unsigned hart = 0; hart < controls_.size(); ++hart) {
    const Control& control = controls_[hart];
    control.line.set(enabled_ && control.delivery != 0 && (control.force != 0 || top(hart) != 0));
  }
}

void Aplic::forward() {
  if (!enabled_) return;
  for (std::size_t word = 0; word < pending_.size(); ++word) {
    for (u32 bits = pending_[word] & enable_[word]; bits != 0; bits &= bits - 1) {
      const unsigned source =
          static_cast<unsigned>(word * 32) + static_cast<unsigned>(std::countr_zero(bits));
      put_bit(pending_, source, false);
      send(target_[source] >> kHartShift, target_[source] & kIdentity);
    }
  }
}

/// Section 4.9.1. Hart numbers are the same at both levels.
void Aplic::send(u32 hart, u32 identity) {
  const std::array<u32, 4>& config = root().msi_address_;
  const u32 low_width = field(config[1], 12, 4), high_width = field(config[1], 16, 3);
  const u32 high_shift = field(config[1], 24, 5);
  const u32 low_shift = field(config[machine_level_ ? 1 : 3], 20, 3);
  const u32* base = &config[machine_level_ ? 0 : 2];
  const u64 group = hart >> low_width & ((u32{1} << high_width) - 1);
  const u64 number = hart & ((u32{1} << low_width) - 1);
  const u64 page = (u64{base[1] & 0xfff} << 32 | base[0]) | group << (high_shift + 12) | number << low_shift;
  send_msi(machine_, page << 12, identity);
}

// ---- registers

u32 Aplic::read_bits(u64 offset) const {
  const std::size_t word = offset % 0x100 / 4;
  if (offset % 0x100 >= kBitsEnd || word >= pending_.size()) return 0;
  switch (offset & ~u64{0xff}) {
    case kSetPending: return pending_[word];
    case kSetEnable: return enable_[word];
    case kClearPending: {
      u32 bits = 0;
      for (unsigned i = 0; i < 32; ++i) bits |= u32{rectified(static_cast<unsigned>(word * 32) + i)} << i;
      return bits;
    }
    default: return 0;
  }
}

void Aplic::write_bits(u64 offset, u32 value) {
  if (offset % 0x100 >= kBitsEnd) return;
  const u64 numbers[] = {kSetPendingNumber, kClearPendingNumber, kSetEnableNumber, kClearEnableNumber};
  const u64 number = numbers[(offset - kSetPending) / 0x100];
  for (; value != 0; value &= value - 1)
    write_number(number,
                 static_cast<u32>(offset % 0x100 / 4 * 32) + static_cast<u32>(std::countr_zero(value)));
}

void Aplic::write_number(u64 offset, u32 source) {
  if (source > sources_ || !active(source)) return;
  if (offset == kSetPendingNumber) set_pending(source);
  if (offset == kClearPendingNumber) clear_pending(source);
  if (offset == kSetEnableNumber || offset == kClearEnableNumber)
    put_bit(enable_, source, offset == kSetEnableNumber);
}

u32* Aplic::address_register(u64 offset) {
  const bool here = parent_ == nullptr && machine_level_ && msi();
  return here ? &msi_address_[(offset - kMsiAddress) / 4] : nullptr;
}

void Aplic::write_address(u64 offset, u32 value) {
  u32* reg = address_register(offset);
  if (reg == nullptr || (msi_address_[1] & kLock) != 0) return;
  const std::size_t n = (offset - kMsiAddress) / 4;
  *reg = n == 1 ? value & kMachineHigh : n == 3 ? value & kSupervisorHigh : value;
}

void Aplic::write_target(unsigned source, u32 value) {
  if (!active(source)) return;
  if (msi())
    target_[source] = value & (kHart | kIdentity);
  else
    target_[source] = (value & kHart) | std::max(value & kPriority, u32{1});
}

u32 Aplic::read_control(u64 offset) {
  const u64 hart = (offset - kDeliveryControls) / kDeliveryControlSize;
  if (hart >= controls_.size()) return 0;
  const Control& control = controls_[hart];
  switch (offset % kDeliveryControlSize) {
    case kDelivery: return control.delivery;
    case kForce: return control.force;
    case kThreshold: return control.threshold;
    case kTop: return top(static_cast<unsigned>(hart));
    case kClaim: return claim(static_cast<unsigned>(hart));
    default: return 0;
  }
}

void Aplic::write_control(u64 offset, u32 value) {
  const u64 hart = (offset - kDeliveryControls) / kDeliveryControlSize;
  if (hart >= controls_.size()) return;
  Control& control = controls_[hart];
  switch (offset % kDeliveryControlSize) {
    case kDelivery: control.delivery = value & 1; break;
    case kForce: control.force = value & 1; break;
    case kThreshold: control.threshold = value & kPriority; break;
    default: break;
  }
}

u32 Aplic::read_register(u64 offset) {
  if (offset >= kDeliveryControls) return read_control(offset);
  if (offset == kDomainConfig)
    return kDomainConstant | (enabled_ ? kDomainEnable : 0) | (msi() ? kDomainMsi : 0);
  if (offset == kGenerate) return generated_;
  if (offset >= kTarget) {
    const u64 source = (offset - kTarget) / 4 + 1;
    return source <= sources_ ? target_[source] : 0;
  }
  if (offset <= kMostSources * 4) return offset / 4 <= sources_ ? source_[offset / 4] : 0;
  if (offset >= kMsiAddress && offset < kMsiAddressEnd) {
    const u32* reg = address_register(offset);
    return reg == nullptr ? 0 : *reg;
  }
  return offset >= kSetPending && offset < kSetPendingLittle ? read_bits(offset) : 0;
}

void Aplic::write_register(u64 offset, u32 value) {
  if (offset >= kDeliveryControls) {
    write_control(offset, value);
  } else if (offset == kDomainConfig) {
    enabled_ = (value & kDomainEnable) != 0;
  } else if (offset >= kTarget) {
    if (const u64 source = (offset - kTarget) / 4 + 1; source <= sources_)
      write_target(static_cast<unsigned>(source), value);
  } else if (offset <= kMostSources * 4) {
    configure(static_cast<unsigned>(offset / 4), value);
  } else if (offset >= kMsiAddress && offset < kMsiAddressEnd) {
    write_address(offset, value);
  } else if (offset == kSetPendingLittle || offset == kSetPendingBig) {
    write_number(kSetPendingNumber, offset == kSetPendingBig ? __builtin_bswap32(value) : value);
  } else if (offset == kGenerate) {
    // It has left when the write is over: Busy is never seen.
    if (msi()) {
      generated_ = value & (kHart | kIdentity);
      send(generated_ >> kHartShift, generated_ & kIdentity);
    }
  } else if (offset == kSetPendingNumber || offset == kClearPendingNumber || offset == kSetEnableNumber ||
             offset == kClearEnableNumber) {
    write_number(offset, value);
  } else if (offset >= kSetPending && offset < kSetPendingLittle) {
    write_bits(offset, value);
  }
  update();
}

// Only words are read and written; the specification defines nothing else.
u64 Aplic::mmio_read(u64 offset, unsigned size) {
  return size == 4 && offset % 4 == 0 ? read_register(offset) : 0;
}

void Aplic::mmio_write(u64 offset, unsigned size, u64 value) {
  if (size == 4 && offset % 4 == 0) write_register(offset, static_cast<u32>(value));
}

}  // namespace hindcast::devices
