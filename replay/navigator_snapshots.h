// The navigator's own checkpoints: in memory, bounded, dense around the cursor.
#pragma once
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "replay/player.h"

namespace hindcast::replay {

/// Snapshots of a player's machine by icount, beside the checkpoints of its recording. Pages are shared by
/// the snapshots in which they did not change. Beyond the budget the one goes that is missed least: whose
/// neighbours are close to each other, measured by their distance from the cursor.
class Snapshots {
 public:
  /// Takes the first snapshot, which is never dropped: the player stands at the beginning. `recorded`: the
  /// recording's checkpoints are used too.
  Snapshots(Player& player, u64 budget_bytes, bool recorded);
  Snapshots(const Snapshots&) = delete;
  Snapshots& operator=(const Snapshots&) = delete;

  /// The recording has grown, and begins at `begin` now: there, or before, is a checkpoint or a snapshot.
  void follow(Icount begin);
  /// Keeps the machine as it is, unless it is kept already. Only where the machine has arrived by icount:
  /// after a breakpoint it stands in the middle of what happens at its position.
  void take(Icount cursor);
  /// The last place at or before `icount` to which restore() can go.
  Icount last_before(Icount icount) const;
  /// Puts the machine there; `icount` is one that last_before() returned. A damaged checkpoint is not used
  /// again: the place before it and the events lead there too. Throws storage::StoreError, and the machine is
  /// in no state at all.
  void restore(Icount icount);

  u64 bytes() const { return *bytes_; }
  std::size_t count() const { return kept_.size(); }
  /// Host time that the last take() needed.
  u64 take_ns() const { return take_ns_; }

 private:
  struct Page {
    explicit Page(u64& total);
    ~Page();
    u64& total;
    std::array<u8, storage::kPageSize> bytes;
  };
  using PageRef = std::shared_ptr<const Page>;
  using Block = std::vector<std::pair<u64, PageRef>>;  // by page number, ascending; others are zero
  struct Snapshot {
    Bytes state;
    std::vector<Block> blocks;
    Position next_event;  // behind the last one when none follows
    u64 own_bytes = 0;
  };

  /// False: that checkpoint cannot be read.
  bool restore_recorded(Icount icount);
  void find_recorded();
  Block keep_pages(const RamBlock& ram, const Block* like);
  void restore_pages(RamBlock& ram, const Block& saved);
  void drop_beyond_budget(Icount cursor);

  Player& player_;
  u64 budget_;
  bool use_recorded_;
  std::unique_ptr<u64> bytes_;  // outlives the pages
  std::vector<storage::CheckpointInfo> recorded_;
  std::set<Icount> unreadable_;  // of those
  std::map<Icount, std::shared_ptr<const Snapshot>> kept_;
  std::shared_ptr<const Snapshot> like_;  // the memory resembles it: the last one taken or restored
  u64 take_ns_ = 0;
};

}  // namespace hindcast::replay
