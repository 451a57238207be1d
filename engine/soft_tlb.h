// The soft TLB: where translated code looks up the host address of a guest page in contexts with paging or
// protection. A pure cache of Architecture::translate for pages of RAM; never part of the state.
#pragma once
#include "engine/types.h"

namespace hindcast {

struct SoftTlb {
  static constexpr u32 kEntries = 256;
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
    for (Entry& e : entries) e = {};
  }
  /// `page` is the virtual page's address; `host` where its bytes are in the memory window.
  void fill(GuestAddr page, unsigned page_bits, const u8* host, bool write) {
    Entry& e = entries[(page >> page_bits) % kEntries];
    const u64 addend = reinterpret_cast<u64>(host) - page;
    if (e.addend != addend || (e.read != page && e.write != page)) e = {};
    e.addend = addend;
    (write ? e.write : e.read) = page;
  }
};

}  // namespace hindcast
