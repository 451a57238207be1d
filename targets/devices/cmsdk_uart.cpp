#include "targets/devices/cmsdk_uart.h"

#include <fmt/format.h>

#include "targets/devices/component_id.h"
#include "targets/devices/model_registry.h"

namespace hindcast::devices {
namespace {

constexpr u32 kData = 0x00, kState = 0x04, kControl = 0x08, kInterrupts = 0x0c, kDivisor = 0x10;
constexpr u16 kPart = 0x821;
constexpr u32 kReceiverFull = 2;  // in STATE
constexpr u32 kTransmitEnable = 1, kReceiveEnable = 2, kTransmitInterrupt = 4, kReceiveInterrupt = 8;
constexpr u32 kTransmitted = 1, kReceived = 2, kAllInterrupts = 15;

}  // namespace

CmsdkUart::CmsdkUart(std::string name, Machine& machine, Wiring wiring)
    : Device(std::move(name)),
      machine_(machine),
      wiring_(wiring),
      wire_(machine, this->name(), wiring.channel, *this) {
  machine_.port().attach(wiring_.channel, InputKind::Serial, this);
}

void CmsdkUart::reset() {
  control_ = interrupts_ = divisor_ = 0;
  received_ = 0;
  full_ = in_use_ = false;
  wire_.reset();
  update_irq();
}

void CmsdkUart::state(Archive& ar) {
  ar.field("control", control_);
  ar.field("interrupts", interrupts_);
  ar.field("divisor", divisor_);
  ar.field("received", received_);
  ar.field("full", full_);
  wire_.state(ar);
  ar.field("in_use", in_use_);
}

void CmsdkUart::take_into_use() {
  if (in_use_) return;
  in_use_ = true;
  machine_.port().ready(wiring_.channel);
}

u32 CmsdkUart::read_word(u32 at) {
  take_into_use();
  switch (at) {
    case kData: {
      const u8 byte = received_;
      full_ = false;
      if (!wire_.busy()) machine_.port().ready(wiring_.channel);
      return byte;
    }
    case kState: return full_ ? kReceiverFull : 0;
    case kControl: return control_;
    case kInterrupts: return interrupts_;
    case kDivisor: return divisor_;
    default: return component_id(at, kPart);
  }
}

void CmsdkUart::write_word(u32 at, u32 value) {
  take_into_use();
  switch (at) {
    case kData:
      if ((control_ & kTransmitEnable) == 0) break;
      {
        const u8 byte = static_cast<u8>(value);
        machine_.port().output(wiring_.channel, {&byte, 1});
      }
      if ((control_ & kTransmitInterrupt) != 0) interrupts_ |= kTransmitted;
      break;
    case kControl: {
      const std::size_t room = receivable();
      control_ = value & 0x7f;
      if (receivable() > room) machine_.port().ready(wiring_.channel);
      break;
    }
    case kInterrupts: interrupts_ &= ~(value & kAllInterrupts); break;
    case kDivisor: divisor_ = value & 0xfffff; break;
    default: break;
  }
  update_irq();
}

void CmsdkUart::update_irq() {
  wiring_.transmitted.set((interrupts_ & kTransmitted) != 0);
  wiring_.received.set((interrupts_ & kReceived) != 0);
}

std::size_t CmsdkUart::receivable() const {
  return in_use_ && !full_ && !wire_.busy() && (control_ & kReceiveEnable) != 0 ? 1 : 0;
}

void CmsdkUart::receive(InputKind, ByteView data) {
  if (data.size() > receivable())
    throw Fatal(fmt::format("{}: {} bytes of input, room for {}", name(), data.size(), receivable()));
  for (const u8 byte : data) {
    received_ = byte;
    full_ = true;
    // Drivers may acknowledge the interrupt after they have taken the byte: the next one takes its time.
    constexpr u64 kClockNs = 40;
    wire_.occupy(SerialWire::kFrameBits * kClockNs * divisor_);
    if ((control_ & kReceiveInterrupt) != 0) interrupts_ |= kReceived;
  }
  update_irq();
}

IrqSink* build_cmsdk_uart(const DeviceSite& site) {
  CmsdkUart::Wiring wiring;
  wiring.channel = site.channel;
  wiring.transmitted = site.irq(0);
  wiring.received = site.irq(1);
  return add<CmsdkUart>(site, 0x14, site.machine, wiring);
}

}  // namespace hindcast::devices
