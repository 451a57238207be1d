// Random IR units in the JIT and in the interpreter: every Pure and Fp op, every type, more values alive than
// there are registers, memory accesses that succeed and that do not, helpers, control flow inside
// instructions.
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstdio>
#include <cstring>

#include "engine/helpers.h"
#include "engine/ir/eval.h"
#include "engine/ir/interp.h"
#include "engine/jit/jit.h"
#include "engine/machine.h"
#include "tests/ir/fake_arch.h"

namespace hindcast::test {
namespace {

using ir::Op;
using ir::Round;
using ir::Type;
using ir::Value;

constexpr GuestAddr kRamBase = 0x10000, kRamBytes = 0x2000;
constexpr i64 kBudget = 1000;

u64 mix(u64 a, u64 b, u64 c) { return (a ^ b >> 3) * 31 + c; }
/// Reads and writes registers behind the code's back; computes like the host whatever the guest's rounding.
u64 stir(Vcpu& vcpu, u64 a, u64 b, u64 c) {
  auto& r = vcpu.state<FakeState>().r;
  const u64 old = r.x[1] + r.w[1] + r.d[0];
  r.x[1] += a, r.w[1] ^= static_cast<u32>(b), r.d[0] ^= c;
  const volatile double one = 1, minus_three = -3;
  r.x[2] += std::bit_cast<u64>(one / minus_three);
  return old ^ static_cast<u64>(vcpu.header().budget) ^ vcpu.pc();
}
u64 raise_sometimes(Vcpu& vcpu, u64 a, u64 b, u64) {
  if (a % 4 == 0) vcpu.raise({a, b});
  return a;
}
const u32 kMix = register_pure_helper("ir_differential.mix", mix),
          kStir = register_helper("ir_differential.stir", stir),
          kRaise = register_helper("ir_differential.raise", raise_sometimes);

/// The fake architecture with some registers of each kind in host registers.
class PinnedArch final : public FakeArch {
 public:
  PinnedArch() {
    const auto rows = FakeArch::registers();
    rows_.assign(rows.begin(), rows.end());
    u8 order = 1;
    for (const unsigned row :
         {kX0 + 0, kX0 + 1, kX0 + 2, kX0 + 3, kX0 + 4, kW0 + 0, kW0 + 1, kD0 + 0, kD0 + 1, kD0 + 2})
      rows_[row].pin_order = order++;
  }
  std::span<const RegisterRow> registers() const override { return rows_; }

  /// By bits 4 and 5: a default NaN; NaNs propagate; and tiny before rounding; and subnormal numbers flushed.
  static constexpr unsigned kRules = 4;
  ir::FpRules fp_rules(u64 context) const override {
    const u64 number = context >> 4 & 3;
    if (number == 0) return {.default_nan32 = 0xffc00001, .default_nan64 = 0x7ff9000000000000};
    return {.nan = ir::FpRules::Nan::SignalingFirst,
            .signaling_min_max = true,
            .nan_to_zero = true,
            .tiny_before_rounding = number >= 2,
            .flush_to_zero = number == 3};
  }

 private:
  std::vector<RegisterRow> rows_;
};

MachineOptions interpreted() {
  MachineOptions options;
  options.engine.jit = false;
  return options;
}

class Differential {
 public:
  explicit Differential(const std::vector<std::string>& features_off)
      : plain_(arch_, interpreted(), 64), machine_(arch_, with(features_off), 64) {
    for (Machine* m : {&plain_, &machine_}) {
      m->memory().add_ram("ram", kRamBase, kRamBytes);
      m->finish();
    }
    jit_ = std::make_unique<jit::Jit>(machine_);
    jit_->on_clear([this] {
      for (auto& context : contexts_) context.blocks.clear();
    });
    for (unsigned i = 0; i < kContexts; ++i) {
      const unsigned mode = i % 5;
      jit::Context& context = contexts_[i];
      context.value = mode << 8 | i / 5 << 4;
      context.rounding = static_cast<Round>(mode);
      context.fp_rules = arch_.fp_rules(context.value);
      constexpr u32 kControl[] = {0, 3, 1, 2, 0};
      context.mxcsr = 0x1f80 | kControl[mode] << 13;
    }
  }

