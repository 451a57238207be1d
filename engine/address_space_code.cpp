// Pages that translations were made from: stores into them are noticed, at every address that they have.
#include <algorithm>
#include <utility>

#include "engine/address_space.h"

namespace hindcast {

// A process may have 65530 mappings (vm.max_map_count) for several machines and all else; a guest whose code
// lies in more separate stretches than this has its translations dropped now and then.
constexpr u64 kMaxCodeBorders = 16384;

bool AddressSpace::protect_code_page(GuestAddr pa) {
  RamBlock* r = ram_at(pa);
  if (r == nullptr) return true;
  const u64 index = r->page_of(pa - r->base);
  r->has_code = true;
  const u8 here = r->others.empty() ? 0 : RamBlock::kCodeHere;
  if (!set_flags(*r, index, r->page_flags[index] | RamBlock::kCode | here, kMaxCodeBorders)) return false;
  for (RamBlock* other : r->others) {
    other->has_code = true;
    if (set_flags(*other, index, other->page_flags[index] | RamBlock::kCode, kMaxCodeBorders)) continue;
    unprotect_code_page(pa);
    return false;
  }
  return true;
}

void AddressSpace::unprotect_code_page(GuestAddr pa) {
  RamBlock* r = ram_at(pa);
  if (r == nullptr) return;
  const u64 index = r->page_of(pa - r->base);
  r->page_flags[index] &= static_cast<u8>(~RamBlock::kCodeHere);
  const auto code_here = [&](const RamBlock* other) {
    return (other->page_flags[index] & RamBlock::kCodeHere) != 0;
  };
  if (std::any_of(r->others.begin(), r->others.end(), code_here)) return;
  const auto clear = [&](RamBlock& block) {
    set_flags(block, index, block.page_flags[index] & static_cast<u8>(~RamBlock::kCode), kMaxCodeBorders);
  };
  clear(*r);
  for (RamBlock* other : r->others) clear(*other);
}

void AddressSpace::unprotect_code() {
  for (auto& block : ram_) {
    if (!std::exchange(block->has_code, false)) continue;
    const u64 pages = block->page_flags.size();
    const auto is_code = [&](u64 page) { return (block->page_flags[page] & RamBlock::kCode) != 0; };
    borders_ -= borders(*block, 0, pages);
    for (u64 page = 0; page < pages; ++page) {
      if (!is_code(page)) continue;
      const u64 first = page;
      for (; page < pages && is_code(page); ++page)
        block->page_flags[page] &= static_cast<u8>(~(RamBlock::kCode | RamBlock::kCodeHere));
      if (window_ != nullptr) protect(*block, first, page - first);
    }
    borders_ += borders(*block, 0, pages);
  }
}

}  // namespace hindcast
