#include "engine/ir/ir.h"

namespace hindcast::ir {

const char* to_string(Type t) {
  constexpr const char* names[] = {"Void", "I1", "I8", "I16", "I32", "I64", "F32", "F64"};
  return names[static_cast<unsigned>(t)];
}

}  // namespace hindcast::ir
