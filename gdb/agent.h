// Agent expressions ("The GDB Agent Expression Mechanism", appendix of the gdb manual): the bytecode in which
// gdb sends the conditions of breakpoints, so that a condition costs no round trip.
#pragma once
#include <functional>
#include <optional>

#include "engine/types.h"

namespace hindcast::gdb {

/// The longest expression that is taken, in bytes.
inline constexpr std::size_t kMaxExpression = 64 * 1024;

/// What an expression may look at. Both return nullopt for what is not there.
struct AgentWorld {
  /// `size` is 1, 2, 4 or 8; the value in the guest's byte order.
  std::function<std::optional<u64>(GuestAddr, unsigned size)> memory;
  /// By gdb's number.
  std::function<std::optional<u64>(unsigned number)> reg;
};

/// The value on top of the stack at the end. Nullopt when the expression is malformed, uses an operation that
/// is not supported (floating point, trace variables, tracing), looks at what is not there, divides by zero,
/// or takes too long. Bounded in time and memory whatever the code.
std::optional<u64> evaluate(ByteView code, const AgentWorld& world);

}  // namespace hindcast::gdb
