#include "tests/oracle_arm/generator.h"

#include <bit>
#include <cstring>
#include <string_view>

namespace hindcast::oracle_arm {
namespace {

using arm::InsnClass;
using arm::InsnRow;
using arm::Operands;

constexpr u32 kFillerReg = 6;

bool is(const InsnRow& row, std::string_view name) { return name == row.name; }
bool begins(const InsnRow& row, std::string_view prefix) {
  return std::string_view(row.name).starts_with(prefix);
}
bool syntax_has(const InsnRow& row, const char* text) { return std::strstr(row.syntax, text) != nullptr; }

/// Rows that a stream cannot hold: they wait, mask exceptions, call, or depend on what the board is.
bool left_out(const InsnRow& row) {
  for (const char* name :
       {"cps", "bkpt", "svc", "wfe", "wfi", "sev", "wfe.w", "wfi.w", "sev.w", "bxns", "blxns"})
    if (is(row, name)) return true;
  return false;
}
/// Rows that a board of QEMU's has with MVE, whose bits in FPSCR are not here; and loops, which have no end.
bool left_out_of_v81(const InsnRow& row) {
  const std::string_view name = row.name;
  if (name == "le") return true;
  const bool context = syntax_has(row, "%K") || syntax_has(row, "%H");
  return (name == "vmsr" || name == "vldr") && (context || syntax_has(row, "fpscr"));
}
bool stores_exclusive(const InsnRow& row) { return begins(row, "strex") || begins(row, "stlex"); }
bool is_branch(const InsnRow& row) { return row.insn_class == InsnClass::Branch && !is(row, "sg"); }

bool set_field(const InsnRow& row, u32& bits, char letter, u32 value) {
  for (unsigned i = 0; i < row.field_count; ++i) {
    if (row.field[i].letter != letter) continue;
    for (unsigned s = 0; s < row.field[i].segments; ++s) {
      const auto& seg = row.field[i].segment[s];
      const u32 mask = (u32{1} << seg.width) - 1;
      bits = (bits & ~(mask << seg.from)) | (value >> seg.to & mask) << seg.from;
    }
    return true;
  }
  return false;
}

/// The registers that an instruction writes, as far as the operands tell. Not an address register that is
/// written back: it may move, by a little.
u32 written(const InsnRow& row, const Operands& o) {
  u32 set = 0;
  if ((row.needs & arm::ext::Vfp) != 0) {  // d, n and m are floating-point registers there
    const bool to_core = std::strncmp(row.syntax, "%t", 2) == 0 || syntax_has(row, "%F");
    if (to_core && o.t != arm::kPc) set |= 1u << o.t;
    if (to_core && syntax_has(row, "%u")) set |= 1u << o.u;
    return set;
  }
  bool has_d = false, has_t = false, has_u = false;
  for (unsigned i = 0; i < row.field_count; ++i) {
    has_d |= row.field[i].letter == 'd' || row.field[i].letter == 'x';
    has_t |= row.field[i].letter == 't';
    has_u |= row.field[i].letter == 'u';
  }
  const bool store = row.insn_class == InsnClass::Store;
  if (has_d) set |= 1u << o.d;
  if (has_t && !store) set |= 1u << o.t;
  if (has_u && !store) set |= 1u << o.u;
  if (row.insn_class == InsnClass::Load && syntax_has(row, "%l")) set |= o.list;
  return set;
}

bool addresses_memory(const InsnRow& row) {
  if (row.insn_class != InsnClass::Load && row.insn_class != InsnClass::Store && !begins(row, "tb") &&
      !syntax_has(row, "%H")) {
    return false;
  }
  for (const char* text : {"[%n", "%A", "%D", "%l", "%V", "%X", "%Y", "%H"})
    if (syntax_has(row, text)) return true;
  return false;
}

}  // namespace

Generator::Generator(const arm::ArmArch& arch, const Target& target, u64 seed)
    : arch_(arch), target_(target), random_(seed) {
  const auto all = arm::all_rows();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!arch.has(all[i]->needs) || left_out(*all[i])) continue;
    if (arch.has(arm::ext::V81) && left_out_of_v81(*all[i])) continue;
    rows_.push_back(static_cast<u16>(i));
    drawn_[static_cast<u16>(i)] = 0;
  }
}

