// What a RISC-V CPU implements, and how the user says it ("rv64,d=off,zfh=off").
#pragma once
#include <string>
#include <string_view>

#include "engine/types.h"

namespace hindcast::riscv {

/// Extensions as bits, so that an instruction row can ask for several at once.
namespace ext {
inline constexpr u64 I = u64{1} << 0;
inline constexpr u64 E = u64{1} << 1;  // sixteen integer registers only
inline constexpr u64 M = u64{1} << 2;
inline constexpr u64 A = u64{1} << 3;
inline constexpr u64 F = u64{1} << 4;
inline constexpr u64 D = u64{1} << 5;
inline constexpr u64 C = u64{1} << 6;
inline constexpr u64 U = u64{1} << 7;  // user mode
inline constexpr u64 Zicsr = u64{1} << 8;
inline constexpr u64 Zifencei = u64{1} << 9;
inline constexpr u64 Zicntr = u64{1} << 10;
inline constexpr u64 Zihpm = u64{1} << 11;
inline constexpr u64 Zba = u64{1} << 12;
inline constexpr u64 Zbb = u64{1} << 13;
inline constexpr u64 Zbc = u64{1} << 14;
inline constexpr u64 Zbs = u64{1} << 15;
inline constexpr u64 Zicond = u64{1} << 16;
inline constexpr u64 Zcb = u64{1} << 17;
inline constexpr u64 Zfhmin = u64{1} << 18;
inline constexpr u64 Zfh = u64{1} << 19;
inline constexpr u64 Pmp = u64{1} << 20;
inline constexpr u64 S = u64{1} << 21;     // supervisor mode and paging
inline constexpr u64 Sv48 = u64{1} << 22;  // RV64; Sv39 (RV32: Sv32) is always there
inline constexpr u64 Sv57 = u64{1} << 23;
inline constexpr u64 Svade = u64{1} << 24;  // after reset, clear accessed and dirty bits fault
inline constexpr u64 Svadu = u64{1} << 25;  // they can be set by hardware
/// Extensions whose instructions need mstatus.FS to be on.
inline constexpr u64 kFloat = F | D | Zfhmin | Zfh;
}  // namespace ext

/// Where an instruction or CSR exists: a set of register widths.
enum class Xlen : u8 { Rv32 = 1, Rv64 = 2, Any = 3 };

struct Features {
  unsigned xlen = 64;
  u64 extensions = 0;
  bool has(u64 needs) const { return (extensions & needs) == needs; }
  bool in(Xlen set) const { return (static_cast<u8>(set) & (xlen == 32 ? 1 : 2)) != 0; }
  /// Model and the features that differ from its default, in a fixed order: equal CPUs have equal texts.
  std::string description() const;
};

/// Reads MODEL[,feature=on/off]... An empty text or one without a model ("d=off") takes the model from
/// `default_xlen`, which also must agree with a model that is named (0: any). What a switched-off feature
/// carries is switched off with it (f=off: also d, zfh, zfhmin), unless it was asked for explicitly.
/// Throws Fatal for an unknown model or feature (naming the known ones) and for contradictions.
Features parse_cpu(std::string_view text, unsigned default_xlen);

/// "i, m, a, ...": for messages and `list cpus`.
std::string known_features();

}  // namespace hindcast::riscv
