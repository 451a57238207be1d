#include "engine/instr_plan.h"

#include <algorithm>
#include <cstring>

#include "engine/instrument_ops.h"

namespace hindcast {

namespace {

constexpr unsigned kMostDrops = 16;

bool overlap(const u8* a, std::size_t a_size, const u8* b, std::size_t b_size) {
  return a < b + b_size && b < a + a_size;
}

bool as_it_was(const InstrForeseen::Read& read) {
  u64 value = 0;
  std::memcpy(&value, read.at, read.size);
  return value == read.value;
}

}  // namespace

std::vector<InstrPlanner::Site> InstrPlanner::sites(const InstrBlock& block, const ir::Unit& unit) {
  std::vector<Site> out;
  auto add = [&](const std::vector<InstrOp>& ops) {
    for (const InstrOp& op : ops) out.push_back({&op, ir::kNoValue, 0});
  };
  add(block.entry);
  u32 insn = 0;  // begun
  for (ir::Value v = 0; v < unit.insts.size(); ++v) {
    const ir::Op op = unit.insts[v].op;
    if (op == ir::Op::InsnStart && insn < block.insns.size()) add(block.insns[insn++].exec);
    if ((op != ir::Op::Load && op != ir::Op::Store) || insn == 0) continue;
    for (const InstrOp& access : block.insns[insn - 1].access)
      if (op == ir::Op::Store ? access.on_store : access.on_load)
        out.push_back({&access, v, access_word(unit, v)});
  }
  return out;
}

InstrPlan InstrPlanner::attempt(const std::vector<Site>& sites, unsigned vcpu,
                                std::vector<InstrForeseen::Read>& reads) const {
  InstrPlan out;
  for (const Site& site : sites) {
    const InstrOp& op = *site.op;
    if (op.kind != InstrOp::Kind::Call) continue;
    if (op.when != InstrOp::When::Always) {
      out.conditional = true;
      continue;
    }
    InstrForeseen foreseen;
    if (observer_.foresee(op, vcpu, site.word, foreseen) && (may_read_ || foreseen.reads.empty())) {
      out.known[{site.op, site.access}] = std::move(foreseen.effects);
      reads.insert(reads.end(), foreseen.reads.begin(), foreseen.reads.end());
    } else {
      out.calls = true;
    }
  }
  return out;
}

InstrPlan InstrPlanner::plan(const InstrBlock& block, const ir::Unit& unit, unsigned vcpu, jit::Lanes* lanes,
                             bool& stale) {
  const std::vector<Site> all = sites(block, unit);
  std::vector<InstrForeseen::Read> reads;
  InstrPlan out = attempt(all, vcpu, reads);
  for (const Site& site : all) {
    const InstrOp& op = *site.op;
    const bool conditional = op.kind == InstrOp::Kind::Call && op.when != InstrOp::When::Always;
    if (op.kind != InstrOp::Kind::Call || conditional)
      note({op.counter.of(vcpu), 0, 8, false}, block.pc, conditional || op.kind == InstrOp::Kind::Store,
           lanes, stale);
    else if (const auto* effects = out.foreseen(op, site.access))
      for (const InstrEffect& effect : *effects) note(effect, block.pc, effect.set, lanes, stale);
  }
  if (!may_read_) return out;
  // Calls that are made may change anything; so may what is done instead of others.
  reads.insert(reads.end(), reads_.begin(), reads_.end());
  may_read_ = !out.calls && !out.conditional &&
              std::none_of(reads.begin(), reads.end(), [this](const auto& read) { return written(read); });
  if (may_read_) {
    for (const InstrForeseen::Read& read : reads) {
      const auto same = [&](const auto& known) { return known.at == read.at && known.size == read.size; };
      if (std::none_of(reads_.begin(), reads_.end(), same)) reads_.push_back(read);
    }
    return out;
  }
  stale |= !reads_.empty();
  reads_.clear();
  reads.clear();
  return attempt(all, vcpu, reads);
}

/// Counters of several blocks get lanes: one of a single block would hardly earn it.
void InstrPlanner::note(const InstrEffect& effect, GuestAddr block, bool looked_at, jit::Lanes* lanes,
                        bool& stale) {
  const auto [it, inserted] = counters_.try_emplace(effect.at, Counter{effect.size, block, looked_at});
  Counter& counter = it->second;
  auto keep_in_memory = [&](u8* at, Counter& c) {
    c.in_memory = true;
    if (lanes == nullptr || lanes->find(at) < 0) return;
    lanes->release(at);
    stale = true;
  };
  if (effect.size != counter.size) {
    counter.size = std::max(counter.size, effect.size);
    keep_in_memory(it->first, counter);
  }
  if (inserted) {
    if (it != counters_.begin())
      if (auto before = std::prev(it); before->first + before->second.size > effect.at) {
        keep_in_memory(before->first, before->second);
        counter.in_memory = true;
      }
    if (auto after = std::next(it); after != counters_.end() && effect.at + effect.size > after->first) {
      keep_in_memory(after->first, after->second);
      counter.in_memory = true;
    }
  }
  if (looked_at) keep_in_memory(it->first, counter);
  if (lanes == nullptr || counter.in_memory || counter.size != 8 || counter.block == block) return;
  if (lanes->find(it->first) < 0 && lanes->assign(it->first)) stale = true;
}

bool InstrPlanner::written(const InstrForeseen::Read& read) const {
  auto it = counters_.upper_bound(const_cast<u8*>(read.at) + read.size - 1);
  // Counters are no longer than eight bytes, and none begins inside another that matters here.
  for (unsigned k = 0; k < 8 && it != counters_.begin(); ++k) {
    --it;
    if (overlap(it->first, it->second.size, read.at, read.size)) return true;
    if (it->first + 8 <= read.at) break;
  }
  return false;
}

bool InstrPlanner::holds() const { return std::all_of(reads_.begin(), reads_.end(), as_it_was); }

void InstrPlanner::forget() {
  counters_.clear();
  reads_.clear();
  may_read_ = true;
  drops_ = 0;
}

void InstrPlanner::dropped() {
  reads_.clear();
  if (++drops_ > kMostDrops) may_read_ = false;
}

}  // namespace hindcast
