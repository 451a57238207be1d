// Code that changes while it runs: the instruction executed is the one that memory holds, with no fence.
#include "tests/engine/programs.h"

namespace hindcast::test {
namespace {

/// Runs the program in every engine to `limit`, checks what `check` says, and compares with the interpreter.
template <typename Check>
void expect_everywhere(const Board& board, Icount limit, Check&& check) {
  Guest want(board, interpreter());
  want.run_to(limit);
  for (const Engine& engine : engines()) {
    SCOPED_TRACE(engine.name);
    Guest got(board, engine.options);
    got.run_to(limit);
    check(got);
    EXPECT_EQ(difference(got, want), "");
    // The same with stops in between.
    Guest stopping(board, engine.options);
    for (Icount at = 1; at < limit; at += 1 + at / 3) stopping.run_to(at);
    stopping.run_to(limit);
    EXPECT_EQ(difference(stopping, want), "");
  }
}

/// s0 counts down from `rounds`; then the program stays at "done".
void loop_end(Assembler& a) {
  a.addi(s0, s0, -1);
  a.bne(s0, zero, "loop");
  a.label("done");
  a.j("done");
}

/// t2 := t2 + (1 << 20): the next immediate of an I-type instruction.
void next_immediate(Assembler& a) {
  a.lui(t3, 0x100);
  a.add(t2, t2, t3);
}

constexpr int kRounds = 200;
/// The immediates 1, 2, ..., kRounds were added.
constexpr u64 kSum = kRounds * (kRounds + 1) / 2;

TEST(SelfModifyingCode, AfterTheStoreInTheSameBlock) {
  Assembler a;
  a.li(s0, kRounds);
  a.la(t1, "patched");
  a.lw(t2, t1);
  a.label("loop");
  next_immediate(a);
  a.sw(t2, t1);
  a.label("patched");
  a.addi(a0, a0, 0);
  a.addi(s4, s4, 1);
  loop_end(a);
  expect_everywhere({.image = a.finish()}, 3000, [](Guest& g) {
    EXPECT_EQ(g.x(a0), kSum);
    EXPECT_EQ(g.x(s4), u64{kRounds});
  });
}

TEST(SelfModifyingCode, BeforeTheStoreInTheSameBlock) {
  Assembler a;
  a.li(s0, kRounds);
  a.la(t1, "patched");
  a.lw(t2, t1);
  a.label("loop");
  a.label("patched");
  a.addi(a0, a0, 0);
  next_immediate(a);
  a.sw(t2, t1);
  a.addi(s4, s4, 1);
  loop_end(a);
  expect_everywhere({.image = a.finish()}, 3000, [](Guest& g) {
    EXPECT_EQ(g.x(a0), kSum - kRounds);  // one behind
    EXPECT_EQ(g.x(s4), u64{kRounds});
  });
}

TEST(SelfModifyingCode, InTheNextBlock) {
  Assembler a;
  a.li(s0, kRounds);
  a.la(t1, "patched");
  a.lw(t2, t1);
  a.label("loop");
  next_immediate(a);
  a.sw(t2, t1);
  a.j("patched");
  a.addi(s5, s5, 1);
  a.label("patched");
  a.addi(a0, a0, 0);
  loop_end(a);
  expect_everywhere({.image = a.finish()}, 3000, [](Guest& g) {
    EXPECT_EQ(g.x(a0), kSum);
    EXPECT_EQ(g.x(s5), 0u);
  });
}

/// The jump is patched too, through a link that exists and through the jump cache.
TEST(SelfModifyingCode, InAFunctionOfAnotherPage) {
  Assembler a;
  a.li(s0, kRounds);
  a.la(t1, "function");
  a.lw(t2, t1);
  a.label("loop");
  next_immediate(a);
  a.sw(t2, t1);
  a.call("function");
  a.jalr(ra, t1);
  loop_end(a);
  a.align(4096);
  a.label("function");
  a.addi(a0, a0, 0);
  a.ret();
  expect_everywhere({.image = a.finish()}, 3000, [](Guest& g) { EXPECT_EQ(g.x(a0), 2 * kSum); });
}

/// Widths, floats and atomics that write code.
TEST(SelfModifyingCode, WrittenByEveryKindOfStore) {
  struct Store {
    const char* name;
    void (*emit)(Assembler&);
  };
  const Store stores[] = {
      {"sh", [](Assembler& a) { a.srli(t4, t2, 16), a.sh(t4, t1, 2); }},
      {"sb", [](Assembler& a) { a.srli(t4, t2, 16), a.sb(t4, t1, 2), a.srli(t4, t2, 24), a.sb(t4, t1, 3); }},
      {"misaligned sw",
       [](Assembler& a) {
         a.lhu(t4, t1, 4), a.slli(t4, t4, 16), a.srli(t5, t2, 16), a.add(t4, t4, t5), a.sw(t4, t1, 2);
       }},
      {"fsw", [](Assembler& a) { a.fp(0x78, 1, t2, 0, 0), a.word(s_type(0x27, 2, t1, 1, 0)); }},
      {"amoswap", [](Assembler& a) { a.amo_w(1, t4, t2, t1); }},
      {"sc", [](Assembler& a) { a.amo_w(2, t4, zero, t1), a.amo_w(3, t4, t2, t1); }},
  };
  for (const Store& store : stores) {
    SCOPED_TRACE(store.name);
    Assembler a;
    a.li(t0, 0x2000);
    a.csrs(csr::mstatus, t0);
    a.li(s0, kRounds);
    a.la(t1, "patched");
    a.lw(t2, t1);
    a.label("loop");
    next_immediate(a);
    store.emit(a);
    a.label("patched");
    a.addi(a0, a0, 0);
    a.addi(s4, s4, 1);
    loop_end(a);
    expect_everywhere({.image = a.finish()}, 4000, [](Guest& g) {
      EXPECT_EQ(g.x(a0), kSum);
      EXPECT_EQ(g.x(s4), u64{kRounds});
    });
  }
}

/// A store whose first bytes are data of one page and whose last ones code of the next.
TEST(SelfModifyingCode, WrittenAcrossAPageBoundary) {
  Assembler a;
  a.li(s0, kRounds);
  a.la(t1, kRam + 0x2000);
  a.label("loop");
  a.lhu(t4, t1);
  a.xori(t4, t4, 0x80);  // the other destination: s4, s5, s4, ...
  a.slli(t4, t4, 16);
  a.add(t4, t4, s0);
  a.sw(t4, t1, -2);
  a.jalr(ra, t1);
  loop_end(a);
  a.org(kRam + 0x2000);
  a.addi(s4, s4, 1);
  a.ret();
  expect_everywhere({.image = a.finish()}, 3000, [](Guest& g) {
    EXPECT_EQ(g.x(s4), u64{kRounds / 2});
    EXPECT_EQ(g.x(s5), u64{kRounds / 2});
  });
}

/// Data next to code, written all the time: right, and bounded work for the engine.
TEST(SelfModifyingCode, APageOfCodeAndBusyData) {
  Assembler a;
  a.li(s0, 20'000);
  a.la(t1, "data");
  a.label("loop");
  a.lw(t2, t1);
  a.add(t2, t2, s0);
  a.sw(t2, t1);
  a.sb(s0, t1, 5);
  loop_end(a);
  a.label("data");
  a.word(0);
  a.word(0);
  expect_everywhere({.image = a.finish()}, 130'000, [&](Guest& g) {
    EXPECT_EQ(g.word(a.at("data")), 20'000u * 20'001 / 2);
    EXPECT_EQ(g.word(a.at("data") + 4), 1u << 8);
  });
}

/// A straight run of code over a page's end; its part in the second page changes.
TEST(SelfModifyingCode, CodeOverAPageBoundary) {
  Assembler a;
  a.li(s0, kRounds);
  a.la(t1, kRam + 0x1000);
  a.lw(t2, t1);
  a.j("loop");
  a.org(kRam + 0xff0);
  a.label("loop");
  next_immediate(a);
  a.sw(t2, t1);
  a.addi(s4, s4, 1);
  a.addi(a0, a0, 0);  // the first one of the second page
  loop_end(a);
  expect_everywhere({.image = a.finish()}, 3000, [](Guest& g) {
    EXPECT_EQ(g.x(a0), kSum);
    EXPECT_EQ(g.x(s4), u64{kRounds});
  });
}

/// One instruction in two pages, whose second half (the immediate) is rewritten from a third page.
TEST(SelfModifyingCode, AnInstructionAcrossPages) {
  Assembler a;
  a.li(s0, kRounds);
  a.la(t1, kRam + 0x2000);
  a.la(t4, kRam + 0x1ffe);
  a.lhu(t2, t1);
  a.label("loop");
  a.addi(t2, t2, 16);
  a.sh(t2, t1);
  a.jalr(ra, t4);
  loop_end(a);
  a.org(kRam + 0x1ffe);
  a.addi(a0, a0, 0);
  a.ret();
  expect_everywhere({.image = a.finish()}, 3000, [](Guest& g) { EXPECT_EQ(g.x(a0), kSum); });
}

/// The instruction's length changes: two compressed ones become one long one and back.
TEST(SelfModifyingCode, InstructionsOfAnotherLength) {
  Assembler a;
  a.li(s0, kRounds);
  a.la(t1, "patched");
  a.la(t2, "short");
  a.la(t3, "long");
  a.lw(t4, t2);
  a.lw(t5, t3);
  a.label("loop");
  a.sw(t4, t1);
  a.call("patched");
  a.sw(t5, t1);
  a.call("patched");
  loop_end(a);
  a.label("patched");
  a.word(kNop);
  a.ret();
  a.label("short");
  a.half(0x0505);  // c.addi a0, 1
  a.half(0x0a09);  // c.addi s4, 2
  a.label("long");
  a.addi(s5, s5, 3);
  expect_everywhere({.image = a.finish()}, 4000, [](Guest& g) {
    EXPECT_EQ(g.x(a0), u64{kRounds});
    EXPECT_EQ(g.x(s4), u64{2 * kRounds});
    EXPECT_EQ(g.x(s5), u64{3 * kRounds});
  });
}

/// Code that is stored again and again where it never ran before: a guest's own JIT.
TEST(SelfModifyingCode, FreshCodeInARing) {
  Assembler a;
  a.li(s0, 3000);
  a.la(t1, kRam + 0x3000);
  a.la(t5, kRam + 0x5000);
  a.la(t3, "template");
  a.lw(t2, t3);
  a.lw(t4, t3, 4);
  a.label("loop");
  a.sw(t2, t1);
  a.sw(t4, t1, 4);
  a.jalr(ra, t1);
  a.addi(t1, t1, 8);
  a.bltu(t1, t5, "inside");
  a.la(t1, kRam + 0x3000);
  a.label("inside");
  loop_end(a);
  a.label("template");
  a.addi(a0, a0, 7);
  a.ret();
  expect_everywhere({.image = a.finish()}, 40'000, [](Guest& g) { EXPECT_EQ(g.x(a0), 21'000u); });
}

