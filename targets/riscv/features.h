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
inline constexpr u64 Sstc = u64{1} << 26;   // supervisor mode's own timer
inline constexpr u64 Svinval = u64{1} << 27;
inline constexpr u64 Svnapot = u64{1} << 28;  // RV64, as is Svpbmt
inline constexpr u64 Svpbmt = u64{1} << 29;
inline constexpr u64 Zawrs = u64{1} << 30;
inline constexpr u64 Zicbom = u64{1} << 31;
inline constexpr u64 Zicbop = u64{1} << 32;
inline constexpr u64 Zicboz = u64{1} << 33;
inline constexpr u64 Zacas = u64{1} << 34;
inline constexpr u64 Zabha = u64{1} << 35;
inline constexpr u64 Smepmp = u64{1} << 36;
inline constexpr u64 Smstateen = u64{1} << 37;
inline constexpr u64 Sscofpmf = u64{1} << 38;
inline constexpr u64 Zbkb = u64{1} << 39;
inline constexpr u64 Zbkc = u64{1} << 40;
inline constexpr u64 Zbkx = u64{1} << 41;
inline constexpr u64 Zknd = u64{1} << 42;
inline constexpr u64 Zkne = u64{1} << 43;
inline constexpr u64 Zknh = u64{1} << 44;
inline constexpr u64 Zksed = u64{1} << 45;
inline constexpr u64 Zksh = u64{1} << 46;
inline constexpr u64 Zkr = u64{1} << 47;
inline constexpr u64 Zkt = u64{1} << 48;
inline constexpr u64 Smaia = u64{1} << 49;  // advanced interrupts
inline constexpr u64 Ssaia = u64{1} << 50;  // their part for supervisor mode
inline constexpr u64 H = u64{1} << 51;      // hypervisor
// What several extensions share; on where one of them is, not to be asked for.
inline constexpr u64 ZbbZbkb = u64{1} << 60;
inline constexpr u64 ZbcZbkc = u64{1} << 61;
inline constexpr u64 ZkndZkne = u64{1} << 62;
inline constexpr u64 Mseccfg = u64{1} << 63;  // Smepmp, Zkr
/// Extensions whose instructions need mstatus.FS to be on.
inline constexpr u64 kFloat = F | D | Zfhmin | Zfh;
}  // namespace ext

/// Bytes that cache-block instructions (Zicbom, Zicboz) work on, aligned.
inline constexpr u32 kCacheBlock = 64;

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
/// `default_xlen`, which also must agree with a model that is named (0: any). The models are rv32 and rv64,
/// and max and max32, which have every feature but e, h, svade and zkr. h takes the place of ssaia: there are
/// no interrupt files for guests. What a switched-off feature carries is switched off with it (f=off: also d,
/// zfh, zfhmin), unless it was asked for explicitly. zkn, zks and zk stand for the extensions that they
/// bundle. Throws Fatal for an unknown model or feature (naming the known ones) and for contradictions.
Features parse_cpu(std::string_view text, unsigned default_xlen);

/// "i, m, a, ...": for messages and `list cpus`.
std::string known_features();

}  // namespace hindcast::riscv
