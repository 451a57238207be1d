// What an STM32 F2 or F4 has around its ports and timers (RM0090): clock control, power, flash interface,
// system configuration, external interrupts, pins, converters, SPI and I2C as far as setting them up goes,
// and the random number generator, which asks through the input port.
#include "targets/devices/model_registry.h"
#include "targets/devices/register_block.h"
#include "targets/devices/reset_control.h"
#include "targets/devices/word_registers.h"

namespace hindcast::devices {
namespace {

constexpr u32 kAll = ~u32{0};

// On is ready, at once (6.3.1); the clock asked for is the clock in use (6.3.3).
constexpr RegisterSpec kRcc[] = {
    {0x00, 0x83, 0x050d00f9, 0, 0x05050001, 1},
    {0x04, 0x24003010, kAll},
    {0x08, 0, 0xfffffff3, 0, 3, 2},
    {0x0c, 0, 0x00007f00},
    {0x10, 0, kAll},
    {0x14, 0, kAll},
    {0x18, 0, kAll},
    {0x20, 0, kAll},
    {0x24, 0, kAll},
    {0x30, 0x00100000, kAll},
    {0x34, 0, kAll},
    {0x38, 0, kAll},
    {0x40, 0, kAll},
    {0x44, 0, kAll},
    {0x50, 0x7e6791ff, kAll},
    {0x54, 0xf1, kAll},
    {0x58, 1, kAll},
    {0x60, 0x36fec9ff, kAll},
    {0x64, 0x00075f33, kAll},
    {0x70, 0, 0x00018305, 0, 1, 1},
    {0x74, 0, 1, 0, 1, 1},
    {0x80, 0, kAll},
    {0x84, 0x20003000, kAll},
};
// The F1's has the clock choice where the F4 has its PLL (RM0008, 7.3).
constexpr RegisterSpec kRccF1[] = {{0x00, 0x83, 0x010d00f9, 0, 0x01010001, 1},
                                   {0x04, 0, 0x07fffff3, 0, 3, 2},
                                   {0x08, 0, 0x00001f00},
                                   {0x0c, 0, kAll},
                                   {0x10, 0, kAll},
                                   {0x14, 0x14, kAll},
                                   {0x18, 0, kAll},
                                   {0x1c, 0, kAll},
                                   {0x20, 0, 0x00018305, 0, 1, 1},
                                   {0x24, 0, 1, 0, 1, 1}};
constexpr RegisterSpec kPwr[] = {{0x00, 0x4000, 0x43ff}, {0x04, 0x4000, 0x300}};
constexpr RegisterSpec kFlash[] = {
    {0x00, 0, 0x1f07},       {0x04, 0, 0}, {0x08, 0, 0}, {0x0c, 0, 0, 0xf3}, {0x10, 0x80000000, kAll},
    {0x14, 0x0fffaaed, kAll}};
constexpr RegisterSpec kSyscfg[] = {{0x00, 0, 3},         {0x04, 0, 0x00800000}, {0x08, 0, 0xffff},
                                    {0x0c, 0, 0xffff},    {0x10, 0, 0xffff},     {0x14, 0, 0xffff},
                                    {0x20, 0, 1, 0, 1, 8}};
// A conversion is over as soon as it is asked for; every input is at 0 V.
constexpr RegisterSpec kAdc[] = {
    {0x00, 2, 0},          {0x04, 0, 0x07c0ffff}, {0x08, 0, 0x3f3f0f03}, {0x0c, 0, kAll},
    {0x10, 0, kAll},       {0x14, 0, 0xfff},      {0x18, 0, 0xfff},      {0x1c, 0, 0xfff},
    {0x20, 0, 0xfff},      {0x24, 0xfff, 0xfff},  {0x28, 0, 0xfff},      {0x2c, 0, 0xffffff},
    {0x30, 0, 0x3fffffff}, {0x34, 0, 0x3fffffff}, {0x38, 0, 0x3fffff},   {0x3c, 0, 0},
    {0x40, 0, 0},          {0x44, 0, 0},          {0x48, 0, 0},          {0x4c, 0, 0}};
// Always ready to send, and what comes back is 0.
constexpr RegisterSpec kSpi[] = {{0x00, 0, 0xffff}, {0x04, 0, 0xf7},   {0x08, 3, 0},
                                 {0x0c, 0, 0},      {0x10, 7, 0xffff}, {0x14, 0, 0},
                                 {0x18, 0, 0},      {0x1c, 0, 0xfff},  {0x20, 2, 0x3ff}};
// No device answers: each start is at once followed by a failed acknowledgement.
constexpr RegisterSpec kI2c[] = {{0x00, 0, 0xbfff}, {0x04, 0, 0x1f3f}, {0x08, 0, 0xffff},
                                 {0x0c, 0, 0xff},   {0x10, 0, 0xff},   {0x14, 0x400, 0, 0xdf00},
                                 {0x18, 0, 0},      {0x1c, 0, 0xffff}, {0x20, 2, 0x3f}};

/// EXTI (12.3): lines that software can pend, and that interrupt if they are not masked.
class Exti final : public Device, public WordRegisters {
 public:
  Exti(std::string name, std::vector<IrqLine> lines)
      : Device(std::move(name)), WordRegisters(NarrowWrites::Repeat), lines_(std::move(lines)) {}
  static constexpr unsigned kRegisters = 6;
  void reset() override {
    for (u32& r : registers_) r = 0;
    settle();
  }
  void state(Archive& ar) override {
    for (u32& r : registers_) ar.field("register", r);
  }
  u32 read_word(u32 at) override { return at / 4 < kRegisters ? registers_[at / 4] : 0; }
  void write_word(u32 at, u32 word) override {
    const u32 value = word & 0x7fffff;
    switch (at) {
      case kSoftware:
        registers_[5] |= value & ~registers_[4] & registers_[0];
        registers_[4] |= value;
        break;
      case kPending:
        registers_[5] &= ~value;
        registers_[4] &= ~value;
        break;
      default:
        if (at / 4 < kRegisters) registers_[at / 4] = value;
    }
    settle();
  }

