// What the MPS2 boards have beside the parts of the Cortex-M System Design Kit (DAI 0385 and its kin; DDI
// 0479, section 4.5 for the pins): board I/O and its counters, pins, I2C and SPI without partners.
#include "targets/devices/component_id.h"
#include "targets/devices/model_registry.h"
#include "targets/devices/register_block.h"
#include "targets/devices/word_registers.h"

namespace hindcast::devices {
namespace {

// Two wires, both pulled up: reads show them high.
constexpr RegisterSpec kI2c[] = {{0x00, 3, 0}, {0x04, 0, 0}};
// PL022: always room to send, nothing received.
constexpr RegisterSpec kSpi[] = {
    {0x00, 0, 0xffff}, {0x04, 0, 0xf}, {0x08, 0, 0},  {0x0c, 3, 0},  {0x10, 0, 0xff}, {0x14, 0, 0xf},
    {0x18, 8, 0},      {0x1c, 0, 0},   {0x20, 0, 0},  {0x24, 0, 3},  {0xfe0, 0x22},   {0xfe4, 0x10},
    {0xfe8, 4},        {0xfec, 0},     {0xff0, 0x0d}, {0xff4, 0xf0}, {0xff8, 5},      {0xffc, 0xb1}};

/// FPGAIO: lights, buttons (none pressed), and counters of virtual time.
class FpgaIo final : public Device, public WordRegisters {
 public:
  /// `leds`: how many lights there are; AN547 has ten, and a register for its debug signals.
  FpgaIo(std::string name, Machine& machine, u64 hz, u32 leds)
      : Device(std::move(name)), machine_(machine), hz_(hz), light_bits_((u32{1} << leds) - 1) {}
  void reset() override {
    leds_ = debug_ = misc_ = prescale_ = 0;
    for (u64& begin : began_) begin = machine_.clock().now();
  }
  void state(Archive& ar) override {
    ar.field("leds", leds_);
    ar.field("debug", debug_);
    ar.field("misc", misc_);
    ar.field("prescale", prescale_);
    for (u64& begin : began_) ar.field("began", begin);
  }
  u32 read_word(u32 at) override {
    switch (at) {
      case 0x00: return leds_;
      case 0x04: return debug_;
      case 0x10: return ticks(0, 1);
      case 0x14: return ticks(1, 100);
      case 0x18: return ticks(2, hz_ / (u64{prescale_} + 1));
      case 0x1c: return prescale_;
      case 0x20: return prescale_ - static_cast<u32>(clocks(3, hz_) % (u64{prescale_} + 1));
      case 0x4c: return misc_;
      default: return 0;
    }
  }
  void write_word(u32 at, u32 value) override {
    switch (at) {
      case 0x00: leds_ = value & light_bits_; break;
      case 0x04:
        if (light_bits_ > kOldLights) debug_ = value & 0xf;
        break;
      case 0x10: set(0, 1, value); break;
      case 0x14: set(1, 100, value); break;
      case 0x18: set(2, hz_ / (u64{prescale_} + 1), value); break;
      case 0x1c:
        prescale_ = value;
        began_[2] = began_[3] = machine_.clock().now();
        break;
      case 0x4c: misc_ = value & 0x3ff; break;
      default: break;
    }
  }

