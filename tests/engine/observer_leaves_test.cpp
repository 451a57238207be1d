// Operations forgotten in the middle of a block, and an observer that pauses there: what is left of the
// block, and what is known of others, is still looked at for what the guest makes of its code.
#include "engine/instrument.h"

#include <cstring>
#include <memory>
#include <utility>

#include "tests/engine/programs.h"

namespace hindcast::test {
namespace {

/// Hangs a call on each instruction, which checks that it is made for what is in memory.
class Checker final : public Instrumentation {
 public:
  explicit Checker(Guest& guest) : guest_(guest) {}
  void translated(Vcpu&, InstrBlock& block) override {
    ++announced;
    InstrOp entry;
    entry.kind = InstrOp::Kind::Call;
    entry.exec = [](unsigned, void* self) { static_cast<Checker*>(self)->entered_ = true; };
    entry.data = this;
    entry.owner = this;
    block.entry.push_back(entry);
    for (InstrInsn& insn : block.insns) {
      u32 word = 0;
      std::memcpy(&word, insn.bytes.data(), insn.length);
      datas_.push_back(std::make_unique<Data>(Data{this, insn.physical, word, insn.length}));
      InstrOp op;
      op.kind = InstrOp::Kind::Call;
      op.exec = on_insn;
      op.data = datas_.back().get();
      op.owner = this;
      insn.exec.push_back(op);
    }
  }
  void discontinuity(Vcpu&, Discontinuity, GuestAddr, GuestAddr) override {}
  void idle(Vcpu&) override {}
  void resumed(Vcpu&) override {}
  void forgotten() override {}
  /// The next instruction must be a block's first.
  void expect_entry() { expects_ = true, entered_ = false; }
  unsigned calls = 0, wrong = 0, announced = 0;

 private:
  struct Data {
    Checker* self;
    GuestAddr at;
    u32 word;
    u8 length;
  };
  static void on_insn(unsigned, void* data) {
    const Data& d = *static_cast<Data*>(data);
    ++d.self->calls;
    if (std::exchange(d.self->expects_, false) && !d.self->entered_) ++d.self->wrong;
    const u32 mask = d.length == 2 ? 0xffff : ~u32{0};
    if (((d.self->guest_.word(d.at) ^ d.word) & mask) != 0) ++d.self->wrong;
  }
  Guest& guest_;
  bool expects_ = false, entered_ = false;
  std::vector<std::unique_ptr<Data>> datas_;
};

Bytes rewrites_its_own_block() {
  Assembler a;
  a.li(s0, 20);
  a.la(t1, "patched");
  a.lw(t2, t1);
  a.label("loop");
  a.lui(t3, 0x100);
  a.add(t2, t2, t3);
  a.sw(t2, t1);
  a.label("patched");
  a.addi(a0, a0, 0);
  a.addi(s4, s4, 1);
  a.addi(s0, s0, -1);
  a.bne(s0, zero, "loop");
  a.label("done");
  a.j("done");
  return a.finish();
}

TEST(ForgetOperations, TheRestOfTheBlockIsWhatIsInMemory) {
  for (const bool translates : {false, true}) {
    for (Icount stop = 1; stop < 30; ++stop) {
      SCOPED_TRACE(stop);
      Guest guest({.image = rewrites_its_own_block()}, translates ? jit() : interpreter());
      Checker checker(guest);
      guest.machine().observe(&checker);
      guest.run_to(stop);
      const char other = 0;
      guest.machine().forget_operations(&other);
      guest.run_to(200);
      EXPECT_EQ(checker.calls, 200u);
      EXPECT_EQ(checker.wrong, 0u);
      guest.machine().observe(nullptr);
    }
  }
}

TEST(PauseObserver, WhatRunsMeanwhileIsNotSeen) {
  for (const bool translates : {false, true}) {
    for (Icount stretch = 1; stretch < 30; ++stretch) {
      SCOPED_TRACE(stretch);
      Guest guest({.image = rewrites_its_own_block()}, translates ? jit() : interpreter()),
          plain({.image = rewrites_its_own_block()}, interpreter());
      Checker checker(guest);
      Icount seen = 0;
      for (Icount at = 0; at < 200; at += stretch) {
        if (at / stretch % 2 == 0) {
          guest.machine().observe(&checker);
          checker.expect_entry();
          seen += stretch;
        } else {
          guest.machine().pause_observer();
        }
        guest.run_to(at + stretch);
      }
      plain.run_to(guest.icount());
      EXPECT_EQ(checker.calls, seen);
      EXPECT_EQ(checker.wrong, 0u);
      EXPECT_EQ(difference(guest, plain), "");
      guest.machine().observe(nullptr);
    }
  }
}

TEST(PauseObserver, KnownBlocksAreNotAnnouncedAgain) {
  Assembler a;
  a.label("loop");
  a.addi(s4, s4, 1);
  a.j("loop");
  Guest guest({.image = a.finish()}, jit());
  Checker checker(guest);
  guest.run_to(10);  // past the ROM
  for (Icount at = 10; at < 4010; at += 100) {
    guest.machine().observe(&checker);
    guest.run_to(at + 50);
    guest.machine().pause_observer();
    guest.run_to(at + 100);
  }
  EXPECT_EQ(checker.calls, 2000u);
  EXPECT_EQ(checker.announced, 1u);
  guest.machine().observe(nullptr);
}

}  // namespace
}  // namespace hindcast::test
