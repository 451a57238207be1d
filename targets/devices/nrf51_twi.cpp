// The nRF51's two-wire interface ("nRF51 Series Reference Manual" 3.0, chapter 28), and the sensors that a
// micro:bit has on it: an accelerometer (MMA8653FC) and a magnetometer (MAG3110), lying still.
#include <algorithm>

#include "targets/devices/model_registry.h"
#include "targets/devices/nrf51.h"

namespace hindcast::devices {
namespace {

constexpr unsigned kStopped = 1, kReceived = 2, kSent = 7, kError = 9, kSuspended = 18;
constexpr u32 kErrorSource = 0x4c4, kReceiveData = 0x518, kTransmitData = 0x51c, kFrequency = 0x524,
              kAddress = 0x588;
constexpr unsigned kBitsPerByte = 9;  // with the acknowledgement
constexpr u32 kAddressNack = 2;

/// A sensor with one-byte registers whose number advances with each byte.
struct Sensor {
  u8 address;
  u8 identity_register, identity;
};
constexpr Sensor kSensors[] = {{0x1d, 0x0d, 0x5a}, {0x0e, 0x07, 0xc4}};
constexpr std::size_t kRegisters = 64;

class NrfTwi final : public NrfPeripheral {
 public:
  NrfTwi(std::string name, Machine& machine, IrqLine irq, bool sensors)
      : NrfPeripheral(std::move(name), machine, irq), sensors_(sensors) {
    timer_ = machine.clock().add_timer(this->name() + ".byte", [this] { fetch(); });
  }

  void reset() override {
    NrfPeripheral::reset();
    machine_.clock().arm(timer_, kNever);
    sending_ = receiving_ = pointer_set_ = suspended_ = false;
    pointer_ = 0;
    for (std::size_t i = 0; i < std::size(kSensors); ++i) {
      contents_[i].fill(0);
      contents_[i][kSensors[i].identity_register] = kSensors[i].identity;
    }
    // One g along the third axis, and data ready.
    contents_[0][0x00] = 0x07;
    contents_[0][0x05] = 0xc0;
    contents_[1][0x00] = 0x0f;
  }
  void state(Archive& ar) override {
    NrfPeripheral::state(ar);
    ar.field("sending", sending_);
    ar.field("receiving", receiving_);
    ar.field("suspended", suspended_);
    ar.field("pointer_set", pointer_set_);
    ar.field("pointer", pointer_);
    for (auto& contents : contents_) ar.field("contents", contents);
  }

 private:
  std::array<u8, kRegisters>* selected() {
    for (std::size_t i = 0; i < std::size(kSensors) && sensors_; ++i)
      if ((stored(kAddress) & 0x7f) == kSensors[i].address) return &contents_[i];
    return nullptr;
  }
  void no_answer() {
    stored(kErrorSource) |= kAddressNack;
    event(kError);
  }
  /// The next byte will arrive, after `bits` clocks of the bus. Drivers resume before it has, which must then
  /// mean nothing.
  void expect(unsigned bits) {
    const u64 khz = std::max<u64>(stored(kFrequency) >> 20, 1) * 25 / 6;  // 0x01980000 is 100 kHz
    machine_.clock().arm(timer_, machine_.clock().now() + bits * u64{1'000'000} / khz);
  }
  /// It arrives.
  void fetch() {
    auto* contents = selected();
    if (contents == nullptr) return no_answer();
    stored(kReceiveData) = (*contents)[pointer_++ % kRegisters];
    event(kReceived);
    if (shortcut(0)) suspended_ = true;  // BB_SUSPEND
    if (shortcut(1)) stop();             // BB_STOP
  }
  void stop() {
    machine_.clock().arm(timer_, kNever);
    sending_ = receiving_ = suspended_ = false;
    event(kStopped);
  }
  void task(u32 offset) override {
    switch (offset) {
      case 0x00:
        receiving_ = true;
        sending_ = suspended_ = false;
        expect(2 * kBitsPerByte);  // the address first
        break;
      case 0x08:
        sending_ = true;
        receiving_ = suspended_ = pointer_set_ = false;
        break;
      case 0x14: stop(); break;
      case 0x1c:
        suspended_ = true;
        event(kSuspended);
        break;
      case 0x20:
        if (receiving_ && suspended_) {
          expect(kBitsPerByte);
        }
        suspended_ = false;
        break;
      default: break;
    }
  }
  u32 read_register(u32 offset) override {
    const u32 value = NrfPeripheral::read_register(offset);
    // Reading lets the next byte come.
    if (offset == kReceiveData && receiving_ && !suspended_) expect(kBitsPerByte);
    return value;
  }
  void write_register(u32 offset, u32 value) override {
    if (offset == kErrorSource) {
      stored(kErrorSource) &= ~value;
    } else if (offset == kTransmitData && sending_) {
      auto* contents = selected();
      if (contents == nullptr) return no_answer();
      if (!pointer_set_) {
        pointer_ = static_cast<u8>(value);
        pointer_set_ = true;
      } else {
        (*contents)[pointer_++ % kRegisters] = static_cast<u8>(value);
      }
      event(kSent);
    } else {
      NrfPeripheral::write_register(offset, value);
    }
  }

  bool sensors_;
  VirtualClock::TimerId timer_;
  bool sending_ = false, receiving_ = false, suspended_ = false, pointer_set_ = false;
  u8 pointer_ = 0;
  std::array<std::array<u8, kRegisters>, std::size(kSensors)> contents_{};
};

}  // namespace

IrqSink* build_nrf_twi(const DeviceSite& site) {
  return add_nrf<NrfTwi>(site, site.irq(), site.node.has("hindcast,microbit-sensors"));
}

}  // namespace hindcast::devices
