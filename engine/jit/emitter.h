// IR to x86-64, in one pass over the instructions of a unit. SSA values live in temporaries, or simply are
// the guest register's home that holds them; a guest register's home is written where the IR sets it, so that
// at every instruction boundary the homes are the exact guest state and a side exit needs nothing but its
// site.
//
// Files: emitter.cpp (driver, locations), emit_int.cpp, emit_compare.cpp, emit_memory.cpp, emit_anywhere.cpp,
// emit_float.cpp, emit_exit.cpp, emit_instrument.cpp.
#pragma once
#include <asmjit/x86.h>

#include <array>
#include <vector>

#include "engine/address_space.h"
#include "engine/arch.h"
#include "engine/instr_plan.h"
#include "engine/instrument.h"
#include "engine/jit/code.h"
#include "engine/jit/cold_parts.h"
#include "engine/jit/host.h"

namespace hindcast::jit {

/// The instrumentation of a unit: its instructions are those of `block`, in that order.
struct EmitInstr {
  const InstrBlock* block;
  const InstrPlan* plan;
  unsigned vcpu;
  InstrFrame* frame;     // in low memory
  bool calling;          // homes survive C functions and are written through (Variant::Calling)
  const u8* exit_quick;  // like exit_common, where no floating-point flags have accrued
  u32 first_owed;        // number of the first one emitted
  Lanes* lanes;          // null: all counters are in memory
};

/// What the emitter must know of its surroundings.
struct EmitEnv {
  const Architecture& arch;
  const AddressSpace& memory;
  const HostFeatures& host;
  const Context& context;
  const HomeMap& homes;        // of this code
  const RamBlock* main_ram;    // the block that is looked for first; may be null
  const u8* code_address;      // where the code will run
  const u8* exit_common;       // in the arena: leaves with rax = index << 8 | kind
  const u8* access;            // in the arena: makes an access (Jit::emit_access_stub)
  const u8* access_quick;      // likewise, where no floating-point flags have accrued
  u32 first_site, first_link;  // numbers of the first ones emitted
  u32 block;                   // number of the block being emitted
  const EmitInstr* instr = nullptr;
};

/// The result: code to be appended at code_address, and its sites and links.
struct Emitted {
  ByteView code;  // in the holder's buffer
  std::vector<Site> sites;
  std::vector<Link> links;  // offsets relative to the code
  struct Access {
    u32 begin, end;  // code range of an instruction that may fault
    u32 site;        // index into sites
    GuestAddr pc;
    bool quick = false;  // leave by exit_quick
  };
  std::vector<Access> accesses;  // ascending
  // Of instrumented units only.
  std::vector<InstrSite> instr_sites;  // beside `sites`
  std::vector<std::vector<InstrEffect>> owed;

  void clear() {
    code = {};
    sites.clear();
    links.clear();
    accesses.clear();
    instr_sites.clear();
    owed.clear();
  }
};

/// Whether an instruction on type `t` can take the constant as a sign-extended 32-bit immediate.
inline bool fits_i32(u64 value, ir::Type t) {
  if (t != ir::Type::I64) return true;
  return static_cast<i64>(value) == static_cast<i32>(static_cast<u32>(value));
}
inline asmjit::Imm imm_of(u64 value) { return asmjit::Imm(static_cast<i32>(static_cast<u32>(value))); }

class Emitter {
 public:
  using Value = ir::Value;
  /// Where a value can be found; several may hold at once. A constant needs none.
  struct Loc {
    i8 gpr = -1;    // a temporary
    i8 xmm = -1;    // a temporary
    i16 home = -1;  // a guest register whose home holds it
    i16 spill = -1;
  };
  /// Memory that emitters use one after the other.
  struct Buffers {
    std::vector<Loc> locs;
    std::vector<u32> uses, home_block;
    std::vector<u8> crosses, done;
    std::vector<Value> crossing;
    std::vector<i16> hint;
    std::vector<Value> extended_by;
    std::vector<std::vector<Value>> aliases;
    u32 alias_end = 0;
    std::vector<asmjit::Label> labels;
    std::vector<std::pair<Value, i32>> checked;
    ColdParts cold;
  };
  /// All three outlive the emitter.
  Emitter(const EmitEnv& env, asmjit::CodeHolder& holder, Buffers& buffers);
  /// False if the unit holds something that only the interpreter does; nothing may be used then.
  bool emit(const ir::Unit& unit, Emitted& out);

