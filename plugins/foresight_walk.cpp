// The walk through a callback. Its instructions are executed once, with the arguments that it would get, on
// values that are known, or are what memory held when it was called, or unknown. What it leaves in memory is
// the result. Every function below that returns false gives up: the callback does something that is not
// understood, and is called as ever.
#include <capstone/capstone.h>

#include <algorithm>
#include <cstring>

#include "engine/jit/host.h"
#include "plugins/foresight.h"

namespace hindcast::plugins {

namespace {

constexpr unsigned kMostSteps = 128;
constexpr int kSlot = 8;
constexpr unsigned kArguments[] = {7, 6, 2, 1};  // rdi rsi rdx rcx

constexpr u64 low_bits(u64 value, unsigned size) {
  return size >= 8 ? value : value & ((u64{1} << 8 * size) - 1);
}
constexpr u64 extended(u64 value, unsigned size) {
  if (size >= 8) return value;
  const unsigned unused = 64 - 8 * size;
  return static_cast<u64>(static_cast<i64>(value << unused) >> unused);
}

/// A value, as far as it is known.
struct Value {
  enum class Kind : u8 {
    Unknown,
    Constant,  // n
    Content,   // what was in memory at `at`, `size` bytes, plus n
    Stack,     // the stack pointer at the call plus n
  } kind = Kind::Unknown;
  u64 n = 0;
  u64 at = 0;
  u8 size = 8;
  static Value constant(u64 n) { return {Kind::Constant, n, 0, 8}; }
  bool is_constant() const { return kind == Kind::Constant; }
};

/// One call, followed from its beginning.
class Walk {
 public:
  Walk(Foresight& reader, std::span<const InstrEffect> before, InstrForeseen& out)
      : reader_(reader), before_(before), out_(out) {}
  bool run(u64 at, const Foresight::Arguments& arguments);

 private:
  using Operand = Foresight::Operand;
  using Step = Foresight::Step;
  using Kind = Value::Kind;

  bool execute(const Step& step, u64 next);
  bool arithmetic(const Step& step);
  bool compare(const Step& step);
  void set_flags(u64 a, u64 b, unsigned size);
  std::optional<bool> equality();
  bool jump(const Step& step, u64 next);
  std::optional<bool> condition(unsigned id);
  /// A constant where there was a value: what memory it came from must stay as it is. False: unknown.
  bool settle(Value& value);
  bool address(const Operand& o, Value& out);
  bool load(const Value& at, unsigned size, Value& out);
  bool store(const Value& at, unsigned size, Value value);
  bool get(const Operand& o, Value& out);
  bool put(const Operand& o, const Value& value);
  bool push(const Value& value);
  bool leave();
  bool call(const Foresight::Known& known);
  bool finish();

