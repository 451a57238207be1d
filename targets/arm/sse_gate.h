// Arm's memory protection controller (DDI 0571): whose each block of a memory is.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "engine/machine.h"
#include "targets/devices/word_registers.h"

namespace hindcast::arm {

class Gate final : public Device, public devices::WordRegisters {
 public:
  /// In front of `size` bytes, whole pages, at `base`. `bit`: its one in the security controller's status.
  Gate(std::string name, Machine& machine, u32 base, u64 size, unsigned bit);

  /// Called when interrupting() may have changed.
  void on_interrupt(std::function<void()> callback) { changed_ = std::move(callback); }
  /// Called when allows() may have changed.
  void on_owner(std::function<void()> callback) { owner_changed_ = std::move(callback); }
  bool interrupting() const { return (status_ & enable_) != 0; }
  unsigned bit() const { return bit_; }

  bool holds(GuestAddr physical) const { return physical - base_ < size_; }
  /// The size of the aligned block around an address that it holds in which all is one state's: a page,
  /// unless its blocks differ.
  u64 granule(GuestAddr physical) const;
  /// What it does not hold it lets through.
  bool allows(GuestAddr physical, u32 secure) const;
  bool all_secure() const { return used_words_ == 0; }
  /// Notes the first transaction that it did not let through. Whether they end in bus faults.
  bool refuse(GuestAddr physical, u32 secure);

  void reset() override;
  void state(Archive& ar) override;

 private:
  static constexpr u64 kBlock = 0x400;
  static constexpr u32 kBusFault = 1 << 4, kAutoIncrement = 1 << 8, kLocked = u32{1} << 31;
  bool non_secure(u64 block) const { return (lut_[block / 32] >> (block % 32) & 1) != 0; }
  u32 read_word(u32 at) override;
  void write_word(u32 at, u32 value) override;
  u32 unwritten(u32 at) const override;
  void go_on();

  Machine& machine_;
  u32 base_;
  u64 size_;
  unsigned bit_;
  std::function<void()> changed_, owner_changed_;
  u32 control_ = kAutoIncrement, index_ = 0, enable_ = 1;
  u32 status_ = 0, refused_address_ = 0, refused_ = 0;  // 1: something was refused; the first
  std::vector<u32> lut_;                                // a bit for each block: it is the Non-secure state's
  std::size_t used_words_ = 0;                          // words of the table that are not 0
};

}  // namespace hindcast::arm
