#include "targets/arm/scs.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "targets/arm/exceptions.h"
#include "targets/arm/mpu.h"
#include "targets/arm/scs_bits.h"
#include "targets/devices/mmio.h"
#include "targets/devices/model_registry.h"

namespace hindcast::arm {

Scs::Scs(std::string name, Machine& machine, Clocks clocks, unsigned interrupts,
         std::optional<u32> mpu_regions)
    : Device(std::move(name)),
      machine_(machine),
      interrupts_(interrupts),
      mpu_regions_(arch().has(ext::Mpu) ? mpu_regions.value_or(arch().features().model->mpu_regions) : 0),
      tick_(machine, this->name() + ".systick", clocks,
            [this] { set_pending(machine_.vcpu(0), exc::kSysTick, true); }),
      secure_tick_(machine, this->name() + ".systick_s", clocks,
                   [this] { set_pending(machine_.vcpu(0), kSecureSlots + exc::kSysTick, true); }) {}

ArmState& Scs::cpu() const { return machine_.vcpu(0).state<ArmState>(); }
const ArmArch& Scs::arch() const { return static_cast<const ArmArch&>(machine_.arch()); }

void Scs::reset() {
  // Of DEMCR only what is about the monitor is reset: the rest is 0 from power-on (DDI 0403, C1.6.5).
  constexpr u32 kMonitor = 0xf0000;
  demcr_ &= ~kMonitor;
  actlr_ = 0;
  tick_.reset();
  secure_tick_.reset();
}

void Scs::state(Archive& ar) {
  tick_.state(ar, "tick_");
  if (arch().has(ext::Sec)) secure_tick_.state(ar, "s_tick_");
  ar.field("demcr", demcr_);
  ar.field("actlr", actlr_);
}

void Scs::set_irq(unsigned line, bool level) {
  if (line < interrupts_ || line == ArmArch::kNmiLine) machine_.vcpu(0).set_irq(line, level);
}

// ---- accesses
// ------------------------------------------------------------------------------------------------------

u64 Scs::mmio_read(u64 offset, unsigned size) { return read_as(cpu().secure, offset, size); }
void Scs::mmio_write(u64 offset, unsigned size, u64 value) { write_as(cpu().secure, offset, size, value); }

u64 Scs::mmio_peek(u64 offset, unsigned size) { return peek_as(cpu().secure, offset, size); }

u64 Scs::Alias::mmio_read(u64 offset, unsigned size) {
  return scs_.cpu().secure == kSecure ? scs_.read_as(kNonSecure, offset, size) : 0;
}
u64 Scs::Alias::mmio_peek(u64 offset, unsigned size) {
  return scs_.cpu().secure == kSecure ? scs_.peek_as(kNonSecure, offset, size) : 0;
}
void Scs::Alias::mmio_write(u64 offset, unsigned size, u64 value) {
  if (scs_.cpu().secure == kSecure) scs_.write_as(kNonSecure, offset, size, value);
}

u64 Scs::read_as(u32 secure, u64 offset, unsigned size) {
  secure_ = secure;
  if (size == 8)
    return read_word(static_cast<u32>(offset)) | u64{read_word(static_cast<u32>(offset) + 4)} << 32;
  const u32 word = read_word(static_cast<u32>(offset) & ~u32{3});
  return word >> (8 * (offset & 3)) & devices::low_mask(size);
}

/// SysTick's are the only registers that reading changes.
u64 Scs::peek_as(u32 secure, u64 offset, unsigned size) {
  secure_ = secure;
  const u32 at = static_cast<u32>(offset) & ~u32{3};
  const u32 word = at >= 0x010 && at < 0x020 ? tick().peek(at - 0x010) : read_word(at);
  return word >> (8 * (offset & 3)) & devices::low_mask(size);
}

void Scs::write_as(u32 secure, u64 offset, unsigned size, u64 value) {
  secure_ = secure;
  const u32 at = static_cast<u32>(offset);
  if (size == 8) {
    write_word(at, static_cast<u32>(value), ~u32{0});
    write_word(at + 4, static_cast<u32>(value >> 32), ~u32{0});
  } else {
    const unsigned shift = 8 * (at & 3);
    const u32 mask = static_cast<u32>(devices::low_mask(size)) << shift;
    write_word(at & ~u32{3}, static_cast<u32>(value) << shift & mask, mask);
  }
  update_exceptions(cpu());
  machine_.vcpu(0).request_exit();
}

u32 Scs::read_word(u32 offset) {
  if (offset >= 0x100 && offset < 0x800) return read_nvic(offset);
  if (offset >= 0xd90 && offset < 0xdd0) return read_mpu(offset);
  if (offset >= 0xdd0 && offset < 0xdec) return read_sau(offset);
  if (offset >= 0xd40 && offset < 0xd80) return read_identification(offset);
  if (offset >= 0x010 && offset < 0x020) return tick().read(offset - 0x010);
  switch (offset) {
    case 0x004: return (interrupts_ + 31) / 32 - 1;
    case 0x008: return actlr_;
    default: return read_system(offset);
  }
}

void Scs::write_word(u32 offset, u32 value, u32 mask) {
  if (offset >= 0x400 && offset < 0x800)
    return write_priorities(exc::kFirstIrq + (offset - 0x400), value, mask);
  if (offset >= 0x100 && offset < 0x400) return write_nvic(offset, value);
  if (offset >= 0xd90 && offset < 0xdd0) return write_mpu(offset, value);
  if (offset >= 0xdd0 && offset < 0xdec) return write_sau(offset, value);
  if (offset >= 0x010 && offset < 0x020) return tick().write(offset - 0x010, value, mask);
  switch (offset) {
    case 0x008: actlr_ = merge(actlr_, value, mask); return;
    case 0xf00: {  // STIR
      if (!main()) return;
      const unsigned n = exc::kFirstIrq + (value & 0x1ff);
      if (sees(n)) set_pending(machine_.vcpu(0), n, true);
      return;
    }
    default: return write_system(offset, value, mask);
  }
}

// ---- NVIC
// ------------------------------------------------------------------------------------------------------

bool Scs::sees(unsigned exception) const {
  if (exception >= exc::kFirstIrq)
    return exception < exc::kFirstIrq + interrupts_ && (owner() || cpu().targets_non_secure.has(exception));
  switch (exception) {
    case exc::kBusFault: return owns_faults();
    case exc::kSecureFault: return secure_ == kSecure;
    case exc::kMemManage:
    case exc::kUsageFault:
    case exc::kDebugMonitor: return main();
    case exc::kHardFault:
    case exc::kNmi:
    case exc::kSvc:
    case exc::kPendSv:
    case exc::kSysTick: return true;
    default: return false;  // reserved
  }
}

u32 Scs::read_nvic(u32 offset) const {
  const ArmState& s = cpu();
  if (offset >= 0x400) return read_priorities(exc::kFirstIrq + (offset - 0x400));
  const ExceptionSet* set = nullptr;
  switch (offset & ~u32{0x7f}) {
    case 0x100:
    case 0x180: set = &s.enabled; break;
    case 0x200:
    case 0x280: set = &s.pending; break;
    default: set = &s.active; break;
  }
  const bool targets = offset >= 0x380;
  if (targets) {
    if (secure_ != kSecure) return 0;
    set = &s.targets_non_secure;
  }
  u32 word = 0;
  const unsigned first = exc::kFirstIrq + (offset & 0x7f) * 8;
  for (unsigned i = 0; i < 32; ++i)
    if (sees(first + i) && set->has(first + i)) word |= u32{1} << i;
  return word;
}

void Scs::write_nvic(u32 offset, u32 value) {
  ArmState& s = cpu();
  const unsigned first = exc::kFirstIrq + (offset & 0x7f) * 8;
  for (unsigned i = 0; i < 32; ++i) {
    const unsigned n = first + i;
    if (!sees(n)) continue;
    const bool on = (value >> i & 1) != 0;
    if (offset >= 0x380) {
      if (secure_ == kSecure) s.targets_non_secure.set(n, on);
      continue;
    }
    if (!on) continue;
    switch (offset & ~u32{0x7f}) {
      case 0x100: s.enabled.set(n, true); break;
      case 0x180: s.enabled.set(n, false); break;
      case 0x200: set_pending(machine_.vcpu(0), n, true); break;
      case 0x280:  // a line that is still high makes it pending again
        if (!s.level.has(n) || s.active.has(n)) s.pending.set(n, false);
        break;
      default: break;
    }
  }
}

u32 Scs::read_priorities(unsigned first) const {
  u32 word = 0;
  for (unsigned i = 0; i < 4; ++i)
    if (sees(first + i)) word |= u32{cpu().priority[slot(first + i)]} << (8 * i);
  return word;
}

void Scs::write_priorities(unsigned first, u32 value, u32 mask) {
  const u8 kept = static_cast<u8>(cpu().priority_mask);
  for (unsigned i = 0; i < 4; ++i) {
    if ((mask >> (8 * i) & 0xff) == 0 || !sees(first + i)) continue;
    cpu().priority[slot(first + i)] = static_cast<u8>(value >> (8 * i)) & kept;
  }
}

// ---- MPU and SAU
// -----------------------------------------------------------------------------------------------

namespace {
constexpr u32 kMpuType = 0xd90, kMpuCtrl = 0xd94, kMpuRnr = 0xd98, kMpuRegion = 0xd9c, kMpuMair = 0xdc0;
}  // namespace

u32 Scs::read_mpu(u32 offset) const {
  const unsigned regions = mpu_regions_;
  if (offset == kMpuType) return regions << 8;
  if (regions == 0) return 0;
  const Bank& b = bank();
  const bool v8 = arch().has(ext::V8);
  if (offset == kMpuCtrl) return b.mpu_ctrl;
  if (offset == kMpuRnr) return b.mpu_rnr;
  if (offset >= kMpuMair) return v8 && offset < kMpuMair + 8 ? b.mpu_mair[(offset - kMpuMair) / 4] : 0;
  if (offset >= kMpuRegion + 32) return 0;
  // The aliases are of the same region; in Armv8-M of its neighbours.
  const u32 alias = (offset - kMpuRegion) / 8;
  const u32 n = v8 && alias != 0 ? (b.mpu_rnr & ~u32{3}) + alias : b.mpu_rnr;
  if (n >= regions) return 0;
  if ((offset - kMpuRegion) % 8 != 0) return b.mpu_rasr[n];
  return v8 ? b.mpu_rbar[n] : (b.mpu_rbar[n] & ~u32{0x1f}) | n;
}

u32* Scs::mpu_register(u32 offset, u32* value) {
  Bank& b = bank();
  const unsigned regions = mpu_regions_;
  const bool v8 = arch().has(ext::V8);
  if (offset == kMpuCtrl) {
    *value &= 7;
    return &b.mpu_ctrl;
  }
  if (offset < kMpuRegion || offset >= kMpuRegion + 32) return nullptr;
  const bool base = (offset - kMpuRegion) % 8 == 0;
  if (v8) {
    const u32 alias = (offset - kMpuRegion) / 8;
    const u32 n = alias != 0 ? (b.mpu_rnr & ~u32{3}) + alias : b.mpu_rnr;
    if (n >= regions) return nullptr;
    constexpr u32 kPxn = 16;  // RLAR's, from Armv8.1-M on
    if (!base && !arch().has(ext::V81)) *value &= ~kPxn;
    return base ? &b.mpu_rbar[n] : &b.mpu_rasr[n];
  }
  if (!base) {
    *value &= 0x173fff3f;
    return &b.mpu_rasr[b.mpu_rnr];
  }
  constexpr u32 kValid = 16;
  if ((*value & kValid) != 0) {
    if ((*value & 15) >= regions) return nullptr;  // unpredictable
    b.mpu_rnr = *value & 15;
  }
  *value &= ~u32{0x1f};
  return &b.mpu_rbar[b.mpu_rnr];
}

void Scs::write_mpu(u32 offset, u32 value) {
  Bank& b = bank();
  if (mpu_regions_ == 0) return;
  if (offset == kMpuRnr) {
    if (value < mpu_regions_) b.mpu_rnr = value;
    return;
  }
  if (offset >= kMpuMair) {
    if (arch().has(ext::V8) && offset < kMpuMair + 8) b.mpu_mair[(offset - kMpuMair) / 4] = value;
    return;
  }
  u32* const reg = mpu_register(offset, &value);
  // Much is written again as it was (a scheduler loads all regions of the next thread), and regions say
  // nothing while the unit is off.
  if (reg == nullptr || std::exchange(*reg, value) == value) return;
  if (reg == &b.mpu_ctrl || (b.mpu_ctrl & mpu_ctrl::kEnable) != 0) mpu_changed(machine_.vcpu(0));
}

u32 Scs::read_sau(u32 offset) const {
  const ArmState& s = cpu();
  if (secure_ != kSecure) return 0;
  switch (offset) {
    case 0xdd0: return s.sau_ctrl;
    case 0xdd4: return kSauRegions;
    case 0xdd8: return s.sau_rnr;
    case 0xddc: return s.sau_rbar[s.sau_rnr];
    case 0xde0: return s.sau_rlar[s.sau_rnr];
    case 0xde4: return main() ? s.sfsr : 0;
    default: return main() ? s.sfar : 0;
  }
}

void Scs::write_sau(u32 offset, u32 value) {
  ArmState& s = cpu();
  if (secure_ != kSecure) return;
  switch (offset) {
    case 0xdd0: s.sau_ctrl = value & 3; break;
    case 0xdd8:
      if (value < kSauRegions) s.sau_rnr = value;
      return;
    case 0xddc: s.sau_rbar[s.sau_rnr] = value & ~u32{0x1f}; break;
    case 0xde0: s.sau_rlar[s.sau_rnr] = value & ~u32{0x1c}; break;
    case 0xde4: s.sfsr &= ~value; return;
    case 0xde8: s.sfar = value; return;
    default: return;
  }
  machine_.flush_translations();
}

namespace {

/// What the tree says about the core's clock, in the interrupt controller's node or, as users' trees do, in
/// the CPU's.
u32 core_clock(const devices::DeviceSite& site) {
  constexpr u32 kUsual = 25'000'000;
  const loader::DtNode* root = &site.node;
  while (root->parent() != nullptr) root = root->parent();
  const loader::DtNode* const cpus = root->child("cpus");
  u32 hz = kUsual;
  if (cpus != nullptr && !cpus->children().empty())
    hz = cpus->children().front()->cell("clock-frequency").value_or(kUsual);
  return site.cell("clock-frequency", hz);
}

}  // namespace

IrqSink* build_scs(const devices::DeviceSite& site) {
  const auto* arch = dynamic_cast<const ArmArch*>(&site.machine.arch());
  if (arch == nullptr) site.fail("belongs to an Arm M-profile CPU");
  Scs::Clocks clocks;
  clocks.core_hz = core_clock(site);
  clocks.reference_hz = site.cell("hindcast,reference-frequency", 0);
  const u32 interrupts = site.cell("hindcast,interrupts", kExceptions - exc::kFirstIrq);
  if (clocks.core_hz == 0 || interrupts > kExceptions - exc::kFirstIrq)
    site.fail("has a clock or a number of interrupts that no CPU has");
  const u32 implemented = arch->features().model->priority_bits;
  const u32 bits = site.cell("arm,num-irq-priority-bits", implemented);
  if (bits < 1 || bits > 8) site.fail(fmt::format("has {} priority bits: 1 to 8 are possible", bits));
  site.machine.set_extension(kPriorityBits, std::make_shared<u32>(std::min(bits, implemented)));
  const u32* regions = site.machine.extension<u32>(kMpuRegions);
  if (regions != nullptr && *regions > kMostRegions)
    site.fail(fmt::format("has an MPU of {} regions: up to {} are possible", *regions, kMostRegions));
  auto& scs = site.machine.add_device<Scs>(site.name, site.machine, clocks, interrupts,
                                           regions != nullptr ? std::optional<u32>(*regions) : std::nullopt);
  site.machine.memory().add_device(site.name, Scs::kBase, Scs::kSize, &scs);
  if (arch->has(ext::Sec))
    site.machine.memory().add_device(site.name + ".ns", Scs::kNonSecureBase, Scs::kSize,
                                     &scs.non_secure_alias());
  if (arch->has(ext::Main)) {
    const bool to_serial = site.machine.extension<bool>(kItmToSerial) != nullptr;
    const Channel channel = to_serial ? devices::kSerialChannels : devices::kNoChannel;
    scs.set_trace_units(
        add_trace_units(site.machine, clocks.core_hz, channel, [&scs] { return scs.tracing(); }));
  }
  return &scs;
}

}  // namespace hindcast::arm
