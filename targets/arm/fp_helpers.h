// Floating-point operations that are too rare for IR (helpers.h tells their operands).
#pragma once
#include "engine/vcpu.h"

namespace hindcast::arm {

/// Registers of VMRS, VMSR and their kin, by the instructions' numbers.
namespace fp_register {
inline constexpr u32 kFpscr = 1, kNzcvqc = 2, kContextNs = 14, kContextS = 15;
}
inline constexpr unsigned kCallerSingles = 16, kAllSingles = 32;

u64 fp_activate_helper(Vcpu& vcpu, u64, u64, u64);
u64 lazy_store_helper(Vcpu& vcpu, u64 address, u64, u64);
u64 lazy_load_helper(Vcpu& vcpu, u64 address, u64, u64);
u64 read_fpscr_helper(Vcpu& vcpu, u64, u64, u64);
u64 check_fp_register_helper(Vcpu& vcpu, u64 number, u64, u64);
u64 read_fp_register_helper(Vcpu& vcpu, u64 number, u64, u64);
u64 fp_register_read_helper(Vcpu& vcpu, u64 number, u64, u64);
u64 write_fp_register_helper(Vcpu& vcpu, u64 number, u64 value, u64);
u64 clear_floats_helper(Vcpu& vcpu, u64 first, u64 count, u64);
u64 write_fpscr_helper(Vcpu& vcpu, u64 value, u64, u64);
/// b: fraction bits; the fixed-point number's size from bit 8 on; bit 16: signed; bit 17: double precision.
u64 from_fixed_helper(Vcpu& vcpu, u64 a, u64 how, u64);
u64 to_fixed_helper(Vcpu& vcpu, u64 a, u64 how, u64);
/// b: ir::Round; bit 8: inexactness is told; bit 9: double precision.
u64 round_integral_helper(Vcpu& vcpu, u64 a, u64 how, u64);
/// b: 0 from half precision, 1 to half precision; bit 1: the other one is double precision.
u64 half_helper(Vcpu& vcpu, u64 a, u64 how, u64);

}  // namespace hindcast::arm
