#include "targets/devices/pci/msix.h"

#include <algorithm>

#include "targets/devices/mmio.h"

namespace hindcast::devices::pci {
namespace {

enum Word : unsigned { kAddress, kAddressHigh, kData, kControl };
constexpr u32 kMasked = 1;

}  // namespace

Msix::Msix(unsigned vectors, Send send)
    : send_(std::move(send)), table_(vectors * kWords), pending_((vectors + 31) / 32) {
  reset();
}

Bytes Msix::capability(unsigned bar) const {
  Bytes bytes;
  const auto append = [&](u64 value, unsigned size) {
    for (unsigned i = 0; i < size; ++i) bytes.push_back(static_cast<u8>(value >> (8 * i)));
  };
  append(vectors() - 1, 2);
  append(bar, 4);
  append(kPendingOffset | bar, 4);
  return bytes;
}

void Msix::reset() {
  control_ = 0;
  bus_master_ = false;
  std::fill(pending_.begin(), pending_.end(), 0);
  for (std::size_t i = 0; i < table_.size(); ++i) table_[i] = i % kWords == kControl ? kMasked : 0;
}

void Msix::state(Archive& ar) {
  for (u32& value : table_) ar.field("message", value);
  for (u32& value : pending_) ar.field("pending", value);
  if (!ar.loading()) return;
  for (std::size_t i = 0; i < table_.size(); ++i) {
    if (i % kWords == kControl) table_[i] &= kMasked;
    if (i % kWords == kAddress) table_[i] &= ~u32{3};
  }
  if (vectors() % 32 != 0) pending_.back() &= (u32{1} << (vectors() % 32)) - 1;
}

bool Msix::masked(unsigned vector) const {
  return (control_ & kMaskAll) != 0 || (table_[vector * kWords + kControl] & kMasked) != 0;
}

void Msix::raise(unsigned vector) {
  if (!enabled() || vector >= vectors()) return;
  pending_[vector / 32] |= u32{1} << (vector % 32);
  flush(vector);
}

void Msix::flush(unsigned vector) {
  const u32 bit = u32{1} << (vector % 32);
  if (!enabled() || !bus_master_ || masked(vector) || (pending_[vector / 32] & bit) == 0) return;
  pending_[vector / 32] &= ~bit;
  const u32* entry = &table_[vector * kWords];
  send_(u64{entry[kAddressHigh]} << 32 | entry[kAddress], entry[kData]);
}

void Msix::set_control(u16 control, bool bus_master) {
  if (control == control_ && bus_master == bus_master_) return;
  control_ = control;
  bus_master_ = bus_master;
  for (unsigned vector = 0; vector < vectors(); ++vector) flush(vector);
}

u32 Msix::word(u64 offset) const {
  const u64 n = offset / 4;
  if (n < table_.size()) return table_[n];
  const u64 pending = n - kPendingOffset / 4;
  return offset >= kPendingOffset && pending < pending_.size() ? pending_[pending] : 0;
}

u64 Msix::read(u64 offset, unsigned size) const {
  const u64 aligned = offset & ~u64{3};
  const u64 value = word(aligned) | (size == 8 ? u64{word(aligned + 4)} << 32 : 0);
  return value >> (8 * (offset & 3)) & low_mask(size);
}

void Msix::write(u64 offset, unsigned size, u64 value) {
  if (size < 4 || offset % 4 != 0) return;
  const u64 n = offset / 4;
  if (n >= table_.size()) return;
  u32 kept = static_cast<u32>(value);
  if (n % kWords == kAddress) kept &= ~u32{3};
  if (n % kWords == kControl) kept &= kMasked;
  table_[n] = kept;
  flush(static_cast<unsigned>(n / kWords));
  if (size == 8) write(offset + 4, 4, value >> 32);
}

}  // namespace hindcast::devices::pci
