// An observer sees the same in every engine, however the run is cut up, and the guest does not see it.
#include "engine/instrument.h"

#include <cstring>

#include "engine/instrument_ops.h"
#include "tests/engine/programs.h"

namespace hindcast::test {
namespace {

constexpr unsigned kVcpus = 2;

/// What an observer hangs on everything.
enum class Style : u8 {
  Callbacks,    // a call for each block, instruction and access
  Counters,     // additions
  Conditional,  // additions, and a call whenever a counter has reached a bound, which resets it
  Mixed,        // calls for some instructions and loads only, counters for the rest
  Foreseen,     // calls whose effects are known, as long as something does not change that changes at times
  Sequence,     // calls of which each does what depends on the one before
};

class Observer final : public Instrumentation {
 public:
  Observer(Machine& machine, Style style) : machine_(machine), style_(style), memory_(4096) {
    log_.reserve(1 << 20);
  }

  void translated(Vcpu& vcpu, InstrBlock& block) override {
    note(1, vcpu.index(), block.pc, block.insns.size());
    const bool calls = style_ == Style::Callbacks;
    if (style_ == Style::Foreseen || style_ == Style::Sequence) return hang_foreseen(block);
    block.entry.push_back(calls ? call(on_entry, block.pc) : add(0, 1));
    if (style_ == Style::Conditional) {
      block.entry.push_back(call(on_bound, block.pc));
      block.entry.back().when = InstrOp::When::NotBelow;
      block.entry.back().counter = counter(1);
      block.entry.back().imm = 100;
    }
    for (std::size_t k = 0; k < block.insns.size(); ++k) {
      InstrInsn& insn = block.insns[k];
      insn.exec.push_back(calls || (style_ == Style::Mixed && insn.pc % 32 == 0) ? call(on_insn, insn.pc)
                                                                                 : add(1, 1));
      if (style_ == Style::Mixed && k % 3 == 0) insn.exec.push_back(store(3, insn.pc));
      insn.access.push_back(calls || style_ == Style::Mixed ? call_access(insn.pc) : add(2, 1));
      insn.access.back().on_load = true;
      insn.access.back().on_store = style_ != Style::Mixed;
    }
  }
  void discontinuity(Vcpu& vcpu, Discontinuity kind, GuestAddr from, GuestAddr to) override {
    note(2 + static_cast<u64>(kind) * 16, vcpu.index(), from, to);
    if (style_ != Style::Foreseen && style_ != Style::Sequence) return;
    note(10, value(0, 0), value(1, 0), value(3, 0) ^ value(2, 0) << 32);
    if (++discontinuities_ % 5 == 0) ++mode_;
  }
  bool foresee(const InstrOp& op, unsigned vcpu, u32 access, std::span<const InstrEffect> before,
               InstrForeseen& out) override {
    if (op.exec == on_mode) {
      out.effects.push_back(effect_of_mode(*static_cast<Data*>(op.data), vcpu));
      out.reads.push_back({reinterpret_cast<const u8*>(&mode_), mode_, 8});
      return true;
    }
    if (op.exec == on_next) {
      u64 last = value(4, vcpu);
      for (const InstrEffect& effect : before)
        if (effect.at == counter(4).of(vcpu)) last = effect.amount;
      const bool odd = last == 1;
      out.effects = {{counter(1).of(vcpu), odd ? u64{1} << 32 : 1, 8, false},
                     {counter(4).of(vcpu), odd ? 0u : 1u, 8, true}};
      if (before.empty()) out.reads.push_back({counter(4).of(vcpu), 1, 8, !odd});
      return true;
    }
    if (op.access == on_counted_access) out.effects.push_back(effect_of_access(vcpu, access));
    return op.access == on_counted_access;
  }
  void idle(Vcpu& vcpu) override { note(6, vcpu.index(), vcpu.pc(), 0); }
  void resumed(Vcpu& vcpu) override { note(7, vcpu.index(), vcpu.pc(), 0); }
  void forgotten() override { note(9, 0, 0, 0); }

  u64 value(unsigned counter_index, unsigned vcpu) const {
    u64 v;
    std::memcpy(&v, memory_.data() + counter_index * 8 + vcpu * 64, 8);
    return v;
  }
  const std::vector<u64>& log() const { return log_; }
  std::vector<u64> counters() const {
    std::vector<u64> all;
    for (unsigned v = 0; v < kVcpus; ++v)
      for (unsigned c = 0; c < 5; ++c) all.push_back(value(c, v));
    return all;
  }

