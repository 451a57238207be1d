#include "targets/devices/plic.h"

#include <fmt/format.h>

#include <bit>

#include "targets/devices/mmio.h"
#include "targets/devices/model_registry.h"

namespace hindcast::devices {
namespace {

// The memory map of chapter 3.
constexpr u64 kPending = 0x1000, kEnable = 0x2000, kEnableStride = 0x80, kContext = 0x20'0000,
              kContextStride = 0x1000;
constexpr u64 kThreshold = 0, kClaim = 4;

}  // namespace

Plic::Plic(std::string name, unsigned sources, std::vector<IrqLine> contexts)
    : Device(std::move(name)),
      sources_(sources),
      priority_(sources + 1),
      levels_(sources / 32 + 1),
      pending_(sources / 32 + 1),
      claimed_(sources / 32 + 1) {
  for (IrqLine& line : contexts) contexts_.push_back({line, std::vector<u32>(sources / 32 + 1), 0});
}

void Plic::reset() {
  std::fill(priority_.begin(), priority_.end(), 0);
  std::fill(claimed_.begin(), claimed_.end(), 0);
  // Nothing is pending: the devices, reset with it, let go of their lines, some before and some after this.
  std::fill(pending_.begin(), pending_.end(), 0);
  for (Context& context : contexts_) {
    std::fill(context.enable.begin(), context.enable.end(), 0);
    context.threshold = 0;
  }
  update();
}

u32 Plic::existing(std::size_t word) const {
  const u32 mask = word < sources_ / 32 ? ~u32{0} : ~u32{0} >> (31 - sources_ % 32);
  return word == 0 ? mask & ~u32{1} : mask;
}

void Plic::state(Archive& ar) {
  // What is loaded may be anything, and best() takes every bit for a source that exists: nothing else stays,
  // and what held something else is refused.
  bool sound = true;
  auto field = [&](const char* name, u32& value, u32 mask) {
    ar.field(name, value);
    sound = sound && (value & ~mask) == 0;
    value &= mask;
  };
  auto bits = [&](const char* name, std::vector<u32>& words) {
    for (std::size_t i = 0; i < words.size(); ++i) field(name, words[i], existing(i));
  };
  for (std::size_t i = 0; i < priority_.size(); ++i)
    field("priority", priority_[i], i == 0 ? 0 : kPriorityMask);
  bits("levels", levels_);
  bits("pending", pending_);
  bits("claimed", claimed_);
  for (Context& context : contexts_) {
    bits("enable", context.enable);
    field("threshold", context.threshold, kPriorityMask);
  }
  if (!sound) throw Fatal(fmt::format("saved state: {} has no such sources or priorities", name()));
}

void Plic::set_irq(unsigned source, bool level) {
  if (source == 0 || source > sources_) return;
  u32 bit = u32{1} << (source % 32);
  u32& word = levels_[source / 32];
  if (((word & bit) != 0) == level) return;
  word ^= bit;
  if (!level || (claimed_[source / 32] & bit) != 0) return;
  pending_[source / 32] |= bit;
  update();
}

unsigned Plic::best(const Context& context) const {
  unsigned best = 0;
  for (std::size_t word = 0; word < levels_.size(); ++word) {
    for (u32 bits = pending_[word] & context.enable[word]; bits != 0; bits &= bits - 1) {
      unsigned source = static_cast<unsigned>(word * 32) + static_cast<unsigned>(std::countr_zero(bits));
      if (priority_[source] > priority_[best]) best = source;  // priority_[0] stays 0
    }
  }
  return best;
}

void Plic::update() {
  for (const Context& context : contexts_) context.line.set(priority_[best(context)] > context.threshold);
}

/// Not affected by the threshold (chapter 9): a hart may poll with its notifications masked.
u32 Plic::claim(Context& context) {
  unsigned source = best(context);
  if (source != 0) {
    const u32 bit = u32{1} << (source % 32);
    pending_[source / 32] &= ~bit;
    claimed_[source / 32] |= bit;
    update();
  }
  return source;
}

/// Ignored for a source that is not enabled for the context (chapter 10).
void Plic::complete(const Context& context, u32 source) {
  if (source == 0 || source > sources_) return;
  u32 bit = u32{1} << (source % 32);
  if ((context.enable[source / 32] & bit) == 0) return;
  claimed_[source / 32] &= ~bit;
  pending_[source / 32] |= levels_[source / 32] & bit;
  update();
}

u32 Plic::read_register(u64 offset) {
  if (offset < kPending) return offset / 4 <= sources_ ? priority_[offset / 4] : 0;
  if (offset < kEnable) {
    std::size_t word = (offset - kPending) / 4;
    return word < pending_.size() ? pending_[word] : 0;
  }
  if (offset < kContext) {
    std::size_t context = (offset - kEnable) / kEnableStride, word = (offset - kEnable) % kEnableStride / 4;
    return context < contexts_.size() && word < levels_.size() ? contexts_[context].enable[word] : 0;
  }
  std::size_t context = (offset - kContext) / kContextStride;
  if (context >= contexts_.size()) return 0;
  switch ((offset - kContext) % kContextStride) {
    case kThreshold: return contexts_[context].threshold;
    case kClaim: return claim(contexts_[context]);
    default: return 0;
  }
}

void Plic::write_register(u64 offset, u32 value) {
  if (offset < kPending) {
    if (offset == 0 || offset / 4 > sources_) return;
    priority_[offset / 4] = value & kPriorityMask;
  } else if (offset < kEnable) {
    return;  // pending bits are read-only
  } else if (offset < kContext) {
    std::size_t context = (offset - kEnable) / kEnableStride, word = (offset - kEnable) % kEnableStride / 4;
    if (context >= contexts_.size() || word >= levels_.size()) return;
    contexts_[context].enable[word] = value & existing(word);
  } else {
    std::size_t context = (offset - kContext) / kContextStride;
    if (context >= contexts_.size()) return;
    switch ((offset - kContext) % kContextStride) {
      case kThreshold: contexts_[context].threshold = value & kPriorityMask; break;
      case kClaim: complete(contexts_[context], value); return;
      default: return;
    }
  }
  update();
}

// The registers are words; the specification defines no other accesses. A doubleword is two of them, a
// narrower read a part of one (with its side effects), a narrower write nothing.
u64 Plic::mmio_read(u64 offset, unsigned size) {
  u64 value = read_register(offset & ~u64{3});
  if (size == 8) value |= u64{read_register(offset + 4)} << 32;
  return value >> (8 * (offset & 3)) & low_mask(size);
}

void Plic::mmio_write(u64 offset, unsigned size, u64 value) {
  if (size < 4) return;
  write_register(offset, static_cast<u32>(value));
  if (size == 8) write_register(offset + 4, static_cast<u32>(value >> 32));
}

IrqSink* build_plic(const DeviceSite& site) {
  u32 sources = site.cell("riscv,ndev", 0);
  if (sources == 0 || sources > Plic::kMostSources) site.fail("needs a riscv,ndev of 1 to 1023");
  if (site.interrupts.size() > Plic::kMostContexts) site.fail("has too many contexts");
  return &place<Plic>(site, kContext + kContextStride * site.interrupts.size(), sources, site.interrupts);
}

}  // namespace hindcast::devices
