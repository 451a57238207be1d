// The C++ functions that RISC-V translations call. Registered together, when the first CPU is built.
#pragma once
#include "engine/helpers.h"

namespace hindcast::riscv {

struct Helpers {
  // Raise (traps.cpp): operand a is the instruction's bits, or the trap value.
  u32 illegal, fetch_misaligned, store_misaligned, ecall;
  // System (traps.cpp, semihosting.cpp, csr.cpp).
  u32 mret;    // a: instruction bits; the new pc
  u32 sret;    // likewise
  u32 sfence;  // a: instruction bits
  u32 wfi;     // a: instruction bits
  u32 pause;
  u32 invalidation_fence, wait_on_reservation;  // a: instruction bits
  u32 hypervisor_fence;                         // likewise
  u32 guest_load;   // a: instruction bits, b: address; the value, extended (guest_access.cpp)
  u32 guest_store;  // a: instruction bits, b: address, c: value
  u32 cache_block;  // a: instruction bits, b: value of rs1; the address of the block (cache_blocks.cpp)
  u32 ebreak;       // a: pc of the next instruction
  u32 csr;          // a: instruction bits, b: value of rs1; the old value of the CSR
  u32 half;         // half-precision arithmetic (half.cpp)
  // Pure (pure.cpp).
  u32 clmul, clmulh, clmulr;  // a, b; c: XLEN
  u32 fclass16, fclass32, fclass64;
  // Pure (crypto.cpp, crypto.h tells their operands).
  u32 aes64, aes64im, aes64ks1i, aes32, sm4, crossbar, reverse_bits_in_bytes, zip32, unzip32;
};
const Helpers& helpers();

}  // namespace hindcast::riscv
