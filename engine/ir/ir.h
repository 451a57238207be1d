// The intermediate representation: typed SSA values inside a small control-flow graph. Guest state is read
// and written explicitly by register number; guest registers, not SSA values, carry state between guest
// instructions' exits.
//
// Invariants that the executors rely on (checked by verify()):
//  - the first instruction of a unit's entry block is InsnStart; an IR block ends with exactly one End op;
//  - a value is used only in its own IR block or in blocks that its block dominates;
//  - inside one guest instruction every SetReg and every op that accrues floating-point flags comes after the
//    last op that may fault (Memory, Call), so that at a fault the state is that of the instruction's start.
//    (A Call may itself write state.);
//  - an instruction may be begun again at any of its ops that may fault (the interpreter does what translated
//    code leaves to it), so after a Store nothing may fault if a Load came before the Store: done again, it
//    could load what was stored. Several Stores without a Load before them only store the same again.
#pragma once
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "engine/types.h"

namespace hindcast::ir {

enum class Type : u8 { Void, I1, I8, I16, I32, I64, F32, F64 };
const char* to_string(Type t);
constexpr unsigned bits_of(Type t) {
  return 0x4020402010080100 >> 8 * static_cast<unsigned>(t) & 0xff;  // a byte a type; a table would be copied
}
constexpr bool is_float(Type t) { return t == Type::F32 || t == Type::F64; }

enum class Op : u8 {
#define OP(name, result, operands, effects, meaning) name,
#include "engine/ir/ops.def"
#undef OP
};
enum class Effect : u8 { Pure, State, Memory, Fp, Call, Mark, End };
struct OpInfo {
  const char* name;
  const char* result;
  const char* operands;
  Effect effect;
  const char* meaning;
};
inline constexpr OpInfo kOpInfos[] = {
#define OP(name, result, operands, effects, meaning) {#name, result, operands, Effect::effects, meaning},
#include "engine/ir/ops.def"
#undef OP
};
inline constexpr unsigned kOpCount = std::size(kOpInfos);
constexpr const OpInfo& info(Op op) { return kOpInfos[static_cast<unsigned>(op)]; }

/// Rounding of an Fp op. The first five are IEEE's; Dynamic is the mode in the CPU header (part of the
/// context, so the JIT knows it when it translates).
enum class Round : u8 { NearestEven, TowardZero, Down, Up, NearestMaxMagnitude, Dynamic = 7 };

/// Attributes of a Load or Store. The access width is bits_of(type); a Load of a narrower type is extended by
/// an explicit ZExt/SExt after it.
struct MemAttr {
  i32 offset = 0;  // added to the address operand, modulo the address width
  bool big_endian = false;
  bool must_align = false;  // a misaligned access faults
  bool store_intent =
      false;     // a Load whose fault is reported as a store's (first half of a read-modify-write)
  u8 space = 0;  // memory context; 0 is the data space of the current mode

  u64 pack() const {
    return u64{static_cast<u32>(offset)} | u64{big_endian} << 32 | u64{must_align} << 33 |
           u64{store_intent} << 34 | u64{space} << 40;
  }
  static MemAttr unpack(u64 v) {
    return {static_cast<i32>(static_cast<u32>(v)), (v >> 32 & 1) != 0, (v >> 33 & 1) != 0, (v >> 34 & 1) != 0,
            static_cast<u8>(v >> 40)};
  }
};

/// Index of the instruction that defines a value, in Unit::insts.
using Value = u32;
inline constexpr Value kNoValue = ~u32{0};

struct Inst {
  Op op = Op::Const;
  Type type = Type::Void;  // of the result; for compares, stores, SetReg: of the operands
  u8 flags = 0;
  u8 pad = 0;
  u32 aux = 0;  // block number, rounding mode, ...
  Value args[3] = {kNoValue, kNoValue, kNoValue};
  u64 imm = 0;
};

/// A contiguous run of Unit::insts ending in an End op.
struct Block {
  u32 first = 0;
  u32 count = 0;
};

/// One translation unit. blocks[0] is the entry.
struct Unit {
  std::vector<Inst> insts;
  std::vector<Block> blocks;
  /// Guest virtual address of the first instruction and the architecture context it was translated for.
  GuestAddr pc = 0;
  u64 context = 0;
  /// Guest instructions in it (InsnStart marks).
  u32 insn_count = 0;
};

inline constexpr char kResults[] = {
#define OP(name, result, operands, effects, meaning) result[0],
#include "engine/ir/ops.def"
#undef OP
};
/// The type of the value that an instruction defines (Void for none). Compares define I1.
constexpr Type result_type(const Inst& inst) {
  const char result = kResults[static_cast<unsigned>(inst.op)];
  return result == '.' ? Type::Void : result == 'b' ? Type::I1 : inst.type;
}
/// Empty if the unit satisfies the invariants above, else what is wrong and where.
std::string verify(const Unit& unit);
/// One line an instruction; parse(print(u)) gives the same unit.
std::string print(const Unit& unit);
/// Throws Fatal with the line number on a syntax error.
Unit parse(std::string_view text);

}  // namespace hindcast::ir