/// Written from the host's side in the middle of a block: the command line, by a semihosting call, is the
/// code that follows the call.
TEST(SelfModifyingCode, WrittenBySemihosting) {
  constexpr u32 kPatch = addi(a0, a0, 0x51);  // no zero byte in it
  Assembler a;
  a.li(s0, 50);
  a.la(t1, "block");
  a.la(t2, "patched");
  a.la(t4, "original");
  a.mv(a4, t1);
  a.lw(t4, t4);
  a.label("loop");
  a.sw(t4, t2);
  a.sw(t2, t1);
  a.sw(zero, t1, 4);
  a.addi(t3, zero, 5);  // four bytes and the end of the string
  a.sw(t3, t1, 8);
  a.sw(zero, t1, 12);
  a.mv(s1, a0);
  a.addi(a0, zero, 0x15);  // SYS_GET_CMDLINE
  a.mv(a1, t1);
  while (a.here() % 16 != 0) a.word(kNop);  // the three may not cross a page
  a.word(0x01f01013);
  a.word(kEbreak);
  a.word(0x40705013);
  a.label("patched");
  a.addi(a0, a0, 0x100);
  a.half(0xc3ff);  // its low byte becomes the string's end, and it c.sw s0, 0(a4)
  a.half(0x0001);
  a.add(a0, a0, s1);
  loop_end(a);
  a.label("original");
  a.addi(a0, a0, 0x100);
  a.align(16);
  a.label("block");
  for (int i = 0; i < 4; ++i) a.word(0);
  Board board{.image = a.finish(), .semihosting = true};
  std::string text;
  for (unsigned i = 0; i < 4; ++i) text.push_back(static_cast<char>(kPatch >> (8 * i)));
  board.args = {text};
  expect_everywhere(board, 2000, [](Guest& g) { EXPECT_EQ(g.x(a0), 50u * 0x51); });
}

