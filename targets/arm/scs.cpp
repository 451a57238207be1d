#include "targets/arm/scs.h"

#include <algorithm>

#include "targets/arm/exceptions.h"
#include "targets/devices/mmio.h"
#include "targets/devices/model_registry.h"

namespace hindcast::arm {
namespace {

constexpr u32 kTickEnable = 1, kTickInt = 2, kTickCoreClock = 4, kTickFlag = 1 << 16;
constexpr u32 kTickMax = 0xffffff;
constexpr u32 kVectKey = 0x05fa0000, kVectKeyRead = 0xfa050000;
constexpr u32 kMonEnable = 1 << 16;
constexpr u32 kUsable = cfsr::kIaccViol | cfsr::kDaccViol | cfsr::kMunstkErr | cfsr::kMstkErr |
                        cfsr::kMlspErr | cfsr::kMmarValid | cfsr::kIbusErr | cfsr::kPrecisErr |
                        cfsr::kImprecisErr | cfsr::kUnstkErr | cfsr::kStkErr | cfsr::kLspErr |
                        cfsr::kBfarValid | cfsr::kUndefInstr | cfsr::kInvState | cfsr::kInvPc | cfsr::kNoCp |
                        cfsr::kUnaligned | cfsr::kDivByZero;

u32 merge(u32 old, u32 value, u32 mask) { return (old & ~mask) | (value & mask); }

}  // namespace

Scs::Scs(std::string name, Machine& machine, Clocks clocks, unsigned interrupts)
    : Device(std::move(name)), machine_(machine), clocks_(clocks), interrupts_(interrupts) {
  timer_ = machine.clock().add_timer(this->name() + ".systick", [this] { systick_fired(); });
}

ArmState& Scs::cpu() const { return machine_.vcpu(0).state<ArmState>(); }
const ArmArch& Scs::arch() const { return static_cast<const ArmArch&>(machine_.arch()); }

void Scs::reset() {
  tick_control_ = tick_reload_ = 0;
  tick_flag_ = false;
  demcr_ = actlr_ = 0;
  systick_restart(0);
}

void Scs::state(Archive& ar) {
  ar.field("tick_control", tick_control_);
  ar.field("tick_reload", tick_reload_);
  ar.field("tick_value", tick_value_);
  ar.field("tick_anchor", tick_anchor_);
  ar.field("tick_flag", tick_flag_);
  ar.field("demcr", demcr_);
  ar.field("actlr", actlr_);
}

void Scs::set_irq(unsigned line, bool level) {
  if (line < interrupts_) machine_.vcpu(0).set_irq(line, level);
}

// ---- accesses
// ------------------------------------------------------------------------------------------------------

u64 Scs::mmio_read(u64 offset, unsigned size) {
  if (size == 8)
    return read_word(static_cast<u32>(offset)) | u64{read_word(static_cast<u32>(offset) + 4)} << 32;
  const u32 word = read_word(static_cast<u32>(offset) & ~u32{3});
  return word >> (8 * (offset & 3)) & devices::low_mask(size);
}

void Scs::mmio_write(u64 offset, unsigned size, u64 value) {
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
  if (offset >= 0xd90 && offset <= 0xdb8) return read_mpu(offset);
  if (offset >= 0xd40 && offset < 0xd80) return read_identification(offset);
  switch (offset) {
    case 0x004: return (interrupts_ + 31) / 32 - 1;
    case 0x008: return actlr_;
    case 0x010: {
      const u32 value = tick_control_ | (tick_flag_ ? kTickFlag : 0);
      tick_flag_ = false;
      return value;
    }
    case 0x014: return tick_reload_;
    case 0x018: return systick_value();
    case 0x01c:  // no reference clock: bit 31; ticks in 10 ms otherwise
      return clocks_.reference_hz == 0 ? u32{1} << 31
                                       : static_cast<u32>(clocks_.reference_hz / 100 - 1) & kTickMax;
    default: return read_system(offset);
  }
}

void Scs::write_word(u32 offset, u32 value, u32 mask) {
  if (offset >= 0x100 && offset < 0x800) return write_nvic(offset, value, mask);
  if (offset >= 0xd90 && offset <= 0xdb8) return write_mpu(offset, value);
  if (write_system(offset, value, mask)) return;
  switch (offset) {
    case 0x008: actlr_ = merge(actlr_, value, mask); break;
    case 0x010: {
      const u32 now = systick_value();
      tick_control_ = merge(tick_control_, value, mask) & (kTickEnable | kTickInt | kTickCoreClock);
      if (clocks_.reference_hz == 0) tick_control_ |= kTickCoreClock;
      systick_restart(now);
      break;
    }
    case 0x014: {
      const u32 now = systick_value();
      tick_reload_ = merge(tick_reload_, value, mask) & kTickMax;
      systick_restart(now);
      break;
    }
    case 0x018:
      tick_flag_ = false;
      systick_restart(0);
      break;
    case 0xf00: {  // STIR
      const unsigned n = exc::kFirstIrq + (value & 0x1ff);
      if (has_exception(n)) set_pending(machine_.vcpu(0), n, true);
      break;
    }
    default: break;
  }
}

// ---- NVIC
// ------------------------------------------------------------------------------------------------------

u32 Scs::read_nvic(u32 offset) const {
  const ArmState& s = cpu();
  if (offset >= 0x400) return read_priorities(exc::kFirstIrq + (offset - 0x400));
  const ExceptionSet* set = nullptr;
  switch (offset & ~u32{0x7f}) {
    case 0x100:
    case 0x180: set = &s.enabled; break;
    case 0x200:
    case 0x280: set = &s.pending; break;
    case 0x300: set = &s.active; break;
    default: return 0;
  }
  u32 word = 0;
  const unsigned first = exc::kFirstIrq + (offset & 0x7f) * 8;
  for (unsigned i = 0; i < 32; ++i)
    if (has_exception(first + i) && set->has(first + i)) word |= u32{1} << i;
  return word;
}

void Scs::write_nvic(u32 offset, u32 value, u32 mask) {
  ArmState& s = cpu();
  if (offset >= 0x400) return write_priorities(exc::kFirstIrq + (offset - 0x400), value, mask);
  const unsigned first = exc::kFirstIrq + (offset & 0x7f) * 8;
  for (unsigned i = 0; i < 32; ++i) {
    const unsigned n = first + i;
    if ((value >> i & 1) == 0 || !has_exception(n)) continue;
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
    if (has_exception(first + i)) word |= u32{cpu().priority[first + i]} << (8 * i);
  return word;
}

void Scs::write_priorities(unsigned first, u32 value, u32 mask) {
  const u8 kept = static_cast<u8>(0xff << (8 - arch().features().model->priority_bits));
  for (unsigned i = 0; i < 4; ++i) {
    if ((mask >> (8 * i) & 0xff) == 0 || !has_exception(first + i)) continue;
    cpu().priority[first + i] = static_cast<u8>(value >> (8 * i)) & kept;
  }
}

// ---- system control block
// -------------------------------------------------------------------------------------

u32 Scs::read_icsr() const {
  const ArmState& s = cpu();
  u32 value = s.ipsr | s.pending_exception << 12;
  ExceptionSet others = s.active;
  others.set(s.ipsr, false);
  const auto none = [](u32 word) { return word == 0; };
  if (std::all_of(std::begin(others.words), std::end(others.words), none)) value |= 1 << 11;  // RETTOBASE
  for (unsigned n = exc::kFirstIrq; n < kExceptions; ++n)
    if (s.pending.has(n)) value |= 1 << 22;
  if (s.pending.has(exc::kSysTick)) value |= 1 << 26;
  if (s.pending.has(exc::kPendSv)) value |= 1 << 28;
  if (s.pending.has(exc::kNmi)) value |= u32{1} << 31;
  return value;
}

void Scs::write_icsr(u32 value) {
  Vcpu& vcpu = machine_.vcpu(0);
  if ((value >> 31) != 0) set_pending(vcpu, exc::kNmi, true);
  if ((value >> 28 & 1) != 0)
    set_pending(vcpu, exc::kPendSv, true);
  else if ((value >> 27 & 1) != 0)
    set_pending(vcpu, exc::kPendSv, false);
  if ((value >> 26 & 1) != 0)
    set_pending(vcpu, exc::kSysTick, true);
  else if ((value >> 25 & 1) != 0)
    set_pending(vcpu, exc::kSysTick, false);
}

namespace {
/// SHCSR's bits for the state of exceptions.
struct ShcsrBit {
  unsigned bit, exception;
};
constexpr ShcsrBit kActiveBits[] = {{0, exc::kMemManage}, {1, exc::kBusFault},     {3, exc::kUsageFault},
                                    {7, exc::kSvc},       {8, exc::kDebugMonitor}, {10, exc::kPendSv},
                                    {11, exc::kSysTick}};
constexpr ShcsrBit kPendingBits[] = {
    {12, exc::kUsageFault}, {13, exc::kMemManage}, {14, exc::kBusFault}, {15, exc::kSvc}};
constexpr ShcsrBit kEnableBits[] = {{16, exc::kMemManage}, {17, exc::kBusFault}, {18, exc::kUsageFault}};
}  // namespace

u32 Scs::read_shcsr() const {
  const ArmState& s = cpu();
  u32 value = 0;
  for (const ShcsrBit& b : kActiveBits) value |= u32{s.active.has(b.exception)} << b.bit;
  for (const ShcsrBit& b : kPendingBits) value |= u32{s.pending.has(b.exception)} << b.bit;
  for (const ShcsrBit& b : kEnableBits) value |= u32{s.enabled.has(b.exception)} << b.bit;
  return value;
}

void Scs::write_shcsr(u32 value) {
  ArmState& s = cpu();
  for (const ShcsrBit& b : kActiveBits) s.active.set(b.exception, (value >> b.bit & 1) != 0);
  for (const ShcsrBit& b : kPendingBits) s.pending.set(b.exception, (value >> b.bit & 1) != 0);
  for (const ShcsrBit& b : kEnableBits) s.enabled.set(b.exception, (value >> b.bit & 1) != 0);
}

u32 Scs::read_system(u32 offset) {
  const ArmState& s = cpu();
  const bool main = arch().has(ext::Main);
  switch (offset) {
    case 0xd00: return arch().features().model->cpuid;
    case 0xd04: return read_icsr();
    case 0xd08: return arch().has(ext::VtorWritable) ? s.vtor : 0;
    case 0xd0c: return kVectKeyRead | s.aircr_prigroup << 8;
    case 0xd10: return s.scr;
    case 0xd14: return s.ccr;
    case 0xd1c: return read_priorities(8);
    case 0xd20: return read_priorities(12);
    default: break;
  }
  if (!main) return 0;
  switch (offset) {
    case 0xd18: return read_priorities(4);
    case 0xd24: return read_shcsr();
    case 0xd28: return s.cfsr;
    case 0xd2c: return s.hfsr;
    case 0xd30: return s.dfsr;
    case 0xd34: return s.mmfar;
    case 0xd38: return s.bfar;
    case 0xd88: return s.cpacr;
    case 0xdfc: return demcr_;
    case 0xf34: return s.fpccr;
    case 0xf38: return s.fpcar;
    case 0xf3c: return s.fpdscr;
    case 0xf40: return arch().has(ext::Vfp) ? (arch().has(ext::VfpD) ? 0x10110221 : 0x10110021) : 0;
    case 0xf44: return arch().has(ext::Vfp) ? (arch().has(ext::VfpD) ? 0x12000011 : 0x11000011) : 0;
    case 0xf48: return arch().has(ext::Vfp5) ? 0x40 : 0;
    default: return 0;
  }
}

bool Scs::write_system(u32 offset, u32 value, u32 mask) {
  ArmState& s = cpu();
  const bool main = arch().has(ext::Main);
  switch (offset) {
    case 0xd04: write_icsr(value); return true;
    case 0xd08:
      if (arch().has(ext::VtorWritable)) s.vtor = merge(s.vtor, value, mask) & ~u32{0x7f};
      return true;
    case 0xd0c:
      if ((value & 0xffff0000) != kVectKey) return true;
      if (main) s.aircr_prigroup = value >> 8 & 7;
      if ((value & 5) != 0) machine_.request_reset();
      return true;
    case 0xd10:
      s.scr = merge(s.scr, value, mask) & (scr::kSleepOnExit | scr::kSleepDeep | scr::kSevOnPend);
      return true;
    case 0xd14:
      if (main)
        s.ccr = merge(s.ccr, value, mask) & (ccr::kNonBaseThread | ccr::kUserSetMpend | ccr::kUnalignTrap |
                                             ccr::kDiv0Trap | ccr::kBfhfnmign | ccr::kStkAlign);
      return true;
    case 0xd1c: write_priorities(8, value, mask); return true;
    case 0xd20: write_priorities(12, value, mask); return true;
    default: break;
  }
  if (!main) return false;
  switch (offset) {
    case 0xd18: write_priorities(4, value, mask); return true;
    case 0xd24: write_shcsr(merge(read_shcsr(), value, mask)); return true;
    case 0xd28: s.cfsr &= ~(value & mask & kUsable); return true;
    case 0xd2c: s.hfsr &= ~(value & mask); return true;
    case 0xd30: s.dfsr &= ~(value & mask); return true;
    case 0xd34: s.mmfar = merge(s.mmfar, value, mask); return true;
    case 0xd38: s.bfar = merge(s.bfar, value, mask); return true;
    case 0xd88:
      if (arch().has(ext::Vfp)) s.cpacr = merge(s.cpacr, value, mask) & 0x00f00000;
      return true;
    case 0xdfc:
      demcr_ = merge(demcr_, value, mask) & 0x010f07f1;
      s.enabled.set(exc::kDebugMonitor, (demcr_ & kMonEnable) != 0);
      return true;
    case 0xf34:
      if (arch().has(ext::Vfp)) s.fpccr = merge(s.fpccr, value, mask);
      return true;
    case 0xf38: s.fpcar = merge(s.fpcar, value, mask) & ~u32{7}; return true;
    case 0xf3c:
      if (arch().has(ext::Vfp)) s.fpdscr = merge(s.fpdscr, value, mask) & fpscr::kControl;
      return true;
    default: return false;
  }
}

u32 Scs::read_identification(u32 offset) const {
  // ID_PFR0 to ID_ISAR5 and, on Armv7-M and later, the cache registers.
  const ArmArch& a = arch();
  if (a.features().v6m()) return 0;
  const bool dsp = a.has(ext::Dsp);
  switch (offset) {
    case 0xd40: return 0x30;
    case 0xd44: return 0x200;
    case 0xd48: return 0x00100000;
    case 0xd50: return a.has(ext::Mpu) ? 0x00100030 : 0;
    case 0xd58: return 0x01000000;
    case 0xd60: return dsp ? 0x01141110 : 0x01101110;
    case 0xd64: return dsp ? 0x02112000 : 0x02111000;
    case 0xd68: return dsp ? 0x21232231 : 0x21112231;
    case 0xd6c: return dsp ? 0x01111131 : 0x01111110;
    case 0xd70: return 0x01310132;
    default: return 0;
  }
}

// ---- MPU
// -------------------------------------------------------------------------------------------------------

u32 Scs::read_mpu(u32 offset) const {
  const ArmState& s = cpu();
  const unsigned regions = arch().has(ext::Mpu) ? arch().features().model->mpu_regions : 0;
  if (offset == 0xd90) return regions << 8;
  if (regions == 0) return 0;
  switch (offset) {
    case 0xd94: return s.mpu_ctrl;
    case 0xd98: return s.mpu_rnr;
    default: break;
  }
  const u32 n = s.mpu_rnr % regions;  // the aliases are of the same region
  return (offset - 0xd9c) % 8 == 0 ? (s.mpu_rbar[n] & ~u32{0x1f}) | n : s.mpu_rasr[n];
}

void Scs::write_mpu(u32 offset, u32 value) {
  ArmState& s = cpu();
  const unsigned regions = arch().has(ext::Mpu) ? arch().features().model->mpu_regions : 0;
  if (regions == 0 || offset == 0xd90) return;
  if (offset == 0xd94) {
    s.mpu_ctrl = value & 7;
  } else if (offset == 0xd98) {
    if (value < regions) s.mpu_rnr = value;
  } else if ((offset - 0xd9c) % 8 == 0) {
    constexpr u32 kValid = 16;
    if ((value & kValid) != 0 && (value & 15) < regions) s.mpu_rnr = value & 15;
    s.mpu_rbar[s.mpu_rnr] = value & ~u32{0x1f};
  } else {
    s.mpu_rasr[s.mpu_rnr] = value & 0x173fff3f;
  }
  machine_.flush_translations();
}

// ---- SysTick
// -----------------------------------------------------------------------------------------------------

u64 Scs::systick_hz() const {
  return (tick_control_ & kTickCoreClock) != 0 || clocks_.reference_hz == 0 ? clocks_.core_hz
                                                                            : clocks_.reference_hz;
}

u64 Scs::now_ticks() const {
  return static_cast<u64>(u128{machine_.clock().now()} * systick_hz() / 1'000'000'000);
}

u32 Scs::systick_value() const {
  if ((tick_control_ & kTickEnable) == 0) return tick_value_;
  const u64 elapsed = now_ticks() - tick_anchor_;
  if (elapsed <= tick_value_) return tick_value_ - static_cast<u32>(elapsed);
  return tick_reload_ - static_cast<u32>((elapsed - tick_value_ - 1) % (u64{tick_reload_} + 1));
}

void Scs::systick_restart(u32 value) {
  tick_value_ = value;
  tick_anchor_ = now_ticks();
  systick_arm();
}

/// The next time that the counter reaches 0 from above.
void Scs::systick_arm() {
  VirtualNs when = kNever;
  const u64 hz = systick_hz();
  if ((tick_control_ & kTickEnable) != 0 && hz != 0) {
    const u64 elapsed = now_ticks() - tick_anchor_;
    u64 ticks = 0;
    bool never = false;
    if (elapsed < tick_value_) {
      ticks = tick_value_;
    } else if (tick_reload_ == 0) {
      never = true;
    } else {
      const u64 period = u64{tick_reload_} + 1;
      ticks = tick_value_ + ((elapsed - tick_value_) / period + 1) * period;
    }
    if (!never) when = static_cast<VirtualNs>((u128{tick_anchor_ + ticks} * 1'000'000'000 + hz - 1) / hz);
  }
  machine_.clock().arm(timer_, when);
}

void Scs::systick_fired() {
  tick_flag_ = true;
  if ((tick_control_ & kTickInt) != 0) set_pending(machine_.vcpu(0), exc::kSysTick, true);
  systick_arm();
}

IrqSink* build_scs(const devices::DeviceSite& site) {
  if (dynamic_cast<const ArmArch*>(&site.machine.arch()) == nullptr)
    site.fail("belongs to an Arm M-profile CPU");
  Scs::Clocks clocks;
  clocks.core_hz = site.cell("clock-frequency", 25'000'000);
  clocks.reference_hz = site.cell("hindcast,reference-frequency", 0);
  const u32 interrupts = site.cell("hindcast,interrupts", kExceptions - exc::kFirstIrq);
  if (clocks.core_hz == 0 || interrupts > kExceptions - exc::kFirstIrq)
    site.fail("has a clock or a number of interrupts that no CPU has");
  auto& scs = site.machine.add_device<Scs>(site.name, site.machine, clocks, interrupts);
  site.machine.memory().add_device(site.name, Scs::kBase, Scs::kSize, &scs);
  return &scs;
}

}  // namespace hindcast::arm
