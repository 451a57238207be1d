// Plans: what is known to be in memory is known only until a call is made; counters that overlap one another
// stay in memory.
#include "engine/instr_plan.h"

#include <gtest/gtest.h>

#include <cstring>

#include "engine/instrument_ops.h"

namespace hindcast::test {
namespace {

class PlanTest : public testing::Test, public Instrumentation {
 protected:
  enum Does : u8 { SetsX, AddsX, Unknown, AddsAt };
  struct Call {
    Does does;
    u8* at = nullptr;
    u8 size = 8;
  };
  void translated(Vcpu&, InstrBlock&) override {}
  void discontinuity(Vcpu&, Discontinuity, GuestAddr, GuestAddr) override {}
  void idle(Vcpu&) override {}
  void resumed(Vcpu&) override {}
  void forgotten() override {}
  bool foresee(const InstrOp& op, unsigned, u32, std::span<const InstrEffect> before,
               InstrForeseen& out) override {
    const Call& call = *static_cast<const Call*>(op.data);
    switch (call.does) {
      case SetsX: out.effects = {{x(), 5, 8, true}}; return true;
      case AddsAt: out.effects = {{call.at, 1, call.size, false}}; return true;
      case AddsX: break;
      default: return false;
    }
    u64 value = 0;
    std::memcpy(&value, x(), sizeof value);
    bool known = false;
    for (const InstrEffect& effect : before)
      if (effect.at == x()) known = true, value = effect.amount;
    if (!known) out.reads.push_back({x(), value, 8});
    out.effects = {{x() + 8, value, 8, false}};
    return true;
  }
  u8* x() { return memory_.data(); }
  static InstrOp op(Call& call) {
    InstrOp out;
    out.kind = InstrOp::Kind::Call;
    out.data = &call;
    return out;
  }
  InstrPlan plan(const InstrBlock& block, const ir::Unit& unit = {}, jit::Lanes* lanes = nullptr) {
    bool stale = false;
    return planner_.plan(block, unit, 0, lanes, stale);
  }
  /// A block that adds there.
  void adds(GuestAddr pc, u8* at, u8 size, jit::Lanes& lanes) {
    Call call{AddsAt, at, size};
    InstrBlock block;
    block.pc = pc;
    block.entry = {op(call)};
    plan(block, {}, &lanes);
  }

  LowMemory memory_{4096};
  InstrPlanner planner_{*this};
  Call sets_{SetsX}, adds_{AddsX}, unknown_{Unknown};
};

TEST_F(PlanTest, WhatWasSetIsKnown) {
  InstrBlock block;
  block.entry = {op(sets_), op(adds_)};
  const InstrPlan made = plan(block);
  EXPECT_FALSE(made.calls);
  const auto* effects = made.foreseen(block.entry[1], ir::kNoValue);
  ASSERT_NE(effects, nullptr);
  EXPECT_EQ(effects->at(0).amount, 5u);
}

TEST_F(PlanTest, NothingIsKnownAfterACallThatIsMade) {
  InstrBlock block;
  block.entry = {op(sets_), op(unknown_), op(adds_)};
  const InstrPlan made = plan(block);
  EXPECT_TRUE(made.calls);
  EXPECT_NE(made.foreseen(block.entry[0], ir::kNoValue), nullptr);
  EXPECT_EQ(made.foreseen(block.entry[2], ir::kNoValue), nullptr);
}

TEST_F(PlanTest, NothingIsKnownAfterACallThatMayBeMade) {
  InstrBlock block;
  block.entry = {op(sets_), op(unknown_), op(adds_)};
  block.entry[1].when = InstrOp::When::Equal;
  block.entry[1].counter.base = x() + 64;
  const InstrPlan made = plan(block);
  EXPECT_TRUE(made.conditional);
  EXPECT_EQ(made.foreseen(block.entry[2], ir::kNoValue), nullptr);
}

TEST_F(PlanTest, NothingIsKnownAfterAnAccessThatCalls) {
  InstrBlock block;
  block.insns.resize(2);
  block.insns[0].exec = {op(sets_)};
  block.insns[0].access = {op(unknown_)};
  block.insns[0].access[0].on_load = true;
  block.insns[1].exec = {op(adds_)};
  ir::Unit unit;
  for (const ir::Op of : {ir::Op::InsnStart, ir::Op::Const, ir::Op::Load, ir::Op::InsnStart}) {
    ir::Inst inst;
    inst.op = of;
    if (of == ir::Op::Const || of == ir::Op::Load) inst.type = ir::Type::I64;
    unit.insts.push_back(inst);
  }
  unit.insts[2].args[0] = 1;
  const InstrPlan made = plan(block, unit);
  EXPECT_TRUE(made.calls);
  EXPECT_EQ(made.foreseen(block.insns[1].exec[0], ir::kNoValue), nullptr);
}

TEST_F(PlanTest, CountersOfSeveralBlocksGetLanes) {
  jit::Lanes lanes;
  if (!lanes.usable()) GTEST_SKIP();
  adds(0x1000, x(), 8, lanes);
  adds(0x2000, x(), 8, lanes);
  EXPECT_GE(lanes.find(x()), 0);
}

TEST_F(PlanTest, WhatACounterGrowsOverGoesToMemory) {
  jit::Lanes lanes;
  if (!lanes.usable()) GTEST_SKIP();
  adds(0x1000, x(), 4, lanes);
  adds(0x1000, x() + 4, 8, lanes);
  adds(0x2000, x() + 4, 8, lanes);
  EXPECT_GE(lanes.find(x() + 4), 0);
  adds(0x3000, x(), 8, lanes);
  EXPECT_LT(lanes.find(x() + 4), 0);
  adds(0x4000, x() + 4, 8, lanes);
  EXPECT_LT(lanes.find(x() + 4), 0);
}

TEST_F(PlanTest, AllThatACounterOverlapsGoesToMemory) {
  jit::Lanes lanes;
  if (!lanes.usable()) GTEST_SKIP();
  adds(0x1000, x(), 8, lanes);
  adds(0x1000, x() + 1, 1, lanes);
  adds(0x1000, x() + 4, 8, lanes);  // overlaps the first; the second is between them
  adds(0x2000, x() + 4, 8, lanes);
  EXPECT_LT(lanes.find(x() + 4), 0);
}

}  // namespace
}  // namespace hindcast::test