 private:
  struct Data {
    Observer* self;
    GuestAddr pc;
  };
  InstrCounter counter(unsigned index) const { return {memory_.data() + index * 8, 64}; }
  InstrOp add(unsigned index, u64 amount) {
    InstrOp op;
    op.counter = counter(index);
    op.imm = amount;
    return op;
  }
  InstrOp store(unsigned index, u64 amount) {
    InstrOp op = add(index, amount);
    op.kind = InstrOp::Kind::Store;
    return op;
  }
  InstrOp call(InstrOp::ExecFn fn, GuestAddr pc) {
    InstrOp op;
    op.kind = InstrOp::Kind::Call;
    op.exec = fn;
    op.data = datas_.emplace_back(std::make_unique<Data>(Data{this, pc})).get();
    return op;
  }
  InstrOp call_access(GuestAddr pc) {
    InstrOp op = call(nullptr, pc);
    op.access = on_access;
    op.wants_value = true;
    return op;
  }
  void note(u64 kind, u64 vcpu, u64 a, u64 b) { log_.insert(log_.end(), {kind, vcpu, a, b}); }
  /// The registers, as a callback may read them.
  u64 registers(unsigned index) {
    Vcpu& vcpu = machine_.vcpu(index);
    machine_.settle_callback();
    u64 sum = vcpu.icount();
    for (unsigned row = 0; row < machine_.arch().registers().size(); ++row)
      sum = sum * 31 + machine_.arch().read_register(vcpu, row);
    return sum;
  }
  /// As a callback's own arithmetic would.
  static void disturb_floats() {
    volatile double a = 1.0, b = 3.0, zero = 0.0;
    volatile double c = a / b + a / zero;
    (void)c;
  }
  static void on_entry(unsigned vcpu, void* data) {
    const Data& d = *static_cast<Data*>(data);
    d.self->note(3, vcpu, d.pc, d.self->registers(vcpu));
  }
  static void on_insn(unsigned vcpu, void* data) {
    const Data& d = *static_cast<Data*>(data);
    disturb_floats();
    d.self->note(4, vcpu, d.pc, d.self->registers(vcpu));
  }
  static void on_bound(unsigned vcpu, void* data) {
    const Data& d = *static_cast<Data*>(data);
    disturb_floats();
    d.self->note(8, vcpu, d.self->value(1, vcpu), d.self->registers(vcpu));
    std::memset(d.self->memory_.data() + 8 + vcpu * 64, 0, 8);
  }
  void hang_foreseen(InstrBlock& block) {
    block.entry.push_back(add(0, 1));
    for (InstrInsn& insn : block.insns) {
      insn.exec.push_back(call(style_ == Style::Sequence ? on_next : on_mode, insn.pc));
      insn.access.push_back(call(nullptr, insn.pc));
      insn.access.back().access = on_counted_access;
      insn.access.back().on_load = insn.access.back().on_store = true;
    }
  }
  InstrEffect effect_of_mode(const Data& d, unsigned vcpu) const {
    switch (mode_ % 3) {
      case 0: return {counter(1).of(vcpu), 1, 8, false};
      case 1: return {counter(3).of(vcpu), d.pc, 8, true};
      default: return {counter(3).of(vcpu) + 4, d.pc | 1, 4, false};
    }
  }
  InstrEffect effect_of_access(unsigned vcpu, u32 word) const {
    return {counter(2).of(vcpu), InstrAccess::unpack(word).store ? 1u : u64{1} << 33, 8, false};
  }
  static void on_mode(unsigned vcpu, void* data) {
    const Data& d = *static_cast<Data*>(data);
    apply(d.self->effect_of_mode(d, vcpu));
  }
  /// Counts every other instruction elsewhere.
  static void on_next(unsigned vcpu, void* data) {
    const Data& d = *static_cast<Data*>(data);
    const bool odd = d.self->value(4, vcpu) == 1;
    apply({d.self->counter(1).of(vcpu), odd ? u64{1} << 32 : 1, 8, false});
    apply({d.self->counter(4).of(vcpu), odd ? 0u : 1u, 8, true});
  }
  static void on_counted_access(unsigned vcpu, u32 word, u64, void* data) {
    apply(static_cast<Data*>(data)->self->effect_of_access(vcpu, word));
  }
  static void on_access(unsigned vcpu, u32 word, u64 address, void* data) {
    const Data& d = *static_cast<Data*>(data);
    const unsigned bits = 8u << InstrAccess::unpack(word).size_shift;
    const u64 value = d.self->machine_.accessed_value() & (bits == 64 ? ~u64{0} : (u64{1} << bits) - 1);
    d.self->note(5 | u64{word} << 8, vcpu, address ^ d.pc << 32, value ^ d.self->registers(vcpu));
  }

