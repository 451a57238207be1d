// The system control space (DDI 0403, B3.2 to B3.5; DDI 0553, D1): system control block, SysTick, NVIC, MPU
// registers. What exceptions need of it is in the CPU's state; this is the view through memory, and the
// timer.
#pragma once
#include <optional>

#include "engine/machine.h"
#include "targets/arm/arm.h"
#include "targets/arm/exceptions.h"
#include "targets/arm/systick.h"
#include "targets/arm/trace_units.h"

namespace hindcast::devices {
struct DeviceSite;
}

namespace hindcast::arm {

class Scs final : public Device, public MmioHandler, public IrqSink {
 public:
  using Clocks = arm::Clocks;
  /// `mpu_regions`: of the CPU's MPU if it has one, in each security state; without it, the model's.
  Scs(std::string name, Machine& machine, Clocks clocks, unsigned interrupts,
      std::optional<u32> mpu_regions = {});

  static constexpr GuestAddr kBase = 0xe000e000, kNonSecureBase = 0xe002e000;
  static constexpr u64 kSize = 0x1000;

  void reset() override;
  void state(Archive& ar) override;
  u64 mmio_read(u64 offset, unsigned size) override;
  void mmio_write(u64 offset, unsigned size, u64 value) override;
  bool can_peek() const override { return true; }
  u64 mmio_peek(u64 offset, unsigned size) override;
  void set_irq(unsigned line, bool level) override;
  /// Where Secure code finds the Non-secure state's registers.
  MmioHandler& non_secure_alias() { return alias_; }
  /// DEMCR.TRCENA.
  bool tracing() const { return (demcr_ >> 24 & 1) != 0; }
  void set_trace_units(TraceUnits units) { trace_ = units; }

 private:
  class Alias final : public MmioHandler {
   public:
    explicit Alias(Scs& scs) : scs_(scs) {}
    u64 mmio_read(u64 offset, unsigned size) override;
    void mmio_write(u64 offset, unsigned size, u64 value) override;
    bool can_peek() const override { return true; }
    u64 mmio_peek(u64 offset, unsigned size) override;

   private:
    Scs& scs_;
  };

  ArmState& cpu() const;
  const ArmArch& arch() const;
  bool main() const { return arch().has(ext::Main); }

  // Every access is one of a security state, secure_, and sees what that one may.
  u64 read_as(u32 secure, u64 offset, unsigned size);
  u64 peek_as(u32 secure, u64 offset, unsigned size);
  void write_as(u32 secure, u64 offset, unsigned size, u64 value);
  Bank& bank() const { return cpu().banks[secure_]; }
  /// Whether the access sees registers that are the Secure state's if there is one.
  bool owner() const { return secure_ == kSecure || cpu().has_security == 0; }
  /// BusFault, HardFault, NMI: where AIRCR.BFHFNMINS says.
  bool owns_faults() const { return owner() || (cpu().aircr & aircr::kBfhfnmins) != 0; }
  unsigned slot(unsigned exception) const { return slot_of(cpu(), exception, secure_); }
  SysTick& tick() { return secure_ == kSecure ? secure_tick_ : tick_; }

  u32 read_word(u32 offset);
  /// `mask`: the bits that the access covers.
  void write_word(u32 offset, u32 value, u32 mask);
  u32 read_system(u32 offset);
  u32 read_main(u32 offset);
  void write_system(u32 offset, u32 value, u32 mask);
  void write_main(u32 offset, u32 value, u32 mask);
  u32 read_icsr() const;
  void write_icsr(u32 value);
  u32 read_aircr() const;
  void write_aircr(u32 value);
  u32 ccr_bits() const;
  u32 read_fpccr() const;
  void write_fpccr(u32 value);
  u32 read_shcsr() const;
  void write_shcsr(u32 value);
  u32 read_cfsr() const;
  void clear_cfsr(u32 value);
  u32 read_identification(u32 offset) const;
  u32 read_mpu(u32 offset) const;
  void write_mpu(u32 offset, u32 value);
  /// The register of the memory protection unit that is written there, and what of the value it takes; null:
  /// none whose contents matter.
  u32* mpu_register(u32 offset, u32* value);
  u32 read_sau(u32 offset) const;
  void write_sau(u32 offset, u32 value);
  u32 read_nvic(u32 offset) const;
  void write_nvic(u32 offset, u32 value);
  u32 read_priorities(unsigned first) const;
  void write_priorities(unsigned first, u32 value, u32 mask);
  /// Whether the access may see the exception.
  bool sees(unsigned exception) const;

  Machine& machine_;
  unsigned interrupts_, mpu_regions_;
  Alias alias_{*this};
  SysTick tick_, secure_tick_;
  u32 secure_ = kNonSecure;  // of the access being made
  u32 demcr_ = 0, actlr_ = 0;
  TraceUnits trace_;
};

/// "arm,v7m-nvic" and its kin: the whole space, and the sink of the board's interrupts.
IrqSink* build_scs(const devices::DeviceSite& site);

}  // namespace hindcast::arm
