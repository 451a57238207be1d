// What an Arm ELF file says of itself: the build attributes in .ARM.attributes ("Addenda to, and Errata in,
// the ABI for the Arm Architecture", IHI 0045, chapter 3), as far as the choice of a board needs them.
#pragma once
#include <optional>
#include <string>

#include "engine/types.h"

namespace hindcast::loader {

struct ArmAttributes {
  // Values of Tag_CPU_arch.
  static constexpr u64 kV7 = 10, kV6M = 11, kV6SM = 12, kV7EM = 13, kV8A = 14, kV8R = 15, kV8MBase = 16,
                       kV8MMain = 17, kV81MMain = 21;
  u64 architecture = 0;  // Tag_CPU_arch
  char profile = 0;      // Tag_CPU_arch_profile: 'A', 'R', 'M', 'S'; 0: not said
  u64 fp = 0;            // Tag_FP_arch
  u64 fp_use = 0;        // Tag_ABI_HardFP_use; 1: single precision only
  std::string cpu;       // Tag_CPU_name, of letters, digits and a few signs: fit for a message

  bool microcontroller() const;   // one of the M profile
  bool double_precision() const;  // of the floating-point unit
  /// "Armv7E-M", "Armv8-M Mainline"; "an unknown architecture" for a number without a name here.
  std::string architecture_name() const;
};

/// The attributes of the whole file. Empty for a file that has none, that is no ELF file for Arm, or in which
/// they are damaged: nothing may depend on them.
std::optional<ArmAttributes> read_arm_attributes(ByteView file);

}  // namespace hindcast::loader
