// Random IR units in the JIT and in the interpreter.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstring>

#include "engine/ir/interp.h"
#include "engine/jit/jit.h"
#include "engine/machine.h"
#include "tests/engine/random_unit.h"

namespace hindcast::test {
namespace {

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
    RandomUnit generator(both.arch(), random, context, random.chance(40));
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
