#include "gdb/agent.h"

#include <array>
#include <utility>

#include "gdb/agent_format.h"

namespace hindcast::gdb {
namespace {

/// The opcodes, as the manual's chapter "Bytecode Descriptions" numbers them.
enum Op : u8 {
  kAdd = 0x02,
  kSub = 0x03,
  kMul = 0x04,
  kDivSigned = 0x05,
  kDivUnsigned = 0x06,
  kRemSigned = 0x07,
  kRemUnsigned = 0x08,
  kShiftLeft = 0x09,
  kShiftRightSigned = 0x0a,
  kShiftRightUnsigned = 0x0b,
  kTrace = 0x0c,
  kTraceQuick = 0x0d,
  kLogNot = 0x0e,
  kBitAnd = 0x0f,
  kBitOr = 0x10,
  kBitXor = 0x11,
  kBitNot = 0x12,
  kEqual = 0x13,
  kLessSigned = 0x14,
  kLessUnsigned = 0x15,
  kExt = 0x16,
  kRef8 = 0x17,
  kRef16 = 0x18,
  kRef32 = 0x19,
  kRef64 = 0x1a,
  kIfGoto = 0x20,
  kGoto = 0x21,
  kConst8 = 0x22,
  kConst16 = 0x23,
  kConst32 = 0x24,
  kConst64 = 0x25,
  kReg = 0x26,
  kEnd = 0x27,
  kDup = 0x28,
  kPop = 0x29,
  kZeroExt = 0x2a,
  kSwap = 0x2b,
  kGetVariable = 0x2c,
  kSetVariable = 0x2d,
  kTraceVariable = 0x2e,
  kTraceString = 0x2f,
  kTrace16 = 0x30,
  kPick = 0x32,
  kRot = 0x33,
  kPrintf = 0x34,
};

constexpr unsigned kMaxSteps = 10'000;

class Evaluation {
 public:
  Evaluation(ByteView code, AgentWorld& world) : code_(code), world_(world) {}

  /// Up to the end. False: it does not get there.
  bool run() {
    for (unsigned steps = 0; steps < kMaxSteps; ++steps) {
      const u8 op = static_cast<u8>(operand(1));
      if (failed_) return false;
      if (op == kEnd) return true;
      step(op);
      if (failed_) return false;
    }
    return false;
  }
  std::optional<u64> top() const {
    return depth_ == 0 ? std::nullopt : std::optional<u64>(stack_[depth_ - 1]);
  }

 private:
  void fail() { failed_ = true; }
  /// A big-endian number that follows the opcode.
  u64 operand(unsigned size) {
    if (code_.size() - at_ < size) {
      fail();
      return 0;
    }
    u64 value = 0;
    for (unsigned i = 0; i < size; ++i) value = value << 8 | code_[at_++];
    return value;
  }
  void push(u64 value) {
    if (depth_ == stack_.size())
      fail();
    else
      stack_[depth_++] = value;
  }
  u64 pop() {
    if (depth_ == 0) {
      fail();
      return 0;
    }
    return stack_[--depth_];
  }
  void push(std::optional<u64> value) {
    if (value)
      push(*value);
    else
      fail();
  }
  void jump(u64 to) {
    if (to >= code_.size())
      fail();
    else
      at_ = to;
  }

