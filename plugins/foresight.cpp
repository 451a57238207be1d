#include "plugins/foresight.h"

#include <capstone/capstone.h>

#include <cstdio>
#include <cstring>

namespace hindcast::plugins {

namespace {

constexpr unsigned kMostSteps = 64;
constexpr std::size_t kLongestInsn = 15;
constexpr std::array<u8, 4> kEndbr64 = {0xf3, 0x0f, 0x1e, 0xfa};

/// A general register's number and size, as encodings count them.
bool general_register(unsigned reg, i8& number, u8& size) {
  static constexpr unsigned k64[] = {
      X86_REG_RAX, X86_REG_RCX, X86_REG_RDX, X86_REG_RBX, X86_REG_RSP, X86_REG_RBP, X86_REG_RSI, X86_REG_RDI,
      X86_REG_R8,  X86_REG_R9,  X86_REG_R10, X86_REG_R11, X86_REG_R12, X86_REG_R13, X86_REG_R14, X86_REG_R15};
  static constexpr unsigned k32[] = {X86_REG_EAX,  X86_REG_ECX,  X86_REG_EDX,  X86_REG_EBX,
                                     X86_REG_ESP,  X86_REG_EBP,  X86_REG_ESI,  X86_REG_EDI,
                                     X86_REG_R8D,  X86_REG_R9D,  X86_REG_R10D, X86_REG_R11D,
                                     X86_REG_R12D, X86_REG_R13D, X86_REG_R14D, X86_REG_R15D};
  static constexpr unsigned k8[] = {X86_REG_AL,   X86_REG_CL,   X86_REG_DL,   X86_REG_BL,
                                    X86_REG_SPL,  X86_REG_BPL,  X86_REG_SIL,  X86_REG_DIL,
                                    X86_REG_R8B,  X86_REG_R9B,  X86_REG_R10B, X86_REG_R11B,
                                    X86_REG_R12B, X86_REG_R13B, X86_REG_R14B, X86_REG_R15B};
  for (i8 k = 0; k < 16; ++k) {
    const unsigned at = static_cast<unsigned>(k);
    if (reg != k64[at] && reg != k32[at] && reg != k8[at]) continue;
    number = k;
    size = reg == k64[at] ? 8 : reg == k32[at] ? 4 : 1;
    return true;
  }
  return false;
}

bool read_operand(const cs_x86_op& from, u64 next, Foresight::Operand& out) {
  using Kind = Foresight::Operand::Kind;
  out.size = from.size;
  u8 size = 0;
  switch (from.type) {
    case X86_OP_REG: out.kind = Kind::Register; return general_register(from.reg, out.reg, size);
    case X86_OP_IMM:
      out.kind = Kind::Immediate;
      out.value = from.imm;
      return true;
    case X86_OP_MEM:
      out.kind = Kind::Memory;
      out.value = from.mem.disp;
      out.scale = static_cast<u8>(from.mem.scale);
      if (from.mem.segment != X86_REG_INVALID) return false;
      if (from.mem.base == X86_REG_RIP)
        out.value += static_cast<i64>(next);
      else if (from.mem.base != X86_REG_INVALID &&
               (!general_register(from.mem.base, out.base, size) || size != 8))
        return false;
      return from.mem.index == X86_REG_INVALID ||
             (general_register(from.mem.index, out.index, size) && size == 8);
    default: return false;
  }
}

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
  bool finish();

