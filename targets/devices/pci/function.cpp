#include "targets/devices/pci/function.h"

#include <algorithm>

namespace hindcast::devices::pci {
namespace {

enum Offset : unsigned {
  kVendor = 0x00,
  kDevice = 0x02,
  kCommand = 0x04,
  kStatus = 0x06,
  kRevision = 0x08,
  kClass = 0x09,
  kCacheLine = 0x0c,
  kBar0 = 0x10,
  kSubsystemVendor = 0x2c,
  kSubsystem = 0x2e,
  kInterruptLine = 0x3c,
  kInterruptPin = 0x3d,
};
constexpr u32 kMemoryEnable = 1 << 1, kBusMaster = 1 << 2, kInterruptDisable = 1 << 10;
constexpr u32 kWritableCommand = kMemoryEnable | kBusMaster | 1 << 6 | 1 << 8 | kInterruptDisable;
constexpr u32 kInterruptStatus = 1 << 3, kHasCapabilities = 1 << 4;
constexpr u32 kBarWide = 2 << 1, kBarPrefetchable = 1 << 3, kBarFlags = 0xf;

}  // namespace

Function::Function(const Identity& identity) {
  put(kVendor, 2, identity.vendor);
  put(kDevice, 2, identity.device);
  put(kRevision, 1, identity.revision);
  put(kClass, 1, identity.class_code);
  put(kClass + 1, 2, identity.class_code >> 8);
  put(kSubsystemVendor, 2, identity.subsystem_vendor);
  put(kSubsystem, 2, identity.subsystem);
  writable_[kCommand] = static_cast<u8>(kWritableCommand);
  writable_[kCommand + 1] = static_cast<u8>(kWritableCommand >> 8);
  make_writable(kCacheLine, 1);
  make_writable(kInterruptLine, 1);
  initial_ = config_;
}

u32 Function::word(unsigned offset, unsigned size) const {
  u32 value = 0;
  for (unsigned i = 0; i < size; ++i) value |= u32{config_[offset + i]} << (8 * i);
  return value;
}

void Function::put(unsigned offset, unsigned size, u32 value) {
  for (unsigned i = 0; i < size; ++i) config_[offset + i] = static_cast<u8>(value >> (8 * i));
}

void Function::make_writable(unsigned offset, unsigned size) {
  std::fill_n(writable_.begin() + offset, size, u8{0xff});
}

void Function::add_bar(unsigned bar, u64 size, bool wide) {
  bars_[bar] = {size, wide};
  put(kBar0 + 4 * bar, 4, wide ? kBarWide | kBarPrefetchable : 0);
  const u64 mask = ~(size - 1);
  for (unsigned i = 0; i < (wide ? 8 : 4); ++i)
    writable_[kBar0 + 4 * bar + i] = static_cast<u8>(mask >> (8 * i));
  initial_ = config_;
}

unsigned Function::add_capability(u8 id, ByteView bytes) {
  const unsigned at = next_capability_;
  put(kStatus, 2, word(kStatus, 2) | kHasCapabilities);
  put(last_link_, 1, at);
  last_link_ = at + 1;
  put(at, 1, id);
  std::copy(bytes.begin(), bytes.end(), config_.begin() + at + 2);
  next_capability_ = static_cast<unsigned>((at + 2 + bytes.size() + 3) / 4 * 4);
  initial_ = config_;
  return at;
}

void Function::use_interrupt_pin() {
  put(kInterruptPin, 1, 1);  // INTA
  initial_ = config_;
}

void Function::add_msix(unsigned bar, unsigned vectors, Msix::Send send) {
  msix_ = std::make_unique<Msix>(vectors, std::move(send));
  add_bar(bar, Msix::kRangeSize, false);
  msix_control_ = add_capability(Msix::kCapability, msix_->capability(bar)) + 2;
  writable_[msix_control_ + 1] = static_cast<u8>((Msix::kEnable | Msix::kMaskAll) >> 8);
}

void Function::follow_msix_control() {
  if (msix_ != nullptr) msix_->set_control(static_cast<u16>(word(msix_control_, 2)), bus_master());
}

u32 Function::config_read(unsigned offset, unsigned size) {
  config_reading(offset, size);
  return word(offset, size);
}

void Function::config_write(unsigned offset, unsigned size, u32 value) {
  for (unsigned i = 0; i < size; ++i) {
    u8& byte = config_[offset + i];
    const u8 mask = writable_[offset + i];
    byte = static_cast<u8>((byte & ~mask) | (static_cast<u8>(value >> (8 * i)) & mask));
  }
  follow_msix_control();
  update_line();
  config_written(offset, size);
}

u64 Function::bar_base(unsigned bar) const {
  const u64 low = word(kBar0 + 4 * bar, 4) & ~kBarFlags;
  return bars_[bar].wide ? low | u64{word(kBar0 + 4 * bar + 4, 4)} << 32 : low;
}

Function::Place Function::claims(u64 address) const {
  if ((word(kCommand, 2) & kMemoryEnable) == 0) return {};
  for (unsigned bar = 0; bar < kBars; ++bar)
    if (address - bar_base(bar) < bars_[bar].size) return {bar, address - bar_base(bar)};
  return {};
}

bool Function::bus_master() const { return (word(kCommand, 2) & kBusMaster) != 0; }

void Function::set_interrupt(bool level) {
  level_ = level;
  update_line();
}

void Function::update_line() {
  put(kStatus, 2, (word(kStatus, 2) & ~kInterruptStatus) | (level_ ? kInterruptStatus : 0));
  line_.set(level_ && (word(kCommand, 2) & kInterruptDisable) == 0 && !msix_enabled());
}

void Function::reset_function() {
  config_ = initial_;
  if (msix_ != nullptr) msix_->reset();
  set_interrupt(false);
}

void Function::function_state(Archive& ar) {
  ar.field("config", config_);
  ar.field("level", level_);
  if (msix_ != nullptr) msix_->state(ar);
  if (!ar.loading()) return;
  // What nobody can write is what it was, whatever was saved.
  for (unsigned i = 0; i < kConfigSize; ++i)
    config_[i] = static_cast<u8>((config_[i] & writable_[i]) | (initial_[i] & ~writable_[i]));
  put(kStatus, 2, word(kStatus, 2) | (level_ ? kInterruptStatus : 0));
  follow_msix_control();
}

}  // namespace hindcast::devices::pci