u16 Generator::next_row() {
  if (deck_.empty()) {
    deck_ = rows_;
    for (std::size_t i = deck_.size(); i > 1; --i)
      std::swap(deck_[i - 1], deck_[random_.below(static_cast<u32>(i))]);
  }
  const u16 row = deck_.back();
  deck_.pop_back();
  return row;
}

/// What a fixed-point conversion subtracts from its width: imm4:i, decoded as i:imm4.
u32 fixed_size(u32 imm) { return (imm & 15) << 1 | imm >> 4; }

/// Whether these operands are predictable, keep the stream together, and leave the block's bases alone.
bool Generator::suits(const InsnRow& row, const Operands& o, bool in_it) const {
  const u32 out = written(row, o);
  if ((out & (1u << base_ | 1u << index_ | 1u << arm::kPc)) != 0) return false;
  if ((out & 1u << arm::kSp) != 0 && !is(row, "push") && !is(row, "pop") && !syntax_has(row, "%n, %i") &&
      !(o.d == arm::kSp && o.n == arm::kSp)) {
    return false;
  }
  // The stack pointer moves, but not far.
  if (o.d == arm::kSp && (row.insn_class == InsnClass::Arithmetic || row.insn_class == InsnClass::Move) &&
      (row.length == 4 || begins(row, "mov") || syntax_has(row, "%d, %m"))) {
    return false;
  }
  const bool writes_back = syntax_has(row, "%A") || syntax_has(row, "%D");
  if (writes_back && (o.n == o.t || (syntax_has(row, "%u") && o.n == o.u))) return false;
  if (syntax_has(row, "%t, %u") && o.t == o.u) return false;
  if (stores_exclusive(row) && (o.d == o.n || o.d == o.t)) return false;
  if ((is(row, "bfi") || is(row, "bfc")) && o.imm2 < o.imm) return false;
  if ((begins(row, "sbfx") || begins(row, "ubfx")) && o.imm + o.imm2 > 32) return false;
  if ((is(row, "ssat") || is(row, "usat")) && o.shift != 0 && o.imm == 0) return false;
  if (is(row, "cmp") && row.length == 2 && (o.bits & 0xff00) == 0x4500 && o.n < 8 && o.m < 8) return false;
  if ((row.needs & arm::ext::Vfp) != 0 && syntax_has(row, "%t, %u") && o.t == o.u) return false;
  if ((syntax_has(row, "%X") || syntax_has(row, "%Y")) && !is(row, "vscclrm")) {
    // Lists of up to eight words, so that the base does not go far.
    const bool single = syntax_has(row, "%X");
    const u32 first = single ? (o.d & 15u) << 1 | o.d >> 4 : 2u * o.d, count = o.imm;
    if (count == 0 || count > 8 || (!single && count % 2 != 0) || first + count > 32) return false;
  }
  if (syntax_has(row, "%l")) {
    const u32 list = o.list;
    const int least = row.length == 4 ? 2 : 1;
    if (std::popcount(list) < least) return false;
    if (row.length == 4 && (list & (1u << 13 | 1u << 15)) != 0) return false;
    if (row.length == 4 && o.w && (list >> o.n & 1) != 0) return false;
    if (is(row, "stmia") && (list >> o.n & 1) != 0) return false;
    if (is(row, "pop") && (list & 0x100) != 0) return false;
    if ((list & (1u << base_ | 1u << index_)) != 0 && row.insn_class == InsnClass::Load) return false;
    if (row.length == 2 && (is(row, "stmia") || is(row, "ldmia")) && o.n != base_) return false;
  }
  if (addresses_memory(row)) {
    const bool on_stack = o.n == arm::kSp;
    if (o.n != base_ && !on_stack) return false;
    if (on_stack && (writes_back || (syntax_has(row, "%w") && o.w))) return false;
    if ((syntax_has(row, "%m]") || syntax_has(row, "%m%k") || syntax_has(row, "%m, lsl")) && o.m != index_)
      return false;
  }
  if (is(row, "msr") && (o.imm != 0 || o.imm2 == 0 || (!arch_.has(arm::ext::Dsp) && o.imm2 != 2)))
    return false;
  if (is(row, "mrs")) {
    const u32 n = o.imm;
    if (n == 10 || n == 11) return arch_.has(arm::ext::V8);
    if (n == 4 || n == 7 || (n > 3 && n < 5) || (n > 9 && n != 16 && n != 17 && n != 20)) return false;
    if (n == 6 || n == 8) return false;
    if (!arch_.has(arm::ext::Main) && n == 17) return false;
  }
  if (syntax_has(row, "%K") && o.n != 2) return false;
  if (syntax_has(row, "%H") && o.m != 1 && o.m != 2) return false;
  if (begins(row, "bf") && row.insn_class == InsnClass::System && o.imm == 0) return false;
  if (begins(row, "cs") && (o.cond >= 14 || o.n == arm::kSp || o.m == arm::kSp)) return false;
  if (is(row, "dls") && base_ == arm::kLr) return false;
  if (is(row, "clrm") && (o.list == 0 || (o.list & (1u << arm::kSp | 1u << base_ | 1u << index_)) != 0))
    return false;
  if (is(row, "vscclrm") &&
      (o.imm == 0 || (syntax_has(row, "%X") ? ((o.d & 15u) << 1 | o.d >> 4) : 2u * o.d) + o.imm > 32))
    return false;
  if (syntax_has(row, "%3, %7") && (o.bits & 0x2f) == 0x2f) return false;  // s31 and what is behind it
  // 16-bit fixed point has at most 16 fraction bits: the immediate, i:imm4, is imm4:i in the instruction.
  const std::string_view name = row.name;
  const bool fixed16 = name.find("16.f") != name.npos || name.ends_with("s16") || name.ends_with("u16");
  if (syntax_has(row, "%f") && fixed16 && fixed_size(o.imm) > 16) return false;
  if (begins(row, "hint") && o.imm < 5) return false;
  if (in_it && (is(row, "movs") && (o.bits >> 6) == 0)) return false;  // LSLS #0
  return true;
}

