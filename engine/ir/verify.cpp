// Checks the invariants of ir.h. A unit that passes cannot make an executor go wrong, provided that its
// register numbers and types are those of the architecture, which is not known here.
#include <algorithm>
#include <map>

#include "engine/helpers.h"
#include "engine/ir/eval.h"

namespace hindcast::ir {

namespace {

constexpr unsigned bit(Type t) { return 1u << static_cast<unsigned>(t); }
constexpr unsigned kWords = bit(Type::I8) | bit(Type::I16) | bit(Type::I32) | bit(Type::I64);
constexpr unsigned kFloats = bit(Type::F32) | bit(Type::F64);
constexpr unsigned kAnyType = kWords | kFloats | bit(Type::I1);

/// What Inst::type may be.
unsigned types_of(Op op) {
  switch (op) {
    case Op::Const:
    case Op::Select: return kAnyType;
    case Op::And:
    case Op::Or:
    case Op::Xor: return kWords | bit(Type::I1);
    case Op::Bswap: return kWords & ~bit(Type::I8);
    case Op::Trunc: return bit(Type::I1) | bit(Type::I8) | bit(Type::I16) | bit(Type::I32);
    case Op::GetReg:
    case Op::SetReg:
    case Op::Load:
    case Op::Store: return kWords | kFloats;
    case Op::Bitcast: return bit(Type::I32) | bit(Type::I64) | kFloats;
    case Op::NanBox: return bit(Type::F64);
    case Op::NanUnbox: return bit(Type::F32);
    case Op::FToS:
    case Op::FToU: return bit(Type::I32) | bit(Type::I64);
    case Op::FpGetFlags:
    case Op::FpSetFlags: return bit(Type::I32);
    case Op::CallPure:
    case Op::Call: return bit(Type::I64);
    default: break;
  }
  switch (info(op).effect) {
    case Effect::Fp: return kFloats;
    case Effect::Mark:
    case Effect::End: return bit(Type::Void);
    default: return kWords;
  }
}

/// What operand `i`'s type may be.
unsigned operand_types(const Inst& inst, unsigned i) {
  const auto integers_where = [](auto&& wanted) {
    unsigned set = 0;
    for (const Type t : {Type::I1, Type::I8, Type::I16, Type::I32, Type::I64}) {
      if (wanted(bits_of(t))) set |= bit(t);
    }
    return set;
  };
  const unsigned width = bits_of(inst.type);
  switch (inst.op) {
    case Op::Trunc: return integers_where([&](unsigned n) { return n > width; });
    case Op::ZExt: return integers_where([&](unsigned n) { return n < width; });
    case Op::SExt: return integers_where([&](unsigned n) { return n < width && n > 1; });
    case Op::Bitcast:
      if (is_float(inst.type)) return integers_where([&](unsigned n) { return n == width; });
      return bit(inst.type == Type::I32 ? Type::F32 : Type::F64);
    case Op::NanBox: return bit(Type::F32);
    case Op::NanUnbox: return bit(Type::F64);
    case Op::FConvert: return kFloats & ~bit(inst.type);
    case Op::FToS:
    case Op::FToU: return kFloats;
    case Op::SToF:
    case Op::UToF: return bit(Type::I32) | bit(Type::I64);
    default: break;
  }
  switch (info(inst.op).operands[i]) {
    case 'b': return bit(Type::I1);
    case 'i': return kWords;
    case '*': return bit(Type::I64);
    default: return bit(inst.type);
  }
}

class Verifier {
 public:
  explicit Verifier(const Unit& unit) : unit_(unit) {}

  std::string run() {
    if (check_layout() && check_insts()) {
      find_dominators();
      if (check_dominance()) check_fault_order();
    }
    return error_;
  }

 private:
  bool fail(u32 index, const std::string& what) {
    if (!error_.empty()) return false;
    error_ = "op " + std::to_string(index);
    if (index < unit_.insts.size() && static_cast<unsigned>(unit_.insts[index].op) < kOpCount) {
      error_ += std::string(" (") + info(unit_.insts[index].op).name + ")";
    }
    error_ += ": " + what;
    return false;
  }

  bool check_layout() {
    if (unit_.blocks.empty()) {
      error_ = "the unit has no blocks";
      return false;
    }
    u64 next = 0;
    for (const Block& block : unit_.blocks) {
      if (block.first != next || block.count == 0 || next + block.count > unit_.insts.size()) {
        error_ = "the blocks do not divide the ops: op " + std::to_string(next);
        return false;
      }
      next += block.count;
    }
    if (next != unit_.insts.size()) {
      error_ = "ops after the last block: op " + std::to_string(next);
      return false;
    }
    block_of_.resize(unit_.insts.size());
    for (u32 b = 0; b < unit_.blocks.size(); ++b) {
      const Block& block = unit_.blocks[b];
      std::fill_n(block_of_.begin() + block.first, block.count, b);
    }
    return true;
  }