  Foresight& reader_;
  std::span<const InstrEffect> before_;
  InstrForeseen& out_;
  std::array<Value, 16> regs_;
  std::map<i64, Value> stack_;    // by offset; kSlot bytes each, none over another
  std::map<u64, Value> written_;  // by address; a value's own `size` says how many bytes
  std::map<u64, u8> sizes_;       // of written_
  struct Flags {
    bool known = false;
    u64 a = 0, b = 0;  // compared, extended
    u64 ua = 0, ub = 0;
    Value content;         // instead of `a` until somebody must know, if it is not Unknown
    bool swapped = false;  // it was `b`
  } flags_;
  u64 pc_ = 0;
  bool returned_ = false;
};

constexpr unsigned kRsp = 4;

bool Walk::run(u64 at, const Foresight::Arguments& arguments) {
  for (std::size_t k = 0; k < arguments.size(); ++k)
    if (arguments[k]) regs_[kArguments[k]] = Value::constant(*arguments[k]);
  regs_[kRsp] = {Kind::Stack, 0, 0, 8};
  pc_ = at;
  for (unsigned n = 0; n < kMostSteps && !returned_; ++n) {
    if (const Foresight::Known* known = reader_.known(pc_)) {
      if (!call(*known) || !leave()) return false;
      continue;
    }
    const Step& step = reader_.step(pc_);
    const u64 next = pc_ + step.length;
    pc_ = next;
    if (step.id == 0 || !execute(step, next)) return false;
  }
  return returned_ && finish();
}

bool Walk::settle(Value& value) {
  if (value.is_constant()) return true;
  if (value.kind != Kind::Content) return false;
  const Foresight::Memory memory = reader_.memory(value.at, value.size);
  if (memory == Foresight::Memory::None) return false;
  u64 now = 0;
  std::memcpy(&now, reinterpret_cast<const void*>(value.at), value.size);
  if (memory != Foresight::Memory::Constant)
    out_.reads.push_back({reinterpret_cast<const u8*>(value.at), now, value.size});
  value = Value::constant(low_bits(now + value.n, value.size));
  return true;
}

bool Walk::address(const Operand& o, Value& out) {
  out = Value::constant(static_cast<u64>(o.value));
  if (o.index >= 0) {
    Value& index = regs_[static_cast<unsigned>(o.index)];
    if (!settle(index)) return false;
    out.n += index.n * o.scale;
  }
  if (o.base < 0) return true;
  Value& base = regs_[static_cast<unsigned>(o.base)];
  if (base.kind != Kind::Stack && !settle(base)) return false;
  out = {base.kind, base.n + out.n, 0, 8};
  return true;
}

bool Walk::load(const Value& at, unsigned size, Value& out) {
  if (at.kind == Kind::Stack) {
    const auto it = stack_.find(static_cast<i64>(at.n));
    if (size != unsigned{kSlot} || it == stack_.end()) return false;
    out = it->second;
    return true;
  }
  for (const auto& [where, value] : written_) {
    if (where == at.n && sizes_[where] == size) {
      out = value;
      return true;
    }
    if (where < at.n + size && at.n < where + sizes_[where]) return false;
  }
  for (const InstrEffect& effect : before_) {
    const u64 where = reinterpret_cast<u64>(effect.at);
    if (where >= at.n + size || at.n >= where + effect.size) continue;
    out = Value::constant(low_bits(effect.amount, size));
    return where == at.n && effect.size == size;
  }
  if (reader_.memory(at.n, size) == Foresight::Memory::None) return false;
  out = {Kind::Content, 0, at.n, static_cast<u8>(size)};
  return size >= 4 || settle(out);
}

bool Walk::store(const Value& at, unsigned size, Value value) {
  if (at.kind == Kind::Stack) {
    // Below the return address; and not across what is there.
    const i64 offset = static_cast<i64>(at.n);
    if (size != unsigned{kSlot} || offset > -kSlot) return false;
    const auto overlapping = [offset](const auto& slot) {
      const i64 distance = offset - slot.first;
      return distance != 0 && distance > -kSlot && distance < kSlot;
    };
    if (std::any_of(stack_.begin(), stack_.end(), overlapping)) return false;
    stack_[offset] = value;
    return true;
  }
  if (reader_.memory(at.n, size) != Foresight::Memory::Variable) return false;
  const bool own = value.kind == Kind::Content && value.at == at.n && value.size == size;
  if (!own && !settle(value)) return false;
  value.n = low_bits(value.n, size);
  for (const auto& [where, bytes] : sizes_)
    if (where < at.n + size && at.n < where + bytes && (where != at.n || bytes != size)) return false;
  written_[at.n] = value;
  sizes_[at.n] = static_cast<u8>(size);
  return true;
}

bool Walk::get(const Operand& o, Value& out) {
  switch (o.kind) {
    case Operand::Kind::Immediate:
      out = Value::constant(low_bits(static_cast<u64>(o.value), o.size));
      return true;
    case Operand::Kind::Memory: {
      Value at;
      return address(o, at) && load(at, o.size, out);
    }
    case Operand::Kind::Register:
      out = regs_[static_cast<unsigned>(o.reg)];
      if (out.kind == Kind::Content ? out.size == o.size : o.size == 8) return true;
      if (!settle(out)) return out.kind == Kind::Unknown;
      out.n = low_bits(out.n, o.size);
      return true;
    default: return false;
  }
}

bool Walk::put(const Operand& o, const Value& value) {
  if (o.kind == Operand::Kind::Memory) {
    Value at;
    return address(o, at) && store(at, o.size, value);
  }
  if (o.kind != Operand::Kind::Register) return false;
  if (value.kind == Kind::Stack && o.size < 8) return false;  // not known
  Value& reg = regs_[static_cast<unsigned>(o.reg)];
  reg = o.size >= 4 ? value : Value{};  // what else is in the register is lost
  if (reg.is_constant()) reg.n = low_bits(reg.n, o.size);
  return true;
}

bool Walk::arithmetic(const Step& step) {
  const Operand& to = step.operands[0];
  Value a, b = Value::constant(1);
  const bool two = step.id != X86_INS_INC && step.id != X86_INS_DEC;
  // A register's own difference needs no value.
  const bool clears = (step.id == X86_INS_XOR || step.id == X86_INS_SUB) &&
                      to.kind == Operand::Kind::Register &&
                      step.operands[1].kind == Operand::Kind::Register && to.reg == step.operands[1].reg;
  flags_.known = false;
  if (clears) return put(to, Value::constant(0));
  if (!get(to, a) || (two && !get(step.operands[1], b))) return false;
  const bool adds = step.id == X86_INS_ADD || step.id == X86_INS_INC;
  const bool subtracts = step.id == X86_INS_SUB || step.id == X86_INS_DEC;
  if (adds && b.kind != Kind::Constant && a.is_constant()) std::swap(a, b);
  if (!settle(b)) return b.kind == Kind::Unknown && put(to, Value{}) && to.kind == Operand::Kind::Register;
  const u64 operand =
      step.operands[1].kind == Operand::Kind::Immediate && two ? extended(b.n, step.operands[1].size) : b.n;
  if (adds || subtracts) {
    if (a.kind == Kind::Unknown) return to.kind == Operand::Kind::Register && put(to, Value{});
    a.n = adds ? a.n + operand : a.n - operand;
    return put(to, a);
  }
  if (!settle(a)) return a.kind == Kind::Unknown && to.kind == Operand::Kind::Register && put(to, Value{});
  const u64 count = operand & (to.size == 8 ? 63 : 31);
  switch (step.id) {
    case X86_INS_AND: a.n &= operand; break;
    case X86_INS_OR: a.n |= operand; break;
    case X86_INS_XOR: a.n ^= operand; break;
    case X86_INS_SHL: a.n <<= count; break;
    case X86_INS_SHR: a.n = low_bits(a.n, to.size) >> count; break;
    case X86_INS_IMUL: a.n *= operand; break;
    default: return false;
  }
  a.n = low_bits(a.n, to.size);
  return put(to, a);
}

void Walk::set_flags(u64 a, u64 b, unsigned size) {
  flags_ = {true, extended(a, size), extended(b, size), low_bits(a, size), low_bits(b, size), {}, false};
}

bool Walk::compare(const Step& step) {
  const Operand &to = step.operands[0], &from = step.operands[1];
  const bool test = step.id == X86_INS_TEST;
  Value a, b;
  flags_ = {};
  if (!get(to, a) || !get(from, b)) return false;
  if (from.kind == Operand::Kind::Immediate) b.n = extended(b.n, from.size);
  // A register with itself: with zero.
  const bool itself =
      test && to.kind == Operand::Kind::Register && from.kind == to.kind && to.reg == from.reg;
  if (itself) b = Value::constant(0);
  const bool swapped = !test && b.kind == Kind::Content && a.is_constant();
  if (swapped) std::swap(a, b);
  if (a.kind == Kind::Content && b.is_constant() && (!test || itself)) {
    set_flags(0, b.n, a.size);
    flags_.content = a;
    flags_.swapped = swapped;
    return true;
  }
  if (!settle(a) || !settle(b)) return false;
  if (itself) b = a;
  test ? set_flags(a.n & b.n, 0, to.size) : set_flags(a.n, b.n, to.size);
  return true;
}

/// Of what is in memory with something: that it differs is less to rely on than what it is.
std::optional<bool> Walk::equality() {
  Value now = flags_.content;
  const std::size_t before = out_.reads.size();
  if (!settle(now)) return std::nullopt;
  const bool equal = now.n == flags_.ub;
  if (out_.reads.size() != before && !equal) {
    out_.reads.back().value = low_bits(flags_.ub - flags_.content.n, flags_.content.size);
    out_.reads.back().differs = true;
  }
  return equal;
}

std::optional<bool> Walk::condition(unsigned id) {
  if (!flags_.known) return std::nullopt;
  if (flags_.content.kind == Kind::Content) {
    if (id == X86_INS_JE || id == X86_INS_JNE) {
      const std::optional<bool> equal = equality();
      return equal ? std::optional(*equal == (id == X86_INS_JE)) : std::nullopt;
    }
    Value now = flags_.content;
    if (flags_.swapped || !settle(now)) return std::nullopt;
    set_flags(now.n, flags_.ub, flags_.content.size);
  }
  const Flags& f = flags_;
  const i64 a = static_cast<i64>(f.a), b = static_cast<i64>(f.b);
  switch (id) {
    case X86_INS_JE: return f.ua == f.ub;
    case X86_INS_JNE: return f.ua != f.ub;
    case X86_INS_JB: return f.ua < f.ub;
    case X86_INS_JAE: return f.ua >= f.ub;
    case X86_INS_JBE: return f.ua <= f.ub;
    case X86_INS_JA: return f.ua > f.ub;
    case X86_INS_JL: return a < b;
    case X86_INS_JGE: return a >= b;
    case X86_INS_JLE: return a <= b;
    case X86_INS_JG: return a > b;
    default: return std::nullopt;
  }
}

bool Walk::jump(const Step& step, u64 next) {
  if (step.id == X86_INS_JMP || step.id == X86_INS_CALL) {
    Value target;
    if (!get(step.operands[0], target) || !settle(target)) return false;
    if (step.id == X86_INS_CALL && !push(Value::constant(next))) return false;
    pc_ = target.n;
    return true;
  }
  if (step.operands[0].kind != Operand::Kind::Immediate) return false;
  const u64 target = static_cast<u64>(step.operands[0].value);
  const std::optional<bool> taken = condition(step.id);
  if (!taken) return false;
  pc_ = *taken ? target : next;
  return true;
}

bool Walk::execute(const Step& step, u64 next) {
  const Operand &to = step.operands[0], &from = step.operands[1];
  Value value;
  switch (step.id) {
    case X86_INS_NOP: return true;
    case X86_INS_MOV:
    case X86_INS_MOVABS: {
      if (!get(from, value)) return false;
      if (from.kind == Operand::Kind::Immediate) value.n = extended(value.n, from.size);
      return (to.kind == Operand::Kind::Register || value.kind != Kind::Unknown || to.base == kRsp) &&
             put(to, value);
    }
    case X86_INS_MOVZX:
    case X86_INS_MOVSX:
    case X86_INS_MOVSXD:
      if (!get(from, value) || !settle(value)) return value.kind == Kind::Unknown && put(to, Value{});
      if (step.id != X86_INS_MOVZX) value.n = extended(value.n, from.size);
      return put(to, value);
    case X86_INS_LEA: {
      // A sum, perhaps of what a counter holds.
      if (from.base >= 0 && from.index < 0) value = regs_[static_cast<unsigned>(from.base)];
      if (value.kind == Kind::Content && value.size == to.size)
        value.n += static_cast<u64>(from.value);
      else if (!address(from, value))
        value = Value{};
      return put(to, value);
    }
    case X86_INS_PUSH: return get(to, value) && push(value);
    case X86_INS_POP:
      if (!load(regs_[kRsp], 8, value)) return false;
      regs_[kRsp].n += 8;
      return put(to, value);
    case X86_INS_CMP:
    case X86_INS_TEST: return compare(step);
    case X86_INS_RET: return to.kind == Operand::Kind::None && leave();
    case X86_INS_ADD:
    case X86_INS_SUB:
    case X86_INS_INC:
    case X86_INS_DEC:
    case X86_INS_AND:
    case X86_INS_OR:
    case X86_INS_XOR:
    case X86_INS_SHL:
    case X86_INS_SHR:
    case X86_INS_IMUL: return arithmetic(step);
    default: return jump(step, next);
  }
}

bool Walk::push(const Value& value) {
  regs_[kRsp].n -= 8;
  return store(regs_[kRsp], 8, value);
}

/// Back to the caller, which may be the callback's own.
bool Walk::leave() {
  Value& rsp = regs_[kRsp];
  if (rsp.kind != Kind::Stack) return false;
  Value back;
  returned_ = rsp.n == 0;
  if (!returned_ && (!load(rsp, 8, back) || !back.is_constant())) return false;
  rsp.n += 8;
  pc_ = back.n;
  return true;
}

bool Walk::call(const Foresight::Known& known) {
  std::array<u64, std::size(kArguments)> arguments{};
  for (unsigned k = 0; k < known.arguments; ++k) {
    Value& value = regs_[kArguments[k]];
    if (!settle(value)) return false;
    arguments[k] = value.n;
  }
  const std::optional<u64> where = known.where(arguments);
  if (!where) return false;
  const Value at = Value::constant(*where);
  Value value;
  using Does = Foresight::Known::Does;
  switch (known.does) {
    case Does::ReturnsAddress: value = at; break;
    case Does::Sets:
      if (!store(at, 8, Value::constant(arguments[3]))) return false;
      break;
    default:
      if (!load(at, 8, value)) return false;
      value.n += known.does == Does::Adds ? arguments[3] : 0;
      if (known.does == Does::Adds && !store(at, 8, value)) return false;
  }
  flags_ = {};
  for (unsigned k = 0; k < regs_.size(); ++k)
    if (jit::is_caller_saved(static_cast<u8>(k))) regs_[k] = {};
  if (known.does == Does::Returns || known.does == Does::ReturnsAddress) regs_[0] = value;
  return true;
}

bool Walk::finish() {
  for (const auto& [at, value] : written_)
    out_.effects.push_back(
        {reinterpret_cast<u8*>(at), low_bits(value.n, sizes_[at]), sizes_[at], value.is_constant()});
  return true;
}

}  // namespace

bool Foresight::foresee(const void* function, const Arguments& arguments, std::span<const InstrEffect> before,
                        InstrForeseen& out) {
  if (capstone_ == 0) return false;
  return Walk(*this, before, out).run(reinterpret_cast<u64>(function), arguments);
}

}  // namespace hindcast::plugins
