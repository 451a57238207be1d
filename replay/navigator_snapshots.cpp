#include "replay/navigator_snapshots.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "replay/checkpoint.h"
#include "replay/host_clock.h"
#include "replay/touched_pages.h"

namespace hindcast::replay {
namespace {

/// More would not make any move shorter, but choosing one to drop longer.
constexpr std::size_t kMaxCount = 512;
/// Nearer to the cursor than this, one place is as good as another.
constexpr double kNear = 1 << 14;

}  // namespace

Snapshots::Page::Page(u64& sum) : total(sum) { total += sizeof(Page); }
Snapshots::Page::~Page() { total -= sizeof(Page); }

Snapshots::Snapshots(Player& player, u64 budget_bytes, bool recorded)
    : player_(player), budget_(budget_bytes), use_recorded_(recorded), bytes_(std::make_unique<u64>(0)) {
  find_recorded();
  take(player.icount());
}

void Snapshots::find_recorded() {
  recorded_.clear();
  if (!use_recorded_) return;
  for (const storage::CheckpointInfo& info : player_.reader().checkpoints())
    if (info.icount <= player_.end_icount() && !unreadable_.contains(info.icount)) recorded_.push_back(info);
}

void Snapshots::follow(Icount begin) {
  find_recorded();
  while (!kept_.empty() && kept_.begin()->first < begin) {
    *bytes_ -= kept_.begin()->second->own_bytes;
    kept_.erase(kept_.begin());
  }
}

Snapshots::Block Snapshots::keep_pages(const RamBlock& ram, const Block* like) {
  static const Block kNothing;
  if (like == nullptr) like = &kNothing;
  Block out;
  out.reserve(like->size());
  auto old = like->begin();
  for_each_page(ram, [&](u64 number, ByteView content) {
    while (old != like->end() && old->first < number) ++old;
    if (old != like->end() && old->first == number &&
        std::memcmp(old->second->bytes.data(), content.data(), content.size()) == 0) {
      out.push_back(*old);
      return;
    }
    auto page = std::make_shared<Page>(*bytes_);
    std::memcpy(page->bytes.data(), content.data(), content.size());
    out.emplace_back(number, std::move(page));
  });
  return out;
}

void Snapshots::take(Icount cursor) {
  Machine& machine = player_.machine();
  const Icount now = machine.icount();
  if (machine.exited() || kept_.contains(now)) return;
  const u64 begun = host_now_ns();
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->state = save_state(machine, player_.port());
  const std::vector<RamBlock*> rams = machine.memory().saved_blocks();
  for (std::size_t i = 0; i < rams.size(); ++i)
    snapshot->blocks.push_back(keep_pages(*rams[i], like_ ? &like_->blocks[i] : nullptr));
  snapshot->next_event = player_.port().cursor().next_position();
  snapshot->own_bytes = snapshot->state.size() + sizeof(Snapshot);
  for (const Block& block : snapshot->blocks) snapshot->own_bytes += block.size() * sizeof(Block::value_type);
  *bytes_ += snapshot->own_bytes;
  like_ = snapshot;
  kept_.emplace(now, std::move(snapshot));
  take_ns_ = host_now_ns() - begun;
  drop_beyond_budget(cursor);
}

void Snapshots::drop_beyond_budget(Icount cursor) {
  while ((*bytes_ > budget_ || kept_.size() > kMaxCount) && kept_.size() > 2) {
    // The first is the way back when nothing else is left, and the last one taken is just about to be used.
    auto worst = kept_.end();
    double least = std::numeric_limits<double>::infinity();
    for (auto it = std::next(kept_.begin()); it != kept_.end(); ++it) {
      if (it->second == like_) continue;
      const Icount before = std::prev(it)->first;
      const Icount after = std::next(it) == kept_.end() ? player_.end_icount() : std::next(it)->first;
      const double gap = static_cast<double>(after - before);
      const double away = std::abs(static_cast<double>(it->first) - static_cast<double>(cursor));
      const double worth = gap / (away + kNear);
      if (worth < least) {
        least = worth;
        worst = it;
      }
    }
    if (worst == kept_.end()) return;
    *bytes_ -= worst->second->own_bytes;
    kept_.erase(worst);
  }
}

Icount Snapshots::last_before(Icount icount) const {
  Icount best = 0;
  if (auto own = kept_.upper_bound(icount); own != kept_.begin()) best = std::prev(own)->first;
  for (const storage::CheckpointInfo& info : recorded_)
    if (info.icount <= icount) best = std::max(best, info.icount);
  return best;
}

void Snapshots::restore(Icount icount) {
  Machine& machine = player_.machine();
  const storage::Reader& reader = player_.reader();
  auto own = kept_.find(icount);
  if (own == kept_.end()) {
    if (!restore_recorded(icount)) {
      unreadable_.insert(icount);
      find_recorded();
      const Icount before = last_before(icount);
      if (before >= icount)
        throw storage::Damaged(
            fmt::format("the checkpoint at icount {} is damaged, and none is before it", icount));
      restore(before);
    }
    player_.advance(icount);  // what else happens at this position
    take(icount);
    return;
  }
  const std::shared_ptr<const Snapshot> snapshot = own->second;
  const std::vector<RamBlock*> rams = machine.memory().saved_blocks();
  for (std::size_t i = 0; i < rams.size(); ++i) restore_pages(*rams[i], snapshot->blocks[i]);
  load_state(machine, player_.port(), snapshot->state);
  like_ = snapshot;
  const Position next = snapshot->next_event;
  player_.resume_from(std::make_unique<EventCursor>(reader, next.icount, next.seq));
}

bool Snapshots::restore_recorded(Icount icount) try {
  const storage::Reader& reader = player_.reader();
  const storage::CheckpointRecord record = reader.checkpoint(icount);
  restore_checkpoint(player_.machine(), player_.port(), record,
                     [&](const storage::PageId& id) { return reader.page(id); });
  player_.resume_from(std::make_unique<EventCursor>(reader, record.icount, record.seq));
  return true;
} catch (const storage::StoreError&) {
  return false;
} catch (const Fatal&) {
  return false;
}

void Snapshots::restore_pages(RamBlock& ram, const Block& saved) {
  static constexpr std::array<u8, storage::kPageSize> kZeros{};
  AddressSpace& memory = player_.machine().memory();
  auto write = [&](u64 number, const u8* data) {
    memory.write_block(ram, number * storage::kPageSize, data, storage::kPageSize);
  };
  std::vector<u64> stale;  // not in the snapshot, so zero there
  auto want = saved.begin();
  for_each_page(ram, [&](u64 number, ByteView) {
    while (want != saved.end() && want->first < number) ++want;
    if (want == saved.end() || want->first != number) stale.push_back(number);
  });
  for (u64 number : stale) write(number, kZeros.data());
  for (const auto& [number, page] : saved)
    if (std::memcmp(ram.host + number * storage::kPageSize, page->bytes.data(), storage::kPageSize) != 0)
      write(number, page->bytes.data());
}

}  // namespace hindcast::replay