  bool check_insts() {
    u32 starts = 0;
    for (u32 i = 0; i < unit_.insts.size(); ++i) {
      const Inst& inst = unit_.insts[i];
      if (static_cast<unsigned>(inst.op) >= kOpCount) return fail(i, "no such operation");
      if (static_cast<unsigned>(inst.type) > static_cast<unsigned>(Type::F64)) return fail(i, "no such type");
      if ((types_of(inst.op) & bit(inst.type)) == 0)
        return fail(i, std::string("not for type ") + to_string(inst.type));
      const bool last = i + 1 == unit_.blocks[block_of_[i]].first + unit_.blocks[block_of_[i]].count;
      if ((info(inst.op).effect == Effect::End) != last) {
        return fail(i, last ? "the block does not end in an End op" : "an End op inside a block");
      }
      if (!check_operands(i, inst) || !check_attributes(i, inst)) return false;
      if (inst.op == Op::InsnStart) ++starts;
    }
    if (unit_.insts[0].op != Op::InsnStart) return fail(0, "the entry block does not begin with InsnStart");
    if (starts != unit_.insn_count) return fail(0, "insn_count is not the number of InsnStart ops");
    return true;
  }

  bool check_operands(u32 i, const Inst& inst) {
    const std::string_view wanted = info(inst.op).operands;
    bool absent_before = false;
    for (unsigned n = 0; n < 3; ++n) {
      const Value v = inst.args[n];
      if (v == kNoValue) {
        if (n < wanted.size() && wanted[n] != '*') return fail(i, "an operand is missing");
        absent_before = true;
        continue;
      }
      if (n >= wanted.size() || absent_before) return fail(i, "an operand too many");
      if (v >= unit_.insts.size()) return fail(i, "an operand that is no value");
      const Inst& def = unit_.insts[v];
      if (static_cast<unsigned>(def.op) >= kOpCount || static_cast<unsigned>(def.type) > 7) {
        return fail(v, "no such operation");
      }
      const Type t = result_type(def);
      if (t == Type::Void) return fail(i, "an operand that is no value");
      if ((operand_types(inst, n) & bit(t)) == 0) {
        return fail(i, "operand " + std::to_string(n) + " may not be " + to_string(t));
      }
    }
    return true;
  }

  bool check_attributes(u32 i, const Inst& inst) {
    const u64 blocks = unit_.blocks.size();
    switch (inst.op) {
      case Op::Const:
        if (inst.imm != truncate(inst.type, inst.imm)) return fail(i, "the constant is wider than its type");
        break;
      case Op::GetReg:
      case Op::SetReg: {
        const auto [it, inserted] = register_types_.try_emplace(inst.imm, inst.type);
        if (inst.imm > 0xffff) return fail(i, "no such register");
        if (!inserted && it->second != inst.type) return fail(i, "the register has another type elsewhere");
        break;
      }
      case Op::CallPure:
      case Op::Call:
        if (inst.imm >= helper_count()) return fail(i, "no such helper");
        if ((helper(static_cast<u32>(inst.imm)).pure != nullptr) != (inst.op == Op::CallPure)) {
          return fail(i, "the helper is of the other kind");
        }
        break;
      case Op::Jump:
      case Op::Branch:
        if (inst.aux >= blocks || (inst.op == Op::Branch && inst.imm >= blocks))
          return fail(i, "no such block");
        break;
      default:
        if (info(inst.op).effect == Effect::Fp && inst.aux > static_cast<u32>(Round::NearestMaxMagnitude) &&
            inst.aux != static_cast<u32>(Round::Dynamic)) {
          return fail(i, "no such rounding mode");
        }
        break;
    }
    return true;
  }

  template <typename F>
  void for_successors(u32 block, F&& f) const {
    const Inst& last = unit_.insts[unit_.blocks[block].first + unit_.blocks[block].count - 1];
    if (last.op == Op::Jump || last.op == Op::Branch) f(last.aux);
    if (last.op == Op::Branch) f(static_cast<u32>(last.imm));
  }

