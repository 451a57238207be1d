#include "targets/riscv/helpers.h"

#include "targets/riscv/crypto.h"
#include "targets/riscv/csr.h"
#include "targets/riscv/half.h"
#include "targets/riscv/pure.h"
#include "targets/riscv/traps.h"

namespace hindcast::riscv {

const Helpers& helpers() {
  static const Helpers registered = {
      .illegal = register_helper("riscv.illegal", &illegal_helper),
      .fetch_misaligned = register_helper("riscv.fetch_misaligned", &fetch_misaligned_helper),
      .store_misaligned = register_helper("riscv.store_misaligned", &store_misaligned_helper),
      .ecall = register_helper("riscv.ecall", &ecall_helper),
      .mret = register_helper("riscv.mret", &mret_helper),
      .sret = register_helper("riscv.sret", &sret_helper),
      .sfence = register_helper("riscv.sfence", &sfence_helper),
      .wfi = register_helper("riscv.wfi", &wfi_helper),
      .pause = register_helper("riscv.pause", &pause_helper),
      .invalidation_fence = register_helper("riscv.invalidation_fence", &invalidation_fence_helper),
      .wait_on_reservation = register_helper("riscv.wait_on_reservation", &wait_on_reservation_helper),
      .hypervisor_fence = register_helper("riscv.hypervisor_fence", &hypervisor_fence_helper),
      .guest_load = register_helper("riscv.guest_load", &guest_load_helper),
      .guest_store = register_helper("riscv.guest_store", &guest_store_helper),
      .cache_block = register_helper("riscv.cache_block", &cache_block_helper),
      .ebreak = register_helper("riscv.ebreak", &ebreak_helper),
      .csr = register_helper("riscv.csr", &csr_helper),
      .half = register_helper("riscv.half", &half_helper),
      .clmul = register_pure_helper("riscv.clmul", &clmul),
      .clmulh = register_pure_helper("riscv.clmulh", &clmulh),
      .clmulr = register_pure_helper("riscv.clmulr", &clmulr),
      .fclass16 = register_pure_helper("riscv.fclass16", &fclass16),
      .fclass32 = register_pure_helper("riscv.fclass32", &fclass32),
      .fclass64 = register_pure_helper("riscv.fclass64", &fclass64),
      .aes64 = register_pure_helper("riscv.aes64", &aes64),
      .aes64im = register_pure_helper("riscv.aes64im", &aes64im),
      .aes64ks1i = register_pure_helper("riscv.aes64ks1i", &aes64ks1i),
      .aes32 = register_pure_helper("riscv.aes32", &aes32),
      .sm4 = register_pure_helper("riscv.sm4", &sm4),
      .crossbar = register_pure_helper("riscv.crossbar", &crossbar),
      .reverse_bits_in_bytes = register_pure_helper("riscv.reverse_bits_in_bytes", &reverse_bits_in_bytes),
      .zip32 = register_pure_helper("riscv.zip32", &zip32),
      .unzip32 = register_pure_helper("riscv.unzip32", &unzip32),
  };
  return registered;
}

}  // namespace hindcast::riscv
