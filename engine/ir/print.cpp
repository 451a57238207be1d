// The text form. One line an op; parse.cpp reads it back. Grammar:
//   unit pc=N context=N
//   block N
//     [%name =] Op[.Type] [@helper] [%name, ...] [attribute ...]      # comment
// Numbers are decimal or 0x hexadecimal. An op's place in the unit is the name of its value.
#include <cstdio>

#include "engine/helpers.h"
#include "engine/ir/text.h"

namespace hindcast::ir {

namespace {

void append_hex(std::string& out, const char* label, u64 v) {
  char text[40];
  std::snprintf(text, sizeof text, "%s0x%llx", label, static_cast<unsigned long long>(v));
  out += text;
}

void append_number(std::string& out, const char* label, i64 v) { out += label + std::to_string(v); }

void append_memory(std::string& out, u64 packed) {
  const MemAttr attr = MemAttr::unpack(packed);
  if (attr.offset != 0) append_number(out, " offset=", attr.offset);
  if (attr.big_endian) out += " be";
  if (attr.must_align) out += " align";
  if (attr.store_intent) out += " intent";
  if (attr.space != 0) append_number(out, " space=", attr.space);
}

void append_attributes(std::string& out, const Inst& inst) {
  switch (attributes_of(inst.op)) {
    case Attributes::None: break;
    case Attributes::Constant: append_hex(out, " ", inst.imm); break;
    case Attributes::Register: append_number(out, " reg=", static_cast<i64>(inst.imm)); break;
    case Attributes::Memory: append_memory(out, inst.imm); break;
    case Attributes::Rounding:
      out += std::string(" round=") + round_name(static_cast<Round>(inst.aux));
      if (inst.flags != 0) append_number(out, " neg=", inst.flags);
      break;
    case Attributes::Helper: break;  // printed before the operands
    case Attributes::Insn:
      append_hex(out, " pc=", inst.imm);
      append_number(out, " len=", inst.flags);
      break;
    case Attributes::Jump: append_number(out, " to=", inst.aux); break;
    case Attributes::Branch:
      append_number(out, " then=", inst.aux);
      append_number(out, " else=", static_cast<i64>(inst.imm));
      break;
    case Attributes::Pc: append_hex(out, " pc=", inst.imm); break;
    case Attributes::PcReason:
      append_hex(out, " pc=", inst.imm);
      if (inst.aux != 0) append_number(out, " reason=", inst.aux);
      break;
  }
}

void append_inst(std::string& out, const Inst& inst, u32 index) {
  out += "  ";
  if (result_type(inst) != Type::Void) out += "%" + std::to_string(index) + " = ";
  out += info(inst.op).name;
  if (inst.type != Type::Void) out += std::string(".") + to_string(inst.type);
  if (attributes_of(inst.op) == Attributes::Helper) {
    out += " @";
    out += inst.imm < helper_count() ? helper(static_cast<u32>(inst.imm)).name : "?";
  }
  const char* separator = " ";
  for (const Value v : inst.args) {
    if (v == kNoValue) break;
    out += separator;
    out += "%" + std::to_string(v);
    separator = ", ";
  }
  append_attributes(out, inst);
  out += '\n';
}

}  // namespace

Attributes attributes_of(Op op) {
  switch (op) {
    case Op::Const: return Attributes::Constant;
    case Op::GetReg:
    case Op::SetReg: return Attributes::Register;
    case Op::CallPure:
    case Op::Call: return Attributes::Helper;
    case Op::InsnStart: return Attributes::Insn;
    case Op::Jump: return Attributes::Jump;
    case Op::Branch: return Attributes::Branch;
    case Op::ExitPc: return Attributes::Pc;
    case Op::ExitInterp: return Attributes::PcReason;
    default: break;
  }
  switch (info(op).effect) {
    case Effect::Memory: return Attributes::Memory;
    case Effect::Fp: return Attributes::Rounding;
    default: return Attributes::None;
  }
}

const char* round_name(Round round) {
  switch (round) {
    case Round::NearestEven: return "rne";
    case Round::TowardZero: return "rtz";
    case Round::Down: return "rdn";
    case Round::Up: return "rup";
    case Round::NearestMaxMagnitude: return "rmm";
    case Round::Dynamic: return "dyn";
  }
  return "?";
}

std::string print(const Unit& unit) {
  std::string out = "unit";
  append_hex(out, " pc=", unit.pc);
  append_hex(out, " context=", unit.context);
  out += '\n';
  for (u32 b = 0; b < unit.blocks.size(); ++b) {
    const Block& block = unit.blocks[b];
    append_number(out, "block ", b);
    out += '\n';
    for (u32 i = block.first; i < block.first + block.count; ++i) append_inst(out, unit.insts[i], i);
  }
  return out;
}

}  // namespace hindcast::ir
