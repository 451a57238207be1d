// Which virtual addresses the pages of page tables translate, as far as walks have read them. A pure cache: a
// write to an entry empties no more than what can have been derived from it.
#pragma once
#include <vector>

#include "engine/types.h"

namespace hindcast {

/// Virtual addresses from `first`, as many as 2^bits; 64 bits: all.
struct CoveredRange {
  GuestAddr first = 0;
  unsigned bits = 64;
  bool all() const { return bits >= 64; }
};

class TablePages {
 public:
  /// For `pages` pages, of which none has been read.
  explicit TablePages(u64 pages) : count_(pages) {}

  /// A walk has read the entry of `size` bytes at `offset` in the page, which translates `covered`.
  void read(u64 page, u64 offset, unsigned size, CoveredRange covered) {
    if (pages_.empty()) pages_.resize(count_);
    Page& p = pages_[page];
    p.writes = 0;
    // Where the addresses begin that the page's first entry translates.
    const GuestAddr base = covered.all() ? 0 : covered.first - ((offset / size) << covered.bits);
    if (p.size == 0) {
      p = {base, static_cast<u8>(covered.bits), static_cast<u8>(size), 0};
    } else if (p.base != base || p.bits != covered.bits || p.size != size) {
      p.bits = 64;  // it serves in several places
    }
  }
  /// What the entries that share bytes with [offset, offset + bytes) of the page translate.
  CoveredRange covered(u64 page, u64 offset, u64 bytes) const {
    const Page& p = pages_[page];
    if (p.size == 0 || p.bits >= 64) return {};
    const u64 first = offset / p.size, last = (offset + bytes - 1) / p.size;
    CoveredRange range{p.base + (first << p.bits), p.bits};
    // The smallest power of two of entries, aligned, that has both.
    for (unsigned more = 0; range.bits < 64; ++range.bits, ++more) {
      if (first >> more != last >> more) continue;
      range.first = p.base + (first >> more << more << p.bits);
      break;
    }
    return range;
  }
  /// Counts a write to the page since it was last read; how many there were (255: or more).
  unsigned count_write(u64 page) {
    u8& writes = pages_[page].writes;
    return writes == 255 ? 255 : ++writes;
  }
  void forget(u64 page) { pages_[page] = {}; }
  void forget_all() { pages_.clear(); }

 private:
  struct Page {
    GuestAddr base = 0;
    u8 bits = 0;    // addresses that an entry translates, as a power of two
    u8 size = 0;    // of an entry; 0: no walk has read the page
    u8 writes = 0;  // since it was last read
  };
  u64 count_;
  std::vector<Page> pages_;  // empty until there is a table
};

}  // namespace hindcast