bool Generator::try_encode(const InsnRow& row, bool in_it, Item::Piece& piece) {
  u32 bits = row.match | (static_cast<u32>(random_.next()) & ~row.mask);
  if (row.length == 2) bits &= 0xffff;
  if (addresses_memory(row)) {
    if (!syntax_has(row, "[sp")) set_field(row, bits, 'n', base_);
    if (syntax_has(row, "%m")) set_field(row, bits, 'm', index_);
  }
  if (is(row, "msr")) set_field(row, bits, 'i', 0);
  if (is(row, "mrs")) set_field(row, bits, 'i', random_.below(21));
  // Registers of both halves, and a list without the reserved ones.
  if (syntax_has(row, "%l") && random_.chance(70)) {
    const u32 kept = row.length == 4 ? 0x5fff : 0xff;
    set_field(row, bits, 'l', static_cast<u32>(random_.next()) & kept & ~(1u << base_ | 1u << index_));
  }
  if (is(row, "push") || is(row, "pop")) {
    u32 list = static_cast<u32>(random_.next()) & 0xff;
    if (is(row, "pop")) list &= ~(1u << base_ | 1u << index_);
    set_field(row, bits, 'l', list);
  }
  Operands o;
  if (arch_.decode(bits, row.length, &o) != &row) return false;
  if (!suits(row, o, in_it)) return false;
  piece = {bits, row.length};
  return true;
}

