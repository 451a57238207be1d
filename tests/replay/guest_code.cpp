#include "tests/replay/guest_code.h"

#include <stdexcept>

namespace hindcast::replay::test {
namespace {

using A = Assembler;

// The board's map.
constexpr u32 kUartPage = 0x10000, kFinisherPage = 0x100, kRtcPage = 0x101, kClintPage = 0x2000,
              kPlicPage = 0xc000;
constexpr i32 kUartData = 0, kUartInterruptEnable = 1, kUartFifoControl = 2, kUartLineStatus = 5;
constexpr u32 kMie = 0x304, kMtvec = 0x305;
constexpr u32 kUartInterrupt = 10;

/// Loads a non-negative 32-bit constant.
void li(A& a, A::Reg d, u32 value) {
  const u32 low = value & 0xfff;
  const u32 high = (value + 0x800) >> 12;
  const i32 signed_low = static_cast<i32>(low << 20) >> 20;
  a.lui(d, high & 0xfffff);
  a.addi(d, d, signed_low);
  if (value >= 0x7ffff800) {  // lui sign-extends
    a.slli(d, d, 32);
    a.srli(d, d, 32);
  }
}

/// Harts other than 0 stir their own memory for ever.
void park_others(A& a) {
  const A::Label first = a.label(), spin = a.label();
  a.beq(A::a0, A::zero, first);
  li(a, A::t0, 0x80200000);
  a.slli(A::t1, A::a0, 12);
  a.add(A::t0, A::t0, A::t1);
  a.bind(spin);
  a.ld(A::t1, 0, A::t0);
  a.addi(A::t1, A::t1, 1);
  a.sd(A::t1, 0, A::t0);
  a.j(spin);
  a.bind(first);
}

/// Ends the run with `code` (test finisher: fail with a code, or pass for 0).
void finish(A& a, u32 code) {
  a.lui(A::t0, kFinisherPage);
  li(a, A::t1, code == 0 ? 0x5555 : code << 16 | 0x3333);
  a.sw(A::t1, 0, A::t0);
  const A::Label stay = a.label();
  a.bind(stay);
  a.j(stay);
}

}  // namespace

Bytes Assembler::take() {
  for (const Fixup& f : fixups_) {
    if (labels_[f.label] == kUnbound) throw std::logic_error("a label was never bound");
    const u32 offset = static_cast<u32>(labels_[f.label]) - static_cast<u32>(f.at * 4);
    words_[f.at] |= (offset >> 12 & 1) << 31 | (offset >> 5 & 0x3f) << 25 | (offset >> 1 & 0xf) << 8 |
                    (offset >> 11 & 1) << 7;
  }
  Bytes out;
  for (u32 w : words_)
    for (int i = 0; i < 4; ++i) out.push_back(static_cast<u8>(w >> (8 * i)));
  return out;
}

Bytes echo_program(bool enable_fifo) {
  A a;
  park_others(a);
  a.lui(A::s0, kUartPage);
  li(a, A::s1, 0x80100000);  // checksum at 0, stirred memory behind
  if (enable_fifo) {
    a.addi(A::t0, A::zero, 1);
    a.sb(A::t0, kUartFifoControl, A::s0);
  }
  a.addi(A::a1, A::zero, 0);  // poll count
  a.addi(A::a2, A::zero, 1);  // checksum
  const A::Label poll = a.label(), got = a.label(), not_time = a.label(), not_quit = a.label(),
                 echo = a.label();
  a.bind(poll);
  a.addi(A::a1, A::a1, 1);
  a.slli(A::t1, A::a1, 44);  // stir: 1 MiB, a word at a time
  a.srli(A::t1, A::t1, 44);
  a.andi(A::t1, A::t1, -8);
  a.add(A::t1, A::t1, A::s1);
  a.xor_(A::t2, A::a2, A::a1);
  a.sd(A::t2, 8, A::t1);
  a.lbu(A::t0, kUartLineStatus, A::s0);
  a.andi(A::t0, A::t0, 1);
  a.beq(A::t0, A::zero, poll);
  a.bind(got);
  a.lbu(A::a3, kUartData, A::s0);
  a.slli(A::t0, A::a2, 7);
  a.xor_(A::a2, A::a2, A::t0);
  a.add(A::a2, A::a2, A::a3);
  a.add(A::a2, A::a2, A::a1);
  a.sd(A::a2, 0, A::s1);
  a.addi(A::t0, A::zero, 't');
  a.bne(A::a3, A::t0, not_time);
  a.lui(A::t0, kRtcPage);
  a.lwu(A::a3, 0, A::t0);
  a.srli(A::a3, A::a3, 8);
  a.j(echo);
  a.bind(not_time);
  a.addi(A::t0, A::zero, 'q');
  a.bne(A::a3, A::t0, not_quit);
  finish(a, 7);
  a.bind(not_quit);
  a.bind(echo);
  a.sb(A::a3, kUartData, A::s0);
  a.j(poll);
  return a.take();
}

Bytes ticker_program(u32 ticks, u32 period) {
  A a;
  park_others(a);
  a.lui(A::s0, kUartPage);
  li(a, A::s1, (kClintPage << 12) + 0x4000);  // mtimecmp
  li(a, A::a4, (kClintPage << 12) + 0xbff8);  // mtime
  li(a, A::a5, kPlicPage << 12);
  // PLIC: priority of the UART, its enable bit in context 0; UART: interrupt on received data.
  a.addi(A::t0, A::zero, 1);
  a.sw(A::t0, kUartInterrupt * 4, A::a5);
  li(a, A::t1, (kPlicPage << 12) + 0x2000);
  li(a, A::t0, 1u << kUartInterrupt);
  a.sw(A::t0, 0, A::t1);
  a.addi(A::t0, A::zero, 1);
  a.sb(A::t0, kUartInterruptEnable, A::s0);
  li(a, A::sp, (kPlicPage << 12) + 0x200004);  // claim
  li(a, A::t0, 0x880);                         // MEIE, MTIE; taken by wfi only, as mstatus.MIE is 0
  a.csrrw(kMie, A::t0);
  li(a, A::gp, period);
  li(a, A::tp, ticks);
  a.ld(A::a2, 0, A::a4);
  a.add(A::a2, A::a2, A::gp);
  a.sd(A::a2, 0, A::s1);
  const A::Label wait = a.label(), no_byte = a.label(), no_quit = a.label();
  a.bind(wait);
  a.wfi();
  a.lbu(A::t0, kUartLineStatus, A::s0);
  a.andi(A::t0, A::t0, 1);
  a.beq(A::t0, A::zero, no_byte);
  a.lbu(A::a3, kUartData, A::s0);
  a.lwu(A::t0, 0, A::sp);
  a.sw(A::t0, 0, A::sp);
  a.addi(A::t0, A::zero, 'q');
  a.bne(A::a3, A::t0, no_quit);
  finish(a, 5);
  a.bind(no_quit);
  a.sb(A::a3, kUartData, A::s0);
  a.bind(no_byte);
  a.ld(A::t0, 0, A::a4);
  a.bltu(A::t0, A::a2, wait);
  a.add(A::a2, A::a2, A::gp);
  a.sd(A::a2, 0, A::s1);
  a.addi(A::t0, A::zero, '.');
  a.sb(A::t0, kUartData, A::s0);
  a.addi(A::tp, A::tp, -1);
  a.bne(A::tp, A::zero, wait);
  finish(a, 0);
  return a.take();
}

Bytes semihost_cat_program() {
  A a;
  park_others(a);
  li(a, A::s1, 0x80100000);
  const auto call = [&a](u32 op) {
    li(a, A::a0, op);
    // The three instructions must lie within one page; the program is far smaller.
    a.slli(A::zero, A::zero, 0x1f);
    a.ebreak();
    a.srai(A::zero, A::zero, 7);
  };
  const A::Label next = a.label(), byte = a.label();
  a.bind(next);
  a.addi(A::a1, A::zero, 0);
  call(0x07);  // SYS_READC
  a.slli(A::t0, A::a0, 56);
  a.srli(A::t0, A::t0, 56);
  a.beq(A::t0, A::a0, byte);  // a byte; the end of the input is -1
  li(a, A::a1, 0x20026);      // ADP_Stopped_ApplicationExit
  a.sd(A::a1, 16, A::s1);
  a.sd(A::zero, 24, A::s1);
  a.addi(A::a1, A::s1, 16);
  call(0x18);  // SYS_EXIT
  a.bind(byte);
  a.sb(A::a0, 0, A::s1);
  a.addi(A::a1, A::s1, 0);
  call(0x03);  // SYS_WRITEC
  a.j(next);
  return a.take();
}

Bytes sleep_for_ever_program() {
  A a;
  const A::Label again = a.label();
  a.csrrw(kMie, A::zero);
  a.bind(again);
  a.wfi();
  a.j(again);
  return a.take();
}

Bytes fault_for_ever_program() {
  A a;
  li(a, A::t0, 0x50000000);
  a.csrrw(kMtvec, A::t0);
  a.ld(A::t0, 0, A::zero);
  return a.take();
}

Bytes chatter_program() {
  A a;
  park_others(a);
  a.lui(A::s0, kUartPage);
  a.addi(A::a1, A::zero, 0);
  const A::Label again = a.label(), echo = a.label();
  a.bind(again);
  a.addi(A::a1, A::a1, 1);
  a.andi(A::t0, A::a1, 63);
  a.addi(A::t0, A::t0, ' ');
  a.sb(A::t0, kUartData, A::s0);
  a.lbu(A::t0, kUartLineStatus, A::s0);
  a.andi(A::t0, A::t0, 1);
  a.bne(A::t0, A::zero, echo);
  a.j(again);
  a.bind(echo);
  a.lbu(A::t0, kUartData, A::s0);
  a.sb(A::t0, kUartData, A::s0);
  a.j(again);
  return a.take();
}

Bytes noise_program() {
  A a;
  park_others(a);
  const auto round = a.label(), next = a.label();
  a.lui(A::s0, 0x80100);
  a.slli(A::s0, A::s0, 32);
  a.srli(A::s0, A::s0, 32);  // lui extends the sign
  a.lui(A::s1, 0x100);
  a.add(A::s1, A::s0, A::s1);
  a.addi(A::a0, A::zero, 1);
  a.bind(round);
  a.add(A::a1, A::s0, A::zero);
  a.bind(next);
  const auto mix = [&](bool left, u32 by) {
    if (left)
      a.slli(A::t0, A::a0, by);
    else
      a.srli(A::t0, A::a0, by);
    a.xor_(A::a0, A::a0, A::t0);
  };
  mix(true, 13);
  mix(false, 7);
  mix(true, 17);
  a.sd(A::a0, 0, A::a1);
  a.addi(A::a1, A::a1, 8);
  a.bltu(A::a1, A::s1, next);
  a.j(round);
  return a.take();
}

}  // namespace hindcast::replay::test
