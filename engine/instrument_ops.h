// What instrumentation means, as the interpreter does it; translated code is compared with it.
#pragma once
#include <cstring>

#include "engine/instrument.h"
#include "engine/ir/ir.h"

namespace hindcast {

inline u64 counter_value(const InstrCounter& counter, unsigned vcpu) {
  u64 value;
  std::memcpy(&value, counter.of(vcpu), sizeof value);
  return value;
}
inline void set_counter(const InstrCounter& counter, unsigned vcpu, u64 value) {
  std::memcpy(counter.of(vcpu), &value, sizeof value);
}

inline void apply(const InstrEffect& effect) {
  u64 value = 0;
  if (!effect.set) std::memcpy(&value, effect.at, effect.size);
  value += effect.amount;
  std::memcpy(effect.at, &value, effect.size);
}

inline bool holds(const InstrForeseen::Read& read) {
  u64 value = 0;
  std::memcpy(&value, read.at, read.size);
  return (value == read.value) != read.differs;
}

inline bool holds(InstrOp::When when, u64 value, u64 imm) {
  switch (when) {
    case InstrOp::When::Always: return true;
    case InstrOp::When::Equal: return value == imm;
    case InstrOp::When::NotEqual: return value != imm;
    case InstrOp::When::Below: return value < imm;
    case InstrOp::When::NotAbove: return value <= imm;
    case InstrOp::When::Above: return value > imm;
    case InstrOp::When::NotBelow: return value >= imm;
  }
  return false;
}

/// True: it was a counter's, and is done.
inline bool do_counter(const InstrOp& op, unsigned vcpu) {
  if (op.kind == InstrOp::Kind::Call) return false;
  const bool add = op.kind == InstrOp::Kind::Add;
  set_counter(op.counter, vcpu, add ? counter_value(op.counter, vcpu) + op.imm : op.imm);
  return true;
}

inline void do_exec_op(const InstrOp& op, unsigned vcpu) {
  if (do_counter(op, vcpu)) return;
  if (op.when == InstrOp::When::Always || holds(op.when, counter_value(op.counter, vcpu), op.imm))
    op.exec(vcpu, op.data);
}

/// The access word of the Load or Store that defines `v`. The extension counts as the access's own where the
/// next op extends it, which is how translators write it.
inline u32 access_word(const ir::Unit& unit, ir::Value v) {
  const ir::Inst& inst = unit.insts[v];
  InstrAccess access;
  for (unsigned bits = ir::bits_of(inst.type); bits > 8; bits >>= 1) ++access.size_shift;
  access.big_endian = ir::MemAttr::unpack(inst.imm).big_endian;
  access.store = inst.op == ir::Op::Store;
  if (!access.store && v + 1 < unit.insts.size()) {
    const ir::Inst& next = unit.insts[v + 1];
    access.sign_extended = next.op == ir::Op::SExt && next.args[0] == v;
  }
  return access.pack();
}

/// The interpreter's way through a block.
struct InstrRun {
  InstrCursor& cursor;
  InstrFrame& frame;
  unsigned vcpu;

  void exec_ops(bool changing) const {
    const InstrBlock& block = *cursor.block;
    frame.place = InstrFrame::Place::Exec;
    if (cursor.next == 0)
      for (const InstrOp& op : block.entry)
        if (op.changes == changing) do_exec_op(op, vcpu);
    for (const InstrOp& op : block.insns[cursor.next].exec)
      if (op.changes == changing) do_exec_op(op, vcpu);
    frame.place = InstrFrame::Place::None;
  }
  /// The instruction at the cursor begins. False: an operation wants the run loop to look first.
  bool begin(const u32& exit_request) const {
    if (!cursor.begun && !cursor.changed) {
      exec_ops(true);
      cursor.changed = true;
      if (exit_request != 0) return false;
    }
    if (!cursor.begun) {
      cursor.told = 0;
      exec_ops(false);
    }
    cursor.begun = cursor.changed = false;
    ++cursor.next;
    return true;
  }
  /// An access of the instruction before the cursor is complete.
  void accessed(u32 word, u64 address, u64 value) const {
    if (cursor.told != 0) {  // by translated code, which left before a later one
      --cursor.told;
      return;
    }
    const bool store = InstrAccess::unpack(word).store;
    for (const InstrOp& op : cursor.block->insns[cursor.next - 1].access) {
      if (!(store ? op.on_store : op.on_load) || do_counter(op, vcpu)) continue;
      frame.value = value;
      frame.place = InstrFrame::Place::Access;
      op.access(vcpu, word, address, op.data);
      frame.place = InstrFrame::Place::None;
    }
  }
};

}  // namespace hindcast
