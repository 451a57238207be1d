// Multiple loads and stores, table branches.
#include <bit>
#include <vector>

#include "targets/arm/chapters.h"
#include "targets/arm/emit_common.h"

namespace hindcast::arm {

void store_multiple(Emitter& e, unsigned base, u32 list, i32 offset) {
  const Value address = e.r(base);
  bool first = base != kSp;  // the stack pointer is aligned
  for (unsigned n = 0; n < 16; ++n) {
    if ((list >> n & 1) == 0) continue;
    if (first) {
      e.b.store(address, e.r(n), e.always_aligned(offset));
    } else {
      e.store(Type::I32, address, e.r(n), offset, true);
    }
    first = false;
    offset += 4;
  }
}

void load_multiple(Emitter& e, unsigned base, u32 list, i32 offset, i32 writeback) {
  const Value address = e.r(base);
  // All values are there before a register changes: any of the loads may fault.
  std::vector<std::pair<unsigned, Value>> loaded;
  bool first = base != kSp;
  for (unsigned n = 0; n < 16; ++n) {
    if ((list >> n & 1) == 0) continue;
    loaded.emplace_back(n, first ? e.b.load(Type::I32, address, e.always_aligned(offset))
                                 : e.load(Type::I32, address, offset, true));
    first = false;
    offset += 4;
  }
  if (writeback != 0 && (list >> base & 1) == 0) {
    e.set_aligned(base, e.b.add(address, e.b.i32(static_cast<u32>(writeback))));
  }
  for (const auto& [n, value] : loaded) {
    if (n == kPc) {
      e.bx_write_pc(value);  // the last one
    } else {
      e.set_r(n, value);
    }
  }
}

namespace {

template <bool before>
void stm(Emitter& e) {
  const i32 bytes = 4 * std::popcount(e.o.list);
  if (bytes < 8 || (e.o.list & (1 << kSp | 1 << kPc)) != 0) return e.undefined();
  if (e.o.w && e.o.n == kSp) check_stack_move(e, before ? -bytes : bytes);
  store_multiple(e, e.o.n, e.o.list, before ? -bytes : 0);
  if (e.o.w) e.set_aligned(e.o.n, e.b.add(e.rn(), e.b.i32(static_cast<u32>(before ? -bytes : bytes))));
}

template <bool before>
void ldm(Emitter& e) {
  const i32 bytes = 4 * std::popcount(e.o.list);
  const bool both_links = (e.o.list >> kLr & 3) == 3;
  if (bytes < 8 || (e.o.list & 1 << kSp) != 0 || both_links) return e.undefined();
  if (e.o.w && e.o.n == kSp) check_stack_move(e, before ? -bytes : bytes);
  load_multiple(e, e.o.n, e.o.list, before ? -bytes : 0, e.o.w ? (before ? -bytes : bytes) : 0);
}

template <Type entry>
void table_branch(Emitter& e) {
  const Value index = entry == Type::I8 ? e.rm() : e.b.binary(Op::Shl, e.rm(), e.b.i32(1));
  const Value half_words = e.b.zext(Type::I32, e.load(entry, e.b.add(e.rn(), index)));
  e.branch_write_pc(e.b.add(e.b.i32(e.pc + 4), e.b.binary(Op::Shl, half_words, e.b.i32(1))));
}

}  // namespace

std::span<const InsnRow> rows_multiple() {
  using namespace ext;
  static constexpr InsnRow rows[] = {
#include "targets/arm/insns_multiple.inc"
  };
  return rows;
}

}  // namespace hindcast::arm
