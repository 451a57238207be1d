#include "targets/riscv/crypto.h"

#include <array>
#include <bit>

namespace hindcast::riscv {
namespace {

using Box = std::array<u8, 256>;

/// Product in AES's field.
constexpr u8 times(u8 a, u8 b) {
  u8 product = 0;
  for (unsigned i = 0; i < 8; ++i) {
    if ((b >> i & 1) != 0) product ^= a;
    a = static_cast<u8>(a << 1 ^ ((a & 0x80) != 0 ? 0x1b : 0));
  }
  return product;
}

/// FIPS 197, section 5.1.1: the inverse in the field, then an affine transformation.
constexpr Box make_forward_box() {
  Box box{};
  u8 power = 1, inverse = 1;  // of 3, which generates the field's group, and of its inverse
  do {
    power = times(power, 3);
    inverse = times(inverse, 0xf6);
    box[power] = static_cast<u8>(inverse ^ std::rotl(inverse, 1) ^ std::rotl(inverse, 2) ^
                                 std::rotl(inverse, 3) ^ std::rotl(inverse, 4) ^ 0x63);
  } while (power != 1);
  box[0] = 0x63;
  return box;
}
constexpr Box inverse_of(const Box& box) {
  Box inverse{};
  for (unsigned i = 0; i < 256; ++i) inverse[box[i]] = static_cast<u8>(i);
  return inverse;
}
constexpr Box kForward = make_forward_box(), kInverse = inverse_of(kForward);
static_assert(kForward[0x53] == 0xed && kInverse[0] == 0x52);

constexpr Box kSm4 = {
    0xd6, 0x90, 0xe9, 0xfe, 0xcc, 0xe1, 0x3d, 0xb7, 0x16, 0xb6, 0x14, 0xc2, 0x28, 0xfb, 0x2c, 0x05,
    0x2b, 0x67, 0x9a, 0x76, 0x2a, 0xbe, 0x04, 0xc3, 0xaa, 0x44, 0x13, 0x26, 0x49, 0x86, 0x06, 0x99,
    0x9c, 0x42, 0x50, 0xf4, 0x91, 0xef, 0x98, 0x7a, 0x33, 0x54, 0x0b, 0x43, 0xed, 0xcf, 0xac, 0x62,
    0xe4, 0xb3, 0x1c, 0xa9, 0xc9, 0x08, 0xe8, 0x95, 0x80, 0xdf, 0x94, 0xfa, 0x75, 0x8f, 0x3f, 0xa6,
    0x47, 0x07, 0xa7, 0xfc, 0xf3, 0x73, 0x17, 0xba, 0x83, 0x59, 0x3c, 0x19, 0xe6, 0x85, 0x4f, 0xa8,
    0x68, 0x6b, 0x81, 0xb2, 0x71, 0x64, 0xda, 0x8b, 0xf8, 0xeb, 0x0f, 0x4b, 0x70, 0x56, 0x9d, 0x35,
    0x1e, 0x24, 0x0e, 0x5e, 0x63, 0x58, 0xd1, 0xa2, 0x25, 0x22, 0x7c, 0x3b, 0x01, 0x21, 0x78, 0x87,
    0xd4, 0x00, 0x46, 0x57, 0x9f, 0xd3, 0x27, 0x52, 0x4c, 0x36, 0x02, 0xe7, 0xa0, 0xc4, 0xc8, 0x9e,
    0xea, 0xbf, 0x8a, 0xd2, 0x40, 0xc7, 0x38, 0xb5, 0xa3, 0xf7, 0xf2, 0xce, 0xf9, 0x61, 0x15, 0xa1,
    0xe0, 0xae, 0x5d, 0xa4, 0x9b, 0x34, 0x1a, 0x55, 0xad, 0x93, 0x32, 0x30, 0xf5, 0x8c, 0xb1, 0xe3,
    0x1d, 0xf6, 0xe2, 0x2e, 0x82, 0x66, 0xca, 0x60, 0xc0, 0x29, 0x23, 0xab, 0x0d, 0x53, 0x4e, 0x6f,
    0xd5, 0xdb, 0x37, 0x45, 0xde, 0xfd, 0x8e, 0x2f, 0x03, 0xff, 0x6a, 0x72, 0x6d, 0x6c, 0x5b, 0x51,
    0x8d, 0x1b, 0xaf, 0x92, 0xbb, 0xdd, 0xbc, 0x7f, 0x11, 0xd9, 0x5c, 0x41, 0x1f, 0x10, 0x5a, 0xd8,
    0x0a, 0xc1, 0x31, 0x88, 0xa5, 0xcd, 0x7b, 0xbd, 0x2d, 0x74, 0xd0, 0x12, 0xb8, 0xe5, 0xb4, 0xb0,
    0x89, 0x69, 0x97, 0x4a, 0x0c, 0x96, 0x77, 0x7e, 0x65, 0xb9, 0xf1, 0x09, 0xc5, 0x6e, 0xc6, 0x84,
    0x18, 0xf0, 0x7d, 0xec, 0x3a, 0xdc, 0x4d, 0x20, 0x79, 0xee, 0x5f, 0x3e, 0xd7, 0xcb, 0x39, 0x48};

constexpr u8 byte_of(u64 value, unsigned n) { return static_cast<u8>(value >> (8 * n)); }

/// What one byte of a column becomes part of: the product with the column of the matrix (2, 1, 1, 3), or with
/// that of its inverse.
constexpr u32 mix_byte(u8 b) {
  return u32{times(b, 2)} | u32{b} << 8 | u32{b} << 16 | u32{times(b, 3)} << 24;
}
constexpr u32 unmix_byte(u8 b) {
  return u32{times(b, 14)} | u32{times(b, 9)} << 8 | u32{times(b, 13)} << 16 | u32{times(b, 11)} << 24;
}

template <u32 (*part)(u8)>
u32 column(u32 value) {
  u32 result = 0;
  for (unsigned i = 0; i < 4; ++i) result ^= std::rotl(part(byte_of(value, i)), static_cast<int>(8 * i));
  return result;
}

template <u32 (*part)(u8)>
u64 columns(u64 value) {
  return column<part>(static_cast<u32>(value)) | u64{column<part>(static_cast<u32>(value >> 32))} << 32;
}

u32 substitute(const Box& box, u32 word) {
  u32 result = 0;
  for (unsigned i = 0; i < 4; ++i) result |= u32{box[byte_of(word, i)]} << (8 * i);
  return result;
}

}  // namespace

u64 aes64(u64 low, u64 high, u64 step) {
  const auto kind = static_cast<Aes64>(step);
  const bool encrypts = kind == Aes64::Encrypt || kind == Aes64::EncryptLast;
  const Box& box = encrypts ? kForward : kInverse;
  u64 state = 0;
  for (unsigned i = 0; i < 8; ++i) {
    // Row r of column c comes from column c + r, or c - r: bytes are numbered 4 c + r.
    const unsigned row = i % 4, from_column = (i / 4 + (encrypts ? row : 4 - row)) % 4,
                   from = 4 * from_column + row;
    state |= u64{box[from < 8 ? byte_of(low, from) : byte_of(high, from - 8)]} << (8 * i);
  }
  if (kind == Aes64::Encrypt) return columns<mix_byte>(state);
  return kind == Aes64::Decrypt ? columns<unmix_byte>(state) : state;
}

u64 aes64im(u64 value, u64, u64) { return columns<unmix_byte>(value); }

u64 aes64ks1i(u64 key, u64 round, u64) {
  constexpr u64 kLastOfAes256 = 10;  // no rotation and no constant
  u32 word = static_cast<u32>(key >> 32);
  if (round != kLastOfAes256) word = std::rotr(word, 8);
  word = substitute(kForward, word);
  u8 constant = 0;
  if (round < kLastOfAes256) {
    constant = 1;
    for (u64 i = 0; i < round; ++i) constant = times(constant, 2);
  }
  word ^= constant;
  return word | u64{word} << 32;
}

u64 aes32(u64 a, u64 b, u64 how) {
  const unsigned byte = how & 3;
  u32 part = 0;
  switch (static_cast<Aes64>(how >> 2)) {
    case Aes64::EncryptLast: part = kForward[byte_of(b, byte)]; break;
    case Aes64::Encrypt: part = mix_byte(kForward[byte_of(b, byte)]); break;
    case Aes64::DecryptLast: part = kInverse[byte_of(b, byte)]; break;
    case Aes64::Decrypt: part = unmix_byte(kInverse[byte_of(b, byte)]); break;
  }
  return static_cast<u32>(a) ^ std::rotl(part, static_cast<int>(8 * byte));
}

u64 sm4(u64 a, u64 b, u64 how) {
  const int byte = static_cast<int>(how & 3);
  const u32 s = kSm4[byte_of(b, static_cast<unsigned>(byte))];
  const u32 spread = (how >> 2) == 0 ? s ^ s << 8 ^ s << 2 ^ s << 18 ^ (s & 0x3f) << 26 ^ (s & 0xc0) << 10
                                     : s ^ (s & 7) << 29 ^ (s & 0xfe) << 7 ^ (s & 1) << 23 ^ (s & 0xf8) << 13;
  return static_cast<u32>(a) ^ std::rotl(spread, 8 * byte);
}

u64 crossbar(u64 table, u64 indices, u64 shape) {
  const unsigned width = shape & 0xff, xlen = static_cast<unsigned>(shape >> 8);
  const u64 mask = (u64{1} << width) - 1;
  u64 result = 0;
  for (unsigned at = 0; at < xlen; at += width) {
    const u64 index = indices >> at & mask;
    if (index * width < xlen) result |= (table >> (index * width) & mask) << at;
  }
  return result;
}

u64 reverse_bits_in_bytes(u64 value, u64, u64) {
  constexpr u64 k1 = 0x5555'5555'5555'5555, k2 = 0x3333'3333'3333'3333, k4 = 0x0f0f'0f0f'0f0f'0f0f;
  value = (value & k1) << 1 | (value >> 1 & k1);
  value = (value & k2) << 2 | (value >> 2 & k2);
  return (value & k4) << 4 | (value >> 4 & k4);
}

u64 unzip32(u64 value, u64, u64) {
  u64 result = 0;
  for (unsigned i = 0; i < 16; ++i)
    result |= (value >> (2 * i) & 1) << i | (value >> (2 * i + 1) & 1) << (i + 16);
  return result;
}

u64 zip32(u64 value, u64, u64) {
  u64 result = 0;
  for (unsigned i = 0; i < 16; ++i)
    result |= (value >> i & 1) << (2 * i) | (value >> (i + 16) & 1) << (2 * i + 1);
  return result;
}

}  // namespace hindcast::riscv
