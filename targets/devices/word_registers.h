// Devices whose registers are words: what the bus makes of accesses of other sizes, in one place.
#pragma once
#include "engine/device.h"

namespace hindcast::devices {

/// What becomes of a write that is narrower than a register. It depends on the bus that the device is on.
enum class NarrowWrites : u8 {
  /// There are no byte lanes, and software writes words. As on QEMU's boards, the whole register takes the
  /// value, with zeros above it; a write to one of its other bytes changes nothing.
  Whole,
  /// There are no byte lanes: the bridge repeats the value over the word (STM32's AHB to APB bridges, RM0090,
  /// 2.3.1).
  Repeat,
  /// There are byte lanes: the register's other bytes stay as they are.
  Merge,
  /// Only words are written.
  Ignore,
};

/// Reads of other sizes give the bytes of the word; those of two words are two accesses.
class WordRegisters : public MmioHandler {
 public:
  explicit WordRegisters(NarrowWrites narrow = NarrowWrites::Whole) : narrow_(narrow) {}
  u64 mmio_read(u64 offset, unsigned size) final;
  void mmio_write(u64 offset, unsigned size, u64 value) final;

 protected:
  /// `at` is a multiple of 4.
  virtual u32 read_word(u32 at) = 0;
  virtual void write_word(u32 at, u32 value) = 0;
  /// NarrowWrites::Merge: what is written to the bytes of a register that a narrow write leaves out: its
  /// value, or zeros where a zero changes nothing. Has no side effects.
  virtual u32 unwritten(u32 at) const {
    (void)at;
    return 0;
  }

 private:
  NarrowWrites narrow_;
};

}  // namespace hindcast::devices
