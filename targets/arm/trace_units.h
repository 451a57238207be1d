// What the private peripheral bus has beside the system control space (DDI 0403, C1.7 to C1.11): the
// instrumentation trace macrocell (ITM), the data watchpoint and trace unit (DWT), the flash patch and
// breakpoint unit (FPB), the trace port (TPIU) and the ROM table. Firmware uses the ITM to print and the
// DWT's cycle counter to measure; the others can be set up and read back, and do nothing. All of them are
// debug logic, which power-on resets, that is to say their construction, and a reset of the system leaves
// alone.
#pragma once
#include <array>
#include <functional>

#include "engine/machine.h"

namespace hindcast::arm {

/// The cycle counter of the DWT and its comparators. One clock with SysTick: virtual time in core clocks.
class Dwt final : public Device, public MmioHandler {
 public:
  /// `tracing`: DEMCR.TRCENA; without it the unit takes no writes and its counter stands still.
  Dwt(std::string name, Machine& machine, u64 core_hz, std::function<bool()> tracing);

  void reset() override {}
  void state(Archive& ar) override;
  u64 mmio_read(u64 offset, unsigned size) override;
  void mmio_write(u64 offset, unsigned size, u64 value) override;
  bool can_peek() const override { return true; }
  u64 mmio_peek(u64 offset, unsigned size) override { return mmio_read(offset, size); }
  /// DEMCR.TRCENA is about to change.
  void settle() { start_at(cycles()); }

 private:
  static constexpr unsigned kComparators = 4;
  bool counting() const;
  u64 clocks() const;
  u32 cycles() const;
  void start_at(u32 value);

  Machine& machine_;
  u64 core_hz_;
  std::function<bool()> tracing_;
  u32 control_ = 0;
  u32 count_ = 0;   // at the anchor
  u64 anchor_ = 0;  // core clocks since the machine was switched on
  std::array<u32, 5> event_counts_{};
  std::array<u32, 3 * kComparators> comparators_{};
};

/// The stimulus ports. What is written to port 0 goes out on `channel` if there is one; otherwise, and from
/// the other ports, the user is told of it line by line.
class Itm final : public Device, public MmioHandler {
 public:
  Itm(std::string name, Machine& machine, Channel channel, std::function<bool()> tracing);

  void reset() override {}
  void state(Archive& ar) override;
  u64 mmio_read(u64 offset, unsigned size) override;
  void mmio_write(u64 offset, unsigned size, u64 value) override;
  bool can_peek() const override { return true; }
  u64 mmio_peek(u64 offset, unsigned size) override { return mmio_read(offset, size); }

 private:
  static constexpr unsigned kPorts = 32;
  static constexpr std::size_t kLongestLine = 400;
  bool open(unsigned port) const;
  bool enabled(unsigned port) const;
  void print(unsigned port, ByteView bytes);

  Machine& machine_;
  Channel channel_;
  std::function<bool()> tracing_;
  u32 enabled_ports_ = 0, privilege_ = 0, control_ = 0;
  /// Begun, not ended. Not for the guest, but part of the state: a run that goes on from here ends them.
  std::array<std::string, kPorts> lines_;
};

/// The machine's extension of this name, if there is one, asks for the ITM's port 0 on the first serial
/// channel.
inline constexpr const char* kItmToSerial = "arm.itm-to-serial";

struct TraceUnits {
  Dwt* dwt = nullptr;
  Itm* itm = nullptr;
};
/// All of them. `channel`: see Itm.
TraceUnits add_trace_units(Machine& machine, u64 core_hz, Channel channel, std::function<bool()> tracing);

}  // namespace hindcast::arm
