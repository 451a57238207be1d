#include "targets/devices/uart16550.h"

#include <fmt/format.h>

#include <algorithm>

#include "targets/devices/model_registry.h"

namespace hindcast::devices {
namespace {

// Registers by offset; the first two are the divisor while LCR's top bit is set.
enum Register : unsigned {
  kData = 0,
  kIer = 1,
  kIirFcr = 2,
  kLcr = 3,
  kMcr = 4,
  kLsr = 5,
  kMsr = 6,
  kScr = 7
};

namespace ier {
constexpr u8 kReceived = 1, kTransmitterEmpty = 2, kLineStatus = 4, kModemStatus = 8, kAll = 15;
}
namespace iir {
constexpr u8 kNone = 1, kModemStatus = 0, kTransmitterEmpty = 2, kReceived = 4, kTimeout = 12,
             kLineStatus = 6;
constexpr u8 kIdMask = 15, kFifosEnabled = 0xc0;
}  // namespace iir
namespace fcr {
constexpr u8 kEnable = 1, kClearReceiver = 2, kTrigger = 0xc0, kKept = kEnable | 8 | kTrigger;
}
namespace lcr {
constexpr u8 kTwoStopBits = 4, kParity = 8, kDivisorAccess = 0x80;
}
namespace mcr {
constexpr u8 kDtr = 1, kRts = 2, kOut1 = 4, kOut2 = 8, kLoop = 16, kAll = 31;
}
namespace lsr {
constexpr u8 kDataReady = 1, kOverrun = 2, kTransmitterEmpty = 0x20, kIdle = 0x40;
}
namespace msr {
constexpr u8 kCts = 0x10, kDsr = 0x20, kRing = 0x40, kCarrier = 0x80, kRingEnded = 4, kInputs = 0xf0;
}

constexpr std::size_t kFifoSize = 16;
/// Who sends reads LSR once or, waiting for both of its bits, twice; whoever reads it again looks for input.
constexpr u8 kLooks = 3;

}  // namespace

Uart16550::Uart16550(std::string name, Machine& machine, Wiring wiring)
    : Device(std::move(name)), machine_(machine), wiring_(wiring) {
  timeout_ = machine_.clock().add_timer(this->name() + ".timeout", [this] {
    if (received_.empty()) return;
    timed_out_ = true;
    update_irq();
  });
  machine_.port().attach(wiring_.channel, InputKind::Serial, this);
}

void Uart16550::reset() {
  in_use_ = looks_for_input_ = false;
  looks_ = 0;
  received_.clear();
  interrupt_enable_ = fifo_control_ = line_control_ = scratch_ = 0;
  // OUT2, which gates the interrupt on a PC's card, is found set by firmware for boards without that gate.
  modem_control_ = mcr::kOut2;
  modem_deltas_ = line_errors_ = 0;
  divisor_ = 0;
  transmit_interrupt_ = timed_out_ = false;
  machine_.clock().arm(timeout_, kNever);
  update_irq();
}

void Uart16550::state(Archive& ar) {
  ar.field("received", received_);
  if (received_.size() > kFifoSize) {
    received_.clear();
    throw Fatal(fmt::format("saved state: {} has received more than its FIFO holds", name()));
  }
  ar.field("interrupt_enable", interrupt_enable_);
  ar.field("fifo_control", fifo_control_);
  ar.field("line_control", line_control_);
  ar.field("modem_control", modem_control_);
  ar.field("scratch", scratch_);
  ar.field("modem_deltas", modem_deltas_);
  ar.field("line_errors", line_errors_);
  ar.field("divisor", divisor_);
  ar.field("transmit_interrupt", transmit_interrupt_);
  ar.field("timed_out", timed_out_);
  ar.field("in_use", in_use_);
}

bool Uart16550::fifo_enabled() const { return (fifo_control_ & fcr::kEnable) != 0; }
bool Uart16550::loopback() const { return (modem_control_ & mcr::kLoop) != 0; }

u64 Uart16550::mmio_read(u64 offset, unsigned) {
  in_use_ = true;
  u64 n = offset >> wiring_.reg_shift;
  note_look(n == kLsr);
  return n < 8 ? read_register(static_cast<unsigned>(n)) : 0;
}

/// Only a hint for the host's side, hence no part of the state.
void Uart16550::note_look(bool look) {
  looks_ = look ? std::min<u8>(looks_ + 1, kLooks) : 0;
  if (looks_ < kLooks || looks_for_input_) return;
  looks_for_input_ = true;
  if (wanted() != 0) machine_.port().ready(wiring_.channel);
}

void Uart16550::mmio_write(u64 offset, unsigned, u64 value) {
  in_use_ = true;
  u64 n = offset >> wiring_.reg_shift;
  note_look(false);
  if (n == kIirFcr || n == kLcr) looks_for_input_ = false;  // it is being set up, perhaps again
  if (n < 8) write_register(static_cast<unsigned>(n), static_cast<u8>(value));
}

u8 Uart16550::read_register(unsigned n) {
  const bool divisor = (line_control_ & lcr::kDivisorAccess) != 0;
  switch (n) {
    case kData: return divisor ? static_cast<u8>(divisor_) : read_receiver();
    case kIer: return divisor ? static_cast<u8>(divisor_ >> 8) : interrupt_enable_;
    case kIirFcr: {
      u8 id = interrupt_id();
      if ((id & iir::kIdMask) == iir::kTransmitterEmpty) {
        transmit_interrupt_ = false;  // reading it is being told
        update_irq();
      }
      return id;
    }
    case kLcr: return line_control_;
    case kMcr: return modem_control_;
    case kLsr: {
      u8 status = line_status();
      line_errors_ = 0;
      update_irq();
      return status;
    }
    case kMsr: {
      u8 status = modem_inputs() | modem_deltas_;
      modem_deltas_ = 0;
      update_irq();
      return status;
    }
    default: return scratch_;
  }
}

void Uart16550::write_register(unsigned n, u8 value) {
  const bool divisor = (line_control_ & lcr::kDivisorAccess) != 0;
  switch (n) {
    case kData:
      if (divisor)
        divisor_ = static_cast<u16>((divisor_ & 0xff00) | value);
      else
        transmit(value);
      break;
    case kIer:
      if (divisor) {
        divisor_ = static_cast<u16>((divisor_ & 0xff) | value << 8);
      } else {
        // Enabling the transmitter's interrupt while it is empty (it always is) raises it at once.
        if ((value & ~interrupt_enable_ & ier::kTransmitterEmpty) != 0) transmit_interrupt_ = true;
        const bool listens = (value & ~interrupt_enable_ & ier::kReceived) != 0;
        interrupt_enable_ = value & ier::kAll;
        update_irq();
        if (listens && wanted() != 0) machine_.port().ready(wiring_.channel);
      }
      break;
    case kIirFcr: set_fifo_control(value); break;
    case kLcr: line_control_ = value; break;
    case kMcr: set_modem_control(value); break;
    case kLsr: break;  // for factory tests; read-only otherwise
    case kMsr: break;
    default: scratch_ = value; break;
  }
}

u8 Uart16550::read_receiver() {
  std::size_t before = receivable();
  u8 byte = 0;
  if (!received_.empty()) {
    byte = received_.front();
    received_.pop_front();
  }
  timed_out_ = false;
  restart_timeout();
  update_irq();
  if (received_.empty()) tell_room(before);  // filling the FIFO byte by byte would be slow
  return byte;
}

u8 Uart16550::line_status() const {
  u8 status = lsr::kTransmitterEmpty | lsr::kIdle | line_errors_;
  if (!received_.empty()) status |= lsr::kDataReady;
  return status;
}

/// The highest-priority interrupt, in the form of IIR.
u8 Uart16550::interrupt_id() const {
  u8 fifos = fifo_enabled() ? iir::kFifosEnabled : 0;
  auto enabled = [&](u8 which) { return (interrupt_enable_ & which) != 0; };
  if (enabled(ier::kLineStatus) && line_errors_ != 0) return fifos | iir::kLineStatus;
  if (enabled(ier::kReceived) && timed_out_) return fifos | iir::kTimeout;
  if (enabled(ier::kReceived) && received_.size() >= trigger_level()) return fifos | iir::kReceived;
  if (enabled(ier::kTransmitterEmpty) && transmit_interrupt_) return fifos | iir::kTransmitterEmpty;
  if (enabled(ier::kModemStatus) && modem_deltas_ != 0) return fifos | iir::kModemStatus;
  return fifos | iir::kNone;
}

void Uart16550::update_irq() { wiring_.irq.set((interrupt_id() & iir::kNone) == 0); }

void Uart16550::transmit(u8 byte) {
  if (loopback()) {
    take_in(byte);
  } else {
    machine_.port().output(wiring_.channel, {&byte, 1});
  }
  transmit_interrupt_ = true;
  update_irq();
}

/// A byte has reached the receiver. Only loop-back can bring one that finds no place.
void Uart16550::take_in(u8 byte) {
  if (!fifo_enabled() && !received_.empty()) {
    line_errors_ |= lsr::kOverrun;
    received_.back() = byte;  // the holding register is overwritten
  } else if (received_.size() >= kFifoSize) {
    line_errors_ |= lsr::kOverrun;  // the FIFO keeps what it has
  } else {
    received_.push_back(byte);
  }
  restart_timeout();
}

void Uart16550::set_fifo_control(u8 value) {
  std::size_t before = receivable();
  const bool toggled = ((value ^ fifo_control_) & fcr::kEnable) != 0;
  // The other bits count only when the enable bit is written with them.
  fifo_control_ = (value & fcr::kEnable) != 0 ? value & fcr::kKept : 0;
  if (toggled || (value & (fcr::kEnable | fcr::kClearReceiver)) == (fcr::kEnable | fcr::kClearReceiver)) {
    received_.clear();
    timed_out_ = false;
  }
  restart_timeout();
  update_irq();
  tell_room(before);
}

/// CTS, DSR, RI and DCD: a connected peer that is always ready, or our own outputs in loop-back.
u8 Uart16550::modem_inputs() const {
  if (!loopback()) return msr::kCts | msr::kDsr | msr::kCarrier;
  u8 inputs = 0;
  if ((modem_control_ & mcr::kRts) != 0) inputs |= msr::kCts;
  if ((modem_control_ & mcr::kDtr) != 0) inputs |= msr::kDsr;
  if ((modem_control_ & mcr::kOut1) != 0) inputs |= msr::kRing;
  if ((modem_control_ & mcr::kOut2) != 0) inputs |= msr::kCarrier;
  return inputs;
}

void Uart16550::set_modem_control(u8 value) {
  std::size_t before = receivable();
  u8 old = modem_inputs();
  modem_control_ = value & mcr::kAll;
  u8 changed = (old ^ modem_inputs()) & msr::kInputs;
  // The ring indicator's delta notes only its end.
  if ((changed & old & msr::kRing) != 0) modem_deltas_ |= msr::kRingEnded;
  modem_deltas_ |= static_cast<u8>((changed & ~msr::kRing) >> 4);
  update_irq();
  tell_room(before);
}

std::size_t Uart16550::trigger_level() const {
  static constexpr u8 kLevels[4] = {1, 4, 8, 14};
  return fifo_enabled() ? kLevels[fifo_control_ >> 6] : 1;
}

VirtualNs Uart16550::character_time() const {
  u64 bits = 1 + 5 + (line_control_ & 3u) + 1;
  if ((line_control_ & lcr::kTwoStopBits) != 0) ++bits;
  if ((line_control_ & lcr::kParity) != 0) ++bits;
  u64 divisor = divisor_ != 0 ? divisor_ : wiring_.clock_hz / (16 * 9600);
  return std::max<u64>(1, 1'000'000'000 * bits * 16 * divisor / wiring_.clock_hz);
}

/// Four character times without a byte arriving or being read, with bytes waiting.
void Uart16550::restart_timeout() {
  bool waiting = fifo_enabled() && !received_.empty() && !timed_out_;
  machine_.clock().arm(timeout_, waiting ? machine_.clock().now() + 4 * character_time() : kNever);
}

std::size_t Uart16550::receivable() const {
  // Whoever types before the guest has looked at the port waits: setting the FIFO up would drop the bytes,
  // and a guest that never uses the port must not swallow what another console is waiting for.
  if (!in_use_) return 0;
  if (loopback()) return 0;  // the line in is disconnected
  std::size_t places = fifo_enabled() ? kFifoSize : 1;
  return places - std::min(places, received_.size());
}

/// Firmware that polls often sets the port up more than once, each time dropping what is in the FIFO: it gets
/// nothing before it looks for input, and then one byte at a time, so that no more than that is lost should
/// it begin anew. Whoever has enabled the interrupt is past that.
std::size_t Uart16550::wanted() const {
  if ((interrupt_enable_ & ier::kReceived) != 0) return receivable();
  return looks_for_input_ && received_.empty() ? std::min<std::size_t>(receivable(), 1) : 0;
}

void Uart16550::tell_room(std::size_t before) {
  if (receivable() > before) machine_.port().ready(wiring_.channel);
}

void Uart16550::receive(InputKind, ByteView data) {
  if (data.size() > receivable())
    throw Fatal(fmt::format("{}: {} bytes of input, room for {}", name(), data.size(), receivable()));
  for (u8 byte : data) take_in(byte);
  update_irq();
}

IrqSink* build_uart16550(const DeviceSite& site) {
  Uart16550::Wiring wiring;
  wiring.reg_shift = site.cell("reg-shift", 0);
  if (wiring.reg_shift > 4) site.fail("has a reg-shift above 4");
  wiring.clock_hz = site.cell("clock-frequency", 1'843'200);
  if (wiring.clock_hz < 16 * 9600) site.fail("has a clock-frequency that is too low");
  wiring.channel = site.channel;
  wiring.irq = site.irq();
  return add<Uart16550>(site, u64{8} << wiring.reg_shift, site.machine, wiring);
}

}  // namespace hindcast::devices
