// How devices meet the machine: MMIO, interrupt lines, state.
#pragma once
#include <string>

#include "engine/archive.h"
#include "engine/types.h"

namespace hindcast {

/// Registers in the physical address space. `size` is 1, 2, 4 or 8; accesses are naturally aligned or are
/// split by the address space. Values are little-endian in the low bits. Reading may have side effects.
class MmioHandler {
 public:
  virtual ~MmioHandler() = default;
  virtual u64 mmio_read(u64 offset, unsigned size) = 0;
  virtual void mmio_write(u64 offset, unsigned size, u64 value) = 0;
  /// For debuggers: whether mmio_peek() shows what reading would give. Of other devices nothing is shown.
  virtual bool can_peek() const { return false; }
  /// What mmio_read() would give, changing nothing; of up to 4 bytes. Only where can_peek().
  virtual u64 mmio_peek(u64 offset, unsigned size) { return (void)offset, (void)size, 0; }
};

/// The input side of interrupt lines (an interrupt controller, or a vCPU's pins).
class IrqSink {
 public:
  virtual ~IrqSink() = default;
  virtual void set_irq(unsigned line, bool level) = 0;
};

/// One wire from a device to a sink. Copyable; unconnected by default.
class IrqLine {
 public:
  IrqLine() = default;
  IrqLine(IrqSink* sink, unsigned line) : sink_(sink), line_(line) {}
  void set(bool level) const {
    if (sink_ != nullptr) sink_->set_irq(line_, level);
  }
  explicit operator bool() const { return sink_ != nullptr; }

 private:
  IrqSink* sink_ = nullptr;
  unsigned line_ = 0;
};

/// A model of a piece of hardware. Owned by the machine. Never asks the host for anything: outside input
/// comes through the InputPort, time from the VirtualClock.
class Device {
 public:
  explicit Device(std::string name) : name_(std::move(name)) {}
  virtual ~Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  const std::string& name() const { return name_; }
  /// Power-on and system reset.
  virtual void reset() = 0;
  /// All guest-visible state, declared once (pending timers are the clock's).
  virtual void state(Archive& ar) = 0;

 private:
  std::string name_;
};

}  // namespace hindcast