 private:
  using Gp = asmjit::x86::Gp;
  using Xmm = asmjit::x86::Xmm;
  using Mem = asmjit::x86::Mem;
  using Operand = asmjit::Operand;

  // emitter.cpp: analysis and locations.
  void analyse();
  void begin_ir_block(u32 index);
  bool emit_inst(Value v);
  const ir::Inst& inst(Value v) const { return unit_->insts[v]; }
  ir::Type type(Value v) const { return ir::result_type(unit_->insts[v]); }
  bool is_const(Value v) const { return inst(v).op == ir::Op::Const; }
  u64 const_of(Value v) const;
  static bool wide(ir::Type t) { return t == ir::Type::I64 || t == ir::Type::F64; }
  Gp gp(u8 id, ir::Type t) const { return wide(t) ? Gp(asmjit::x86::gpq(id)) : Gp(asmjit::x86::gpd(id)); }
  Mem home_mem(unsigned row, unsigned size) const;
  Mem field(std::size_t offset, unsigned size) const;
  Mem spill_mem(int slot, unsigned size) const;
  int new_spill();
  u8 alloc_gpr();
  u8 alloc_xmm();
  /// The next instruction that uses it, the one that is emitted included; a far one if there is none.
  Value next_use(Value v) const;
  void lock(u8 gpr) { locked_ |= 1u << gpr; }
  void lock_xmm(u8 x) { locked_xmm_ |= 1u << x; }
  void unlock_all() { locked_ = locked_xmm_ = 0; }
  void evict(u8 gpr);
  void evict_xmm(u8 xmm);
  void spill_temporaries();
  /// The value in a general register (locked until the instruction is done). Constants are materialised.
  u8 use(Value v);
  /// The value in a register or memory operand.
  Operand use_rm(Value v);
  u8 use_f(Value v);
  Operand use_fm(Value v);
  void consume(Value v);
  void consume_args(const ir::Inst& i);
  /// A register for the result of `v`: the home it is about to be set to, or a temporary. Frees nothing else.
  u8 dest(Value v);
  u8 dest_f(Value v);
  void define(Value v, u8 gpr);
  void define_f(Value v, u8 xmm);
  void add_alias(i16 row, Value v);
  /// Live values that are only in register `row`'s home move elsewhere: the home is about to change.
  void save_aliases(unsigned row, Value except);
  bool is_pinned(u8 gpr) const { return (pinned_mask_ >> gpr & 1) != 0; }
  bool is_pinned_f(u8 xmm) const { return (pinned_xmm_mask_ >> xmm & 1) != 0; }
  void mov(u8 to, u8 from, ir::Type t);
  void mov_imm(u8 to, u64 value);
  void load_to(u8 gpr, Value v) { load_from(gpr, locs_[v], v); }
  void load_from(u8 gpr, const Loc& where, Value v);

  // emit_int.cpp
  bool emit_integer(Value v);
  void emit_binary(Value v);
  void emit_shift(Value v);
  void emit_mul_high(Value v);
  void emit_divide(Value v);
  void emit_bits(Value v);
  void emit_extend(Value v);
  void emit_select(Value v);
  void emit_set_reg(Value v);
  asmjit::x86::CondCode emit_compare(Value v);
  void emit_compare_value(Value v);
  /// Whether compare `cond` is left to be emitted by its only user, the next instruction.
  bool fused_compare(Value cond, Value user) const;
  /// Whether the complement `flip` is left to be emitted by its only user, the next instruction: an And.
  bool fused_complement(Value flip, Value user) const;
  void emit_and_not(Value v, Value flip);
  void emit_test(Value cond);  // flags: ZF clear if the I1 value is true