  Machine& machine_;
  Style style_;
  LowMemory memory_;
  std::vector<std::unique_ptr<Data>> datas_;
  std::vector<u64> log_;
  u64 mode_ = 0;  // on_mode() looks at it
  unsigned discontinuities_ = 0;
};

struct Case {
  const char* name;
  const char* cpu;
  Bytes (*program)();
  Style style;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class Observed : public testing::TestWithParam<Case> {
 protected:
  Board board() const {
    Board b;
    b.cpu = GetParam().cpu;
    b.image = GetParam().program();
    return b;
  }
};

void expect_same_log(const Observer& got, const Observer& want) {
  const auto &a = got.log(), &b = want.log();
  for (std::size_t k = 0; k < std::min(a.size(), b.size()); ++k)
    ASSERT_EQ(a[k], b[k]) << "event " << k / 4 << " field " << k % 4 << " kind " << a[k & ~3u] << "/"
                          << b[k & ~3u] << std::hex << " at 0x" << a[(k & ~3u) + 2] << "/0x"
                          << b[(k & ~3u) + 2];
  EXPECT_EQ(a.size(), b.size());
  EXPECT_EQ(got.counters(), want.counters());
}

TEST_P(Observed, TheSameEverywhere) {
  constexpr Icount kEnd = 20'000;
  Guest plain(board(), jit());
  plain.run_to(kEnd);
  Guest reference(board(), interpreter());
  Observer want(reference.machine(), GetParam().style);
  reference.machine().observe(&want);
  reference.run_to(kEnd);
  EXPECT_EQ(difference(reference, plain), "");
  EXPECT_GT(want.log().size(), 100u);
  if (GetParam().style == Style::Counters) {
    EXPECT_GT(want.value(0, 0), 100u);
    EXPECT_GT(want.value(1, 0), kEnd * 9 / 10);  // the others are entries of interrupts
    EXPECT_LE(want.value(1, 0), kEnd);
    EXPECT_GT(want.value(2, 0), 1000u);
  }
  for (const Engine& engine : engines()) {
    for (const bool stops : {false, true}) {
      SCOPED_TRACE(engine.name + (stops ? ", with stops" : ""));
      Guest guest(board(), engine.options);
      Observer got(guest.machine(), GetParam().style);
      guest.machine().observe(&got);
      for (Icount at = 1; stops && at < kEnd; at += 1 + at % 97) guest.run_to(at);
      guest.run_to(kEnd);
      EXPECT_EQ(difference(guest, plain), "");
      expect_same_log(got, want);
      if (HasFailure()) return;
    }
  }
}

/// Attached in the middle, and detached again.
TEST_P(Observed, ForAPart) {
  constexpr Icount kFrom = 7'003, kTo = 15'001, kEnd = 20'000;
  Guest plain(board(), jit()), reference(board(), interpreter()), guest(board(), jit());
  plain.run_to(kEnd);
  reference.run_to(kFrom);
  guest.run_to(kFrom);
  Observer want(reference.machine(), GetParam().style), got(guest.machine(), GetParam().style);
  reference.machine().observe(&want);
  guest.machine().observe(&got);
  reference.run_to(kTo);
  guest.run_to(kTo);
  expect_same_log(got, want);
  guest.machine().observe(nullptr);
  guest.run_to(kEnd);
  EXPECT_EQ(difference(guest, plain), "");
  expect_same_log(got, want);
}

constexpr auto kMixed64 = [] { return mixed_program(true); };
constexpr auto kMixed32 = [] { return mixed_program(false); };
INSTANTIATE_TEST_SUITE_P(
    Programs, Observed,
    testing::Values(Case{"callbacks64", "rv64", kMixed64, Style::Callbacks},
                    Case{"callbacks32", "rv32", kMixed32, Style::Callbacks},
                    Case{"callbacks_protected", "rv64", protected_program, Style::Callbacks},
                    Case{"counters64", "rv64", kMixed64, Style::Counters},
                    Case{"counters32", "rv32", kMixed32, Style::Counters},
                    Case{"counters_protected", "rv64", protected_program, Style::Counters},
                    Case{"conditional64", "rv64", kMixed64, Style::Conditional},
                    Case{"conditional_protected", "rv64", protected_program, Style::Conditional},
                    Case{"mixed64", "rv64", kMixed64, Style::Mixed},
                    Case{"mixed32", "rv32", kMixed32, Style::Mixed},
                    Case{"foreseen64", "rv64", kMixed64, Style::Foreseen},
                    Case{"foreseen32", "rv32", kMixed32, Style::Foreseen},
                    Case{"sequence64", "rv64", kMixed64, Style::Sequence},
                    Case{"sequence_protected", "rv64", protected_program, Style::Sequence},
                    Case{"foreseen_protected", "rv64", protected_program, Style::Foreseen}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace hindcast::test