  /// False: not compiled. Otherwise both have run and `text` says what differs.
  bool run(const ir::Unit& unit, Random& random, std::string& text) {
    jit::Context& context = contexts_[(unit.context >> 8) + 5 * (unit.context >> 4 & 3)];
    const u32 block = jit_->compile(context, unit, {});
    if (block == jit::Jit::kNone) return false;
    for (int times = 0; times < 2; ++times) {
      prepare(random);
      const jit::Exit exit = jit_->enter(machine_.vcpu(0), context, block);
      CpuHeader& header = machine_.vcpu(0).header();
      GuestFault fault;
      bool raised = false;
      switch (exit.kind) {
        case jit::ExitKind::Link: header.pc = jit_->link_at(exit.index).target; break;
        case jit::ExitKind::Fault: raised = true; [[fallthrough]];
        case jit::ExitKind::Site:
        case jit::ExitKind::Boundary:
          header.pc = jit_->site(exit.index).pc;
          header.budget += jit_->site(exit.index).rest;
          break;
        default: break;
      }
      if (raised && !machine_.vcpu(0).take_fault(fault)) text += "a fault without its cause\n";
      // An access that is the interpreter's stops before its instruction: so must the other side.
      const u64 executed = static_cast<u64>(kBudget - header.budget);
      ++exits_[static_cast<unsigned>(exit.kind)];
      if (exit.kind != jit::ExitKind::Site || executed != 0) {
        const u32 most = exit.kind == jit::ExitKind::Site ? static_cast<u32>(executed) : 1000;
        const ir::InterpExit want = interpreter_.run(unit, plain_.vcpu(0), plain_.memory(), most);
        if (raised != (want.kind == ir::InterpExit::Kind::Fault)) text += "only one has faulted\n";
        if (raised && (fault.cause != want.fault.cause || fault.value != want.fault.value))
          text += "another fault\n";
      } else {
        plain_.vcpu(0).set_pc(unit.pc);
      }
      compare(text);
      if (!text.empty()) {
        text += "exit kind " + std::to_string(static_cast<unsigned>(exit.kind)) + " after " +
                std::to_string(executed) + "\n" + ir::print(unit);
        break;
      }
    }
    jit_->kill(block);
    return true;
  }
  u64 exits(jit::ExitKind kind) const { return exits_[static_cast<unsigned>(kind)]; }
  const PinnedArch& arch() const { return arch_; }

 private:
  static MachineOptions with(const std::vector<std::string>& off) {
    MachineOptions options = interpreted();
    options.engine.code_cache_bytes = 1u << 20;
    options.engine.host_features_off = off;
    return options;
  }

  static u64 float_bits(Random& random) {
    static constexpr u64 kDoubles[] = {0,
                                       u64{1} << 63,
                                       0x3ff0000000000000,
                                       0xbff0000000000000,
                                       0x7ff0000000000000,
                                       0xfff0000000000000,
                                       0x7ff8000000000000,
                                       0x7ff0000000000001,
                                       0x0000000000000001,
                                       0x7fefffffffffffff,
                                       0x0010000000000000,
                                       0x43e0000000000000,
                                       0x41dfffffffc00000,
                                       0x36a0000000000000,
                                       0x47efffffe0000000};
    static constexpr u32 kFloats[] = {0,          0x80000000, 0x3f800000, 0xbf800000, 0x7f800000,
                                      0xff800000, 0x7fc00000, 0x7f800001, 0x00000001, 0x7f7fffff,
                                      0x00800000, 0x4f000000, 0x5f000000, 0xffc12345};
    switch (random.below(5)) {
      case 0: return kDoubles[random.below(std::size(kDoubles))];
      case 1: return ~u64{0} << 32 | kFloats[random.below(std::size(kFloats))];
      case 2: return ~u64{0} << 32 | (random.next() & 0x807fffff) | (100 + random.below(60)) << 23;
      case 3: return (random.next() & 0x800fffffffffffff) | (1000 + random.below(60)) << 52;
      default: return random.next();
    }
  }