  // emit_memory.cpp
  void emit_load(Value v);
  void emit_store(Value v);
  /// The operand for the access; emits the checks. `width` in bytes.
  Mem address(const ir::Inst& i, unsigned width);
  void note_access(u32 begin);
  /// The access is the interpreter's: leaves at the instruction's start.
  bool leaves_for_access(const ir::Inst& i);

  // emit_anywhere.cpp
  bool may_access_from(Value at, unsigned depth) const;
  bool is_first_access() const;
  AccessWord describe_access(const ir::Inst& i, unsigned width, bool in_ram);
  void make_at(const asmjit::Label& miss, const ir::Inst& i, const AccessWord& word, u8 at, u8 page);
  Mem translated_address(const ir::Inst& i, u8 r, unsigned width);
  Mem checked_address(const ir::Inst& i, u8 r, unsigned width);
  Mem page_flags(const RamBlock& ram, u8 r, u8 f, u8 offset, unsigned width, const asmjit::Label& miss);
  void check_load(const RamBlock& ram, u8 r, u8 f, u8 offset, unsigned width, const asmjit::Label& miss);
  void check_store(const RamBlock& ram, u8 r, u8 f, u8 offset, unsigned width, const asmjit::Label& miss);

  // emit_float.cpp
  bool emit_float(Value v);
  void emit_fp_arith(Value v, asmjit::x86::Inst::Id op32, asmjit::x86::Inst::Id op64, bool sqrt);
  void emit_fma(Value v);
  void emit_soft(Value v);
  void emit_fp_compare(Value v);
  void emit_fp_convert(Value v);
  void emit_float_to_int(Value v);
  void emit_int_to_float(Value v);
  void emit_box(Value v);
  void emit_bitcast(Value v);
  void soft_call(u64 packed, const u8* args, bool wide_operand, u8 result, bool to_gpr, bool wide_result);
  void fix_nan(u8 xmm, ir::Type t);
  void redo_odd(Value v, u8 result, std::array<u8, 3> args);
  bool may_round_up_to_normal(const ir::Inst& i) const;
  bool redoes_results() const {
    const ir::FpRules& rules = env_.context.fp_rules;
    return rules.nan != ir::FpRules::Nan::Default || rules.tiny_before_rounding;
  }
  u64 default_nan(bool wide_float) const;
  void load_const_f(u8 xmm, u64 bits, ir::Type t);
  ir::Round rounding(const ir::Inst& i) const;

  // emit_exit.cpp
  bool emit_end(Value v);
  void emit_call(Value v);
  void emit_exit_pc(GuestAddr pc);
  void emit_indirect(Value target);
  void jump_if_cached(const Mem& pc, const Mem& code);
  void dispatch_to(Value target);
  void emit_branch(Value v);
  void refund();
  asmjit::Label site_exit(ExitKind kind, GuestAddr pc, u32 done);
  u32 add_site(GuestAddr pc, u32 done, InstrSite instr);
  void leave(u32 index, ExitKind kind) { leave(index, kind, quick_exit()); }
  void leave(u32 index, ExitKind kind, bool quick);
  void jump_to(const u8* target, u8 opcode = 0xe9);
  void save_for_c();
  void restore_after_c(u32 keep_mask);  // keep_mask: registers that C left alone
  template <typename F>
  void cold(const F& fn) {
    cold_.add(fn);
  }

