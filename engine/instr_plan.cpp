#include "engine/instr_plan.h"

#include <algorithm>
#include <cstring>

#include "engine/instrument_ops.h"

namespace hindcast {

namespace {

constexpr unsigned kMostDrops = 16;
constexpr u64 kMostFailedChecks = 1000;
constexpr std::size_t kLongestCounter = 8;

bool overlap(const u8* a, std::size_t a_size, const u8* b, std::size_t b_size) {
  return a < b + b_size && b < a + a_size;
}
bool same_place(const InstrForeseen::Read& a, const InstrForeseen::Read& b) {
  return a.at == b.at && a.size == b.size && a.value == b.value && a.differs == b.differs;
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
                                std::vector<SiteRead>& reads) const {
  InstrPlan out;
  std::vector<InstrEffect> before;
  for (std::size_t k = 0; k < sites.size(); ++k) {
    const Site& site = sites[k];
    const InstrOp& op = *site.op;
    if (op.kind != InstrOp::Kind::Call) {
      happens({op.counter.of(vcpu), op.imm, 8, op.kind == InstrOp::Kind::Store}, site, before);
      continue;
    }
    if (op.when != InstrOp::When::Always) {
      out.conditional = true;
      before.clear();  // a call may change anything
      continue;
    }
    InstrForeseen foreseen;
    if (observer_.foresee(op, vcpu, site.word, before, foreseen) && (may_read_ || foreseen.reads.empty())) {
      for (const InstrForeseen::Read& read : foreseen.reads) reads.push_back({k, read});
      for (const InstrEffect& effect : foreseen.effects) happens(effect, site, before);
      out.known[{site.op, site.access}] = std::move(foreseen.effects);
    } else {
      out.calls = true;
      before.clear();
    }
  }
  return out;
}

/// What is known to be in memory after the effect. An access may be left out.
void InstrPlanner::happens(const InstrEffect& effect, const Site& site, std::vector<InstrEffect>& before) {
  std::erase_if(before, [&](const InstrEffect& b) { return overlap(b.at, b.size, effect.at, effect.size); });
  if (effect.set && site.access == ir::kNoValue) before.push_back(effect);
}

void InstrPlanner::note_all(const std::vector<Site>& sites, const InstrPlan& plan, unsigned vcpu,
                            GuestAddr block, jit::Lanes* lanes, bool& stale) {
  for (const Site& site : sites) {
    const InstrOp& op = *site.op;
    const bool conditional = op.kind == InstrOp::Kind::Call && op.when != InstrOp::When::Always;
    if (op.kind != InstrOp::Kind::Call || conditional)
      note({op.counter.of(vcpu), 0, 8, false}, block, conditional || op.kind == InstrOp::Kind::Store, lanes,
           stale);
    else if (const auto* effects = plan.foreseen(op, site.access))
      for (const InstrEffect& effect : *effects) note(effect, block, effect.set, lanes, stale);
  }
}

/// Where each read is looked after: what nobody writes, whenever code is entered (reads_); what calls write
/// too, when the block begins. False: it cannot be, since something in the block writes there before.
bool InstrPlanner::place_reads(const std::vector<Site>& sites, const std::vector<SiteRead>& reads,
                               unsigned vcpu, InstrPlan& plan) {
  for (const SiteRead& at : reads) {
    const InstrForeseen::Read& read = at.read;
    auto overlaps = [&](const InstrEffect& e) { return overlap(e.at, e.size, read.at, read.size); };
    for (std::size_t k = 0; k < at.site; ++k) {
      if (const std::vector<InstrEffect>* effects = plan.foreseen(*sites[k].op, sites[k].access)) {
        if (std::any_of(effects->begin(), effects->end(), overlaps)) return false;
      } else if (overlaps({sites[k].op->counter.of(vcpu), 0, 8, false})) {
        return false;
      }
    }
    std::vector<InstrForeseen::Read>& place = written(read) ? plan.checks : reads_;
    if (std::none_of(place.begin(), place.end(), [&](const auto& r) { return same_place(r, read); }))
      place.push_back(read);
  }
  return true;
}

InstrPlan InstrPlanner::plan(const InstrBlock& block, const ir::Unit& unit, unsigned vcpu, jit::Lanes* lanes,
                             bool& stale) {
  const std::vector<Site> all = sites(block, unit);
  std::vector<SiteRead> reads;
  InstrPlan out = attempt(all, vcpu, reads);
  note_all(all, out, vcpu, block.pc, lanes, stale);
  if (!may_read_) return out;
  // What was nobody's to write before: code relies on it.
  const auto now_written = [this](const auto& read) { return written(read); };
  if (std::erase_if(reads_, now_written) != 0) stale = true;
  // Calls that are made may change anything.
  if (!out.calls && !out.conditional && place_reads(all, reads, vcpu, out)) {
    for (const InstrForeseen::Read& read : out.checks)
      note({const_cast<u8*>(read.at), 0, read.size, false}, block.pc, true, lanes, stale);
    return out;
  }
  may_read_ = false;
  stale = true;
  reads_.clear();
  reads.clear();
  out = attempt(all, vcpu, reads);
  note_all(all, out, vcpu, block.pc, lanes, stale);
  return out;
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
  // All that overlap; none is longer than eight bytes.
  for (auto other = counters_.lower_bound(effect.at - (kLongestCounter - 1));
       other != counters_.end() && other->first < effect.at + counter.size; ++other) {
    if (other == it || other->first + other->second.size <= effect.at) continue;
    keep_in_memory(other->first, other->second);
    keep_in_memory(it->first, counter);
  }
  if (looked_at) keep_in_memory(it->first, counter);
  if (lanes == nullptr || counter.in_memory || counter.size != 8 || counter.block == block) return;
  if (lanes->find(it->first) < 0 && lanes->assign(it->first)) stale = true;
}

bool InstrPlanner::written(const InstrForeseen::Read& read) const {
  u8* const from = const_cast<u8*>(read.at);
  for (auto it = counters_.lower_bound(from - (kLongestCounter - 1));
       it != counters_.end() && it->first < from + read.size; ++it)
    if (overlap(it->first, it->second.size, read.at, read.size)) return true;
  return false;
}

bool InstrPlanner::holds() const {
  return std::all_of(reads_.begin(), reads_.end(), [](const auto& read) { return hindcast::holds(read); });
}

bool InstrPlanner::check_failed() {
  if (++failed_checks_ < kMostFailedChecks) return false;
  may_read_ = false;
  return true;
}

void InstrPlanner::forget() {
  counters_.clear();
  reads_.clear();
  may_read_ = true;
  drops_ = 0;
  failed_checks_ = 0;
}

void InstrPlanner::dropped() {
  reads_.clear();
  if (++drops_ > kMostDrops) may_read_ = false;
}

}  // namespace hindcast
