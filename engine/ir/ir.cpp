#include "engine/ir/ir.h"

namespace hindcast::ir {

namespace {

constexpr OpInfo kInfos[kOpCount] = {
#define OP(name, result, operands, effects, meaning) {#name, result, operands, Effect::effects, meaning},
#include "engine/ir/ops.def"
#undef OP
};

}  // namespace

const char* to_string(Type t) {
  constexpr const char* names[] = {"Void", "I1", "I8", "I16", "I32", "I64", "F32", "F64"};
  return names[static_cast<unsigned>(t)];
}

const OpInfo& info(Op op) { return kInfos[static_cast<unsigned>(op)]; }

Type result_type(const Inst& inst) {
  switch (info(inst.op).result[0]) {
    case '.': return Type::Void;
    case 'b': return Type::I1;
    default: return inst.type;
  }
}

}  // namespace hindcast::ir
