#include "targets/devices/nrf51.h"

#include "targets/devices/model_registry.h"
#include "targets/devices/reset_control.h"

namespace hindcast::devices {
namespace {

constexpr u32 kEvents = 0x100, kEventsEnd = 0x180, kShortcuts = 0x200;
constexpr u32 kInterrupts = 0x300, kInterruptsSet = 0x304, kInterruptsClear = 0x308, kStorage = 0x400;

}  // namespace

void NrfPeripheral::reset() {
  events_ = interrupts_ = shortcuts_ = 0;
  registers_.fill(0);
  update_irq();
}

void NrfPeripheral::state(Archive& ar) {
  ar.field("events", events_);
  ar.field("interrupts", interrupts_);
  ar.field("shortcuts", shortcuts_);
  ar.field("registers", registers_);
}

u32 NrfPeripheral::read_word(u32 offset) {
  u32 value = 0;
  if (offset >= kEvents && offset < kEventsEnd) {
    value = events_ >> ((offset - kEvents) / 4) & 1;
  } else if (offset == kShortcuts) {
    value = shortcuts_;
  } else if (offset == kInterrupts || offset == kInterruptsSet || offset == kInterruptsClear) {
    value = interrupts_;
  } else {
    value = read_register(offset);
  }
  return value;
}

void NrfPeripheral::write_word(u32 offset, u32 value) {
  if (offset < kEvents) {
    if ((value & 1) != 0) task(offset);
  } else if (offset < kEventsEnd) {
    const u32 bit = u32{1} << ((offset - kEvents) / 4);
    events_ = (value & 1) != 0 ? events_ | bit : events_ & ~bit;
  } else if (offset == kShortcuts) {
    shortcuts_ = value;
  } else if (offset == kInterrupts) {
    interrupts_ = value;
  } else if (offset == kInterruptsSet) {
    interrupts_ |= value;
  } else if (offset == kInterruptsClear) {
    interrupts_ &= ~value;
  } else {
    write_register(offset, value);
  }
  if (offset >= kInterrupts && offset <= kInterruptsClear) interrupts_changed();
  update_irq();
}

u32 NrfPeripheral::read_register(u32 offset) {
  return offset >= kStorage && offset < kStorage + 4 * registers_.size() ? stored(offset) : 0;
}

void NrfPeripheral::write_register(u32 offset, u32 value) {
  if (offset >= kStorage && offset < kStorage + 4 * registers_.size()) stored(offset) = value;
}

namespace {

/// CLOCK, POWER and MPU share an address (chapters 11 to 13). Clocks run as soon as they are started.
class NrfClock final : public NrfPeripheral, public ResetRecord {
 public:
  using NrfPeripheral::NrfPeripheral;
  void reset() override {
    const ResetCause cause = take();
    const u32 causes = stored(kCauses), retained = stored(kRetained);
    NrfPeripheral::reset();
    if (cause != ResetCause::PowerOn) {
      constexpr u32 kPin = 1, kWatchdog = 2, kSoftware = 4;
      stored(kCauses) = causes | (cause == ResetCause::SecureWatchdog ? kWatchdog
                                  : cause == ResetCause::Processor    ? kSoftware
                                                                      : kPin);
    }
    if (cause == ResetCause::Processor) stored(kRetained) = retained;
    stored(kXtalFrequency) = 0xff;
    stored(kRamOn) = 3;
  }
  void state(Archive& ar) override {
    NrfPeripheral::state(ar);
    record_state(ar);
  }

 private:
  static constexpr u32 kCauses = 0x400, kRetained = 0x51c;
  static constexpr u32 kHfRun = 0x408, kHfStatus = 0x40c, kLfRun = 0x414, kLfStatus = 0x418, kLfCopy = 0x41c,
                       kLfSource = 0x518, kXtalFrequency = 0x550, kRamOn = 0x524;
  static constexpr u32 kRunning = 1 << 16, kCrystal = 1;
  void task(u32 offset) override {
    switch (offset) {
      case 0x00:
        stored(kHfRun) = 1;
        stored(kHfStatus) = kRunning | kCrystal;
        event(0);
        break;
      case 0x04:
        stored(kHfRun) = 0;
        stored(kHfStatus) = kRunning;  // on the internal oscillator
        break;
      case 0x08:
        stored(kLfRun) = 1;
        stored(kLfCopy) = stored(kLfSource) & 3;
        stored(kLfStatus) = kRunning | stored(kLfCopy);
        event(1);
        break;
      case 0x0c: stored(kLfRun) = stored(kLfStatus) = 0; break;
      case 0x10: event(3); break;  // calibration: done
      default: break;
    }
  }
  void write_register(u32 offset, u32 value) override {
    if (offset == kCauses)
      stored(offset) &= ~value;
    else if (offset == kRetained)
      stored(offset) = value & 0xff;
    else
      NrfPeripheral::write_register(offset, value);
  }
};

/// The random number generator (chapter 21), fed from the input port.
class NrfRng final : public NrfPeripheral {
 public:
  NrfRng(std::string name, Machine& machine, IrqLine irq, Channel channel)
      : NrfPeripheral(std::move(name), machine, irq), channel_(channel) {
    timer_ = machine.clock().add_timer(this->name() + ".value", [this] { deliver(); });
  }
  void reset() override {
    NrfPeripheral::reset();
    machine_.clock().arm(timer_, kNever);
  }

