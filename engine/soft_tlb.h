// The soft TLB: where translated code and the interpreter look up the host address of a guest page in
// contexts with paging or protection. A pure cache of Architecture::translate for pages of RAM; never part of
// the state.
//
// What is in it may be accessed without another look: pages whose stores (or loads) must be noticed are not
// entered, and leave it as soon as that becomes so (AddressSpace::on_direct_access_ends).
#pragma once
#include "engine/types.h"

namespace hindcast {

struct SoftTlb {
  static constexpr u32 kEntries = 1024;
  struct Entry {
    u64 read = kNever;   // virtual page address that loads may use; kNever: none
    u64 write = kNever;  // likewise for stores
    u64 addend = 0;      // host address minus virtual address
    u64 spare = 0;
  };
  static_assert(sizeof(Entry) == 32);
  Entry entries[kEntries];
  u64 generation = 0;  // Vcpu::protection_generation() when it was filled

  void flush() {
    if (filled_count <= kFilled) {
      for (u32 k = 0; k < filled_count; ++k) entries[filled[k]] = {};
    } else {
      for (Entry& e : entries) e = {};
    }
    filled_count = 0;
  }
  /// `page` is the virtual page's address; `host` where its bytes are.
  void fill(GuestAddr page, unsigned page_bits, const u8* host, bool write) {
    const u32 at = static_cast<u32>((page >> page_bits) % kEntries);
    Entry& e = entries[at];
    const u64 addend = reinterpret_cast<u64>(host) - page;
    if (e.addend != addend || (e.read != page && e.write != page)) {
      e = {};
      if (filled_count < kFilled) filled[filled_count] = static_cast<u16>(at);
      if (filled_count <= kFilled) ++filled_count;
    }
    e.addend = addend;
    (write ? e.write : e.read) = page;
  }
  /// Where `size` bytes at `va` are; null: not known, or not all in one page.
  u8* find(GuestAddr va, unsigned size, unsigned page_bits, bool write) const {
    const Entry& e = entries[(va >> page_bits) % kEntries];
    const GuestAddr last_page = (va + (size - 1)) & ~((u64{1} << page_bits) - 1);
    return (write ? e.write : e.read) == last_page ? reinterpret_cast<u8*>(va + e.addend) : nullptr;
  }
  /// Forgets the pages of the virtual addresses from `first`, as many as 2^bits.
  void drop_range(GuestAddr first, unsigned bits, unsigned page_bits) {
    if (filled_count == 0) return;
    const auto drop = [&](Entry& e) {
      const u64 page = e.read != kNever ? e.read : e.write;
      if (page != kNever && (bits >= 64 || (page - first) >> bits == 0)) e = {};
    };
    if (bits <= page_bits) {
      first &= ~((u64{1} << page_bits) - 1);  // pages may be larger than what is told of
      bits = page_bits;
      drop(entries[(first >> page_bits) % kEntries]);
    } else {
      for (Entry& e : entries) drop(e);
    }
  }
  /// Forgets the pages whose bytes are in [begin, begin + size) of the host's memory.
  void drop(const u8* begin, u64 size) {
    if (filled_count == 0) return;
    for (Entry& e : entries) {
      const u64 page = e.read != kNever ? e.read : e.write;
      if (page != kNever && page + e.addend - reinterpret_cast<u64>(begin) < size) e = {};
    }
  }

 private:
  /// Which entries may hold something; more than kFilled: any. Tasks of an RTOS fill a few before the rules
  /// change again.
  static constexpr u32 kFilled = 64;
  u16 filled[kFilled] = {};
  u32 filled_count = 0;
};

}  // namespace hindcast
