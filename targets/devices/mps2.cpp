// What the MPS2 boards have beside the parts of the Cortex-M System Design Kit (DAI 0385 and its kin; DDI
// 0479, section 4.5 for the pins): board I/O and its counters, the serial configuration controller, I2C and
// SPI without partners.
#include <array>

#include "targets/devices/mmio.h"
#include "targets/devices/model_registry.h"
#include "targets/devices/register_block.h"

namespace hindcast::devices {
namespace {

constexpr u32 kAll = ~u32{0};

// Configuration, of which the identification says what image is loaded.
using SccTable = std::array<RegisterSpec, 13>;
constexpr SccTable scc(u32 identification) {
  return {{{0x000, 0, 1},
           {0x004, 0, 0xff},
           {0x008, 0, kAll},
           {0x00c, 0, 0},
           {0x010, 0, 0},
           {0x0a0, 0, kAll},
           {0x0a4, 0, kAll},
           {0x0a8, 0, kAll},
           {0x0ac, 0x1, 0},
           {0x100, 0, kAll},
           {0x104, 0, kAll},
           {0xff8, 0x00ffa200, 0},
           {0xffc, identification, 0}}};
}
// AN385, AN386, AN500, AN505, AN521, AN547.
constexpr SccTable kScc[] = {scc(0x41043850), scc(0x41043860), scc(0x41045000),
                             scc(0x41045050), scc(0x41045210), scc(0x41055470)};
// Two wires, both pulled up: reads show them high.
constexpr RegisterSpec kI2c[] = {{0x00, 3, 0}, {0x04, 0, 0}};
// PL022: always room to send, nothing received.
constexpr RegisterSpec kSpi[] = {
    {0x00, 0, 0xffff}, {0x04, 0, 0xf}, {0x08, 0, 0},  {0x0c, 3, 0},  {0x10, 0, 0xff}, {0x14, 0, 0xf},
    {0x18, 8, 0},      {0x1c, 0, 0},   {0x20, 0, 0},  {0x24, 0, 3},  {0xfe0, 0x22},   {0xfe4, 0x10},
    {0xfe8, 4},        {0xfec, 0},     {0xff0, 0x0d}, {0xff4, 0xf0}, {0xff8, 5},      {0xffc, 0xb1}};

/// FPGAIO: lights, buttons (none pressed), and counters of virtual time.
class FpgaIo final : public Device, public MmioHandler {
 public:
  FpgaIo(std::string name, Machine& machine, u64 hz) : Device(std::move(name)), machine_(machine), hz_(hz) {}
  void reset() override {
    leds_ = misc_ = prescale_ = 0;
    for (u64& begin : began_) begin = machine_.clock().now();
  }
  void state(Archive& ar) override {
    ar.field("leds", leds_);
    ar.field("misc", misc_);
    ar.field("prescale", prescale_);
    for (u64& begin : began_) ar.field("began", begin);
  }
  u64 mmio_read(u64 offset, unsigned size) override {
    u32 value = 0;
    switch (offset & ~u64{3}) {
      case 0x00: value = leds_; break;
      case 0x10: value = ticks(0, 1); break;
      case 0x14: value = ticks(1, 100); break;
      case 0x18: value = ticks(2, hz_ / (u64{prescale_} + 1)); break;
      case 0x1c: value = prescale_; break;
      case 0x20: value = prescale_ - static_cast<u32>(clocks(3, hz_) % (u64{prescale_} + 1)); break;
      case 0x4c: value = misc_; break;
      default: break;
    }
    return value >> (8 * (offset & 3)) & low_mask(size);
  }
  void mmio_write(u64 offset, unsigned, u64 value64) override {
    const u32 value = static_cast<u32>(value64);
    switch (offset & ~u64{3}) {
      case 0x00: leds_ = value & 0xff; break;
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
  u32 leds_ = 0, misc_ = 0, prescale_ = 0;
  u64 began_[4] = {};
};

/// CMSDK pins: sixteen, with registers that set and clear. An output is read back; nobody drives the inputs.
class CmsdkGpio final : public Device, public MmioHandler {
 public:
  CmsdkGpio(std::string name, IrqLine irq) : Device(std::move(name)), irq_(irq) {}
  void reset() override {
    out_ = enabled_ = alternate_ = interrupt_ = edge_ = polarity_ = status_ = 0;
    settle();
  }
  void state(Archive& ar) override {
    for (u32* r : {&out_, &enabled_, &alternate_, &interrupt_, &edge_, &polarity_, &status_})
      ar.field("register", *r);
  }
  u64 mmio_read(u64 offset, unsigned size) override {
    const u32 at = static_cast<u32>(offset) & ~u32{3};
    u32 value = 0;
    if (const u32* pair = find_pair(at)) {
      value = *pair;
    } else if (at == 0x00) {
      value = pins();
    } else if (at == 0x04) {
      value = out_;
    } else if (at == 0x38) {
      value = status_;
    } else if (at >= 0x400 && at < 0x800) {
      value = pins() & (at & 0x3fc) >> 2;
    } else if (at >= 0x800 && at < 0xc00) {
      value = pins() & ((at & 0x3fc) >> 2) << 8;
    }
    return value >> (8 * (offset & 3)) & low_mask(size);
  }
  void mmio_write(u64 offset, unsigned, u64 value64) override {
    const u32 at = static_cast<u32>(offset) & ~u32{3}, value = static_cast<u32>(value64) & 0xffff,
              before = pins();
    if (u32* pair = find_pair(at)) {
      *pair = (at & 4) == 0 ? *pair | value : *pair & ~value;
    } else if (at <= 0x04) {
      out_ = value;
    } else if (at == 0x38) {
      status_ &= ~value;
    } else if (at >= 0x400 && at < 0xc00) {
      const u32 mask = (at & 0x3fc) >> 2 << (at >= 0x800 ? 8 : 0);
      out_ = (out_ & ~mask) | (value & mask);
    }
    // Lines that our own outputs move count like any other.
    const u32 now = pins(), rises = now & ~before, falls = before & ~now;
    status_ |=
        interrupt_ & ((edge_ & ((polarity_ & rises) | (~polarity_ & falls))) | (~edge_ & ~(polarity_ ^ now)));
    settle();
  }

 private:
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

template <const auto& Table>
IrqSink* add_table(const DeviceSite& site) {
  add_register_block(site, Table);
  return nullptr;
}
template <typename T, typename... Args>
IrqSink* add(const DeviceSite& site, u64 least, Args&&... args) {
  const loader::DtRange& reg = site.reg(0, least);
  auto& device = site.machine.add_device<T>(site.name, std::forward<Args>(args)...);
  site.machine.memory().add_device(site.name, reg.base, reg.size, &device);
  return nullptr;
}

}  // namespace

IrqSink* build_mps2_scc(const DeviceSite& site) {
  const u32 wanted = site.cell("hindcast,identification", kScc[0].back().reset);
  for (const SccTable& table : kScc) {
    if (table.back().reset != wanted) continue;
    add_register_block(site, table);
    return nullptr;
  }
  site.fail("has a hindcast,identification that is no known image's");
}
IrqSink* build_sbcon_i2c(const DeviceSite& site) { return add_table<kI2c>(site); }
IrqSink* build_pl022(const DeviceSite& site) { return add_table<kSpi>(site); }
IrqSink* build_mps2_fpgaio(const DeviceSite& site) {
  return add<FpgaIo>(site, 0x50, site.machine, site.cell("clock-frequency", 25'000'000));
}
IrqSink* build_cmsdk_gpio(const DeviceSite& site) { return add<CmsdkGpio>(site, 0xc00, site.irq()); }

}  // namespace hindcast::devices
