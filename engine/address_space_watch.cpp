// Watched memory: pages whose accesses are looked at, and what counts as a hit.
#include <algorithm>

#include "engine/address_space.h"

namespace hindcast {

/// What is watched, in the addresses of one block: bytes that show at several are watched at all of them.
std::vector<AddressSpace::Watch> AddressSpace::watches_of(const RamBlock& block) const {
  std::vector<Watch> all = watches_;
  for (const RamBlock* other : block.others)
    for (const Watch& w : watches_)
      if (w.base < other->base + other->size && other->base < w.base + w.size) {
        const GuestAddr first = std::max(w.base, other->base);
        const GuestAddr end = std::min(w.base + w.size, other->base + other->size);
        all.push_back({first - other->base + block.base, end - first, w.loads, w.stores});
      }
  return all;
}

void AddressSpace::set_watches(std::vector<Watch> watches) {
  watches_ = std::move(watches);
  watch_hit_.reset();
  for (auto& block : ram_) {
    const u64 pages = block->page_flags.size();
    std::vector<u8> wanted(watches_.empty() ? 0 : pages, 0);
    block->watched_stores = {};
    for (const Watch& w : watches_of(*block)) {
      if (w.size == 0 || w.base >= block->base + block->size || w.base + w.size <= block->base) continue;
      const u64 first = block->page_of(std::max(w.base, block->base) - block->base);
      const u64 last = block->page_of(std::min(w.base + w.size, block->base + block->size) - 1 - block->base);
      for (u64 page = first; page <= last; ++page)
        wanted[page] |=
            static_cast<u8>((w.stores ? RamBlock::kWatchStores : 0) | (w.loads ? RamBlock::kWatchLoads : 0));
      if (!w.stores) continue;
      const u64 begin = std::max(w.base, block->base) - block->base;
      const u64 end = std::min(w.base + w.size, block->base + block->size) - block->base;
      auto& hull = block->watched_stores;
      hull = {hull.end == 0 ? begin : std::min(hull.begin, begin), std::max(hull.end, end)};
    }
    for (u64 page = 0; page < pages; ++page) {
      const u8 kept = block->page_flags[page] & ~(RamBlock::kWatchStores | RamBlock::kWatchLoads);
      if (!set_flags(*block, page, kept | (wanted.empty() ? u8{0} : wanted[page]), kNever))
        throw Fatal("too many watched places for the host's memory mappings; watch fewer");
    }
  }
}

void AddressSpace::note_watch(GuestAddr pa, unsigned size, bool store, u64 old_value, u64 new_value) {
  // The hit is told at the address that is watched, wherever the access found its byte.
  const auto hit = [&](GuestAddr at) {
    for (const Watch& w : watches_) {
      if (!(store ? w.stores : w.loads) || at >= w.base + w.size || w.base >= at + size) continue;
      if (!watch_hit_) watch_hit_ = WatchHit{at, size, store, old_value, new_value};
      touched_device_ = true;  // ends the interpreter's run at the instruction's end
      return true;
    }
    return false;
  };
  if (hit(pa)) return;
  if (const RamBlock* block = ram_at(pa))
    for (const RamBlock* other : block->others)
      if (hit(pa - block->base + other->base)) return;
}

}  // namespace hindcast