  void prepare(Random& random) {
    FakeRegisters r = {};
    for (u64& x : r.x) x = random.chance(30) ? kRamBase + random.below(kRamBytes) : random.edge();
    for (u32& w : r.w) w = static_cast<u32>(random.edge());
    for (u16& h : r.h) h = static_cast<u16>(random.edge());
    for (u8& b : r.b) b = static_cast<u8>(random.edge());
    for (u64& d : r.d) d = float_bits(random);
    for (u32& s : r.s) s = static_cast<u32>(float_bits(random));
    Bytes ram(kRamBytes);
    for (u8& byte : ram) byte = static_cast<u8>(random.next());
    const u32 flags = static_cast<u32>(random.below(32)) & 0x3d;
    for (Machine* m : {&plain_, &machine_}) {
      m->memory().host_write(kRamBase, ram.data(), ram.size());
      auto& state = m->vcpu(0).state<FakeState>();
      state.r = r;
      state.budget = kBudget;
      state.exit_request = 0;
      state.fp_flags = flags;
      state.pc = 0;
    }
  }

  void compare(std::string& text) {
    const auto &got = machine_.vcpu(0).state<FakeState>(), &want = plain_.vcpu(0).state<FakeState>();
    const auto check = [&](const std::string& what, u64 a, u64 b) {
      if (a == b) return;
      char line[120];
      std::snprintf(line, sizeof line, "%s: %llx, not %llx\n", what.c_str(),
                    static_cast<unsigned long long>(a), static_cast<unsigned long long>(b));
      text += line;
    };
    check("pc", got.pc, want.pc);
    check("budget", static_cast<u64>(got.budget), static_cast<u64>(want.budget));
    check("flags", got.fp_flags, want.fp_flags);
    for (unsigned i = 0; i < 8; ++i) check("x" + std::to_string(i), got.r.x[i], want.r.x[i]);
    for (unsigned i = 0; i < 4; ++i) check("w" + std::to_string(i), got.r.w[i], want.r.w[i]);
    for (unsigned i = 0; i < 2; ++i) check("h" + std::to_string(i), got.r.h[i], want.r.h[i]);
    for (unsigned i = 0; i < 2; ++i) check("b" + std::to_string(i), got.r.b[i], want.r.b[i]);
    for (unsigned i = 0; i < 4; ++i) check("d" + std::to_string(i), got.r.d[i], want.r.d[i]);
    for (unsigned i = 0; i < 2; ++i) check("s" + std::to_string(i), got.r.s[i], want.r.s[i]);
    if (std::memcmp(machine_.memory().peek(kRamBase, kRamBytes), plain_.memory().peek(kRamBase, kRamBytes),
                    kRamBytes) != 0)
      text += "RAM differs\n";
  }

  PinnedArch arch_;
  Machine plain_, machine_;
  std::unique_ptr<jit::Jit> jit_;
  ir::Interpreter interpreter_;
  static constexpr unsigned kContexts = 5 * PinnedArch::kRules;
  jit::Context contexts_[kContexts];
  u64 exits_[8] = {};
};

/// Writes a random unit. `ops` counts what it used.
class Generator {
 public:
  Generator(const Architecture& arch, Random& random, u64 context, bool narrow)
      : random_(random), b_(arch, 0x1000, context), narrow_(narrow) {}

  ir::Unit unit() {
    const unsigned insns = 1 + static_cast<unsigned>(random_.below(4));
    for (unsigned n = 0; n < insns; ++n) {
      b_.insn_start(0x1000 + 4 * n, 4);
      instruction();
    }
    switch (random_.below(4)) {
      case 0: b_.goto_pc(0x5000); break;
      case 1: b_.branch_pc(pick(Type::I1), 0x5000, 0x1000 + 4 * insns); break;
      case 2: b_.jump_indirect(pick(Type::I64)); break;
      default: b_.exit_dispatch(pick(Type::I64)); break;
    }
    return b_.take();
  }

 private:
  static constexpr Type kIntegers[] = {Type::I64, Type::I32, Type::I16, Type::I8};

