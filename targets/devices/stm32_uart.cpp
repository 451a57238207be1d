#include "targets/devices/stm32_uart.h"

#include <fmt/format.h>

#include "targets/devices/model_registry.h"

namespace hindcast::devices {
namespace {

constexpr u32 kStatus = 0x00, kData = 0x04, kBaudRate = 0x08, kControl1 = 0x0c, kControl2 = 0x10,
              kGuardTime = 0x18;
constexpr u32 kReceived = 1 << 5, kComplete = 1 << 6, kEmpty = 1 << 7;  // in SR; CR1 enables by the same bits
constexpr u32 kReceiverOn = 1 << 2, kTransmitterOn = 1 << 3, kOn = 1 << 13, kOversample8 = 1 << 15,
              kControlMask = 0xffff;

}  // namespace

Stm32Uart::Stm32Uart(std::string name, Machine& machine, IrqLine irq, Channel channel, u32 clock_hz)
    : Device(std::move(name)),
      WordRegisters(NarrowWrites::Repeat),
      machine_(machine),
      irq_(irq),
      channel_(channel),
      clock_hz_(clock_hz),
      wire_(machine, this->name(), channel, *this) {
  machine_.port().attach(channel_, InputKind::Serial, this);
}

void Stm32Uart::reset() {
  status_ = kComplete | kEmpty;
  control_ = 0;
  settings_.fill(0);
  received_ = 0;
  wire_.reset();
  update_irq();
}

void Stm32Uart::state(Archive& ar) {
  ar.field("status", status_);
  ar.field("control", control_);
  ar.field("settings", settings_);
  ar.field("received", received_);
  wire_.state(ar);
}

u32 Stm32Uart::read_word(u32 offset) {
  u32 value = 0;
  switch (offset) {
    case kStatus: value = status_; break;
    case kData:
      value = received_;
      if ((status_ & kReceived) != 0) {
        status_ &= ~kReceived;
        update_irq();
        if (receivable() != 0) machine_.port().ready(channel_);
      }
      break;
    case kBaudRate: value = settings_[3]; break;
    case kControl1: value = control_; break;
    default:
      if (offset >= kControl2 && offset <= kGuardTime) value = settings_[(offset - kControl2) / 4];
  }
  return value;
}

void Stm32Uart::write_word(u32 offset, u32 value) {
  switch (offset) {
    case kStatus: status_ &= value | ~(kReceived | kComplete); break;  // zeros clear
    case kData:
      if ((control_ & (kOn | kTransmitterOn)) == (kOn | kTransmitterOn)) {
        const u8 byte = static_cast<u8>(value);
        machine_.port().output(channel_, {&byte, 1});
        status_ |= kComplete | kEmpty;
      }
      break;
    case kBaudRate: settings_[3] = value & 0xffff; break;
    case kControl1: write_control(value & kControlMask); break;
    default:
      if (offset >= kControl2 && offset <= kGuardTime) settings_[(offset - kControl2) / 4] = value & 0xffff;
  }
  update_irq();
}

void Stm32Uart::write_control(u32 value) {
  const std::size_t room = receivable();
  control_ = value;
  if (receivable() > room) machine_.port().ready(channel_);
}

void Stm32Uart::update_irq() { irq_.set((status_ & control_ & (kReceived | kComplete | kEmpty)) != 0); }

std::size_t Stm32Uart::receivable() const {
  const bool on = (control_ & (kOn | kReceiverOn)) == (kOn | kReceiverOn);
  return on && !wire_.busy() && (status_ & kReceived) == 0 ? 1 : 0;
}

void Stm32Uart::receive(InputKind, ByteView data) {
  if (data.size() > receivable())
    throw Fatal(fmt::format("{}: {} bytes of input, room for {}", name(), data.size(), receivable()));
  if (data.empty()) return;
  received_ = data[0];
  status_ |= kReceived;
  wire_.occupy(frame());
  update_irq();
}

/// BRR is the number of clocks of a bit; with OVER8 its lowest four bits count eighths.
VirtualNs Stm32Uart::frame() const {
  const u32 rate = settings_[3];
  const u64 clocks = (control_ & kOversample8) != 0 ? (rate >> 4) * 8 + (rate & 7) : rate;
  if (clocks == 0) return SerialWire::kUsualFrame;
  return SerialWire::kFrameBits * clocks * 1'000'000'000 / clock_hz_;
}

IrqSink* build_stm32_uart(const DeviceSite& site) {
  return add<Stm32Uart>(site, kGuardTime + 4, site.machine, site.irq(), site.channel,
                        site.clock_hz(42'000'000));
}

}  // namespace hindcast::devices
