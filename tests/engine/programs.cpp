#include "tests/engine/programs.h"

namespace hindcast::test {
namespace {

constexpr GuestAddr kData = kRam + 0x8000, kStack = kRam + 0x10000;

/// mtvec: interrupts arm the next one; exceptions are counted, noted, and skipped.
void trap_handler(Assembler& a) {
  a.align(64);
  a.label("trap");
  a.csrrw(sp, csr::mscratch, sp);
  a.sw(t0, sp, -4);
  a.sw(t1, sp, -8);
  a.csrr(t0, csr::mcause);
  a.lw(t1, gp, 0x100);
  a.add(t1, t1, t0);
  a.sw(t1, gp, 0x100);
  a.branch(4, t0, zero, "interrupt");
  a.csrr(t0, csr::mtval);
  a.lw(t1, gp, 0x104);
  a.xor_(t1, t1, t0);
  a.sw(t1, gp, 0x104);
  a.csrr(t0, csr::mepc);
  a.addi(t0, t0, 4);
  a.csrw(csr::mepc, t0);
  a.j("trap_out");
  a.label("interrupt");
  a.li(t0, kMtime);
  a.lw(t1, t0);
  a.addi(t1, t1, 37);
  a.li(t0, kMtimecmp);
  a.sw(zero, t0, 4);
  a.sw(t1, t0, 0);
  a.lw(t0, gp, 0x108);
  a.addi(t0, t0, 1);
  a.sw(t0, gp, 0x108);
  a.sw(t1, gp, 0x10c);
  a.label("trap_out");
  a.lw(t1, sp, -8);
  a.lw(t0, sp, -4);
  a.csrrw(sp, csr::mscratch, sp);
  a.word(kMret);
}

/// fib(a0) by recursion: calls and returns, the stack.
void fib(Assembler& a) {
  a.label("fib");
  a.addi(t0, zero, 2);
  a.bltu(a0, t0, "fib_out");
  a.addi(sp, sp, -16);
  a.sw(s0, sp, 0);
  a.sw(a0, sp, 4);
  a.sw(ra, sp, 8);
  a.addi(a0, a0, -1);
  a.call("fib");
  a.mv(s0, a0);
  a.lw(a0, sp, 4);
  a.addi(a0, a0, -2);
  a.call("fib");
  a.add(a0, a0, s0);
  a.lw(s0, sp, 0);
  // The return address is a 32-bit one; on RV64 it must not be sign-extended.
  a.lw(t0, sp, 8);
  a.and_(ra, t0, s11);
  a.addi(sp, sp, 16);
  a.label("fib_out");
  a.ret();
}

void memory_work(Assembler& a, bool rv64) {
  a.label("memory");
  a.addi(t0, zero, 13);
  a.mv(t1, gp);
  a.label("memory_loop");
  a.sw(s3, t1, 0x201);
  a.sh(s4, t1, 0x206);
  a.sb(s5, t1, 0x20b);
  a.lw(t2, t1, 0x203);
  a.lhu(t3, t1, 0x1ff);
  a.lb(t4, t1, 0x20a);
  a.lbu(t5, t1, 0x204);
  if (rv64) {
    a.sd(s6, t1, 0x213);
    a.ld(s6, t1, 0x20f);
  }
  a.add(s3, s3, t2);
  a.xor_(s4, s4, t3);
  a.sub(s5, s5, t4);
  a.mul(s6, s6, s3);
  a.add(s6, s6, t5);
  a.mulhu(s7, s6, s3);
  a.div(t2, s6, s4);
  a.remu(t3, s6, s5);
  a.xor_(s7, s7, t2);
  a.add(s7, s7, t3);
  a.addi(t1, t1, 7);
  a.addi(t0, t0, -1);
  a.bne(t0, zero, "memory_loop");
  // Atomics: add, swap, maxu, and a pair.
  a.addi(t1, gp, 0x40);
  a.amo_w(0, t2, s3, t1);
  a.amo_w(1, t3, s4, t1);
  a.amo_w(0x1c, t4, s5, t1);
  a.amo_w(2, t5, zero, t1);
  a.addi(t5, t5, 3);
  a.amo_w(3, t6, t5, t1);
  a.add(s5, t4, t6);
  a.ret();
}

void float_work(Assembler& a) {
  a.label("floats");
  a.addi(t0, zero, 9);
  a.label("float_loop");
  a.fp(0x69, 1, s3, 0);  // fcvt.d.w f1
  a.fp(0x69, 2, t0, 0);
  a.fp(0x0d, 3, 1, 2);  // div
  a.fp(0x01, 4, 4, 3);  // add
  a.fp(0x2d, 5, 3, 0);  // sqrt: of negative ones too
  a.fp(0x09, 6, 4, 5);  // mul
  a.fsd(6, gp, 0x300);
  a.fld(7, gp, 0x300);
  a.fp(0x05, 4, 7, 1);      // sub
  a.fp(0x61, t2, 4, 0, 1);  // fcvt.w.d, towards zero
  a.add(s3, s3, t2);
  a.fp(0x51, t3, 4, 1, 1);  // flt
  a.add(s4, s4, t3);
  a.addi(t0, t0, -1);
  a.bne(t0, zero, "float_loop");
  a.csrr(t4, csr::fcsr);
  a.sw(t4, gp, 0x310);
  a.addi(s8, s8, 1);
  a.andi(t4, s8, 3);
  a.slli(t4, t4, 5);
  a.csrw(csr::fcsr, t4);  // another rounding mode for the next round
  a.ret();
}

void device_work(Assembler& a) {
  a.label("devices");
  a.li(t0, kMtime);
  a.li(t1, kUart);
  a.add(s3, s3, t0);
  a.lw(t2, t0);
  a.xor_(s4, s4, t2);
  a.csrr(t3, csr::minstret);
  a.add(s5, s5, t3);
  a.lw(t4, t0);
  a.csrr(t5, csr::time);
  a.add(s5, s5, t4);
  a.xor_(s5, s5, t5);
  a.andi(t2, t2, 15);
  a.addi(t2, t2, 'a');
  a.sb(t2, t1);
  a.lbu(t2, t1, 5);
  a.add(s4, s4, t2);
  a.ret();
}

/// Two exceptions in the middle of a block: a load from nowhere, an illegal instruction.
void exception_work(Assembler& a) {
  a.label("exceptions");
  a.li(t0, 0x1800'0000);
  a.addi(s6, s6, 5);
  a.lw(s6, t0, 4);
  a.addi(s6, s6, 7);
  a.word(kIllegal);
  a.addi(s6, s6, 9);
  a.word(kEcall);
  a.amo_w(0, s6, s3, t0);
  a.ret();
}

/// The function's constant changes with every call.
void patch_work(Assembler& a) {
  a.label("patch");
  a.mv(s10, ra);
  a.la(t0, "patched");
  a.lw(t1, t0);
  a.lui(t2, 0x100);
  a.add(t1, t1, t2);
  a.sw(t1, t0);
  a.label("patched");
  a.addi(s7, s7, 1);
  a.xor_(s7, s7, s3);
  a.jr(s10);
}

}  // namespace

Bytes mixed_program(bool rv64) {
  Assembler a;
  a.set_wide(rv64);
  a.la(gp, kData);
  a.la(sp, kStack);
  a.la(t0, kStack + 0x1000);
  a.csrw(csr::mscratch, t0);
  a.la(t0, "trap");
  a.csrw(csr::mtvec, t0);
  a.addi(s11, zero, -1);
  if (rv64) a.srli(s11, s11, 32);
  a.li(t0, 0x2000);
  a.csrs(csr::mstatus, t0);  // FS
  a.li(s3, 0x12345);
  a.li(s4, -77);
  a.li(s5, 0x7ffff);
  a.li(s6, 3);
  a.li(t0, kMtimecmp);
  a.addi(t1, zero, 20);
  a.sw(zero, t0, 4);
  a.sw(t1, t0);
  a.addi(t0, zero, 0x80);
  a.csrw(csr::mie, t0);
  a.addi(t0, zero, 8);
  a.csrs(csr::mstatus, t0);
  a.label("main");
  a.addi(a0, zero, 6);
  a.call("fib");
  a.add(s3, s3, a0);
  a.call("memory");
  a.call("floats");
  a.call("devices");
  a.call("patch");
  a.call("exceptions");
  a.addi(s9, s9, 1);
  a.andi(t0, s9, 3);
  a.bne(t0, zero, "main");
  a.word(kWfi);
  a.j("main");
  fib(a);
  memory_work(a, rv64);
  float_work(a);
  device_work(a);
  exception_work(a);
  patch_work(a);
  trap_handler(a);
  return a.finish();
}

Bytes protected_program() {
  Assembler a;
  a.la(gp, kData);
  a.la(sp, kStack);
  a.la(t0, kStack + 0x1000);
  a.csrw(csr::mscratch, t0);
  a.la(t0, "trap");
  a.csrw(csr::mtvec, t0);
  a.addi(s11, zero, -1);
  a.srli(s11, s11, 32);
  a.li(t0, 0x2000);
  a.csrs(csr::mstatus, t0);
  a.li(s3, 0x12345);
  a.li(s4, -77);
  // Entry 0: 64 bytes of the data without any right; 1: a page that may only be read; 2: the RAM.
  a.la(t0, kData + 0x240);
  a.srli(t0, t0, 2);
  a.addi(t0, t0, 7);
  a.csrw(csr::pmpaddr0, t0);
  a.la(t0, kData + 0x3000);
  a.srli(t0, t0, 2);
  a.addi(t0, t0, 0x1ff);
  a.csrw(csr::pmpaddr0 + 1, t0);
  a.la(t0, kRam);
  a.srli(t0, t0, 2);
  a.li(t1, 0x1ffff);
  a.add(t0, t0, t1);
  a.csrw(csr::pmpaddr0 + 2, t0);
  a.li(t0, 0x1f1918);
  a.csrw(csr::pmpcfg0, t0);
  a.li(t0, 0x1800);
  a.word(i_type(0x73, 3, zero, t0, static_cast<i32>(csr::mstatus)));  // MPP = user
  a.la(t0, "user");
  a.csrw(csr::mepc, t0);
  a.word(kMret);

  a.label("user");
  a.label("main");
  a.addi(a0, zero, 5);
  a.call("fib");
  a.add(s3, s3, a0);
  a.call("memory");
  a.call("floats");
  a.call("patch");
  // The read-only page, and accesses that begin in the page before it, which has all rights.
  a.lui(t0, 3);
  a.add(t0, t0, gp);
  a.lw(t1, t0, 8);
  a.add(s3, s3, t1);
  a.sw(s3, t0, 8);
  a.sw(s4, t0, -2);
  a.lw(t1, t0, -2);
  a.add(s4, s4, t1);
  a.sw(s4, t0, -8);
  a.lw(t2, gp, 0x244);
  a.sb(t2, gp, 0x27f);
  a.sb(t2, gp, 0x280);
  a.j("main");
  fib(a);
  memory_work(a, true);
  float_work(a);
  patch_work(a);
  trap_handler(a);
  return a.finish();
}

}  // namespace hindcast::test