  Type integer() { return kIntegers[random_.below(narrow_ ? 4 : 2)]; }
  Type floating() { return random_.chance(50) ? Type::F64 : Type::F32; }
  Type word() { return random_.chance(50) ? Type::I64 : Type::I32; }
  Round round() { return random_.chance(40) ? Round::Dynamic : static_cast<Round>(random_.below(5)); }

  void keep(Value v) { pool_[static_cast<unsigned>(b_.type(v))].push_back(v); }

  Value pick(Type t) {
    auto& pool = pool_[static_cast<unsigned>(t)];
    if (!pool.empty() && random_.chance(80)) return pool[random_.below(pool.size())];
    const Value v = leaf(t);
    pool.push_back(v);
    return v;
  }

  Value leaf(Type t) {
    switch (t) {
      case Type::I1: return b_.compare(Op::CmpLtU, pick(Type::I64), pick(Type::I64));
      case Type::F64: return b_.get(kD0 + static_cast<unsigned>(random_.below(4)));
      case Type::F32:
        // No register is an F32 (arch.h): they are halves of F64s.
        return b_.unary(Op::NanUnbox, pick(Type::F64));
      default: break;
    }
    if (random_.chance(25)) return b_.konst(t, ir::truncate(t, random_.edge()));
    switch (t) {
      case Type::I64: return b_.get(kX0 + static_cast<unsigned>(random_.below(8)));
      case Type::I32: return b_.get(kW0 + static_cast<unsigned>(random_.below(4)));
      case Type::I16: return narrow_ ? b_.get(kH0 + static_cast<unsigned>(random_.below(2))) : b_.konst(t, 3);
      default: return narrow_ ? b_.get(kB0 + static_cast<unsigned>(random_.below(2))) : b_.konst(t, 3);
    }
  }

  Value pure() {
    static constexpr Op kBinary[] = {Op::Add,  Op::Sub,  Op::Mul,  Op::MulHiS, Op::MulHiU, Op::MulHiSU,
                                     Op::DivS, Op::DivU, Op::RemS, Op::RemU,   Op::And,    Op::Or,
                                     Op::Xor,  Op::Shl,  Op::Shr,  Op::Sar,    Op::Rotl,   Op::Rotr};
    static constexpr Op kUnary[] = {Op::Clz, Op::Ctz, Op::Popcnt, Op::Bswap};
    static constexpr Op kCompare[] = {Op::CmpEq, Op::CmpNe, Op::CmpLtS, Op::CmpLtU, Op::CmpGeS, Op::CmpGeU};
    static constexpr Op kLogic[] = {Op::And, Op::Or, Op::Xor};
    const Type t = integer();
    switch (random_.below(13)) {
      case 0: {
        const Op op = kUnary[random_.below(std::size(kUnary))];
        return b_.unary(op, pick(op == Op::Bswap && t == Type::I8 ? Type::I32 : t));
      }
      case 1: return b_.compare(kCompare[random_.below(std::size(kCompare))], pick(t), pick(t));
      case 2: return b_.select(pick(Type::I1), pick(t), pick(t));
      case 3: return b_.binary(kLogic[random_.below(3)], pick(Type::I1), pick(Type::I1));
      case 4:
        return random_.chance(50) ? b_.zext(Type::I64, pick(Type::I32)) : b_.sext(Type::I64, pick(Type::I32));
      case 5: {
        const Type from = random_.chance(30)              ? Type::I1
                          : narrow_ && random_.chance(50) ? Type::I8
                                                          : Type::I32;
        const Type to = random_.chance(50) ? Type::I64 : Type::I32;
        return random_.chance(50) ? b_.zext(to, pick(from)) : b_.sext(to, pick(from));
      }
      case 6:
        return b_.trunc(random_.chance(20) ? Type::I1 : narrow_ ? Type::I16 : Type::I32, pick(Type::I64));
      case 7:
        switch (random_.below(4)) {
          case 0: return b_.bitcast(Type::F64, pick(Type::I64));
          case 1: return b_.bitcast(Type::F32, pick(Type::I32));
          case 2: return b_.bitcast(Type::I64, pick(Type::F64));
          default: return b_.bitcast(Type::I32, pick(Type::F32));
        }
      case 8: return b_.unary(Op::NanBox, pick(Type::F32));
      case 9: {
        const Value other = pick(t);
        const Value flipped = b_.binary(Op::Xor, pick(t), b_.konst(t, ir::truncate(t, ~u64{0})));
        if (random_.chance(20)) keep(flipped);
        return random_.chance(50) ? b_.binary(Op::And, flipped, other) : b_.binary(Op::And, other, flipped);
      }
      default: return b_.binary(kBinary[random_.below(std::size(kBinary))], pick(t), pick(t));
    }
  }

