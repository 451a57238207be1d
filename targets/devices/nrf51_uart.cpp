// The nRF51's UART ("nRF51 Series Reference Manual" 3.0, chapter 29).
//
// What leaves is sent at once. What arrives takes its time; six bytes are kept, the rest waits outside.
#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "targets/devices/model_registry.h"
#include "targets/devices/nrf51.h"
#include "targets/devices/serial_wire.h"

namespace hindcast::devices {
namespace {

constexpr u32 kStartReceiver = 0x00, kStopReceiver = 0x04, kStartTransmitter = 0x08, kStopTransmitter = 0x0c,
              kSuspend = 0x1c;
constexpr unsigned kReceived = 2, kTransmitted = 7, kReceiverTimeout = 17;
constexpr u32 kErrorSource = 0x480, kEnable = 0x500, kReceiveData = 0x518, kTransmitData = 0x51c,
              kBaudRate = 0x524;
constexpr u32 kEnabled = 4;
constexpr std::size_t kPlaces = 6;

class NrfUart final : public NrfPeripheral, public InputSink {
 public:
  NrfUart(std::string name, Machine& machine, IrqLine irq, Channel channel)
      : NrfPeripheral(std::move(name), machine, irq),
        channel_(channel),
        wire_(machine, this->name(), channel, *this) {
    machine.port().attach(channel, InputKind::Serial, this);
  }
  void reset() override {
    NrfPeripheral::reset();
    received_.clear();
    receiving_ = transmitting_ = false;
    wire_.reset();
    stored(kBaudRate) = 0x04000000;
    for (u32 pin = 0x508; pin <= 0x514; pin += 4) stored(pin) = ~u32{0};
  }
  void state(Archive& ar) override {
    NrfPeripheral::state(ar);
    ar.field("received", received_);
    ar.field("receiving", receiving_);
    ar.field("transmitting", transmitting_);
    wire_.state(ar);
    if (ar.loading() && received_.size() > kPlaces)
      throw Fatal("saved state: more than a FIFO of received bytes");
  }
  std::size_t receivable() const override {
    const bool on = receiving_ && stored(kEnable) == kEnabled && !wire_.busy();
    return on && received_.size() < kPlaces ? 1 : 0;
  }
  void receive(InputKind, ByteView data) override {
    if (data.size() > receivable())
      throw Fatal(fmt::format("{}: {} bytes of input, room for {}", name(), data.size(), receivable()));
    for (const u8 byte : data) {
      received_.push_back(byte);
      wire_.occupy(frame());
      // For each byte, whether or not there are others before it: a driver that clears the event of one that
      // came while it set the port up is told again by the next.
      event(kReceived);
    }
  }

 private:
  /// BAUDRATE is the rate in 2^32nds of 16 MHz.
  VirtualNs frame() const {
    constexpr u64 kTicks = SerialWire::kFrameBits * (u64{1} << 32), kTickPs = 62'500;
    return kTicks / std::max<u64>(stored(kBaudRate), 1) * kTickPs / 1000;
  }
  void task(u32 offset) override {
    switch (offset) {
      case kStartReceiver:
        // A byte that began before is lost on a real wire. Here it waits, for as long as one takes: the
        // driver has yet to clear the event and to enable its interrupt.
        if (!receiving_) wire_.occupy(frame());
        receiving_ = true;
        break;
      case kStopReceiver:
        receiving_ = false;
        event(kReceiverTimeout);
        break;
      case kStartTransmitter: transmitting_ = true; break;
      case kStopTransmitter: transmitting_ = false; break;
      case kSuspend: receiving_ = transmitting_ = false; break;
      default: break;
    }
    machine_.port().ready(channel_);
  }
  u32 read_register(u32 offset) override {
    if (offset != kReceiveData) return NrfPeripheral::read_register(offset);
    if (received_.empty()) return 0;
    const u8 byte = received_.front();
    received_.pop_front();
    // The event tells of each byte.
    if (!received_.empty()) event(kReceived);
    machine_.port().ready(channel_);
    return byte;
  }
  void write_register(u32 offset, u32 value) override {
    switch (offset) {
      case kReceiveData: break;
      case kErrorSource: stored(kErrorSource) &= ~value; break;
      case kTransmitData:
        if (transmitting_ && stored(kEnable) == kEnabled) {
          const u8 byte = static_cast<u8>(value);
          machine_.port().output(channel_, {&byte, 1});
          event(kTransmitted);
        }
        break;
      default: NrfPeripheral::write_register(offset, value);
    }
    if (offset == kEnable) machine_.port().ready(channel_);
  }

  Channel channel_;
  SerialWire wire_;
  std::deque<u8> received_;
  bool receiving_ = false, transmitting_ = false;
};

}  // namespace

IrqSink* build_nrf_uart(const DeviceSite& site) { return add_nrf<NrfUart>(site, site.irq(), site.channel); }

}  // namespace hindcast::devices
