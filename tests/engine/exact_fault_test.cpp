// An exception in the middle of a block: exact pc, icount and registers, however warm the code is.
#include "tests/engine/programs.h"

namespace hindcast::test {
namespace {

constexpr u64 kTop = kRam + (256u << 10);  // the end of RAM

struct FaultCase {
  std::string name;
  std::string cpu;
  u64 base;  // in t0 before the access
  void (*access)(Assembler&);
  u64 cause;       // expected; kNoFault: none
  i64 offset = 0;  // of the access: mtval is base + offset
};
constexpr u64 kNoFault = ~u64{0};
constexpr u64 kLoadMisaligned = 4, kLoadAccess = 5, kStoreMisaligned = 6, kStoreAccess = 7, kIllegalInsn = 2;

std::vector<FaultCase> fault_cases() {
  constexpr u64 kMinus1 = ~u64{0};
  std::vector<FaultCase> all;
  const auto add = [&](const char* name, const char* cpu, u64 base, void (*access)(Assembler&), u64 cause,
                       i64 offset = 0) {
    all.push_back({name, cpu, base, access, cause, offset});
  };
  const auto lw = [](Assembler& a) { a.lw(s0, t0); };
  const auto sw = [](Assembler& a) { a.sw(s0, t0); };
  const auto lb = [](Assembler& a) { a.lb(s0, t0); };
  const auto sb = [](Assembler& a) { a.sb(s0, t0); };
  const auto fld = [](Assembler& a) { a.fld(3, t0); };
  const auto fsd = [](Assembler& a) { a.fsd(3, t0); };
  const auto lw_into_base = [](Assembler& a) { a.lw(t0, t0); };
  const auto amo = [](Assembler& a) { a.amo_w(0, s0, s1, t0); };
  const auto lr = [](Assembler& a) { a.amo_w(2, s0, zero, t0); };
  const auto sc = [](Assembler& a) { a.amo_w(3, s0, s1, t0); };
  for (const char* cpu : {"rv64", "rv32"}) {
    add("load from nowhere", cpu, 0x1800'0000, lw, kLoadAccess);
    add("load into its base from nowhere", cpu, 0x1800'0000, lw_into_base, kLoadAccess);
    add("store to nowhere", cpu, 0x1800'0000, sw, kStoreAccess);
    add("double load from nowhere", cpu, 0x1800'0000, fld, kLoadAccess);
    add("double store to nowhere", cpu, 0x1800'0000, fsd, kStoreAccess);
    add("store to ROM", cpu, 0x1000, sw, kStoreAccess);
    add("load from ROM", cpu, 0x1000, lw, kNoFault);
    add("load at 0", cpu, 0, lw, kLoadAccess);
    add(
        "load below 0", cpu, 0, [](Assembler& a) { a.lw(s0, t0, -4); }, kLoadAccess, -4);
    add(
        "load across 0", cpu, 0, [](Assembler& a) { a.lw(s0, t0, -2); }, kLoadAccess, -2);
    add(
        "store across 0", cpu, 0, [](Assembler& a) { a.sw(s0, t0, -2); }, kStoreAccess, -2);
    add(
        "double load across 0", cpu, 0, [](Assembler& a) { a.fld(3, t0, -4); }, kLoadAccess, -4);
    add(
        "double store across 0", cpu, 0, [](Assembler& a) { a.fsd(3, t0, -4); }, kStoreAccess, -4);
    add("the last byte of RAM", cpu, kTop - 1, lb, kNoFault);
    add("the last byte of RAM written", cpu, kTop - 1, sb, kNoFault);
    add(
        "the last word of RAM", cpu, kTop, [](Assembler& a) { a.lw(s0, t0, -4); }, kNoFault);
    add("beyond RAM", cpu, kTop, lb, kLoadAccess);
    add("beyond RAM written", cpu, kTop, sb, kStoreAccess);
    add("load across the end of RAM", cpu, kTop - 2, lw, kLoadAccess);
    add("store across the end of RAM", cpu, kTop - 2, sw, kStoreAccess);
    add("double store across the end of RAM", cpu, kTop - 4, fsd, kStoreAccess);
    add(
        "double load before a device", cpu, kUart, [](Assembler& a) { a.fld(3, t0, -4); }, kLoadAccess, -4);
    add(
        "store before a device", cpu, kUart, [](Assembler& a) { a.sw(s0, t0, -1); }, kStoreAccess, -1);
    add("misaligned load", cpu, kRam + 0x8001, lw, kNoFault);
    add("misaligned store", cpu, kRam + 0x8ffe, sw, kNoFault);
    add("misaligned AMO", cpu, kRam + 0x8002, amo, kStoreMisaligned);
    add("misaligned LR", cpu, kRam + 0x8001, lr, kLoadMisaligned);
    add("misaligned SC", cpu, kRam + 0x8001, sc, kStoreMisaligned);
    add("AMO to nowhere", cpu, 0x1800'0000, amo, kStoreAccess);
    add("AMO to ROM", cpu, 0x1000, amo, kStoreAccess);
    add("LR from nowhere", cpu, 0x1800'0000, lr, kLoadAccess);
    add("across a device's end", cpu, kClint + 0xfffe, lw, kLoadAccess);
    add(
        "illegal", cpu, 0, [](Assembler& a) { a.word(kIllegal); }, kIllegalInsn);
  }
  add("the last byte of the address space", "rv64", kMinus1, lb, kLoadAccess);
  add("the last byte of the address space written", "rv64", kMinus1, sb, kStoreAccess);
  add("a word at its end", "rv64", kMinus1, lw, kLoadAccess);
  add(
      "a double at its end", "rv64", kMinus1, [](Assembler& a) { a.ld(s0, t0); }, kLoadAccess);
  add(
      "wrapping to ROM", "rv64", kMinus1, [](Assembler& a) { a.lw(s0, t0, 1); }, kLoadAccess, 1);
  add("the top of the canonical half", "rv64", u64{1} << 47, lw, kLoadAccess);
  add("the window's end", "rv64", u64{1} << 32, lw, kLoadAccess);
  add("across the window's end", "rv64", (u64{1} << 32) - 2, lw, kLoadAccess);
  add(
      "before the window's end", "rv64", u64{1} << 32, [](Assembler& a) { a.lw(s0, t0, -2048); }, kLoadAccess,
      -2048);
  add("from above to RAM", "rv64", (u64{1} << 32) + kRam, lw, kLoadAccess);
  add("the last byte of the address space", "rv32", 0xffff'ffff, lb, kLoadAccess);
  add("a word at its end", "rv32", 0xffff'fffd, sw, kStoreAccess);
  add(
      "wrapping to nowhere", "rv32", 0xffff'ffff, [](Assembler& a) { a.lw(s0, t0, 5); }, kLoadAccess, 5);
  add(
      "wrapping far to nowhere", "rv32", 0xffff'f900, [](Assembler& a) { a.lw(s0, t0, 0x7fc); }, kLoadAccess,
      0x7fc);
  return all;
}

/// Instructions before and after the access in one block; the handler goes back until it has been there ten
/// times.
struct FaultProgram {
  explicit FaultProgram(const FaultCase& c) {
    Assembler a;
    const bool wide = c.cpu == "rv64";
    a.set_wide(wide);
    a.la(t1, "trap");
    a.csrw(csr::mtvec, t1);
    a.li(t1, 0x2000);
    a.csrs(csr::mstatus, t1);
    a.la(t2, "constant");
    if (wide)
      a.ld(t3, t2);
    else
      a.lw(t3, t2);
    a.addi(s0, zero, 77);
    a.addi(s1, zero, 78);
    a.addi(s3, zero, 10);
    a.label("block");
    a.mv(t0, t3);
    a.addi(s4, s4, 1);
    a.addi(s5, s4, 5);
    a.add(s6, s5, t3);
    a.label("access");
    c.access(a);
    a.label("next");
    a.addi(s4, s4, 1);
    a.add(s6, s6, s0);
    a.j("back");
    a.align(4);
    a.label("trap");
    a.csrr(s7, csr::mcause);
    a.csrr(s8, csr::mtval);
    a.csrr(s9, csr::mepc);
    a.label("back");
    a.addi(s3, s3, -1);
    a.bne(s3, zero, "block");
    a.label("end");
    a.j("end");
    a.align(8);
    a.label("constant");
    a.word(static_cast<u32>(c.base));
    a.word(static_cast<u32>(c.base >> 32));
    access = a.at("access");
    trap = a.at("trap");
    block = a.at("block");
    board = {.image = a.finish(), .cpu = c.cpu};
  }
  GuestAddr access, trap, block;
  Board board;
};

TEST(ExactFault, RegistersPcAndIcount) {
  for (const FaultCase& c : fault_cases()) {
    SCOPED_TRACE(c.cpu + ": " + c.name);
    const FaultProgram program(c);
    const bool faults = c.cause != kNoFault;
    const u64 mask = c.cpu == "rv64" ? ~u64{0} : 0xffff'ffff;
    Guest want(program.board, interpreter());
    while (want.pc() != program.access) want.run_to(want.icount() + 1);
    const Icount at = want.icount();
    {
      // What must be there at the first fault, from no program's mouth.
      Guest got(program.board, jit());
      got.run_to(at);
      ASSERT_EQ(got.pc(), program.access);
      got.run_to(at + 1);
      EXPECT_EQ(got.pc(), faults ? program.trap : program.access + 4);
      if (faults) {
        EXPECT_EQ(got.x(t0), c.base & mask);
        EXPECT_EQ(got.x(s0), 77u);
        EXPECT_EQ(got.x(s4), 1u);
        EXPECT_EQ(got.reg("mcause"), c.cause);
        EXPECT_EQ(got.reg("mepc"), program.access);
        if (c.cause != kIllegalInsn) {
          EXPECT_EQ(got.reg("mtval"), (c.base + static_cast<u64>(c.offset)) & mask);
        }
      }
    }
    // And at every step of the ten times.
    Guest got(program.board, jit()), fresh(program.board, interpreter());
    for (Icount step = 1; step <= at + 150; ++step) EXPECT_SAME_AT(got, fresh, step);
    // Without stops, in every engine.
    for (const Engine& engine : engines()) {
      Guest other(program.board, engine.options);
      other.run_to(at + 150);
      EXPECT_EQ(difference(other, fresh), "") << engine.name;
    }
  }
}

TEST(ExactFault, OfFetches) {
  struct Case {
    const char* name;
    u64 target;
    u64 cause;
  };
  for (const Case& c :
       {Case{"nowhere", 0x1800'0000, 1}, Case{"a device", kUart, 1}, Case{"the end of RAM", kTop, 1},
        Case{"across the end of RAM", kTop - 2, 1}, Case{"the top", ~u64{0} - 1, 1}, Case{"zero", 0, 1}}) {
    SCOPED_TRACE(c.name);
    Assembler a;
    a.la(t1, "trap");
    a.csrw(csr::mtvec, t1);
    a.la(t2, "constant");
    a.ld(t3, t2);
    a.la(t2, kTop - 2);
    a.addi(t4, zero, 3);  // the low half of a 4-byte instruction
    a.sh(t4, t2);
    a.label("loop");
    a.addi(s0, s0, 1);
    a.jalr(ra, t3);
    a.align(4);
    a.label("trap");
    a.csrr(s7, csr::mcause);
    a.csrr(s8, csr::mtval);
    a.csrr(s9, csr::mepc);
    a.j("loop");
    a.align(8);
    a.label("constant");
    a.word(static_cast<u32>(c.target));
    a.word(static_cast<u32>(c.target >> 32));
    Board board{.image = a.finish()};
    for (const Engine& engine : engines()) {
      SCOPED_TRACE(engine.name);
      Guest got(board, engine.options), want(board, interpreter());
      for (Icount at = 1; at < 120; ++at) EXPECT_SAME_AT(got, want, at);
      EXPECT_EQ(got.x(s7), c.cause);
      EXPECT_EQ(got.x(s9), c.target);
      // A 4-byte instruction's missing half is what faults.
      EXPECT_EQ(got.x(s8), c.target == kTop - 2 ? kTop : c.target);
      EXPECT_GT(got.x(s0), 10u);
    }
  }
}

/// The board's reset vector leads to an image that faults at once, and whose handler does not exist: the
/// guest faults for ever, and its deadline still comes.
TEST(ExactFault, ForEver) {
  Assembler a;
  a.word(kIllegal);
  Board board{.image = a.finish()};
  for (const Engine& engine : engines()) {
    Guest got(board, engine.options), want(board, interpreter());
    for (const Icount at : {10u, 11u, 12u, 100u, 5001u}) EXPECT_SAME_AT(got, want, at);
    EXPECT_EQ(got.icount(), 5001u);
    EXPECT_EQ(got.reg("mcause"), 1u);
  }
}

}  // namespace
}  // namespace hindcast::test