  Value fp() {
    static constexpr Op kBinary[] = {Op::FAdd, Op::FSub, Op::FMul, Op::FDiv, Op::FMin, Op::FMax};
    static constexpr Op kCompare[] = {Op::FCmpEq, Op::FCmpLt, Op::FCmpLe};
    const Type t = floating();
    switch (random_.below(10)) {
      case 0: return b_.fp(Op::FSqrt, t, round(), pick(t));
      case 1:
      case 2:
        return b_.fp(Op::FMulAdd, t, round(), pick(t), pick(t), pick(t), static_cast<u8>(random_.below(4)));
      case 3: return b_.fp(kCompare[random_.below(3)], t, Round::NearestEven, pick(t), pick(t));
      case 4: return b_.fp(Op::FConvert, t == Type::F64 ? Type::F32 : Type::F64, round(), pick(t));
      case 5: return b_.fp(random_.chance(50) ? Op::FToS : Op::FToU, word(), round(), pick(t));
      case 6: return b_.fp(random_.chance(50) ? Op::SToF : Op::UToF, t, round(), pick(word()));
      default: return b_.fp(kBinary[random_.below(std::size(kBinary))], t, round(), pick(t), pick(t));
    }
  }

  Value address() {
    if (random_.chance(4)) return pick(Type::I64);  // wherever that is
    return b_.add(b_.band(pick(Type::I64), b_.i64(kRamBytes - 1)), b_.i64(kRamBase - random_.below(9)));
  }

  ir::MemAttr attributes() {
    ir::MemAttr attr;
    attr.offset = static_cast<i32>(random_.below(20)) - 6;
    attr.must_align = random_.chance(6);
    return attr;
  }
  Type access_type() { return random_.chance(25) ? floating() : kIntegers[random_.below(4)]; }

  void load() {
    const Type t = access_type();
    const Value v = b_.load(t, address(), attributes());
    if (ir::is_float(t) || t == Type::I64)
      keep(v);
    else
      keep(random_.chance(50) ? b_.sext(Type::I64, v) : b_.zext(Type::I64, v));
  }
  void store() {
    const Type t = access_type();
    Value v = ir::kNoValue;
    if (ir::is_float(t))
      v = pick(t);
    else
      v = random_.chance(50) ? b_.trunc(t, pick(Type::I64)) : b_.konst(t, ir::truncate(t, random_.edge()));
    b_.store(address(), v, attributes());
  }

  void set_some() {
    for (u64 n = random_.below(5); n-- > 0;) {
      switch (random_.below(narrow_ ? 6 : 5)) {
        case 0:
        case 1: b_.set(kX0 + static_cast<unsigned>(random_.below(8)), pick(Type::I64)); break;
        case 2: b_.set(kW0 + static_cast<unsigned>(random_.below(4)), pick(Type::I32)); break;
        case 3: b_.set(kD0 + static_cast<unsigned>(random_.below(4)), pick(Type::F64)); break;
        case 4:
          b_.set(kD0 + static_cast<unsigned>(random_.below(4)), b_.unary(Op::NanBox, pick(Type::F32)));
          break;
        default:
          b_.set(kH0 + static_cast<unsigned>(random_.below(2)), pick(Type::I16));
          b_.set(kB0 + static_cast<unsigned>(random_.below(2)), pick(Type::I8));
          break;
      }
    }
  }