 private:
  static constexpr u32 kOldLights = 3;
  static constexpr u64 kSecond = 1'000'000'000;
  u64 clocks(unsigned n, u64 hz) const {
    return static_cast<u64>(u128{machine_.clock().now() - began_[n]} * hz / kSecond);
  }
  u32 ticks(unsigned n, u64 hz) const { return static_cast<u32>(clocks(n, hz)); }
  /// The counter reads as `value` from now on: as if it had begun so many ticks ago.
  void set(unsigned n, u64 hz, u32 value) {
    if (hz != 0) began_[n] = machine_.clock().now() - static_cast<u64>(u128{value} * kSecond / hz);
  }
  Machine& machine_;
  u64 hz_;
  u32 light_bits_;
  u32 leds_ = 0, debug_ = 0, misc_ = 0, prescale_ = 0;
  u64 began_[4] = {};
};

/// CMSDK pins: sixteen, with registers that set and clear. An output is read back; nobody drives the inputs.
class CmsdkGpio final : public Device, public WordRegisters {
 public:
  CmsdkGpio(std::string name, IrqLine irq)
      : Device(std::move(name)), WordRegisters(NarrowWrites::Merge), irq_(irq) {}
  void reset() override {
    out_ = enabled_ = alternate_ = interrupt_ = edge_ = polarity_ = status_ = 0;
    settle();
  }
  void state(Archive& ar) override {
    for (u32* r : {&out_, &enabled_, &alternate_, &interrupt_, &edge_, &polarity_, &status_})
      ar.field("register", *r);
  }
  u32 read_word(u32 at) override {
    if (const u32* pair = find_pair(at)) return *pair;
    if (at == 0x00) return pins();
    if (at == 0x04) return out_;
    if (at == 0x38) return status_;
    if (at >= kMaskedLow && at < kMaskedHigh) return pins() & (at & 0x3fc) >> 2;
    if (at >= kMaskedHigh && at < kMaskedEnd) return pins() & ((at & 0x3fc) >> 2) << 8;
    return component_id(at, kPart);
  }
  void write_word(u32 at, u32 word) override {
    const u32 value = word & 0xffff, before = pins();
    if (u32* pair = find_pair(at)) {
      *pair = (at & 4) == 0 ? *pair | value : *pair & ~value;
    } else if (at <= 0x04) {
      out_ = value;
    } else if (at == 0x38) {
      status_ &= ~value;
    } else if (at >= kMaskedLow && at < kMaskedEnd) {
      const u32 mask = (at & 0x3fc) >> 2 << (at >= kMaskedHigh ? 8 : 0);
      out_ = (out_ & ~mask) | (value & mask);
    }
    // Lines that our own outputs move count like any other.
    const u32 now = pins(), rises = now & ~before, falls = before & ~now;
    status_ |=
        interrupt_ & ((edge_ & ((polarity_ & rises) | (~polarity_ & falls))) | (~edge_ & ~(polarity_ ^ now)));
    settle();
  }

 private:
  static constexpr u32 kMaskedLow = 0x400, kMaskedHigh = 0x800, kMaskedEnd = 0xc00;
  static constexpr u16 kPart = 0x820;
  /// Zeros change nothing in the registers that set and clear.
  u32 unwritten(u32 at) const override {
    return at <= 0x04 || (at >= kMaskedLow && at < kMaskedEnd) ? out_ : 0;
  }
  u32 pins() const { return out_ & enabled_; }
  void settle() { irq_.set(status_ != 0); }
  u32* find_pair(u32 at) {
    switch (at & ~u32{4}) {
      case 0x10: return &enabled_;
      case 0x18: return &alternate_;
      case 0x20: return &interrupt_;
      case 0x28: return &edge_;
      case 0x30: return &polarity_;
      default: return nullptr;
    }
  }
  IrqLine irq_;
  u32 out_ = 0, enabled_ = 0, alternate_ = 0, interrupt_ = 0, edge_ = 0, polarity_ = 0, status_ = 0;
};

}  // namespace

IrqSink* build_sbcon_i2c(const DeviceSite& site) { return add_table<kI2c>(site); }
IrqSink* build_pl022(const DeviceSite& site) { return add_table<kSpi>(site); }
IrqSink* build_mps2_fpgaio(const DeviceSite& site) {
  const u32 leds = site.cell("hindcast,leds", 2);
  if (leds == 0 || leds > 31) site.fail("has no lights, or more than a register");
  return add<FpgaIo>(site, 0x50, site.machine, site.cell("clock-frequency", 25'000'000), leds);
}
IrqSink* build_cmsdk_gpio(const DeviceSite& site) { return add<CmsdkGpio>(site, 0xc00, site.irq()); }

}  // namespace hindcast::devices
