// Helpers that raise exceptions, and the privileged instructions (helpers.h tells their operands).
#pragma once
#include "engine/vcpu.h"

namespace hindcast::riscv {

u64 illegal_helper(Vcpu& vcpu, u64 bits, u64, u64);
u64 fetch_misaligned_helper(Vcpu& vcpu, u64 target, u64, u64);
u64 store_misaligned_helper(Vcpu& vcpu, u64 address, u64, u64);
u64 ecall_helper(Vcpu& vcpu, u64, u64, u64);
u64 mret_helper(Vcpu& vcpu, u64 bits, u64, u64);
u64 sret_helper(Vcpu& vcpu, u64 bits, u64, u64);
u64 sfence_helper(Vcpu& vcpu, u64 bits, u64, u64);
u64 invalidation_fence_helper(Vcpu& vcpu, u64 bits, u64, u64);
u64 hypervisor_fence_helper(Vcpu& vcpu, u64 bits, u64, u64);
/// guest_access.cpp.
u64 guest_load_helper(Vcpu& vcpu, u64 bits, u64 address, u64);
u64 guest_store_helper(Vcpu& vcpu, u64 bits, u64 address, u64 value);
u64 wait_on_reservation_helper(Vcpu& vcpu, u64 bits, u64, u64);
/// cache_blocks.cpp.
u64 cache_block_helper(Vcpu& vcpu, u64 bits, u64 address, u64);
u64 wfi_helper(Vcpu& vcpu, u64 bits, u64, u64);
u64 pause_helper(Vcpu& vcpu, u64, u64, u64);
/// semihosting.cpp.
u64 ebreak_helper(Vcpu& vcpu, u64 next, u64, u64);

/// How many attempts of the vCPU a synchronous exception stands for: the instruction that raised it and the
/// entry are one.
inline constexpr u64 kAttemptsPerException = 1;

}  // namespace hindcast::riscv
