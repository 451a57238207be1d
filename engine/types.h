// The words of the field that every part shares: guest addresses, instruction counts, positions, virtual
// time.
#pragma once
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace hindcast {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;
using u128 = unsigned __int128;

using Bytes = std::vector<u8>;
using ByteView = std::span<const u8>;

/// A guest address, virtual or physical as the parameter's name says.
using GuestAddr = u64;
/// Attempts executed so far, over all vCPUs in scheduling order (docs/architecture.md, "icount").
using Icount = u64;
/// Virtual nanoseconds since the machine was switched on.
using VirtualNs = u64;

inline constexpr u64 kNever = ~u64{0};

/// A place in a run. Events at the same icount are told apart by their sequence number.
struct Position {
  Icount icount = 0;
  u32 seq = 0;
  auto operator<=>(const Position&) const = default;
};

/// What ends the command: bad usage, an unreadable image, a damaged recording. The message is one line that
/// says what, where, and what to do; the command prints it and exits with 125. Guest faults are never thrown.
class Fatal : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace hindcast
