// Agent expressions ("The GDB Agent Expression Mechanism", appendix of the gdb manual): the bytecode in which
// gdb sends conditions, commands of breakpoints (dprintf) and actions of tracepoints, so that none of them
// costs a round trip.
#pragma once
#include <optional>
#include <string>

#include "engine/types.h"
#include "gdb/packet.h"

namespace hindcast::gdb {

/// The longest expression that is taken, in bytes.
inline constexpr std::size_t kMaxExpression = 64 * 1024;

/// Takes an expression as it stands in packets, "Xlen,hex". Nullopt: it is malformed, empty, or too long.
std::optional<Bytes> agent_expression(Fields& fields);

/// What an expression may look at and do. Nullopt and false: there is no such thing.
class AgentWorld {
 public:
  virtual ~AgentWorld() = default;
  /// `size` is 1, 2, 4 or 8; the value in the guest's byte order.
  virtual std::optional<u64> memory(GuestAddr va, unsigned size) = 0;
  /// By gdb's number.
  virtual std::optional<u64> reg(unsigned number) = 0;
  /// The guest's `long`.
  virtual unsigned word_bits() const { return 64; }
  /// Trace state variables.
  virtual std::optional<u64> variable(unsigned) { return std::nullopt; }
  virtual bool set_variable(unsigned, u64) { return false; }
  virtual bool print(const std::string&) { return false; }
};

/// The value on top of the stack at the end. Nullopt when the expression is malformed, uses an operation that
/// is not supported (floating point), looks at what is not there, divides by zero, or takes too long. Bounded
/// in time and memory whatever the code.
std::optional<u64> evaluate(ByteView code, AgentWorld& world);
/// For its effects alone: nothing need be on the stack at the end. What it would collect into a trace buffer
/// is passed over. False for what has no value above.
bool execute(ByteView code, AgentWorld& world);

}  // namespace hindcast::gdb
