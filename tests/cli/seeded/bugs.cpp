// Deliberate one-bit bugs in the translator, of which HINDCAST_SEEDED_BUG in the environment chooses one:
// what `compare` has to find. Only in the command of the tests, `hindcast_seeded`.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "targets/riscv/emit_int.h"
#include "targets/riscv/rows.h"

namespace hindcast::riscv {

void emit_with_bug(const InsnRow& row, Emitter& e);

namespace {

Value is(Emitter& e, Value value, u64 wanted) {
  return e.b.compare(Op::CmpEq, value, e.b.konst(e.b.type(value), wanted));
}

/// What goes wrong in one instruction, and only with one value of an operand.
struct Bug {
  const char* name;
  const char* insn;
  void (*emit)(Emitter& e, const InsnRow& row);
};

/// A count of 13 shifts by 12.
void shift_count(Emitter& e, const InsnRow&) {
  const Value count = e.rs2();
  e.set_rd(e.b.binary(Op::Shl, e.rs1(), e.b.select(is(e, count, 13), e.b.konst(e.xt, 12), count)));
}

/// Bit 16 is wrong when 1 is added to a number that ends in ffff.
void carry(Emitter& e, const InsnRow&) {
  const Value a = e.rs1(), b = e.rs2();
  const Value low = e.b.band(a, e.b.konst(e.xt, 0xffff));
  const Value lost = e.b.band(is(e, low, 0xffff), is(e, b, 1));
  const Value sum = e.b.add(a, b);
  e.set_rd(e.b.select(lost, e.b.bxor(sum, e.b.konst(e.xt, u64{1} << 16)), sum));
}

/// The box around 3.0 has a hole.
void nan_box(Emitter& e, const InsnRow& row) {
  row.emit(e);
  const Value bits = e.fbits(e.o.rd);
  e.set_fbits(e.b.select(is(e, bits, 0xffff'ffff'4040'0000), e.b.i64(0xffff'feff'4040'0000), bits));
}

/// 0x8000 is taken for positive.
void sign(Emitter& e, const InsnRow& row) {
  row.emit(e);
  const Value value = e.x(e.o.rd);
  e.set_rd(e.b.select(is(e, value, e.arch.truncate(~u64{0x7fff})), e.b.konst(e.xt, 0x8000), value));
}

/// 7 is less than 7.
void less(Emitter& e, const InsnRow&) {
  const Value a = e.rs1(), b = e.rs2();
  const Value equal = e.b.band(is(e, a, 7), is(e, b, 7));
  e.set_rd(e.zext(e.b.bor(e.b.compare(Op::CmpLtU, a, b), equal)));
}

/// The highest bit of a product with -1 is lost.
void product(Emitter& e, const InsnRow& row) {
  const Value a = e.rs1();
  row.emit(e);
  const Value high = e.x(e.o.rd);
  const u64 ones = e.arch.truncate(~u64{0});
  e.set_rd(e.b.select(is(e, a, ones), e.b.band(high, e.b.konst(e.xt, ones >> 1)), high));
}

/// 0x1234 is stored eight bytes further on.
void address(Emitter& e, const InsnRow&) {
  const Value base = e.rs1(), value = e.rs2();
  const Value wrong = e.b.add(base, e.b.konst(e.xt, 8));
  e.b.store(e.b.select(is(e, value, 0x1234), wrong, base), e.low(Type::I32, value), at_offset(e));
}

/// 50000 is below 50000.
void taken(Emitter& e, const InsnRow&) {
  const Value a = e.rs1(), b = e.rs2();
  const Value equal = e.b.band(is(e, a, 50000), is(e, b, 50000));
  e.branch(e.b.bor(e.b.compare(Op::CmpLtU, a, b), equal), e.arch.truncate(e.pc + static_cast<u64>(e.o.imm)));
}

/// Jumps four bytes too far while s2 is 37000.
void offset(Emitter& e, const InsnRow&) {
  const u64 target = e.pc + static_cast<u64>(e.o.imm);
  const Value right = e.b.konst(e.xt, e.arch.truncate(target));
  const Value wrong = e.b.konst(e.xt, e.arch.truncate(target + 4));
  e.jump(e.b.select(is(e, e.x(18), 37000), wrong, right));
}

/// What is read of mscratch lacks a bit of 41000.
void csr_read(Emitter& e, const InsnRow& row) {
  row.emit(e);
  if (e.ended || e.o.rd == 0) return;
  const Value value = e.x(e.o.rd);
  e.set_rd(e.b.select(is(e, value, 41000), e.b.konst(e.xt, 41000 - 8), value));
}

constexpr Bug kBugs[] = {
    {"shift", "sll", shift_count}, {"carry", "add", carry},   {"box", "fadd.s", nan_box},
    {"sign", "lh", sign},          {"less", "sltu", less},    {"product", "mulhu", product},
    {"address", "sw", address},    {"branch", "bltu", taken}, {"offset", "jal", offset},
    {"csr", "csrrw", csr_read},
};

const Bug* chosen() {
  const char* name = std::getenv("HINDCAST_SEEDED_BUG");
  if (name == nullptr) return nullptr;
  for (const Bug& bug : kBugs)
    if (std::strcmp(bug.name, name) == 0) return &bug;
  std::fprintf(stderr, "hindcast_seeded: there is no bug '%s'\n", name);
  std::exit(125);
}

}  // namespace

void emit_with_bug(const InsnRow& row, Emitter& e) {
  static const Bug* const bug = chosen();
  if (bug != nullptr && std::strcmp(row.name, bug->insn) == 0)
    bug->emit(e, row);
  else
    row.emit(e);
}

}  // namespace hindcast::riscv
