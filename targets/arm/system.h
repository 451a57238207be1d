// Helpers that raise exceptions, and the instructions that reach special registers (helpers.h tells their
// operands).
#pragma once
#include "engine/vcpu.h"

namespace hindcast::arm {

u64 undefined_helper(Vcpu& vcpu, u64, u64, u64);
u64 check_unprivileged_helper(Vcpu& vcpu, u64, u64, u64);
u64 invalid_state_helper(Vcpu& vcpu, u64, u64, u64);
u64 unaligned_helper(Vcpu& vcpu, u64, u64, u64);
u64 div_by_zero_helper(Vcpu& vcpu, u64, u64, u64);
u64 stack_limit_helper(Vcpu& vcpu, u64, u64, u64);
u64 no_coprocessor_helper(Vcpu& vcpu, u64, u64, u64);
u64 svc_helper(Vcpu& vcpu, u64 next, u64, u64);
u64 cps_helper(Vcpu& vcpu, u64 set, u64 masks, u64);
u64 mrs_helper(Vcpu& vcpu, u64 sysm, u64, u64);
u64 msr_helper(Vcpu& vcpu, u64 sysm, u64 value, u64);
u64 wfe_helper(Vcpu& vcpu, u64, u64, u64);
u64 wfi_helper(Vcpu& vcpu, u64, u64, u64);
/// security.cpp.
u64 tt_helper(Vcpu& vcpu, u64 address, u64 options, u64);
u64 branch_non_secure_helper(Vcpu& vcpu, u64 target, u64, u64);
u64 call_non_secure_helper(Vcpu& vcpu, u64 target, u64 next, u64);
/// semihosting.cpp.
u64 bkpt_helper(Vcpu& vcpu, u64 imm, u64 next, u64);

}  // namespace hindcast::arm
