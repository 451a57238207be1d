// The peripherals of the Stellaris LM3S6965 (its data sheet, chapters 5, 8, 9, 11, 12, 14 and 16): system
// control, pins and timers; converters and I2C as far as setting them up and finding no partner goes.
#include <array>

#include "targets/devices/down_counter.h"
#include "targets/devices/model_registry.h"
#include "targets/devices/register_block.h"
#include "targets/devices/word_registers.h"

namespace hindcast::devices {
namespace {

constexpr u32 kAll = ~u32{0};

// DID0, DID1, DC0 to DC4, then control. The oscillator's PLL is locked as soon as anybody asks (RIS bit 6).
constexpr RegisterSpec kSystem[] = {
    {0x000, 0x10010002},
    {0x004, 0x1073402e},
    {0x008, 0x00ff007f},
    {0x010, 0x001133ff},
    {0x014, 0x030f5317},
    {0x018, 0x0f0f87ff},
    {0x01c, 0x5000007f},
    {0x030, 0x7ffd, 0x7ffd},
    {0x034, 0, 0x3c},
    {0x040, 0, 0x7f},
    {0x044, 0, 0xff},
    {0x048, 0, 7},
    {0x050, 0x40},
    {0x054, 0, 0x42},
    {0x058, 0, 0, 0x42},
    {0x05c, 1, 0x1f},
    {0x060, 0x078e3ad1, 0x07c03bf3},
    {0x064, 0xb5e7},
    {0x070, 0x07802810, 0x9f802870},
    {0x100, 0x40, kAll},
    {0x104, 0, kAll},
    {0x108, 0, kAll},
    {0x110, 0x40, kAll},
    {0x114, 0, kAll},
    {0x118, 0, kAll},
    {0x120, 0x40, kAll},
    {0x124, 0, kAll},
    {0x128, 0, kAll},
    {0x144, 0x07800000, 0x1f800070},
};
// I2C master: nobody acknowledges; what was begun has failed when it is looked at (MCS: error, no address).
constexpr RegisterSpec kI2c[] = {{0x00, 0, 0xff}, {0x04, 0x26, 0}, {0x08, 0, 0xff},
                                 {0x0c, 1, 0xff}, {0x10, 0, 1},    {0x14, 0, 0},
                                 {0x18, 0, 0},    {0x1c, 0, 0},    {0x20, 0, 0x31}};
// Converter: every sequence's FIFO is empty.
constexpr RegisterSpec kAdc[] = {
    {0x00, 0, 15},     {0x04, 0},        {0x08, 0, 15},          {0x0c, 0, 0, 15}, {0x10, 0, 0, 15},
    {0x14, 0, 0xffff}, {0x18, 0, 0, 15}, {0x20, 0x3210, 0x3333}, {0x30, 0, 7},     {0x40, 0, kAll},
    {0x44, 0, kAll},   {0x48, 0},        {0x4c, 0x100},          {0x60, 0, kAll},  {0x64, 0, kAll},
    {0x68, 0},         {0x6c, 0x100},    {0x80, 0, kAll},        {0x84, 0, kAll},  {0x88, 0},
    {0x8c, 0x100},     {0xa0, 0, 15},    {0xa4, 0, 15},          {0xa8, 0},        {0xac, 0x100}};
constexpr RegisterSpec kFlashControl[] = {{0x00, 0, 0x3ffff}, {0x04, 0, kAll}, {0x08, 0, 0},
                                          {0x0c, 0, 0},       {0x10, 0, 3},    {0x14, 0, 0, 3}};

/// A pair of timers (GPTM): one of 32 bits, or two of 16.
class Gptm final : public Device, public WordRegisters {
 public:
  Gptm(std::string name, Machine& machine, IrqLine a, IrqLine b, u64 hz)
      : Device(std::move(name)),
        lines_{a, b},
        counters_{{machine, this->name() + ".a", hz, [this] { fired(0); }},
                  {machine, this->name() + ".b", hz, [this] { fired(1); }}} {}