bool Generator::encode(const InsnRow& row, bool in_it, Item::Piece& piece) {
  for (int tries = 0; tries < 400; ++tries)
    if (try_encode(row, in_it, piece)) return true;
  return false;
}

/// Branches go forward, over a filler or onto the next instruction.
bool Generator::add_branch(Item& item, const InsnRow& row) {
  const u32 skipped = random_.below(3);  // fillers
  u32 bits = row.match | (static_cast<u32>(random_.next()) & ~row.mask);
  if (row.length == 2) bits &= 0xffff;
  const auto fillers = [&](u32 n) {
    for (u32 i = 0; i < n; ++i) item.pieces.push_back(filler());
  };
  if (is(row, "bx") || is(row, "blx")) {
    // mov rX, pc; adds rX, #(target | 1); bx rX; fillers
    const u32 reg = kFillerReg;
    item.pieces.push_back({0x4678 | reg, 2});
    item.pieces.push_back({0x3000 | reg << 8 | (3 + 2 * skipped), 2});
    item.pieces.push_back({row.match | reg << 3, 2});
    fillers(skipped);
    return true;
  }
  if (begins(row, "tb")) {
    // movs r6, #0; tb [pc, r6]; table; fillers
    item.pieces.push_back({0x2000 | kFillerReg << 8, 2});
    set_field(row, bits, 'n', 15);
    set_field(row, bits, 'm', kFillerReg);
    item.pieces.push_back({bits, 4});
    item.pieces.push_back({1 + skipped, 2});
    fillers(skipped);
    return true;
  }
  const u32 distance = 2 * skipped + row.length - 4;  // from pc + 4
  if (row.length == 2 && !begins(row, "cb")) {
    if (skipped == 0) return false;
    set_field(row, bits, 'i', distance / 2);
  } else if (begins(row, "cb")) {
    if (skipped == 0) return false;
    set_field(row, bits, 'i', distance / 2);
    set_field(row, bits, 'n', random_.below(8));
  } else if (row.imm_kind == arm::ImmKind::Loop) {
    set_field(row, bits, 'i', (distance / 2) >> 1 | (distance / 2 & 1) << 10);
    set_field(row, bits, 'n', index_);
  } else if (row.imm_kind == arm::ImmKind::BranchT3) {
    set_field(row, bits, 'i', distance / 2);
  } else {
    set_field(row, bits, 'i', 3u << 11 | distance / 2);  // J1 and J2
  }
  if (begins(row, "b%c")) set_field(row, bits, 'c', random_.below(14));
  Operands o;
  if (arch_.decode(bits, row.length, &o) != &row || o.imm != distance) return false;
  item.pieces.push_back({bits, row.length});
  fillers(skipped);
  return true;
}

bool Generator::add_if_then(Item& item, const InsnRow& row) {
  const unsigned count = 1 + random_.below(4);
  const u32 cond = random_.below(15);
  u32 mask = 1u << (4 - count);
  for (unsigned i = 1; i < count; ++i) {
    const u32 low = cond == 14 ? 0 : random_.below(2);  // "else" of "always" is unpredictable
    mask |= low << (4 - i);
  }
  item.pieces.push_back({row.match | cond << 4 | mask, 2});
  for (unsigned i = 0; i < count;) {
    const u16 index = rows_[random_.below(static_cast<u32>(rows_.size()))];
    const InsnRow& inner = *arm::all_rows()[index];
    if (is_branch(inner) || inner.insn_class == InsnClass::IfThen || begins(inner, "udf")) continue;
    if (stores_exclusive(inner) || is(inner, "sg")) continue;
    Item::Piece piece;
    if (!encode(inner, true, piece)) continue;
    item.pieces.push_back(piece);
    item.rows.push_back(index);
    ++i;
  }
  return true;
}