  void step(u8 op) {
    switch (op) {
      case kLogNot: push(u64{pop() == 0}); break;
      case kBitNot: push(~pop()); break;
      case kExt:
      case kZeroExt: extend(op == kExt); break;
      case kRef8:
      case kRef16:
      case kRef32:
      case kRef64: push(world_.memory(pop(), 1u << (op - kRef8))); break;
      case kIfGoto: {
        const u64 to = operand(2);
        if (pop() != 0) jump(to);
        break;
      }
      case kGoto: jump(operand(2)); break;
      case kConst8:
      case kConst16:
      case kConst32:
      case kConst64: push(operand(1u << (op - kConst8))); break;
      case kReg: push(world_.reg(static_cast<unsigned>(operand(2)))); break;
      case kPop: pop(); break;
      case kDup: pick(0); break;
      case kPick: pick(operand(1)); break;
      case kSwap:
        if (depth_ < 2) return fail();
        std::swap(stack_[depth_ - 1], stack_[depth_ - 2]);
        break;
      case kRot: {  // a b c (c on top) becomes c a b
        const u64 c = pop(), b = pop(), a = pop();
        push(c);
        push(a);
        push(b);
        break;
      }
      case kGetVariable: push(world_.variable(static_cast<unsigned>(operand(2)))); break;
      case kSetVariable: {
        const u64 number = operand(2), value = pop();
        push(value);
        if (!failed_ && !world_.set_variable(static_cast<unsigned>(number), value)) fail();
        break;
      }
      // Nothing is collected: all of memory can be looked at where this was executed.
      case kTrace:
      case kTraceString:
        pop();
        pop();
        break;
      case kTraceQuick: operand(1); break;
      case kTrace16:
      case kTraceVariable: operand(2); break;
      case kPrintf: print(); break;
      default: binary(op);
    }
  }
  // count (1 byte), length of the format with its 0 (2 bytes), the format; on the stack, from its top: a
  // function and a channel, which a stub may ignore, and the arguments, the first one uppermost.
  void print() {
    const u64 count = operand(1), length = operand(2);
    pop();
    pop();
    std::array<u64, 256> arguments;
    for (u64 i = 0; i < count; ++i) arguments[i] = pop();
    if (failed_ || length == 0 || code_.size() - at_ < length || code_[at_ + length - 1] != 0) return fail();
    const std::string_view format(reinterpret_cast<const char*>(code_.data()) + at_, length - 1);
    at_ += length;
    const auto text = format_text(format, {arguments.data(), count}, world_);
    if (!text || !world_.print(*text)) fail();
  }
  void pick(u64 below) {
    if (below >= depth_) return fail();
    push(stack_[depth_ - 1 - below]);
  }
  void extend(bool sign) {
    const u64 bits = operand(1), value = pop();
    if (bits == 0 || bits > 64) return fail();
    const unsigned unused = 64 - static_cast<unsigned>(bits);
    const u64 high = value << unused;
    push(sign ? static_cast<u64>(static_cast<i64>(high) >> unused) : high >> unused);
  }
  void binary(u8 op) {
    const u64 b = pop(), a = pop();
    const i64 sb = static_cast<i64>(b), sa = static_cast<i64>(a);
    switch (op) {
      case kAdd: return push(a + b);
      case kSub: return push(a - b);
      case kMul: return push(a * b);
      case kDivSigned:
      case kRemSigned:
        if (b == 0) return fail();
        // -1 apart: the smallest number has no positive counterpart.
        if (op == kDivSigned) return push(sb == -1 ? u64{0} - a : static_cast<u64>(sa / sb));
        return push(sb == -1 ? u64{0} : static_cast<u64>(sa % sb));
      case kDivUnsigned:
      case kRemUnsigned:
        if (b == 0) return fail();
        return push(op == kDivUnsigned ? a / b : a % b);
      case kShiftLeft: return push(b < 64 ? a << b : u64{0});
      case kShiftRightSigned: return push(static_cast<u64>(sa >> (b < 64 ? b : 63)));
      case kShiftRightUnsigned: return push(b < 64 ? a >> b : u64{0});
      case kBitAnd: return push(a & b);
      case kBitOr: return push(a | b);
      case kBitXor: return push(a ^ b);
      case kEqual: return push(u64{a == b});
      case kLessSigned: return push(u64{sa < sb});
      case kLessUnsigned: return push(u64{a < b});
      default: fail();
    }
  }

  ByteView code_;
  AgentWorld& world_;
  std::size_t at_ = 0;
  std::array<u64, 128> stack_;  // only what is below depth_ is looked at
  std::size_t depth_ = 0;
  bool failed_ = false;
};

}  // namespace

std::optional<Bytes> agent_expression(Fields& fields) {
  if (!fields.take('X')) return std::nullopt;
  const auto length = fields.number();
  if (!length || *length == 0 || *length > kMaxExpression || !fields.take(',')) return std::nullopt;
  const auto code = from_hex(fields.bytes(2 * *length));
  if (!code || code->size() != *length) return std::nullopt;
  return Bytes(code->begin(), code->end());
}

std::optional<u64> evaluate(ByteView code, AgentWorld& world) {
  Evaluation evaluation(code, world);
  return evaluation.run() ? evaluation.top() : std::nullopt;
}

bool execute(ByteView code, AgentWorld& world) { return Evaluation(code, world).run(); }

}  // namespace hindcast::gdb