  Foresight& reader_;
  std::span<const InstrEffect> before_;
  InstrForeseen& out_;
  std::array<Value, 16> regs_;
  std::map<u64, Value> stack_;    // by offset; 8 bytes each
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
  constexpr unsigned kPlaces[] = {7, 6, 2, 1};  // rdi rsi rdx rcx
  for (std::size_t k = 0; k < arguments.size(); ++k)
    if (arguments[k]) regs_[kPlaces[k]] = Value::constant(*arguments[k]);
  regs_[kRsp] = {Kind::Stack, 0, 0, 8};
  pc_ = at;
  for (unsigned n = 0; n < kMostSteps && !returned_; ++n) {
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
  if (memory == Foresight::Memory::Variable)
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
    const auto it = stack_.find(at.n);
    if (size != 8 || it == stack_.end()) return false;
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
    if (size != 8 || static_cast<i64>(at.n) >= 0) return false;
    stack_[at.n] = value;
    return true;
  }
  if (reader_.memory(at.n, size) != Foresight::Memory::Variable) return false;
  const bool own = value.kind == Kind::Content && value.at == at.n && value.size == size;
  if (!own && !settle(value)) return false;
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
  if (step.operands[0].kind != Operand::Kind::Immediate) return false;
  const u64 target = static_cast<u64>(step.operands[0].value);
  if (step.id == X86_INS_JMP) {
    pc_ = target;
    return true;
  }
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
    case X86_INS_PUSH:
      if (!get(to, value)) return false;
      regs_[kRsp].n -= 8;
      return store(regs_[kRsp], 8, value);
    case X86_INS_POP:
      if (!load(regs_[kRsp], 8, value)) return false;
      regs_[kRsp].n += 8;
      return put(to, value);
    case X86_INS_CMP:
    case X86_INS_TEST: return compare(step);
    case X86_INS_RET:
      returned_ = true;
      return to.kind == Operand::Kind::None && regs_[kRsp].kind == Kind::Stack && regs_[kRsp].n == 0;
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

bool Walk::finish() {
  for (const auto& [at, value] : written_)
    out_.effects.push_back(
        {reinterpret_cast<u8*>(at), low_bits(value.n, sizes_[at]), sizes_[at], value.is_constant()});
  return true;
}

}  // namespace

Foresight::Foresight(std::function<bool(const void*)> is_code) : is_code_(std::move(is_code)) {
  if (cs_open(CS_ARCH_X86, CS_MODE_64, &capstone_) != CS_ERR_OK)
    capstone_ = 0;
  else
    cs_option(capstone_, CS_OPT_DETAIL, CS_OPT_ON);
}

Foresight::~Foresight() {
  if (capstone_ != 0) cs_close(&capstone_);
}

const Foresight::Step& Foresight::step(u64 at) {
  const auto [it, inserted] = steps_.try_emplace(at);
  Step& out = it->second;
  if (!inserted || capstone_ == 0) return out;
  const u8* code = reinterpret_cast<const u8*>(at);
  // All of the longest instruction, or as much as there is.
  std::size_t size = 0;
  while (size < kLongestInsn && is_code_(code + size)) ++size;
  if (size >= kEndbr64.size() && std::memcmp(code, kEndbr64.data(), kEndbr64.size()) == 0) {
    out.id = X86_INS_NOP;
    out.length = kEndbr64.size();
    return out;
  }
  cs_insn* insn = cs_malloc(capstone_);
  u64 address = at;
  if (cs_disasm_iter(capstone_, &code, &size, &address, insn)) {
    const cs_x86& x86 = insn->detail->x86;
    const bool locked = x86.prefix[0] == X86_PREFIX_LOCK || x86.prefix[0] == X86_PREFIX_REP;
    bool understood = insn->id == X86_INS_NOP || insn->id == X86_INS_RET ||
                      (!locked && x86.op_count <= out.operands.size());
    for (u8 k = 0; understood && insn->id != X86_INS_NOP && k < x86.op_count; ++k)
      understood = read_operand(x86.operands[k], address, out.operands[k]);
    out.length = static_cast<u8>(insn->size);
    if (understood) out.id = insn->id;
  }
  cs_free(insn, 1);
  return out;
}

void Foresight::read_maps() {
  maps_.clear();
  std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen("/proc/self/maps", "re"), std::fclose);
  if (!file) return;
  char line[512];
  while (std::fgets(line, sizeof line, file.get()) != nullptr) {
    unsigned long long begin = 0, end = 0;
    char access[8] = {};
    // What is shared with another process may change at any time.
    if (std::sscanf(line, "%llx-%llx %7s", &begin, &end, access) == 3 && access[0] == 'r' && access[3] == 'p')
      maps_.push_back({begin, end, access[1] == 'w'});
  }
}

const Foresight::Range* Foresight::mapped(u64 at, unsigned size) const {
  for (const Range& range : maps_)
    if (at >= range.begin && at < range.end && size <= range.end - at) return &range;
  return nullptr;
}

Foresight::Memory Foresight::memory(u64 at, unsigned size) {
  const Range* range = mapped(at, size);
  if (range == nullptr) {
    read_maps();
    range = mapped(at, size);
  }
  if (range == nullptr) return Memory::None;
  return range->writable ? Memory::Variable : Memory::Constant;
}

bool Foresight::foresee(const void* function, const Arguments& arguments, std::span<const InstrEffect> before,
                        InstrForeseen& out) {
  if (capstone_ == 0) return false;
  return Walk(*this, before, out).run(reinterpret_cast<u64>(function), arguments);
}

}  // namespace hindcast::plugins