  void instruction() {
    // An access that is handed to the interpreter is done again from the instruction's start: what may fault
    // comes before all that changes something, floating-point flags included.
    const u64 before = random_.below(6), after = random_.below(10);
    for (u64 n = 0; n < before; ++n) {
      if (random_.chance(30))
        load();
      else if (random_.chance(8))
        keep(b_.call_pure(kMix, pick(Type::I64), pick(Type::I64), pick(Type::I64)));
      else
        keep(pure());
    }
    if (random_.chance(30)) {
      store();
    } else if (random_.chance(12)) {
      const u32 callee = random_.chance(50) ? kStir : kRaise;
      keep(b_.call(callee, pick(Type::I64), pick(Type::I64), pick(Type::I64)));
    }
    for (u64 n = 0; n < after; ++n) keep(random_.chance(60) ? pure() : fp());
    if (random_.chance(15)) {
      // Both arms set registers; what they computed is not used after them.
      const u32 yes = b_.new_block(), no = b_.new_block(), join = b_.new_block();
      b_.branch(pick(Type::I1), yes, no);
      const auto dominating = pool_;
      for (const u32 arm : {yes, no}) {
        b_.begin_block(arm);
        pool_ = dominating;
        for (u64 n = random_.below(4); n-- > 0;) keep(pure());
        set_some();
        b_.jump(join);
      }
      b_.begin_block(join);
      pool_ = dominating;
    }
    set_some();
    if (random_.chance(8)) b_.set(kX0 + 5, b_.zext(Type::I64, b_.fp_get_flags()));
    if (random_.chance(5)) b_.fp_set_flags(b_.band(pick(Type::I32), b_.i32(0x3d)));
    // Some values live on into the next instruction, as folding leaves them; most do not.
    if (random_.chance(70))
      for (auto& pool : pool_) pool.clear();
  }

  Random& random_;
  ir::Builder b_;
  bool narrow_;
  std::array<std::vector<Value>, 8> pool_;  // by type
};

struct Variant {
  const char* name;
  std::vector<std::string> off;
};
void PrintTo(const Variant& v, std::ostream* out) { *out << v.name; }

class IrDifferential : public testing::TestWithParam<Variant> {};

TEST_P(IrDifferential, RandomUnits) {
  Differential both(GetParam().off);
  constexpr int kUnits = 5000;
  int compiled = 0, wrong = 0;
  for (u64 seed = 1; seed <= kUnits; ++seed) {
    Random random(seed);
    const u64 context = random.below(5) << 8 | random.below(PinnedArch::kRules) << 4;
    Generator generator(both.arch(), random, context, random.chance(40));
    const ir::Unit unit = generator.unit();
    ASSERT_EQ(ir::verify(unit), "") << "seed " << seed << "\n" << ir::print(unit);
    std::string text;
    if (both.run(unit, random, text)) ++compiled;
    if (!text.empty()) {
      ADD_FAILURE() << "seed " << seed << ": " << text;
      if (++wrong == 3) break;
    }
  }
  std::printf(
      "%s: %d of %d units were compiled; exits: %llu to a known pc, %llu to a computed one, %llu to the "
      "interpreter, %llu faults\n",
      GetParam().name, compiled, kUnits, static_cast<unsigned long long>(both.exits(jit::ExitKind::Link)),
      static_cast<unsigned long long>(both.exits(jit::ExitKind::Indirect)),
      static_cast<unsigned long long>(both.exits(jit::ExitKind::Site)),
      static_cast<unsigned long long>(both.exits(jit::ExitKind::Fault)));
  if (GetParam().off.empty() && wrong == 0) {
    EXPECT_GT(compiled, kUnits * 6 / 10);
    EXPECT_GT(both.exits(jit::ExitKind::Link), 100u);
    EXPECT_GT(both.exits(jit::ExitKind::Site), 100u);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Hosts, IrDifferential,
    testing::Values(Variant{"all", {}}, Variant{"no_avx512", {"avx512"}},
                    Variant{"no_fma", {"fma", "avx512"}},
                    Variant{"no_bmi", {"bmi1", "bmi2", "lzcnt", "popcnt"}},
                    Variant{"none", {"avx", "avx512", "bmi1", "bmi2", "fma", "lzcnt", "popcnt", "fsgsbase"}}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace hindcast::test
