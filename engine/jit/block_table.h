// The live translated blocks of a context, by where they begin: open addressing, so that looking one up
// touches one place in memory.
#pragma once
#include <vector>

#include "engine/types.h"

namespace hindcast::jit {

/// Where a translation begins: the pc, and the physical address of its first byte. The two are the same in
/// contexts whose fetch is not mapped.
struct CodeKey {
  GuestAddr pc = 0, pa = 0;
  bool operator==(const CodeKey&) const = default;
};
struct CodeKeyHash {
  std::size_t operator()(const CodeKey& key) const {
    return static_cast<std::size_t>((key.pc ^ key.pa << 20) * 0x9e37'79b9'7f4a'7c15);
  }
};

class BlockTable {
 public:
  static constexpr u32 kNone = ~u32{0};

  struct Found {
    u32 block = kNone;  // number; kNone: there is none
    bool reaches_on = false;
  };
  Found find(const CodeKey& key) const {
    if (count_ == 0) return {};
    for (std::size_t at = home(key);; at = next(at))
      if (entries_[at].found.block == kNone || entries_[at].key == key) return entries_[at].found;
  }
  /// In place of what there is at `key`. `reaches_on`: into the next page.
  void insert(const CodeKey& key, u32 block, bool reaches_on) {
    if (2 * (count_ + 1) > entries_.size()) grow();
    std::size_t at = home(key);
    while (entries_[at].found.block != kNone && !(entries_[at].key == key)) at = next(at);
    if (entries_[at].found.block == kNone) ++count_;
    entries_[at] = {key, {block, reaches_on}};
  }
  void erase(const CodeKey& key) {
    if (count_ == 0) return;
    std::size_t hole = home(key);
    while (!(entries_[hole].key == key)) {
      if (entries_[hole].found.block == kNone) return;
      hole = next(hole);
    }
    if (entries_[hole].found.block == kNone) return;
    // What follows moves up, unless it is nearer to its home where it is.
    for (std::size_t at = next(hole); entries_[at].found.block != kNone; at = next(at)) {
      if (distance(home(entries_[at].key), at) < distance(hole, at)) continue;
      entries_[hole] = entries_[at];
      hole = at;
    }
    entries_[hole] = {};
    --count_;
  }
  void clear() {
    entries_.clear();
    count_ = 0;
    bits_ = 0;
  }

 private:
  struct Entry {
    CodeKey key;
    Found found;
  };
  std::size_t home(const CodeKey& key) const { return CodeKeyHash()(key) >> (64 - bits_); }
  std::size_t next(std::size_t at) const { return (at + 1) & (entries_.size() - 1); }
  std::size_t distance(std::size_t from, std::size_t to) const { return (to - from) & (entries_.size() - 1); }
  void grow() {
    constexpr unsigned kFirstBits = 8;
    std::vector<Entry> old;
    old.swap(entries_);
    bits_ = bits_ == 0 ? kFirstBits : bits_ + 1;
    entries_.resize(std::size_t{1} << bits_);
    for (const Entry& entry : old) {
      if (entry.found.block == kNone) continue;
      std::size_t at = home(entry.key);
      while (entries_[at].found.block != kNone) at = next(at);
      entries_[at] = entry;
    }
  }

  std::vector<Entry> entries_;
  std::size_t count_ = 0;
  unsigned bits_ = 0;  // of entries_.size()
};

}  // namespace hindcast::jit
