#include "targets/devices/word_registers.h"

#include "targets/devices/mmio.h"

namespace hindcast::devices {
namespace {

constexpr unsigned kWord = 4;

u32 repeated(u32 value, unsigned size) { return size == 1 ? value * 0x01010101u : value * 0x00010001u; }

}  // namespace

u64 WordRegisters::mmio_read(u64 offset, unsigned size) {
  const u32 at = static_cast<u32>(offset) & ~u32{3};
  if (size > kWord) return read_word(at) | u64{read_word(at + kWord)} << 32;
  return u64{read_word(at)} >> (8 * (offset & 3)) & low_mask(size);
}

void WordRegisters::mmio_write(u64 offset, unsigned size, u64 value64) {
  const u32 at = static_cast<u32>(offset) & ~u32{3};
  const u32 value = static_cast<u32>(value64 & low_mask(size));
  if (size >= kWord) {
    write_word(at, value);
    if (size > kWord) write_word(at + kWord, static_cast<u32>(value64 >> 32));
    return;
  }
  switch (narrow_) {
    case NarrowWrites::Whole:
      if ((offset & 3) == 0) write_word(at, value);
      break;
    case NarrowWrites::Repeat: write_word(at, repeated(value, size)); break;
    case NarrowWrites::Merge: {
      const unsigned shift = 8 * (offset & 3);
      const u32 lanes = static_cast<u32>(low_mask(size)) << shift;
      write_word(at, (unwritten(at) & ~lanes) | value << shift);
      break;
    }
    case NarrowWrites::Ignore: break;
  }
}

}  // namespace hindcast::devices