  // Cooper, Harvey and Kennedy's iteration over the blocks in reverse postorder.
  void find_dominators() {
    const u32 n = static_cast<u32>(unit_.blocks.size());
    order_of_.assign(n, kNone);
    idom_.assign(n, kNone);
    std::vector<u32> postorder;
    std::vector<std::pair<u32, u32>> stack{{0, 0}};  // block, successors visited
    std::vector<bool> seen(n, false);
    seen[0] = true;
    while (!stack.empty()) {
      auto& [block, visited] = stack.back();
      u32 index = 0, next = kNone;
      for_successors(block, [&](u32 s) {
        if (index++ >= visited && next == kNone) {
          ++visited;
          if (!seen[s]) next = s;
        }
      });
      if (next != kNone) {
        seen[next] = true;
        stack.push_back({next, 0});
      } else {
        postorder.push_back(block);
        stack.pop_back();
      }
    }
    std::vector<std::vector<u32>> predecessors(n);
    for (const u32 b : postorder) {
      for_successors(b, [&](u32 s) { predecessors[s].push_back(b); });
    }
    for (u32 i = 0; i < postorder.size(); ++i)
      order_of_[postorder[i]] = static_cast<u32>(postorder.size()) - 1 - i;
    idom_[0] = 0;
    for (bool changed = true; changed;) {
      changed = false;
      for (u32 i = static_cast<u32>(postorder.size()); i-- > 0;) {
        const u32 b = postorder[i];
        if (b == 0) continue;
        u32 best = kNone;
        for (const u32 p : predecessors[b]) {
          if (idom_[p] != kNone) best = best == kNone ? p : common_dominator(best, p);
        }
        if (best != idom_[b]) {
          idom_[b] = best;
          changed = true;
        }
      }
    }
    reachable_ = std::move(postorder);
  }

  u32 common_dominator(u32 a, u32 b) const {
    while (a != b) {
      while (order_of_[a] > order_of_[b]) a = idom_[a];
      while (order_of_[b] > order_of_[a]) b = idom_[b];
    }
    return a;
  }

  bool dominates(u32 a, u32 b) const {
    if (order_of_[a] == kNone) return false;
    while (order_of_[b] > order_of_[a]) b = idom_[b];
    return a == b;
  }

  bool check_dominance() {
    for (u32 i = 0; i < unit_.insts.size(); ++i) {
      const u32 block = block_of_[i];
      for (const Value v : unit_.insts[i].args) {
        if (v == kNoValue) continue;
        if (block_of_[v] == block ? v >= i : order_of_[block] != kNone && !dominates(block_of_[v], block)) {
          return fail(i, "uses value %" + std::to_string(v) + ", which is not defined on every way here");
        }
      }
    }
    return true;
  }

  /// What the current guest instruction has done already, on some way here.
  enum Done : u8 { kSet = 1, kAccrued = 2, kLoaded = 4, kStoredAfterLoad = 8 };

  static u8 done_after(const Inst& inst, u8 done) {
    switch (inst.op) {
      case Op::InsnStart: return 0;
      case Op::SetReg: return done | kSet;
      case Op::FpSetFlags: return done | kAccrued;
      case Op::Load: return done | kLoaded;
      case Op::Store: return (done & kLoaded) != 0 ? done | kStoredAfterLoad : done;
      default: return info(inst.op).effect == Effect::Fp ? done | kAccrued : done;
    }
  }

  bool check_fault(u32 i, u8 done) {
    const Effect effect = info(unit_.insts[i].op).effect;
    if (effect != Effect::Memory && effect != Effect::Call) return true;
    if ((done & kSet) != 0) return fail(i, "may fault after its guest instruction has set a register");
    if ((done & kAccrued) != 0)
      return fail(i, "may fault after its guest instruction has changed floating-point flags");
    if ((done & kStoredAfterLoad) != 0)
      return fail(i, "may fault after its guest instruction has loaded and stored");
    return true;
  }

  // Forward, over all paths.
  void check_fault_order() {
    std::vector<u8> done_in(unit_.blocks.size(), 0);
    std::vector<bool> queued(unit_.blocks.size(), false);
    std::vector<u32> work = reachable_;
    for (const u32 b : work) queued[b] = true;
    while (!work.empty()) {
      const u32 b = work.back();
      work.pop_back();
      queued[b] = false;
      u8 done = done_in[b];
      for (u32 i = unit_.blocks[b].first; i < unit_.blocks[b].first + unit_.blocks[b].count; ++i) {
        if (!check_fault(i, done)) return;
        done = done_after(unit_.insts[i], done);
      }
      for_successors(b, [&](u32 s) {
        if ((done & ~done_in[s]) == 0) return;
        done_in[s] |= done;
        if (!queued[s]) work.push_back(s);
        queued[s] = true;
      });
    }
  }

  static constexpr u32 kNone = ~u32{0};
  const Unit& unit_;
  std::string error_;
  std::vector<u32> block_of_;
  std::vector<u32> order_of_;  // place in reverse postorder; kNone: unreachable
  std::vector<u32> idom_;
  std::vector<u32> reachable_;
  std::map<u64, Type> register_types_;
};

}  // namespace

std::string verify(const Unit& unit) { return Verifier(unit).run(); }

}  // namespace hindcast::ir
