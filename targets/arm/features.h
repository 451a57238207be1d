// What an Arm M-profile CPU implements, and how the user says it ("cortex-m4,vfp=off").
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "engine/types.h"

namespace hindcast::arm {

/// Features as bits, so that an instruction row can ask for several at once.
namespace ext {
inline constexpr u64 Thumb = u64{1} << 0;  // what Armv6-M has
inline constexpr u64 Main = u64{1} << 1;   // the rest of Thumb-2: Armv7-M, Armv8-M Mainline
inline constexpr u64 Div = u64{1} << 2;    // SDIV, UDIV
inline constexpr u64 Base8 = u64{1} << 3;  // what v8-M Baseline adds to v6-M: MOVW, CBZ, B.W, exclusives
inline constexpr u64 Dsp = u64{1} << 4;
inline constexpr u64 Vfp = u64{1} << 5;   // single precision
inline constexpr u64 VfpD = u64{1} << 6;  // double precision
inline constexpr u64 Vfp5 = u64{1} << 7;  // FPv5: VSEL, VRINT, VMAXNM, directed conversions
inline constexpr u64 Fp16 = u64{1} << 8;  // half-precision arithmetic
inline constexpr u64 V8 = u64{1} << 9;    // load-acquire, store-release, TT
inline constexpr u64 Lob = u64{1} << 10;  // v8.1-M low-overhead branches
inline constexpr u64 Mpu = u64{1} << 11;
inline constexpr u64 BitBand = u64{1} << 12;
inline constexpr u64 VtorWritable = u64{1} << 13;
inline constexpr u64 Unprivileged = u64{1} << 14;
inline constexpr u64 Sec = u64{1} << 15;  // security extension
inline constexpr u64 V81 = u64{1} << 16;  // v8.1-M Mainline
inline constexpr u64 Mve = u64{1} << 17;  // reserved: no CPU has it yet
}  // namespace ext

struct Model {
  const char* name;
  const char* description;
  u32 cpuid;
  u64 features;
  unsigned priority_bits;  // implemented, from bit 7 of a priority down
  unsigned mpu_regions;    // if it has an MPU, in each security state
  unsigned architecture;   // 6, 7 or 8
};

struct Features {
  const Model* model = nullptr;
  u64 set = 0;
  bool has(u64 needs) const { return (set & needs) == needs; }
  /// Armv6-M and v8-M Baseline: all faults are HardFaults, all accesses are aligned, no masks but PRIMASK.
  bool baseline() const { return !has(ext::Main); }
  /// Model and the features that differ from its default, in a fixed order: equal CPUs have equal texts.
  std::string description() const;
};

std::span<const Model> models();

/// Reads MODEL[,feature=on/off]... Without a model, `default_model`. Throws Fatal for an unknown model or
/// feature, naming the known ones.
Features parse_cpu(std::string_view text, std::string_view default_model);

/// The model that a device tree's `compatible` means: "arm,cortex-m4f" is cortex-m4, whose floating-point
/// unit is there by default; "arm,cortex-m0+" is cortex-m0plus. Empty if it is no Cortex-M; not all there are
/// known.
std::string cpu_of_compatible(std::string_view compatible);

/// "dsp, vfp, ...": for messages.
std::string known_features();

}  // namespace hindcast::arm
