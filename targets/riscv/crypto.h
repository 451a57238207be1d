// Functions of the scalar cryptography instructions (Cryptography Scalar 1.0.1) that IR has no op for. All
// are pure. Operands are XLEN bits wide, zero-extended; so are the results.
#pragma once
#include "engine/types.h"

namespace hindcast::riscv {

/// AES on 64-bit registers: `step` is one of these.
enum class Aes64 : u64 { EncryptLast, Encrypt, DecryptLast, Decrypt };
/// The half of the next state that `low` and `high` (of the state at hand) make.
u64 aes64(u64 low, u64 high, u64 step);
/// Inverse of the mixing of both columns.
u64 aes64im(u64 columns, u64, u64);
/// Key schedule: the round constant's number is 0 to 10.
u64 aes64ks1i(u64 key, u64 round, u64);
/// AES on 32-bit registers: `a` with what byte `how & 3` of `b` contributes; the step is how >> 2.
u64 aes32(u64 a, u64 b, u64 how);

/// SM4: `a` with what byte `how & 3` of `b` contributes to the data (how >> 2 is 0) or to the key schedule
/// (1).
u64 sm4(u64 a, u64 b, u64 how);

/// Each `width`-bit element of `indices` is replaced by that element of `table`, or by 0. `shape` is width |
/// xlen << 8.
u64 crossbar(u64 table, u64 indices, u64 shape);
/// Reverses the bits of each byte.
u64 reverse_bits_in_bytes(u64 value, u64, u64);
/// Even bits to the low half of 32, odd ones to the high half; and back.
u64 unzip32(u64 value, u64, u64);
u64 zip32(u64 value, u64, u64);

}  // namespace hindcast::riscv
