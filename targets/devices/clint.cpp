#include "targets/devices/clint.h"

#include <fmt/format.h>

#include "targets/devices/mmio.h"
#include "targets/devices/model_registry.h"

namespace hindcast::devices {
namespace {

constexpr u64 kCompare = 0x4000, kMtime = 0xbff8;

}  // namespace

Clint::Clint(std::string name, Machine& machine, std::vector<Hart> harts, u64 tick_ns)
    : Device(std::move(name)),
      machine_(machine),
      harts_(std::move(harts)),
      tick_ns_(tick_ns),
      compare_(harts_.size(), ~u64{0}),
      software_(harts_.size(), 0) {
  for (std::size_t i = 0; i < harts_.size(); ++i)
    timers_.push_back(machine_.clock().add_timer(fmt::format("{}.timer{}", this->name(), i),
                                                 [this, i] { update_timer(i); }));
}

void Clint::reset() {
  mtime_offset_ = u64{0} - ticks();
  for (std::size_t i = 0; i < harts_.size(); ++i) {
    software_[i] = 0;
    harts_[i].software.set(false);
    // The specification leaves the comparator open; with the largest value no interrupt is pending after
    // reset.
    compare_[i] = ~u64{0};
    update_timer(i);
  }
}

void Clint::state(Archive& ar) {
  ar.field("mtime_offset", mtime_offset_);
  for (u64& compare : compare_) ar.field("mtimecmp", compare);
  for (u8& software : software_) ar.field("msip", software);
}

/// Registers are 64 bits wide from here on: a pair of msip, a comparator, or mtime; `offset` is a multiple
/// of 8.
u64 Clint::read_register(u64 offset) const {
  std::size_t hart = static_cast<std::size_t>(offset / 4);
  if (hart + 1 < harts_.size()) return software_[hart] | u64{software_[hart + 1]} << 32;
  if (hart < harts_.size()) return software_[hart];
  if (offset == kMtime) return mtime();
  if (offset >= kCompare && (offset - kCompare) / 8 < harts_.size()) return compare_[(offset - kCompare) / 8];
  return 0;
}

void Clint::write_register(u64 offset, u64 value, u64 mask) {
  for (unsigned half = 0; half < 2; ++half) {
    std::size_t hart = static_cast<std::size_t>(offset / 4) + half;
    if (hart >= harts_.size() || (mask >> (32 * half) & 1) == 0) continue;
    software_[hart] = value >> (32 * half) & 1;
    harts_[hart].software.set(software_[hart] != 0);
  }
  if (offset == kMtime) {
    mtime_offset_ = ((mtime() & ~mask) | (value & mask)) - ticks();
    for (std::size_t i = 0; i < harts_.size(); ++i) update_timer(i);
    if (time_written_) time_written_();
  } else if (offset >= kCompare && (offset - kCompare) / 8 < harts_.size()) {
    std::size_t hart = static_cast<std::size_t>((offset - kCompare) / 8);
    compare_[hart] = (compare_[hart] & ~mask) | (value & mask);
    update_timer(hart);
  }
}

u64 Clint::mmio_read(u64 offset, unsigned size) {
  return read_register(offset & ~u64{7}) >> (8 * (offset & 7)) & low_mask(size);
}

void Clint::mmio_write(u64 offset, unsigned size, u64 value) {
  unsigned shift = 8 * (offset & 7);
  write_register(offset & ~u64{7}, (value & low_mask(size)) << shift, low_mask(size) << shift);
}

/// mtip is the level "mtime >= mtimecmp"; the next rise is a deadline.
void Clint::update_timer(std::size_t hart) {
  const u64 now = mtime(), compare = compare_[hart];
  harts_[hart].timer.set(now >= compare);
  VirtualNs when = kNever;
  if (now < compare) {
    // In 128 bits: software parks the comparator far beyond what virtual time can hold.
    u128 due = (u128{ticks()} + (compare - now)) * tick_ns_;
    if (due < kNever) when = static_cast<VirtualNs>(due);
  }
  machine_.clock().arm(timers_[hart], when);
}

IrqSink* build_clint(const DeviceSite& site) {
  // Entries come in pairs: the software and the timer interrupt of each hart.
  if (site.interrupts.size() % 2 != 0 || site.interrupts.size() / 2 > Clint::kMostHarts)
    site.fail("needs a software and a timer interrupt for each hart");
  std::vector<Clint::Hart> harts;
  for (std::size_t i = 0; i < site.interrupts.size(); i += 2)
    harts.push_back({site.interrupts[i], site.interrupts[i + 1]});
  const loader::DtNode* root = &site.node;
  while (root->parent() != nullptr) root = root->parent();
  const loader::DtNode* cpus = root->child("cpus");
  u32 frequency = cpus == nullptr ? 0 : cpus->cell("timebase-frequency").value_or(0);
  if (frequency == 0 || 1'000'000'000 % frequency != 0)
    site.fail("needs a timebase-frequency of /cpus that divides 1 GHz");
  auto& clint = place<Clint>(site, Clint::kSize, site.machine, std::move(harts), 1'000'000'000 / frequency);
  // Not owned by the extension: the machine owns its devices and outlives whoever asks.
  site.machine.set_extension("riscv.clint", std::shared_ptr<void>(std::shared_ptr<void>(), &clint));
  return nullptr;
}

}  // namespace hindcast::devices
