#include "targets/devices/pl011.h"

#include <fmt/format.h>

#include <algorithm>

#include "targets/devices/model_registry.h"

namespace hindcast::devices {
namespace {

enum Register : u32 {
  kData = 0x00,
  kStatus = 0x04,
  kFlags = 0x18,
  kLowPower = 0x20,
  kIntegerDivisor = 0x24,
  kFractionDivisor = 0x28,
  kLineControl = 0x2c,
  kControl = 0x30,
  kFifoLevels = 0x34,
  kMask = 0x38,
  kRaw = 0x3c,
  kMasked = 0x40,
  kClear = 0x44,
  kDmaControl = 0x48,
  kIdentification = 0xfe0
};
constexpr u32 kReceiverEmpty = 0x10, kReceiverFull = 0x40, kTransmitterEmpty = 0x80;
constexpr u32 kFifoEnable = 0x10;
constexpr u32 kReceived = 0x10, kTransmitted = 0x20, kAllInterrupts = 0x7ff;
constexpr u32 kLoopback = 0x80, kTransmitEnable = 0x100, kReceiveEnable = 0x200;
constexpr std::size_t kFifoSize = 16;

constexpr u8 kPl011Id[] = {0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
constexpr u8 kLuminaryId[] = {0x11, 0x00, 0x18, 0x01, 0x0d, 0xf0, 0x05, 0xb1};

}  // namespace

Pl011::Pl011(std::string name, Machine& machine, Wiring wiring)
    : Device(std::move(name)),
      machine_(machine),
      wiring_(wiring),
      wire_(machine, this->name(), wiring.channel, *this) {
  machine_.port().attach(wiring_.channel, InputKind::Serial, this);
}

void Pl011::reset() {
  in_use_ = false;
  received_.clear();
  line_control_ = mask_ = raw_ = integer_divisor_ = fraction_divisor_ = low_power_ = dma_control_ = 0;
  control_ = kTransmitEnable | kReceiveEnable;
  fifo_levels_ = 0x12;
  wire_.reset();
  update_irq();
}

void Pl011::state(Archive& ar) {
  ar.field("received", received_);
  ar.field("line_control", line_control_);
  ar.field("control", control_);
  ar.field("fifo_levels", fifo_levels_);
  ar.field("mask", mask_);
  ar.field("raw", raw_);
  ar.field("integer_divisor", integer_divisor_);
  ar.field("fraction_divisor", fraction_divisor_);
  ar.field("low_power", low_power_);
  ar.field("dma_control", dma_control_);
  ar.field("in_use", in_use_);
  wire_.state(ar);
  if (ar.loading() && received_.size() > kFifoSize)
    throw Fatal("saved state: more than a FIFO of received bytes");
}

std::size_t Pl011::places() const { return (line_control_ & kFifoEnable) != 0 ? kFifoSize : 1; }

u32 Pl011::flags() const {
  u32 value = kTransmitterEmpty;
  if (received_.empty()) value |= kReceiverEmpty;
  if (received_.size() >= places()) value |= kReceiverFull;
  return value;
}

void Pl011::take_into_use() {
  if (in_use_) return;
  in_use_ = true;
  machine_.port().ready(wiring_.channel);
}

void Pl011::tell_room(std::size_t before) {
  if (receivable() > before) machine_.port().ready(wiring_.channel);
}

u32 Pl011::read_word(u32 at) {
  take_into_use();
  if (at >= kIdentification) {
    const u8* id = wiring_.luminary ? kLuminaryId : kPl011Id;
    return id[(at - kIdentification) / 4 & 7];
  }
  switch (at) {
    case kData: return read_data();
    case kFlags: return flags();
    case kLowPower: return low_power_;
    case kIntegerDivisor: return integer_divisor_;
    case kFractionDivisor: return fraction_divisor_;
    case kLineControl: return line_control_;
    case kControl: return control_;
    case kFifoLevels: return fifo_levels_;
    case kMask: return mask_;
    case kRaw: return raw_;
    case kMasked: return raw_ & mask_;
    case kDmaControl: return dma_control_;
    default: return 0;
  }
}

void Pl011::write_word(u32 at, u32 value) {
  take_into_use();
  const std::size_t room = receivable();
  switch (at) {
    case kData: write_data(static_cast<u8>(value)); break;
    case kLowPower: low_power_ = value & 0xff; break;
    case kIntegerDivisor: integer_divisor_ = value & 0xffff; break;
    case kFractionDivisor: fraction_divisor_ = value & 0x3f; break;
    case kLineControl:
      // A change of the FIFO's use empties it.
      if (((line_control_ ^ value) & kFifoEnable) != 0) received_.clear();
      line_control_ = value & 0xff;
      break;
    case kControl: control_ = value & 0xffff; break;
    case kFifoLevels: fifo_levels_ = value & 0x3f; break;
    case kMask: mask_ = value & kAllInterrupts; break;
    case kClear: raw_ &= ~value; break;
    case kDmaControl: dma_control_ = value & 7; break;
    default: break;
  }
  update_irq();
  tell_room(room);
}

u32 Pl011::read_data() {
  if (received_.empty()) return 0;
  const std::size_t room = receivable();
  const u8 byte = received_.front();
  received_.pop_front();
  if (received_.empty()) raw_ &= ~kReceived;
  update_irq();
  tell_room(room);
  return byte;
}

/// Whether the port is enabled is not asked: much software for emulated boards does not enable it.
void Pl011::write_data(u8 byte) {
  if ((control_ & kLoopback) != 0) {
    if (received_.size() < places()) take_in(byte);
  } else {
    machine_.port().output(wiring_.channel, {&byte, 1});
  }
  raw_ |= kTransmitted;
}

void Pl011::take_in(u8 byte) {
  received_.push_back(byte);
  raw_ |= kReceived;
}

void Pl011::update_irq() { wiring_.irq.set((raw_ & mask_) != 0); }

std::size_t Pl011::receivable() const {
  // Whoever types before the guest has looked at the port waits: it may still switch the FIFO.
  if (!in_use_ || wire_.busy() || (control_ & kLoopback) != 0 || (control_ & kReceiveEnable) == 0) return 0;
  return received_.size() < places() ? 1 : 0;
}

void Pl011::receive(InputKind, ByteView data) {
  if (data.size() > receivable())
    throw Fatal(fmt::format("{}: {} bytes of input, room for {}", name(), data.size(), receivable()));
  for (const u8 byte : data) {
    take_in(byte);
    wire_.occupy(frame());
  }
  update_irq();
}

/// A bit takes 16 clocks, divided by a number with six binary places.
VirtualNs Pl011::frame() const {
  const u64 divisor = u64{integer_divisor_} << 6 | fraction_divisor_;
  if (divisor == 0) return SerialWire::kUsualFrame;
  return SerialWire::kFrameBits * 16 * divisor * 1'000'000'000 / (u64{wiring_.clock_hz} << 6);
}

IrqSink* build_pl011(const DeviceSite& site) {
  Pl011::Wiring wiring;
  wiring.channel = site.channel;
  wiring.irq = site.irq();
  wiring.luminary = site.node.compatible_with("ti,stellaris-uart");
  wiring.clock_hz = site.clock_hz(wiring.luminary ? 12'500'000 : 24'000'000);
  const loader::DtRange& reg = site.reg(0, 0x4c);
  auto& uart = site.machine.add_device<Pl011>(site.name, site.machine, wiring);
  site.machine.memory().add_device(site.name, reg.base, std::max<u64>(reg.size, 0x1000), &uart);
  return nullptr;
}

}  // namespace hindcast::devices
