// One semihosting call while it is served: its parameter block and the guest's memory.
#pragma once
#include <algorithm>
#include <array>

#include "engine/vcpu.h"
#include "semihost/service.h"

namespace hindcast::semihost {

/// Numbers of the calls ("Semihosting for AArch32 and AArch64", chapter "Semihosting operations").
enum class Op : u32 {
  Open = 0x01,
  Close = 0x02,
  WriteC = 0x03,
  Write0 = 0x04,
  Write = 0x05,
  Read = 0x06,
  ReadC = 0x07,
  IsError = 0x08,
  IsTty = 0x09,
  Seek = 0x0a,
  FLen = 0x0c,
  TmpNam = 0x0d,
  Remove = 0x0e,
  Rename = 0x0f,
  Clock = 0x10,
  Time = 0x11,
  System = 0x12,
  ErrNo = 0x13,
  GetCmdLine = 0x15,
  HeapInfo = 0x16,
  Exit = 0x18,
  ExitExtended = 0x20,
  Elapsed = 0x30,
  TickFreq = 0x31,
};

/// No call moves more than this, so that a hostile length cannot hold the machine; what is left over is
/// reported as not transferred, which callers have to expect anyway.
inline constexpr u64 kMaxCallBytes = 64u << 20;

/// A call's view of the guest: words have the convention's size and byte order. Functions that return false
/// have met memory that the guest cannot access.
class Call {
 public:
  Call(Vcpu& vcpu, u64 parameter, const Convention& convention)
      : vcpu(vcpu), parameter(parameter), convention(convention) {}

  /// Word `index` of the array of words at `base`.
  bool word_at(GuestAddr base, unsigned index, u64* value) const {
    u8 bytes[8] = {};
    unsigned n = convention.word_bytes;
    if (!vcpu.read_memory(base + u64{index} * n, bytes, n)) return false;
    *value = 0;
    for (unsigned i = 0; i < n; ++i) *value |= u64{bytes[convention.big_endian ? n - 1 - i : i]} << (8 * i);
    return true;
  }
  bool set_word_at(GuestAddr base, unsigned index, u64 value) const {
    u8 bytes[8] = {};
    unsigned n = convention.word_bytes;
    for (unsigned i = 0; i < n; ++i)
      bytes[convention.big_endian ? n - 1 - i : i] = static_cast<u8>(value >> (8 * i));
    return vcpu.write_memory(base + u64{index} * n, bytes, n);
  }
  /// The first N words of the parameter block.
  template <std::size_t N>
  bool block(std::array<u64, N>& words) const {
    for (unsigned i = 0; i < N; ++i)
      if (!word_at(parameter, i, &words[i])) return false;
    return true;
  }
  /// A word as the signed number that the guest means.
  i64 as_signed(u64 word) const {
    return convention.word_bytes == 4 ? static_cast<i32>(word) : static_cast<i64>(word);
  }

  /// Passes [va, va + size) to `fn(ByteView)` piece by piece, at most a page each; stops at memory that
  /// cannot be read or when `fn` returns false. Returns how many bytes were passed and taken.
  template <typename Fn>
  u64 read_pieces(GuestAddr va, u64 size, Fn&& fn) const {
    std::array<u8, 4096> buffer;
    u64 done = 0;
    while (done < size) {
      u64 piece = std::min<u64>(size - done, buffer.size() - (va + done) % buffer.size());
      if (!vcpu.read_memory(va + done, buffer.data(), piece)) break;
      if (!fn(ByteView(buffer.data(), piece))) break;
      done += piece;
    }
    return done;
  }
  /// A name of `size` bytes; false if it is longer than `limit` or not readable.
  bool read_bytes(GuestAddr va, u64 size, u64 limit, Bytes& out) const {
    if (size > limit) return false;
    out.resize(size);
    return size == 0 || vcpu.read_memory(va, out.data(), size);
  }

  Vcpu& vcpu;
  u64 parameter;
  const Convention& convention;
};

}  // namespace hindcast::semihost
