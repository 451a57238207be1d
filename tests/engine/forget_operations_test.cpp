// Operations forgotten in the middle of a block: what is left of it is still looked at for what the guest
// makes of its code.
#include "engine/instrument.h"

#include <cstring>
#include <memory>

#include "tests/engine/programs.h"

namespace hindcast::test {
namespace {

/// Hangs a call on each instruction, which checks that it is made for what is in memory.
class Checker final : public Instrumentation {
 public:
  explicit Checker(Guest& guest) : guest_(guest) {}
  void translated(Vcpu&, InstrBlock& block) override {
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
  unsigned calls = 0, wrong = 0;

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
    const u32 mask = d.length == 2 ? 0xffff : ~u32{0};
    if (((d.self->guest_.word(d.at) ^ d.word) & mask) != 0) ++d.self->wrong;
  }
  Guest& guest_;
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

}  // namespace
}  // namespace hindcast::test