  void reset() override {
    registers_ = {};
    registers_[kLoadA / 4] = ~u32{0};
    registers_[kLoadB / 4] = 0xffff;
    for (DownCounter& c : counters_) {
      c.divide(1);
      c.stop(0);
    }
    settle();
  }
  void state(Archive& ar) override {
    for (u32& r : registers_) ar.field("register", r);
    for (DownCounter& c : counters_) c.state(ar);
  }
  u32 read_word(u32 at) override {
    u32 value = at < kEnd ? registers_[at / 4] : 0;
    if (at == kMasked) value = registers_[kRaw / 4] & registers_[kMask / 4];
    if (at == kCountA) value = counters_[0].value();
    if (at == kCountB) value = counters_[1].value();
    return value;
  }
  void write_word(u32 at, u32 value) override {
    if (at >= kEnd || at == kRaw || at == kMasked) return;
    if (at == kClear) {
      registers_[kRaw / 4] &= ~value;
      return settle();
    }
    const u32 before = registers_[kControl / 4];
    registers_[at / 4] = value;
    for (unsigned n = 0; n < 2; ++n) {
      const bool on = (registers_[kControl / 4] >> (8 * n) & 1) != 0, was_on = (before >> (8 * n) & 1) != 0;
      if (on && (!was_on || at == kLoadA + 4 * n))
        start(n);
      else if (!on && was_on)
        counters_[n].stop(counters_[n].value());
    }
    settle();
  }

 private:
  static constexpr u32 kConfiguration = 0x00, kModeA = 0x04, kControl = 0x0c, kMask = 0x18, kRaw = 0x1c,
                       kMasked = 0x20, kClear = 0x24, kLoadA = 0x28, kLoadB = 0x2c, kPrescaleA = 0x38,
                       kCountA = 0x48, kCountB = 0x4c, kEnd = 0x50;
  bool wide() const { return registers_[kConfiguration / 4] < 4; }
  void start(unsigned n) {
    const bool periodic = (registers_[kModeA / 4 + n] & 3) == 2;
    u32 load = registers_[kLoadA / 4 + n];
    if (wide()) {
      if (n == 1) return;
      counters_[0].divide(1);
    } else {
      load &= 0xffff;
      counters_[n].divide((registers_[kPrescaleA / 4 + n] & 0xff) + 1);
    }
    counters_[n].start(load, load, periodic);
  }
  void fired(unsigned n) {
    registers_[kRaw / 4] |= u32{1} << (8 * n);
    if ((registers_[kModeA / 4 + n] & 3) == 1) registers_[kControl / 4] &= ~(u32{1} << (8 * n));
    settle();
  }
  void settle() {
    const u32 asks = registers_[kRaw / 4] & registers_[kMask / 4];
    lines_[0].set((asks & 0x1f) != 0);
    lines_[1].set((asks & 0x1f00) != 0);
  }

  IrqLine lines_[2];
  DownCounter counters_[2];
  std::array<u32, kEnd / 4> registers_{};
};

/// Pins (PL061): the address says which of the eight an access means.
class Gpio final : public Device, public WordRegisters {
 public:
  explicit Gpio(std::string name) : Device(std::move(name)) {}
  void reset() override {
    data_ = 0;
    registers_ = {};
  }
  void state(Archive& ar) override {
    ar.field("data", data_);
    for (u32& r : registers_) ar.field("register", r);
  }
  u32 read_word(u32 at) override {
    u32 value = 0;
    if (at < kFirst)
      value = data_ & at >> 2 & registers_[0];
    else if (at < kFirst + 4 * kRegisters)
      value = registers_[(at - kFirst) / 4];
    return value;
  }
  void write_word(u32 at, u32 word) override {
    const u32 value = word & 0xff;
    if (at < kFirst) {
      const u32 pins = at >> 2 & registers_[0];
      data_ = (data_ & ~pins) | (value & pins);
    } else if (at < kFirst + 4 * kRegisters) {
      registers_[(at - kFirst) / 4] = value;
    }
  }

 private:
  static constexpr u32 kFirst = 0x400, kRegisters = 0x4c;
  u32 data_ = 0;
  std::array<u32, kRegisters> registers_{};  // the first is the direction
};

}  // namespace

IrqSink* build_stellaris_system(const DeviceSite& site) { return add_table<kSystem>(site); }
IrqSink* build_stellaris_i2c(const DeviceSite& site) { return add_table<kI2c>(site); }
IrqSink* build_stellaris_adc(const DeviceSite& site) { return add_table<kAdc>(site); }
IrqSink* build_stellaris_flash(const DeviceSite& site) { return add_table<kFlashControl>(site); }

IrqSink* build_stellaris_gptm(const DeviceSite& site) {
  const u32 hz = site.clock_hz(12'500'000);
  return add<Gptm>(site, 0x50, site.machine, site.irq(0), site.irq(1), hz);
}

IrqSink* build_pl061(const DeviceSite& site) { return add<Gpio>(site, 0x530); }

}  // namespace hindcast::devices
