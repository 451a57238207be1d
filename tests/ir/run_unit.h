// A small evaluator for units without memory accesses or calls: the other side of the folding tests.
#pragma once
#include <map>

#include "engine/ir/eval.h"

namespace hindcast::test {

struct UnitState {
  std::map<u64, u64> registers;
  u64 pc = 0;                  // where the unit was left for
  std::vector<u64> addresses;  // of loads and stores, in order, before truncation to the address width
};

/// Runs from block 0 to an exit. A load gives its address.
inline void run_unit(const ir::Unit& unit, UnitState& state) {
  using namespace ir;
  std::vector<u64> values(unit.insts.size());
  u32 i = unit.blocks[0].first;
  for (int steps = 0; steps < 100000; ++steps, ++i) {
    const Inst& inst = unit.insts[i];
    const auto arg = [&](unsigned n) { return inst.args[n] == kNoValue ? 0 : values[inst.args[n]]; };
    const u64 address = arg(0) + static_cast<u64>(i64{MemAttr::unpack(inst.imm).offset});
    switch (inst.op) {
      case Op::Const: values[i] = inst.imm; break;
      case Op::GetReg: values[i] = state.registers[inst.imm]; break;
      case Op::SetReg: state.registers[inst.imm] = arg(0); break;
      case Op::InsnStart: break;
      case Op::Load:
        state.addresses.push_back(address);
        values[i] = truncate(inst.type, address);
        break;
      case Op::Store: state.addresses.push_back(address); break;
      case Op::Jump: i = unit.blocks[inst.aux].first - 1; break;
      case Op::Branch: i = unit.blocks[arg(0) != 0 ? inst.aux : inst.imm].first - 1; break;
      case Op::ExitPc: state.pc = inst.imm; return;
      case Op::ExitIndirect: state.pc = arg(0); return;
      default: {
        const Type a_type = inst.args[0] == kNoValue ? Type::Void : result_type(unit.insts[inst.args[0]]);
        values[i] = eval_pure(inst.op, inst.type, a_type, arg(0), arg(1), arg(2));
        break;
      }
    }
  }
  throw Fatal("the unit does not end");
}

}  // namespace hindcast::test