/// Written between runs, as a debugger does.
TEST(SelfModifyingCode, WrittenByTheHostBetweenRuns) {
  Assembler a;
  a.label("loop");
  a.addi(a0, a0, 1);
  a.addi(s4, s4, 1);
  a.j("loop");
  Board board{.image = a.finish()};
  for (const Engine& engine : engines()) {
    Guest got(board, engine.options), want(board, interpreter());
    for (i32 i = 0; i < 30; ++i) {
      EXPECT_SAME_AT(got, want, want.icount() + 100 + static_cast<u64>(i));
      got.set_word(a.at("loop"), addi(a0, a0, i));
      want.set_word(a.at("loop"), addi(a0, a0, i));
    }
    EXPECT_GT(got.x(a0), 10'000u) << engine.name;
  }
}

/// Hart 1 rewrites the loop that hart 0 is in.
TEST(SelfModifyingCode, WrittenByAnotherHart) {
  Assembler a;
  a.csrr(t0, csr::mhartid);
  a.bne(t0, zero, "writer");
  a.label("loop");
  a.addi(a0, a0, 0);
  a.addi(s4, s4, 1);
  a.j("loop");
  a.label("writer");
  a.la(t1, "loop");
  a.lw(t2, t1);
  a.label("write");
  next_immediate(a);
  a.sw(t2, t1);
  a.j("write");
  Board board{.image = a.finish(), .smp = 2};
  for (const Engine& engine : engines()) {
    Guest got(board, engine.options), want(board, interpreter());
    for (int point = 0; point < 4; ++point) EXPECT_SAME_AT(got, want, want.icount() + 77'777);
    EXPECT_NE(got.x(a0), 0u) << engine.name;
  }
}

}  // namespace
}  // namespace hindcast::test