 private:
  static constexpr u32 kSoftware = 0x10, kPending = 0x14;
  /// Lines 5 to 9 and 10 to 15 share an interrupt each.
  void settle() {
    const u32 asks = registers_[5] & registers_[0];
    for (unsigned i = 0; i < lines_.size() && i < 16; ++i) {
      const u32 shared = i < 5 ? u32{1} << i : i < 10 ? 0x3e0u : 0xfc00u;
      lines_[i].set((asks & shared) != 0);
    }
  }
  std::vector<IrqLine> lines_;
  u32 registers_[kRegisters] = {};  // interrupt mask, event mask, rising, falling, software, pending
};

/// Pins (8.4): what is driven out is what is read in; an input that nobody drives is low.
class Gpio final : public Device, public WordRegisters {
 public:
  explicit Gpio(std::string name) : Device(std::move(name)), WordRegisters(NarrowWrites::Merge) {}
  void reset() override {
    for (u32& r : registers_) r = 0;
  }
  void state(Archive& ar) override {
    for (u32& r : registers_) ar.field("register", r);
  }
  u32 read_word(u32 at) override {
    const u32 n = at / 4;
    u32 value = n < kRegisters ? registers_[n] : 0;
    if (n == kInput) {
      value = 0;
      for (unsigned pin = 0; pin < 16; ++pin)
        if ((registers_[0] >> (2 * pin) & 3) == 1) value |= registers_[kOutput] & u32{1} << pin;
    }
    return value;
  }
  void write_word(u32 at, u32 value) override {
    const u32 n = at / 4;
    if (n == kSetReset) {
      registers_[kOutput] = ((registers_[kOutput] & ~(value >> 16)) | value) & 0xffff;
    } else if (n < kRegisters && n != kInput) {
      registers_[n] = value;
    }
  }
  u32 unwritten(u32 at) const override {
    return at / 4 < kRegisters && at / 4 != kSetReset ? registers_[at / 4] : 0;
  }

