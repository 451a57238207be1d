#include "targets/devices/cfi_flash.h"

#include <fmt/format.h>

#include <bit>

#include "targets/devices/mmio.h"
#include "targets/devices/model_registry.h"

namespace hindcast::devices {
namespace {

// Commands, in the low byte of what is written.
enum Command : u8 {
  kProgramAlternate = 0x10,
  kErase = 0x20,
  kProgram = 0x40,
  kClearStatus = 0x50,
  kLock = 0x60,
  kReadStatus = 0x70,
  kReadId = 0x90,
  kQuery = 0x98,
  kConfirm = 0xd0,
  kBufferedProgram = 0xe8,
  kReadArray = 0xff,
};
constexpr u8 kLockBlock = 0x01;  // second cycle of kLock; kConfirm unlocks

constexpr u8 kReady = 0x80, kEraseError = 0x20, kProgramError = 0x10;
constexpr u8 kSequenceError = kEraseError | kProgramError;

constexpr u16 kManufacturer = 0x89, kDevice = 0x18;

}  // namespace

CfiFlash::CfiFlash(std::string name, Machine& machine, GuestAddr base, u64 size, unsigned bank_width)
    : Device(std::move(name)),
      machine_(machine),
      block_(machine.memory().add_rom(this->name(), base, size, this)),
      bank_width_(bank_width) {}

void CfiFlash::reset() {
  status_ = kReady;
  step_ = Step::Command;
  words_left_ = 0;
  buffer_base_ = kNever;
  buffer_.clear();
  set_mode(Mode::Array);
}

void CfiFlash::state(Archive& ar) {
  ar.field("mode", mode_);
  ar.field("step", step_);
  ar.field("status", status_);
  ar.field("words_left", words_left_);
  ar.field("buffer_base", buffer_base_);
  ar.field("buffer", buffer_);
  if (!ar.loading()) return;
  const bool known = mode_ <= Mode::Query && step_ <= Step::BufferConfirm;
  const bool buffer =
      buffer_.empty() || (buffer_.size() == buffer_size() && buffer_base_ <= block_.size - buffer_size());
  if (!known || !buffer) {
    reset();
    throw Fatal(
        fmt::format("saved state: the {} of {} makes no sense", known ? "write buffer" : "mode", name()));
  }
  set_mode(mode_);
}

void CfiFlash::set_mode(Mode mode) {
  mode_ = mode;
  machine_.memory().set_rom_direct(block_, mode == Mode::Array);
}

/// Ends a program or erase operation: reads give the status until the next command.
void CfiFlash::finish(u8 errors) {
  status_ |= kReady | errors;
  step_ = Step::Command;
  words_left_ = 0;
  buffer_base_ = kNever;
  buffer_.clear();
  set_mode(Mode::Status);
}

/// What one chip answers at its word `index` in the identifier and query modes.
u16 CfiFlash::chip_word(u64 index) const {
  if (mode_ == Mode::Query) return cfi_byte(index);
  switch (index & 0xff) {
    case 0: return kManufacturer;
    case 1: return kDevice;
    default: return 0;  // lock status of a block: unlocked
  }
}

/// The query structure of one chip (JESD68, tables 1 to 5).
u8 CfiFlash::cfi_byte(u64 index) const {
  const u64 chip_size = block_.size / chips(), blocks = chip_size / kChipBlock;
  switch (index) {
    case 0x10: return 'Q';
    case 0x11: return 'R';
    case 0x12: return 'Y';
    case 0x13: return 0x01;  // Intel extended command set
    case 0x15: return 0x31;  // address of the extended table
    case 0x1b: return 0x45;  // supply voltage, 4.5 V
    case 0x1c: return 0x55;  // to 5.5 V
    case 0x1f: return 0x07;  // typical time of a word, 2^n us
    case 0x20: return 0x07;  // of a buffer
    case 0x21: return 0x0a;  // of an erasure, 2^n ms
    case 0x23: return 0x04;  // the longest times are 2^n times the typical ones
    case 0x24: return 0x04;
    case 0x25: return 0x04;
    case 0x27: return static_cast<u8>(std::countr_zero(chip_size));
    case 0x28: return bank_width_ == 1 ? 0x00 : 0x02;  // interface: x8, or x8 and x16
    case 0x2a: return static_cast<u8>(std::countr_zero(kChipBuffer));
    case 0x2c: return 0x01;  // one region of equal blocks
    case 0x2d: return static_cast<u8>(blocks - 1);
    case 0x2e: return static_cast<u8>((blocks - 1) >> 8);
    case 0x2f: return static_cast<u8>(kChipBlock / 256);
    case 0x30: return static_cast<u8>(kChipBlock / 256 >> 8);
    case 0x31: return 'P';
    case 0x32: return 'R';
    case 0x33: return 'I';
    case 0x34: return '1';
    case 0x35: return '0';
    case 0x3f: return 0x01;  // one protection register field, of no size
    default: return 0;
  }
}

u64 CfiFlash::bank_word(u64 offset) const {
  if (bank_width_ == 1) return mode_ == Mode::Status ? status_ : chip_word(offset) & 0xff;
  u64 word = mode_ == Mode::Status ? status_ : chip_word(offset / bank_width_);
  return chips() == 2 ? word | word << 16 : word;
}

u64 CfiFlash::mmio_read(u64 offset, unsigned size) {
  if (mode_ == Mode::Array) {
    u64 value = 0;
    for (unsigned i = 0; i < size && offset + i < block_.size; ++i)
      value |= u64{block_.host[offset + i]} << (8 * i);
    return value;
  }
  u64 value = 0;
  for (unsigned i = 0; i < size; ++i) {
    u64 at = offset + i;
    value |= (bank_word(at - at % bank_width_) >> (8 * (at % bank_width_)) & 0xff) << (8 * i);
  }
  return value;
}

void CfiFlash::mmio_write(u64 offset, unsigned size, u64 value) {
  const u8 code = static_cast<u8>(value);
  switch (step_) {
    case Step::Command: command(code); return;
    case Step::ProgramData: {
      u8 data[8];
      for (unsigned i = 0; i < size; ++i) data[i] = static_cast<u8>(value >> (8 * i));
      program(offset, data, size);
      finish(0);
      return;
    }
    case Step::EraseConfirm:
      if (code == kConfirm) erase(offset);
      finish(code == kConfirm ? 0 : kSequenceError);
      return;
    case Step::LockConfirm: finish(code == kConfirm || code == kLockBlock ? 0 : kSequenceError); return;
    case Step::BufferCount:
      // The number of words less one, told to each chip alike.
      words_left_ = static_cast<u32>(value & low_mask(bank_width_ == 1 ? 1 : 2)) + 1;
      if (u64{words_left_} * bank_width_ > buffer_size())
        finish(kSequenceError);
      else
        step_ = Step::BufferData;
      return;
    case Step::BufferData: buffer_data(offset, size, value); return;
    case Step::BufferConfirm:
      if (code == kConfirm) program(buffer_base_, buffer_.data(), buffer_.size());
      finish(code == kConfirm ? 0 : kSequenceError);
      return;
  }
}

void CfiFlash::command(u8 code) {
  switch (code) {
    case kProgram:
    case kProgramAlternate:
      step_ = Step::ProgramData;
      set_mode(Mode::Status);
      break;
    case kErase:
      step_ = Step::EraseConfirm;
      set_mode(Mode::Status);
      break;
    case kLock:
      step_ = Step::LockConfirm;
      set_mode(Mode::Status);
      break;
    case kBufferedProgram:
      status_ |= kReady;  // the buffer is always available
      step_ = Step::BufferCount;
      set_mode(Mode::Status);
      break;
    case kReadStatus: set_mode(Mode::Status); break;
    case kReadId: set_mode(Mode::Id); break;
    case kQuery: set_mode(Mode::Query); break;
    case kClearStatus:
      status_ = kReady;
      set_mode(Mode::Array);
      break;
    default: set_mode(Mode::Array); break;  // kReadArray, and what no chip knows
  }
}

void CfiFlash::buffer_data(u64 offset, unsigned size, u64 value) {
  if (buffer_.empty()) {
    buffer_base_ = offset - offset % buffer_size();
    buffer_.assign(buffer_size(), 0xff);
  }
  if (offset < buffer_base_ || offset + size > buffer_base_ + buffer_.size()) return finish(kSequenceError);
  for (unsigned i = 0; i < size; ++i) buffer_[offset - buffer_base_ + i] &= static_cast<u8>(value >> (8 * i));
  if (--words_left_ == 0) step_ = Step::BufferConfirm;
}

/// Programming can only clear bits.
void CfiFlash::program(u64 offset, const u8* data, std::size_t size) {
  if (offset > block_.size || size > block_.size - offset) return;
  Bytes result(size);
  for (std::size_t i = 0; i < size; ++i) result[i] = block_.host[offset + i] & data[i];
  machine_.memory().host_write(block_.base + offset, result.data(), size);
}

void CfiFlash::erase(u64 offset) {
  Bytes ones(block_size(), 0xff);
  machine_.memory().host_write(block_.base + (offset - offset % block_size()), ones.data(), ones.size());
}

IrqSink* build_cfi_flash(const DeviceSite& site) {
  u32 bank_width = site.cell("bank-width", 0);
  if (bank_width != 1 && bank_width != 2 && bank_width != 4) site.fail("needs a bank-width of 1, 2 or 4");
  if (site.regs.empty()) site.fail("has no memory");
  for (std::size_t i = 0; i < site.regs.size(); ++i) {
    const loader::DtRange& reg = site.reg(i, 2 * CfiFlash::kChipBlock);
    if (!std::has_single_bit(reg.size) || reg.size > (u64{1} << 32) || reg.base % reg.size != 0)
      site.fail("has a bank whose size is not a power of two, or that is not aligned to its size");
    site.machine.add_device<CfiFlash>(fmt::format("{}.{}", site.name, i), site.machine, reg.base, reg.size,
                                      bank_width);
  }
  return nullptr;
}

}  // namespace hindcast::devices
