#include "targets/arm/systick.h"

#include "targets/arm/scs_bits.h"

namespace hindcast::arm {
namespace {

constexpr u32 kEnable = 1, kInterrupt = 2, kCoreClock = 4, kFlag = 1 << 16;
constexpr u32 kNoRef = u32{1} << 31, kSkew = 1 << 30;
constexpr u32 kMax = 0xffffff;

}  // namespace

SysTick::SysTick(Machine& machine, const std::string& name, Clocks clocks, std::function<void()> on_interrupt)
    : machine_(machine), clocks_(clocks), on_interrupt_(std::move(on_interrupt)) {
  timer_ = machine.clock().add_timer(name, [this] { fired(); });
}

void SysTick::reset() {
  control_ = only_core_clock();
  reload_ = 0;
  flag_ = false;
  restart(0);
}

void SysTick::state(Archive& ar, const std::string& prefix) {
  ar.field((prefix + "control").c_str(), control_);
  ar.field((prefix + "reload").c_str(), reload_);
  ar.field((prefix + "value").c_str(), value_);
  ar.field((prefix + "anchor").c_str(), anchor_);
  ar.field((prefix + "flag").c_str(), flag_);
}

u32 SysTick::read(u32 offset) {
  const u32 value = peek(offset);
  if (offset == 0) flag_ = false;
  return value;
}

u32 SysTick::peek(u32 offset) const {
  switch (offset) {
    case 0: return control_ | (flag_ ? kFlag : 0);
    case 4: return reload_;
    case 8: return value();
    default: return calibration();
  }
}

void SysTick::write(u32 offset, u32 bits, u32 mask) {
  const u32 now = value();
  switch (offset) {
    case 0:
      control_ = merge(control_, bits, mask) & (kEnable | kInterrupt | kCoreClock);
      control_ |= only_core_clock();
      return restart(now);
    case 4: reload_ = merge(reload_, bits, mask) & kMax; return restart(now);
    case 8: flag_ = false; return restart(0);
    default: return;
  }
}

/// Ticks of the reference clock in 10 ms, less one; NOREF without the clock. SKEW where that is not a whole
/// number, and where the clock's period is none of 2^-32 ns: QEMU counts in these, and STM32s have it set
/// too.
u32 SysTick::calibration() const {
  constexpr u64 kPerSecond = 100;
  if (clocks_.reference_hz == 0) return kNoRef;
  const u64 ticks = clocks_.reference_hz / kPerSecond;
  constexpr u64 kSecond = 1'000'000'000;
  const bool exact = clocks_.reference_hz % kPerSecond == 0 &&
                     (static_cast<u128>(kSecond) << 32) % clocks_.reference_hz == 0;
  return (static_cast<u32>(ticks - 1) & kMax) | (exact ? 0 : kSkew);
}

/// CLKSOURCE reads as 1 where there is no other clock.
u32 SysTick::only_core_clock() const { return clocks_.reference_hz == 0 ? kCoreClock : 0; }

u64 SysTick::hz() const {
  return (control_ & kCoreClock) != 0 || clocks_.reference_hz == 0 ? clocks_.core_hz : clocks_.reference_hz;
}

u64 SysTick::now_ticks() const {
  return static_cast<u64>(u128{machine_.clock().now()} * hz() / 1'000'000'000);
}

u32 SysTick::value() const {
  if ((control_ & kEnable) == 0) return value_;
  const u64 elapsed = now_ticks() - anchor_;
  if (elapsed <= value_) return value_ - static_cast<u32>(elapsed);
  return reload_ - static_cast<u32>((elapsed - value_ - 1) % (u64{reload_} + 1));
}

void SysTick::restart(u32 value) {
  value_ = value;
  anchor_ = now_ticks();
  arm();
}

/// The next time that the counter reaches 0 from above.
void SysTick::arm() {
  VirtualNs when = kNever;
  if ((control_ & kEnable) != 0 && hz() != 0) {
    const u64 elapsed = now_ticks() - anchor_;
    u64 ticks = 0;
    bool never = false;
    if (elapsed < value_) {
      ticks = value_;
    } else if (reload_ == 0) {
      never = true;
    } else {
      const u64 period = u64{reload_} + 1;
      ticks = value_ + ((elapsed - value_) / period + 1) * period;
    }
    if (!never) when = static_cast<VirtualNs>((u128{anchor_ + ticks} * 1'000'000'000 + hz() - 1) / hz());
  }
  machine_.clock().arm(timer_, when);
}

void SysTick::fired() {
  flag_ = true;
  if ((control_ & kInterrupt) != 0) on_interrupt_();
  arm();
}

}  // namespace hindcast::arm
