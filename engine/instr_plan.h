// How the operations of instrumented blocks are compiled: which calls need not be made because their effects
// are known, and which counters are kept in host registers. All of it is a matter of speed; the interpreter
// makes every call and addition where it is asked for.
#pragma once
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/instrument.h"
#include "engine/ir/ir.h"
#include "engine/jit/lanes.h"

namespace hindcast {

/// Of one block.
struct InstrPlan {
  /// What is done instead of a call; null: it is made. `access`: the Load or Store it belongs to, or
  /// kNoValue.
  const std::vector<InstrEffect>* foreseen(const InstrOp& op, ir::Value access) const {
    const auto it = known.find({&op, access});
    return it == known.end() ? nullptr : &it->second;
  }
  std::map<std::pair<const InstrOp*, ir::Value>, std::vector<InstrEffect>> known;
  /// What must hold for this when the block begins; else the interpreter executes it.
  std::vector<InstrForeseen::Read> checks;
  bool calls = false;        // one is made always
  bool conditional = false;  // one is made under a condition
};

class InstrPlanner {
 public:
  explicit InstrPlanner(Instrumentation& observer) : observer_(observer) {}

  /// The plan of the block that `unit` was made from, for code with `lanes` (or null). `stale`: it
  /// contradicts plans made before, whose code must be dropped.
  InstrPlan plan(const InstrBlock& block, const ir::Unit& unit, unsigned vcpu, jit::Lanes* lanes,
                 bool& stale);
  /// Whether what the plans rely on is still so. Nobody but the observer changes that, so it is asked before
  /// code is entered.
  bool holds() const;
  /// It is not, and all code has been dropped.
  void dropped();
  /// One of a plan's checks has failed. True: too often, and all code must be dropped.
  bool check_failed();
  /// The operations of all blocks are dropped; what they name may go away.
  void forget();

 private:
  /// Memory that is added to, or set.
  struct Counter {
    u8 size = 8;
    GuestAddr block = 0;     // that named it first
    bool in_memory = false;  // somebody looks there, or sets it
  };
  struct Site {
    const InstrOp* op;
    ir::Value access;
    u32 word;
  };
  static std::vector<Site> sites(const InstrBlock& block, const ir::Unit& unit);
  struct SiteRead {
    std::size_t site;  // index
    InstrForeseen::Read read;
  };
  InstrPlan attempt(const std::vector<Site>& sites, unsigned vcpu, std::vector<SiteRead>& reads) const;
  static void happens(const InstrEffect& effect, const Site& site, std::vector<InstrEffect>& before);
  bool place_reads(const std::vector<Site>& sites, const std::vector<SiteRead>& reads, unsigned vcpu,
                   InstrPlan& plan);
  void note_all(const std::vector<Site>& sites, const InstrPlan& plan, unsigned vcpu, GuestAddr block,
                jit::Lanes* lanes, bool& stale);
  void note(const InstrEffect& effect, GuestAddr block, bool looked_at, jit::Lanes* lanes, bool& stale);
  bool written(const InstrForeseen::Read& read) const;

  Instrumentation& observer_;
  std::map<u8*, Counter> counters_;
  std::vector<InstrForeseen::Read> reads_;
  bool may_read_ = true;  // plans may rely on the observer's memory: nothing in translated code changes it
  unsigned drops_ = 0;
  u64 failed_checks_ = 0;
};

}  // namespace hindcast