  // emit_instrument.cpp: nothing of it in a plain translation.
  bool calling() const { return env_.instr != nullptr && env_.instr->calling; }
  bool quick_exit() const { return calling() && !floats_ready_; }
  /// Of the instruction that has just begun.
  void emit_begin_ops();
  /// The block is the interpreter's if a check of the plan fails.
  void emit_checks(const asmjit::Label& fails);
  /// For an access of the current instruction: whether it has operations, and whether they call.
  struct AccessOps {
    Value access = ir::kNoValue;
    std::vector<const InstrOp*> ops;
    u32 word = 0;
    int address = -1;  // spill slot that holds the guest address, if any of them calls
    bool value = false;
  };
  AccessOps access_ops(Value v);
  void keep_address(const ir::Inst& i, AccessOps& ops);
  void keep_value(u8 gpr);
  void keep_value_f(u8 xmm);
  void emit_access_ops(const AccessOps& ops);
  void emit_op(const InstrOp& op, Value access, const AccessOps* ops);
  void emit_callback(const InstrOp& op, const AccessOps* access);
  void emit_call_of(const InstrOp& op, const AccessOps* access, u32 site);
  void write_home(unsigned row);
  /// Puts an effect off to the next place where somebody could look.
  void owe(const InstrEffect& effect);
  void pay();
  void pay_in_lanes();
  void pay_in_memory(const InstrEffect& effect);
  bool has_lane(const InstrEffect& effect) const;
  void save_lanes();
  void restore_lanes();
  /// What emit_end() does first: afterwards nothing is owed and no flags are in MXCSR.
  void settle();
  Mem counter_mem(const u8* at, unsigned size);
  Mem frame_mem(std::size_t offset, unsigned size) const;
  /// In a calling translation MXCSR is the callbacks' but between these two.
  void ready_floats();
  void settle_floats();
  void collect_flags();
  void host_rounding();

  const EmitEnv& env_;
  asmjit::CodeHolder& holder_;
  asmjit::x86::Assembler a_;
  const ir::Unit* unit_ = nullptr;
  Emitted* out_ = nullptr;
  std::vector<Loc>& locs_;
  std::vector<u32>& uses_;
  std::vector<u32>& home_block_;     // IR block that defines the value
  std::vector<u8>&crosses_, &done_;  // whether a value is used in another IR block; whether it is done
  std::vector<Value>& crossing_;     // those that are, and constants
  std::vector<i16>& hint_;           // register row that the value is set to at once, or -1
  std::vector<Value>& extended_by_;  // load -> the extension that is folded into it
  std::vector<std::vector<Value>>& aliases_;  // register row -> values whose loc.home it is
  u32& alias_end_;                      // rows from here on have none: mostly those of control registers
  std::vector<asmjit::Label>& labels_;  // of IR blocks
  ColdParts& cold_;
  std::vector<std::pair<Value, i32>>& checked_;  // bases known to be below the window limit
  Value gpr_owner_[16] = {}, xmm_owner_[16] = {};
  const u32 pinned_mask_, pinned_xmm_mask_;
  u32 locked_ = 0, locked_xmm_ = 0;
  int spills_ = 0;
  Value at_ = 0;             // what is emitted
  u32 insn_ = 0;             // instructions begun
  u32 told_ = 0;             // accesses of the current one that are complete
  GuestAddr pc_ = 0;         // of the current one
  bool after_call_ = false;  // an exit request must be looked at before the next instruction
  bool called_ = false;      // likewise at the first one of each IR block that is still to come
  bool may_fault_ = false;   // the access's operand is in the window
  u32 current_block_ = 0;
  bool failed_ = false;
  std::vector<InstrEffect> owed_;         // not yet done; no two overlap
  bool owed_noted_ = false;               // owed_ is out_->owed.back()
  bool floats_ready_ = false;             // calling: MXCSR is the guest's
  u32 callback_site_ = InstrSite::kNone;  // of the current instruction's `exec`
};

/// Slots of host stack (8 bytes each) that translated code has for spills, from rsp up; above them is the
/// host's own MXCSR.
inline constexpr int kSpillSlots = 64;
inline constexpr int kHostMxcsrSlot = kSpillSlots;
/// MXCSR as C++ code expects it: all exceptions masked, to nearest.
inline constexpr u32 kDefaultMxcsr = 0x1f80;

}  // namespace hindcast::jit
