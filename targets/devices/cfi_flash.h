// One bank of NOR flash with the Intel command set (CFI: JEDEC JESD68; commands: Intel StrataFlash J3 data
// sheet, chapters "Read operations" to "Programming operations"). A bank is one or two 16-bit chips side by
// side, which take each command together. Programming and erasing take no time; blocks are never locked.
#pragma once
#include "engine/machine.h"

namespace hindcast::devices {

class CfiFlash final : public Device, public MmioHandler {
 public:
  static constexpr u64 kChipBlock = 128u << 10;  // erase block of one chip
  static constexpr u64 kChipBuffer = 2048;       // write buffer of one chip

  /// The stored bytes are a ROM block that the bank adds to the machine. `size`: a power of two, at least one
  /// block.
  CfiFlash(std::string name, Machine& machine, GuestAddr base, u64 size, unsigned bank_width);

  void reset() override;
  void state(Archive& ar) override;
  u64 mmio_read(u64 offset, unsigned size) override;
  void mmio_write(u64 offset, unsigned size, u64 value) override;

 private:
  /// What reads give.
  enum class Mode : u8 { Array, Status, Id, Query };
  /// What the next write is part of.
  enum class Step : u8 {
    Command,
    ProgramData,
    EraseConfirm,
    LockConfirm,
    BufferCount,
    BufferData,
    BufferConfirm
  };

  unsigned chips() const { return bank_width_ == 1 ? 1 : bank_width_ / 2; }
  u64 block_size() const { return kChipBlock * chips(); }
  u64 buffer_size() const { return kChipBuffer * chips(); }
  void set_mode(Mode mode);
  void finish(u8 errors);
  void command(u8 code);
  void program(u64 offset, const u8* data, std::size_t size);
  void erase(u64 offset);
  void buffer_data(u64 offset, unsigned size, u64 value);
  u16 chip_word(u64 index) const;
  u8 cfi_byte(u64 index) const;
  u64 bank_word(u64 offset) const;

  Machine& machine_;
  RamBlock& block_;
  unsigned bank_width_;
  Mode mode_ = Mode::Array;
  Step step_ = Step::Command;
  u8 status_ = 0;
  u32 words_left_ = 0;        // of a buffered write
  u64 buffer_base_ = kNever;  // kNever: no word has come yet
  Bytes buffer_;              // ones where nothing was written
};

}  // namespace hindcast::devices
