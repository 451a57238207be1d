// What the peripherals of Nordic's nRF51 have in common ("nRF51 Series Reference Manual" 3.0, chapter 10):
// tasks below 0x100, events from 0x100 on, an interrupt enable mask over the events, and plain registers from
// 0x400 on.
#pragma once
#include <array>

#include "engine/machine.h"
#include "targets/devices/model_registry.h"
#include "targets/devices/word_registers.h"

namespace hindcast::devices {

class NrfPeripheral : public Device, public WordRegisters {
 public:
  static constexpr u64 kSize = 0x1000;
  NrfPeripheral(std::string name, Machine& machine, IrqLine irq)
      : Device(std::move(name)), machine_(machine), irq_(irq) {}

  void reset() override;
  void state(Archive& ar) override;

 protected:
  /// A task (offset below 0x100) was triggered.
  virtual void task(u32 offset) { (void)offset; }
  /// Registers outside the common ones. The default is storage, from 0x400 on.
  virtual u32 read_register(u32 offset);
  virtual void write_register(u32 offset, u32 value);
  /// Storage of the register at `offset`, 0x400 to 0x7fc.
  u32& stored(u32 offset) { return registers_[(offset - 0x400) / 4 % registers_.size()]; }
  u32 stored(u32 offset) const { return registers_[(offset - 0x400) / 4 % registers_.size()]; }
  /// Event n is the register at 0x100 + 4n.
  void event(unsigned n) {
    events_ |= u32{1} << n;
    update_irq();
  }
  u32 interrupts_enabled() const { return interrupts_; }
  virtual void interrupts_changed() {}
  bool shortcut(unsigned bit) const { return (shortcuts_ >> bit & 1) != 0; }

  Machine& machine_;

 private:
  u32 read_word(u32 offset) final;
  void write_word(u32 offset, u32 value) final;
  void update_irq() { irq_.set((events_ & interrupts_) != 0); }

  IrqLine irq_;
  u32 events_ = 0, interrupts_ = 0, shortcuts_ = 0;
  std::array<u32, 256> registers_{};
};

/// Adds a T, made of its name, the machine and `args`.
template <typename T, typename... Args>
IrqSink* add_nrf(const DeviceSite& site, Args&&... args) {
  return add<T>(site, NrfPeripheral::kSize, site.machine, std::forward<Args>(args)...);
}

IrqSink* build_nrf_clock(const DeviceSite& site);
IrqSink* build_nrf_uart(const DeviceSite& site);
IrqSink* build_nrf_timer(const DeviceSite& site);
IrqSink* build_nrf_rtc(const DeviceSite& site);
IrqSink* build_nrf_rng(const DeviceSite& site);
IrqSink* build_nrf_temp(const DeviceSite& site);
IrqSink* build_nrf_adc(const DeviceSite& site);
IrqSink* build_nrf_gpio(const DeviceSite& site);
IrqSink* build_nrf_twi(const DeviceSite& site);
IrqSink* build_nrf_watchdog(const DeviceSite& site);
IrqSink* build_nrf_flash(const DeviceSite& site);
IrqSink* build_nrf_information(const DeviceSite& site);
IrqSink* build_nrf_user_information(const DeviceSite& site);
/// Peripherals of which only the registers are there.
IrqSink* build_nrf_plain(const DeviceSite& site);

}  // namespace hindcast::devices
