// The RISC-V core-local interruptor ("SiFive Interrupt Cookbook", chapter 2; the ACLINT specification's MSWI
// at offset 0 and MTIMER at 0x4000): for each hart a software interrupt and a timer comparator, and one
// timer.
#pragma once
#include <functional>
#include <vector>

#include "engine/machine.h"

namespace hindcast::devices {

class Clint final : public Device, public MmioHandler {
 public:
  struct Hart {
    IrqLine software, timer;
  };
  static constexpr u64 kSize = 0x10000;
  static constexpr std::size_t kMostHarts = 4095;

  /// `tick_ns`: virtual nanoseconds per tick of mtime.
  Clint(std::string name, Machine& machine, std::vector<Hart> harts, u64 tick_ns);

  void reset() override;
  void state(Archive& ar) override;
  u64 mmio_read(u64 offset, unsigned size) override;
  void mmio_write(u64 offset, unsigned size, u64 value) override;

  /// The timer's value; what the harts' `time` counter shows. The machine's extension "riscv.clint" is this
  /// object.
  u64 mtime_at(VirtualNs time) const { return time / tick_ns_ + mtime_offset_; }
  VirtualNs tick_ns() const { return tick_ns_; }
  /// Calls `listener` after each write of the timer. One at most.
  void on_time_written(std::function<void()> listener) { time_written_ = std::move(listener); }
  u64 mtime() const { return mtime_at(machine_.clock().now()); }

 private:
  u64 ticks() const { return machine_.clock().now() / tick_ns_; }
  u64 read_register(u64 offset) const;
  void write_register(u64 offset, u64 value, u64 mask);
  void update_timer(std::size_t hart);

  Machine& machine_;
  std::vector<Hart> harts_;
  u64 tick_ns_;
  std::vector<VirtualClock::TimerId> timers_;
  u64 mtime_offset_ = 0;
  std::vector<u64> compare_;
  std::vector<u8> software_;
  std::function<void()> time_written_;
};

}  // namespace hindcast::devices