 private:
  static constexpr unsigned kRegisters = 10, kInput = 4, kOutput = 5, kSetReset = 6;
  u32 registers_[kRegisters] = {};
};

/// Clock control, whose CSR keeps the causes of resets (6.3.21).
class Rcc final : public RegisterBlock, public ResetRecord {
 public:
  /// `csr`: its offset. `at_first`: the causes after power-on.
  Rcc(std::string name, std::span<const RegisterSpec> table, u32 csr, u32 at_first)
      : RegisterBlock(std::move(name), table, NarrowWrites::Merge), csr_(csr), at_first_(at_first) {}
  void reset() override {
    RegisterBlock::reset();
    constexpr u32 kPin = 1 << 26, kSoftware = 1 << 28, kWatchdog = 1 << 29;
    switch (take()) {
      case ResetCause::PowerOn: causes_ = at_first_; break;
      case ResetCause::Processor: causes_ |= kSoftware | kPin; break;
      case ResetCause::SecureWatchdog: causes_ |= kWatchdog | kPin; break;
      default: causes_ |= kPin;
    }
  }
  void state(Archive& ar) override {
    RegisterBlock::state(ar);
    ar.field("causes", causes_);
    record_state(ar);
  }

 private:
  u32 read_word(u32 at) override { return RegisterBlock::read_word(at) | (at == csr_ ? causes_ : 0); }
  void write_word(u32 at, u32 value) override {
    constexpr u32 kRemove = 1 << 24;
    if (at == csr_ && (value & kRemove) != 0) causes_ = 0;
    RegisterBlock::write_word(at, value);
  }
  u32 csr_, at_first_;
  u32 causes_ = 0;
};

IrqSink* add_rcc(const DeviceSite& site, std::span<const RegisterSpec> table, u32 csr, u32 at_first) {
  set_reset_control(site.machine, place<Rcc>(site, table.back().offset + 4, table, csr, at_first));
  return nullptr;
}

/// RNG (24.4): a word for each read while it is on.
class Rng final : public Device, public WordRegisters {
 public:
  Rng(std::string name, Machine& machine, Channel channel)
      : Device(std::move(name)), WordRegisters(NarrowWrites::Merge), machine_(machine), channel_(channel) {}
  void reset() override { control_ = 0; }
  void state(Archive& ar) override { ar.field("control", control_); }
  u32 read_word(u32 at) override {
    const bool on = (control_ & 4) != 0;
    switch (at) {
      case 0: return control_;
      case 4: return on ? 1 : 0;
      case 8: return on ? draw() : 0;
      default: return 0;
    }
  }
  void write_word(u32 at, u32 value) override {
    if (at == 0) control_ = value & 0xc;
  }
  u32 unwritten(u32 at) const override { return at == 0 ? control_ : 0; }

 private:
  u32 draw() {
    const u8 four[4] = {4, 0, 0, 0};
    const Bytes bytes = machine_.port().answer(InputKind::Entropy, channel_, four);
    u32 value = 0;
    for (std::size_t i = 0; i < bytes.size() && i < 4; ++i) value |= u32{bytes[i]} << (8 * i);
    return value;
  }
  Machine& machine_;
  Channel channel_;
  u32 control_ = 0;
};

}  // namespace

IrqSink* build_stm32_rcc(const DeviceSite& site) { return add_rcc(site, kRcc, 0x74, 0x0e000000); }
IrqSink* build_stm32f1_rcc(const DeviceSite& site) { return add_rcc(site, kRccF1, 0x24, 0x0c000000); }
IrqSink* build_stm32_pwr(const DeviceSite& site) { return add_table<kPwr>(site, NarrowWrites::Repeat); }
IrqSink* build_stm32_flash(const DeviceSite& site) { return add_table<kFlash>(site, NarrowWrites::Merge); }
IrqSink* build_stm32_syscfg(const DeviceSite& site) { return add_table<kSyscfg>(site, NarrowWrites::Repeat); }
IrqSink* build_stm32_adc(const DeviceSite& site) { return add_table<kAdc>(site, NarrowWrites::Repeat); }
IrqSink* build_stm32_spi(const DeviceSite& site) { return add_table<kSpi>(site, NarrowWrites::Repeat); }
IrqSink* build_stm32_i2c(const DeviceSite& site) { return add_table<kI2c>(site, NarrowWrites::Repeat); }
IrqSink* build_stm32_exti(const DeviceSite& site) { return add<Exti>(site, 0x18, site.interrupts); }
IrqSink* build_stm32_gpio(const DeviceSite& site) { return add<Gpio>(site, 0x28); }
IrqSink* build_stm32_rng(const DeviceSite& site) { return add<Rng>(site, 12, site.machine, site.channel); }

}  // namespace hindcast::devices
