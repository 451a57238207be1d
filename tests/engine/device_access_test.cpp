// Accesses to devices in the middle of translated code: what they answer, and what they bring about before
// the next instruction, is the same in every way of executing.
#include <random>

#include "tests/engine/guest.h"

namespace hindcast::test {
namespace {

constexpr GuestAddr kData = kRam + 0x3000, kForbidden = kData + 0x800;
constexpr u32 kTurns = 400;
constexpr u8 kLockedWord = 0x90;  // pmpcfg: locked, 4 bytes, no rights

/// Loads and stores that meet memory, devices, a page of code, and where they meet which differs from turn to
/// turn; a store to msip interrupts before the next instruction. What is loaded is often overwritten there.
class RandomAccesses {
 public:
  RandomAccesses(u32 seed, bool behind_pmp) : random_(seed), behind_pmp_(behind_pmp) {}

  Bytes program() {
    begin();
    a_.label("loop");
    // Two turns of three memory, else the serial port's scratch register.
    a_.andi(t0, s0, 3);
    a_.mv(s7, s2);
    a_.bne(t0, zero, "chosen");
    a_.addi(s7, s3, 7);
    a_.label("chosen");
    for (unsigned n = 0; n < 60; ++n) instruction();
    a_.addi(s0, s0, -1);
    a_.bne(s0, zero, "loop");
    a_.label("done");
    a_.j("done");
    handler();
    a_.align(8);
    a_.label("in_code");
    for (unsigned n = 0; n < 4; ++n) a_.word(n);
    return a_.finish();
  }

 private:
  unsigned below(unsigned n) { return static_cast<unsigned>(random_() % n); }
  u32 any() { return a0 + below(6); }

  void begin() {
    a_.la(t0, "trap");
    a_.csrw(csr::mtvec, t0);
    a_.li(s0, kTurns);
    a_.la(s2, kData);
    a_.li(s3, kUart);
    a_.li(s4, kClint);
    a_.la(s5, "in_code");
    a_.li(s8, kMtime);
    a_.addi(s9, zero, 1);
    a_.li(t0, 3 << 13);  // floating point is on
    a_.csrs(csr::mstatus, t0);
    if (behind_pmp_) {
      a_.la(t0, kForbidden);
      a_.srli(t0, t0, 2);
      a_.csrw(csr::pmpaddr0, t0);
      a_.addi(t0, zero, kLockedWord);
      a_.csrw(csr::pmpcfg0, t0);
    }
    a_.addi(t0, zero, 8);
    a_.csrw(csr::mie, t0);
    a_.csrs(csr::mstatus, t0);
  }
  void handler() {
    a_.align(4);
    a_.label("trap");
    a_.sw(zero, s4);
    a_.csrr(t3, csr::mepc);
    a_.add(s6, s6, t3);
    for (u32 r = a0; r <= a5; ++r) {
      a_.slli(t3, s6, 5);
      a_.sub(s6, t3, s6);
      a_.add(s6, s6, r);
    }
    a_.csrr(t3, csr::mcause);
    a_.label("trapped");
    a_.beq(t3, zero, "trapped");
    a_.word(kMret);
  }
  void instruction() {
    const u32 rd = any(), rs = any();
    const i32 at = static_cast<i32>(below(256)) * 8;
    switch (below(17)) {
      case 0: return a_.add(rd, rs, any());
      case 1: return a_.addi(rd, rs, at);
      case 2: return a_.ld(rd, s2, at == 0x800 ? 0 : at - (at >= 0x800 ? 0x800 : 0));
      case 3: return a_.sw(rs, s2, static_cast<i32>(below(500)));  // misaligned, too
      case 4: return a_.lbu(rd, s3, 5);
      case 5: return a_.sb(rs, s3, 7);
      case 6: return a_.sw(s9, s4);
      case 7: return a_.amo_w(1, rd, s9, s4);  // amoswap
      case 8: return a_.lw(rd, s8);
      case 9: return a_.lbu(rd, s7);
      case 10: return a_.sb(rs, s7);
      case 11: return a_.fld(2, s8);
      case 12: return a_.fsd(2, s2, 0x400);
      case 13: return a_.sw(rs, s5, static_cast<i32>(below(4)) * 4);
      case 14: return a_.amo_w(0, rd, rs, s5);  // amoadd
      case 15:
        a_.amo_w(1, rd, s9, s4);  // interrupts: what was loaded can be seen
        return a_.addi(rd, rs, 1);
      default:
        a_.lw(rd, s2, static_cast<i32>(below(500)));
        return a_.addi(rd, rs, 1);  // nobody sees what was loaded, unless something happens in between
    }
  }

  std::mt19937 random_;
  bool behind_pmp_;
  Assembler a_;
};

void expect_same(bool behind_pmp) {
  for (u32 seed = 1; seed <= 6; ++seed) {
    const Board board{.image = RandomAccesses(seed, behind_pmp).program(), .icount_shift = 6};
    for (const Engine& engine : engines()) {
      SCOPED_TRACE(engine.name + ", seed " + std::to_string(seed));
      Guest want(board, interpreter()), got(board, engine.options);
      for (Icount at = 50; at < 60'000; at += at / 3 + 1) EXPECT_SAME_AT(got, want, at);
      EXPECT_NE(got.x(s6), 0u) << "nothing interrupted";
    }
  }
}

TEST(DeviceAccess, InAFlatContext) { expect_same(false); }
/// A word of the page of data is locked: its rights are looked up for each access.
TEST(DeviceAccess, BehindProtection) { expect_same(true); }

}  // namespace
}  // namespace hindcast::test