 private:
  static constexpr u32 kValue = 0x508;
  static constexpr VirtualNs kTimePerByte = 167'000;
  void task(u32 offset) override {
    if (offset == 0x00) machine_.clock().arm(timer_, machine_.clock().now() + kTimePerByte);
    if (offset == 0x04) machine_.clock().arm(timer_, kNever);
  }
  void write_register(u32 offset, u32 value) override {
    if (offset != kValue) NrfPeripheral::write_register(offset, value);
  }
  void deliver() {
    const u8 one[4] = {1, 0, 0, 0};
    const Bytes reply = machine_.port().answer(InputKind::Entropy, channel_, one);
    stored(kValue) = reply.empty() ? 0 : reply[0];
    event(0);
    if (!shortcut(0)) machine_.clock().arm(timer_, machine_.clock().now() + kTimePerByte);
  }
  Channel channel_;
  VirtualClock::TimerId timer_;
};

/// The temperature sensor (chapter 23): always 21 degrees, in quarters.
class NrfTemp final : public NrfPeripheral {
 public:
  using NrfPeripheral::NrfPeripheral;

 private:
  void task(u32 offset) override {
    if (offset != 0) return;
    stored(0x508) = 21 * 4;
    event(0);
  }
};

/// The analog-to-digital converter (chapter 32): nothing is connected.
class NrfAdc final : public NrfPeripheral {
 public:
  using NrfPeripheral::NrfPeripheral;

 private:
  void task(u32 offset) override {
    if (offset != 0) return;
    stored(0x508) = 0;
    event(0);
  }
};

/// General-purpose pins (chapter 14). What comes in is what the pull resistors make of open pins; pins of
/// `high` are held high from outside.
class NrfGpio final : public NrfPeripheral {
 public:
  NrfGpio(std::string name, Machine& machine, u32 high)
      : NrfPeripheral(std::move(name), machine, {}), high_(high) {}

 private:
  static constexpr u32 kOut = 0x504, kDirection = 0x514, kPinConfig = 0x700;
  u32 in() const {
    u32 value = high_;
    for (unsigned pin = 0; pin < 32; ++pin) {
      const u32 config = stored(kPinConfig + 4 * pin), bit = u32{1} << pin;
      if ((stored(kDirection) & bit) != 0) value = (value & ~bit) | (stored(kOut) & bit);
      if ((config >> 2 & 3) == 3) value |= bit;  // pulled up
    }
    return value;
  }
  u32 read_register(u32 offset) override {
    switch (offset) {
      case 0x508:
      case 0x50c: return stored(kOut);
      case 0x510: return in();
      case 0x518:
      case 0x51c: return stored(kDirection);
      default: return NrfPeripheral::read_register(offset);
    }
  }
  void write_register(u32 offset, u32 value) override {
    switch (offset) {
      case 0x508: stored(kOut) |= value; break;
      case 0x50c: stored(kOut) &= ~value; break;
      case 0x510: break;
      case 0x514: set_directions(value); break;
      case 0x518: set_directions(stored(kDirection) | value); break;
      case 0x51c: set_directions(stored(kDirection) & ~value); break;
      default:
        NrfPeripheral::write_register(offset, value);
        if (offset >= kPinConfig && offset < kPinConfig + 0x80) {
          const u32 bit = u32{1} << (offset - kPinConfig) / 4;
          stored(kDirection) = (value & 1) != 0 ? stored(kDirection) | bit : stored(kDirection) & ~bit;
        }
    }
  }
  void set_directions(u32 value) {
    stored(kDirection) = value;
    for (unsigned pin = 0; pin < 32; ++pin) {
      u32& config = stored(kPinConfig + 4 * pin);
      config = (config & ~u32{1}) | (value >> pin & 1);
    }
  }
  u32 high_;
};

/// The part of a bank of pins that has its registers.
class GpioRegisters final : public Device, public MmioHandler {
 public:
  static constexpr u64 kFirst = 0x500, kSize = 0x300;
  GpioRegisters(std::string name, NrfGpio& gpio) : Device(std::move(name)), gpio_(gpio) {}
  void reset() override {}
  void state(Archive&) override {}
  u64 mmio_read(u64 offset, unsigned size) override { return gpio_.mmio_read(kFirst + offset, size); }
  void mmio_write(u64 offset, unsigned size, u64 value) override {
    gpio_.mmio_write(kFirst + offset, size, value);
  }

 private:
  NrfGpio& gpio_;
};

}  // namespace

IrqSink* build_nrf_clock(const DeviceSite& site) {
  set_reset_control(site.machine, place<NrfClock>(site, NrfPeripheral::kSize, site.machine, site.irq()));
  return nullptr;
}
IrqSink* build_nrf_rng(const DeviceSite& site) { return add_nrf<NrfRng>(site, site.irq(), site.channel); }
IrqSink* build_nrf_temp(const DeviceSite& site) { return add_nrf<NrfTemp>(site, site.irq()); }
IrqSink* build_nrf_adc(const DeviceSite& site) { return add_nrf<NrfAdc>(site, site.irq()); }
IrqSink* build_nrf_gpio(const DeviceSite& site) {
  // Zephyr's trees have the registers of a bank of pins as a second range, without what lies before them.
  if (site.regs.size() == 2 && site.regs[0].size < NrfPeripheral::kSize) {
    const loader::DtRange& reg = site.reg(1, GpioRegisters::kSize);
    auto& gpio = site.machine.add_device<NrfGpio>(site.name, site.machine, 0u);
    auto& window = site.machine.add_device<GpioRegisters>(site.name + ".window", gpio);
    site.machine.memory().add_device(site.name, reg.base, GpioRegisters::kSize, &window);
    return nullptr;
  }
  return add_nrf<NrfGpio>(site, site.cell("hindcast,high-pins", 0));
}
IrqSink* build_nrf_plain(const DeviceSite& site) { return add_nrf<NrfPeripheral>(site, site.irq()); }

}  // namespace hindcast::devices