/// A load-exclusive of the same address and size, or what makes the store fail. Other sizes are
/// unpredictable, and QEMU's monitor looks at values.
Item::Piece Generator::before_store_exclusive(const InsnRow& row, const Item::Piece& store) {
  constexpr Item::Piece kClrex{0xf3bf8f2f, 4};
  if (random_.chance(30)) return kClrex;
  const u32 registers = base_ << 16 | kFillerReg << 12;
  if (is(row, "strexb") || is(row, "stlexb")) return {0xe8d00f4f | registers, 4};
  if (is(row, "strexh") || is(row, "stlexh")) return {0xe8d00f5f | registers, 4};
  if (is(row, "stlex")) return {0xe8d00fef | registers, 4};
  return {0xe8500f00 | registers | (store.bits & 0xff), 4};
}

bool Generator::add(Block& block, u16 index) {
  const InsnRow& row = *arm::all_rows()[index];
  Item item;
  item.rows.push_back(index);
  if (is_branch(row)) {
    if (!add_branch(item, row)) return false;
  } else if (row.insn_class == InsnClass::IfThen) {
    if (!add_if_then(item, row)) return false;
  } else {
    Item::Piece piece;
    if (!encode(row, false, piece)) return false;
    // Whether a store-exclusive that fails looks at its address first is the implementation's choice, and
    // QEMU's is another: bic base, base, #3 goes before it.
    if (stores_exclusive(row)) {
      item.pieces.push_back({0xf0200003 | base_ << 16 | base_ << 8, 4});
      item.pieces.push_back(before_store_exclusive(row, piece));
    }
    item.pieces.push_back(piece);
  }
  for (const u16 r : item.rows) ++drawn_[r];
  block.items.push_back(std::move(item));
  return true;
}

Block Generator::block() {
  Block block;
  base_ = random_.below(6);
  do index_ = random_.below(6);
  while (index_ == base_);
  Inputs& in = block.inputs;
  for (u32& r : in.r) r = static_cast<u32>(oracle::integer_operand(random_));
  const u32 scratch = static_cast<u32>(target_.data) + kScratchAt;
  const bool aligned = random_.chance(85) || arch_.features().baseline();
  in.r[base_] = scratch + kScratchBytes / 4 + random_.below(0x400) * 4 + (aligned ? 0 : random_.below(4));
  if (random_.chance(3))
    in.r[base_] = static_cast<u32>(target_.hole) + random_.below(64) * 4;  // nothing there
  in.r[index_] = aligned ? random_.below(64) * 4 : random_.below(256);
  in.r[13] = scratch + kScratchBytes / 4 * 3 + random_.below(64) * 8;
  in.xpsr = static_cast<u32>(random_.next()) & (arch_.has(arm::ext::Main) ? 0xf8000000 : 0xf0000000);
  if (arch_.has(arm::ext::Dsp)) in.xpsr |= random_.below(16) << 16;
  for (u32& s : in.s) {
    s = static_cast<u32>(oracle::float_operand(random_, oracle::FpFormat::Single));
    if (!arch_.has(arm::ext::Fp16) || random_.chance(50)) continue;
    s = (s & 0xffff0000) |
        (static_cast<u32>(oracle::float_operand(random_, oracle::FpFormat::Half)) & 0xffff);
  }
  in.fpscr = random_.below(16) << 22 & 0x03c00000;
  if (arch_.has(arm::ext::Fp16)) in.fpscr |= random_.below(2) << 19;
  // QEMU's M55 has MVE and would take another LTPSIZE.
  if (arch_.has(arm::ext::V81)) in.fpscr |= arm::fpscr::kNoTail;
  while (block.items.size() < kItems) {
    const u16 row = next_row();
    for (int tries = 0; tries < 20 && !add(block, row); ++tries) {
    }
  }
  return block;
}

Program Generator::program(unsigned blocks, unsigned loops) {
  Program p;
  p.loops = loops;
  for (unsigned i = 0; i < blocks; ++i) p.blocks.push_back(block());
  p.scratch.resize(kScratchBytes);
  for (u8& byte : p.scratch) byte = static_cast<u8>(random_.next());
  return p;
}

}  // namespace hindcast::oracle_arm
