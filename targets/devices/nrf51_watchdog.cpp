// The nRF51's watchdog (chapter 24): it counts down by the low-frequency clock and, once begun, resets the
// machine unless each register that it asks for is written in time. It goes on while the CPU sleeps or is
// halted, whatever CONFIG says.
#include "targets/devices/down_counter.h"
#include "targets/devices/model_registry.h"
#include "targets/devices/nrf51.h"
#include "targets/devices/reset_control.h"

namespace hindcast::devices {
namespace {

constexpr u32 kRunning = 0x400, kRequests = 0x404, kStartValue = 0x504, kEnabled = 0x508, kConfig = 0x50c,
              kFeed = 0x600, kFeedEnd = 0x620;
constexpr u32 kFeedWord = 0x6e524635;
constexpr u64 kHz = 32'768;
constexpr u32 kClocksToReset = 2;  // from the event on

class NrfWatchdog final : public NrfPeripheral {
 public:
  NrfWatchdog(std::string name, Machine& machine, IrqLine irq)
      : NrfPeripheral(std::move(name), machine, irq),
        counter_(machine, this->name() + ".zero", kHz, [this] { fired(); }) {}

  void reset() override {
    // A soft reset does not end it (12.1.8).
    const auto* control = machine_.extension<ResetControl>(ResetControl::kExtension);
    if (control != nullptr && control->last() == ResetCause::Processor) return;
    NrfPeripheral::reset();
    stored(kRequests) = stored(kEnabled) = stored(kConfig) = 1;
    stored(kStartValue) = ~u32{0};
    timed_out_ = false;
    counter_.stop(0);
  }
  void state(Archive& ar) override {
    NrfPeripheral::state(ar);
    counter_.state(ar);
    ar.field("timed_out", timed_out_);
  }

 private:
  bool running() const { return stored(kRunning) != 0; }
  void begin() {
    stored(kRequests) = stored(kEnabled);
    counter_.start(stored(kStartValue), stored(kStartValue), false);
  }
  void fired() {
    if (timed_out_) return request_reset(machine_, ResetCause::SecureWatchdog);
    timed_out_ = true;
    event(0);
    counter_.start(kClocksToReset, 0, false);
  }
  void task(u32 offset) override {
    if (offset != 0 || running()) return;
    stored(kRunning) = 1;
    begin();
  }
  u32 read_register(u32 offset) override {
    return offset >= kFeed && offset < kFeedEnd ? 0 : NrfPeripheral::read_register(offset);
  }
  void write_register(u32 offset, u32 value) override {
    switch (offset) {
      // Fixed from the start on.
      case kStartValue:
        if (!running()) stored(offset) = value < 15 ? 15 : value;
        break;
      case kEnabled:
        if (!running()) stored(offset) = value & 0xff;
        break;
      case kConfig:
        if (!running()) stored(offset) = value & 9;
        break;
      default:
        if (offset < kFeed || offset >= kFeedEnd || value != kFeedWord || !running() || timed_out_) break;
        stored(kRequests) &= ~(u32{1} << (offset - kFeed) / 4);
        if (stored(kRequests) == 0) begin();
    }
  }

  DownCounter counter_;
  bool timed_out_ = false;
};

}  // namespace

IrqSink* build_nrf_watchdog(const DeviceSite& site) { return add_nrf<NrfWatchdog>(site, site.irq()); }

}  // namespace hindcast::devices
