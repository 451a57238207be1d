#include "tests/oracle/generator.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace hindcast::oracle {
namespace {

using riscv::InsnClass;
using riscv::InsnRow;

bool has(const InsnRow& row, char operand) {
  const char* space = std::strchr(row.syntax, ' ');
  return std::strchr(space != nullptr ? space : row.syntax, operand) != nullptr;
}
bool uses_memory(const InsnRow& row) { return std::strstr(row.syntax, "(s)") != nullptr; }
bool is_control(const InsnRow& row) {
  return row.insn_class == InsnClass::Branch || row.insn_class == InsnClass::Jump ||
         std::strcmp(row.name, "mret") == 0;
}
/// The programs stay in machine mode.
bool leaves_machine_mode(const InsnRow& row) { return std::strcmp(row.name, "sret") == 0; }
/// What QEMU 7.2 computes wrongly for some operands.
bool is_spared(const InsnRow& row) { return std::strcmp(row.name, "ctzw") == 0; }
bool starts_with(const InsnRow& row, const char* prefix) {
  return std::strncmp(row.name, prefix, std::strlen(prefix)) == 0;
}

/// The format of the floating-point operands that are read, by the mnemonic's last letter that names one.
FpFormat source_format(const InsnRow& row) {
  const char* dot = std::strrchr(row.name, '.');
  const char letter = dot != nullptr ? dot[1] : row.name[std::strlen(row.name) - 1];  // "fsw" has no dot
  switch (letter) {
    case 'h': return FpFormat::Half;
    case 's':
    case 'w': return FpFormat::Single;
    case 'd': return FpFormat::Double;
    default: return FpFormat::Any;
  }
}

FpFormat result_format(const InsnRow& row) {
  if (starts_with(row, "fcvt.") || starts_with(row, "fmv.")) {
    switch (std::strchr(row.name, '.')[1]) {
      case 'h': return FpFormat::Half;
      case 's':
      case 'w': return FpFormat::Single;
      default: return FpFormat::Double;
    }
  }
  return source_format(row);
}

/// Puts `value` into the row's field `letter`; false if it has none.
bool set_field(const InsnRow& row, u32& bits, char letter, u64 value) {
  for (unsigned i = 0; i < row.field_count; ++i) {
    if (row.field[i].letter != letter) continue;
    for (unsigned s = 0; s < row.field[i].segments; ++s) {
      const auto& seg = row.field[i].segment[s];
      const u32 mask = (u32{1} << seg.width) - 1;
      bits = (bits & ~(mask << seg.from)) | (static_cast<u32>(value >> seg.to) & mask) << seg.from;
    }
    return true;
  }
  return false;
}

/// Names a register in whichever of the fields carries it.
bool set_register(const InsnRow& row, u32& bits, const char* letters, unsigned reg) {
  for (; *letters != 0; ++letters) {
    const bool three_bits = std::strchr("DSTX", *letters) != nullptr;
    if (three_bits && (reg < 8 || reg > 15)) continue;
    if (set_field(row, bits, *letters, three_bits ? reg - 8 : reg)) return true;
  }
  return false;
}

bool has_field(const InsnRow& row, const char* letters) {
  for (unsigned i = 0; i < row.field_count; ++i) {
    if (std::strchr(letters, row.field[i].letter) != nullptr) return true;
  }
  return false;
}

constexpr u32 kSystemOpcode = 0x73, kMiscMemOpcode = 0x0f;
constexpr u16 kCsrs[] = {0x001, 0x002, 0x003, 0x5c0};  // fflags, frm, fcsr, none
constexpr u16 kReadOnlyCsr = 0xf14;                    // mhartid

}  // namespace

Generator::Generator(const riscv::RiscvArch& arch, u64 seed, GeneratorOptions options)
    : arch_(arch), options_(options), random_(seed) {
  const auto all = riscv::all_rows();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const InsnRow& row = *all[i];
    if (!arch.features().in(row.xlen) || !arch.features().has(row.needs) ||
        (row.needs & options_.without) != 0 || leaves_machine_mode(row))
      continue;
    rows_.push_back(static_cast<u16>(i));
    drawn_[static_cast<u16>(i)] = 0;
  }
}

const InsnRow* Generator::row_named(const std::string& name) const {
  for (u16 i : rows_) {
    if (name == riscv::all_rows()[i]->name) return riscv::all_rows()[i];
  }
  return nullptr;
}

u16 Generator::index_of(const InsnRow& row) const {
  for (u16 i : rows_) {
    if (riscv::all_rows()[i] == &row) return i;
  }
  throw std::logic_error("not a row of this CPU");
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

Program Generator::program(unsigned blocks, unsigned loops) {
  Program p;
  p.xlen = arch_.xlen();
  p.loops = loops;
  for (unsigned i = 0; i < blocks; ++i) p.blocks.push_back(block());
  while (p.scratch.size() < kScratchBytes) {
    const u64 word = random_.chance(50) ? float_operand(random_, static_cast<FpFormat>(random_.below(3)))
                                        : integer_operand(random_);
    for (unsigned i = 0; i < 8; ++i) p.scratch.push_back(static_cast<u8>(word >> (8 * i)));
  }
  return p;
}

Block Generator::block() {
  Block b;
  choose_inputs(b);
  std::vector<u16> postponed;
  while (b.items.size() < kItems) {
    if (random_.chance(options_.illegal_percent)) b.items.push_back({{illegal()}, {}});
    const u16 row = next_row();
    if (!add(b, row)) postponed.push_back(row);  // for a block with other base registers
    if (postponed.size() > 40) break;
  }
  deck_.insert(deck_.end(), postponed.begin(), postponed.end());
  return b;
}

void Generator::choose_inputs(Block& block) {
  bases_ = {};
  bases_.stack = random_.chance(50);
  bases_.aligned = 8 + random_.below(8);
  do bases_.any = 3 + random_.below(29);
  while (bases_.any == bases_.aligned);
  do bases_.nowhere = 3 + random_.below(29);
  while (bases_.nowhere == bases_.aligned || bases_.nowhere == bases_.any);
  bases_.misaligned = random_.chance(25);

  for (unsigned r = 1; r < 32; ++r) block.inputs.x[r] = integer_operand(random_);
  const auto inside = [&] { return kScratch + 0x1000 + random_.below(kScratchBytes - 0x2000); };
  block.inputs.x[bases_.aligned] = (inside() & ~u64{15}) + (bases_.misaligned ? random_.below(16) : 0);
  block.inputs.x[bases_.any] = inside();
  block.inputs.x[bases_.nowhere] = kNowhere + 0x1000 + random_.below(0x1000);
  if (bases_.stack) block.inputs.x[2] = inside() & ~u64{15};
  for (unsigned r = 0; r < 32; ++r) {
    formats_[r] = static_cast<FpFormat>(random_.below(random_.chance(5) ? 4 : 3));
    block.inputs.f[r] = float_operand(random_, formats_[r]);
  }
  // Flags at random, a valid rounding mode but for one block in twenty.
  block.inputs.fcsr = random_.below(32) | (random_.chance(95) ? random_.below(5) : 5 + random_.below(3)) << 5;
}

bool Generator::add(Block& block, u16 index) {
  const InsnRow& row = *riscv::all_rows()[index];
  Item item;
  bool done = false;
  if (std::strcmp(row.name, "mret") == 0) {
    done = add_mret(item, row);
  } else if (is_control(row)) {
    done = has(row, 'p') ? add_forward(item, row) : add_register_jump(item, row);
  } else if (starts_with(row, "lr.") || starts_with(row, "sc.")) {
    done = add_reservation(item, row);
  } else {
    Item::Piece piece;
    done = encode(row, piece);
    if (done) {
      if (options_.spare_qemu && is_spared(row)) {
        // Its ctzw is wrong where the low word is zero: set a bit in it.
        const u32 rs = piece.bits >> 15 & 31;
        if (rs == 0) return false;
        if (!bases_.contains(rs)) {
          item.pieces.push_back({1u << (20 + random_.below(11)) | rs << 15 | 6 << 12 | rs << 7 | 0x13, 4});
        }
      }
      item.pieces.push_back(piece);
      item.rows.push_back(index);
    }
  }
  if (!done) return false;
  for (u16 r : item.rows) ++drawn_[r];
  block.items.push_back(std::move(item));
  return true;
}

u32 Generator::random_float_register(FpFormat format) {
  // Mostly one that holds the right kind of number; the others are all the same NaN to the instruction.
  if (random_.chance(90)) {
    for (int attempt = 0; attempt < 20; ++attempt) {
      const u32 r = random_.below(32);
      if (formats_[r] == format) return r;
    }
  }
  return random_.below(32);
}

bool Generator::try_encode(const InsnRow& row, Item::Piece& piece) {
  u32 bits = row.match | (static_cast<u32>(random_.next()) & ~row.mask);
  if (row.length == 2) bits &= 0xffff;
  if (uses_memory(row) && has_field(row, "sS")) {
    // Atomics fault when misaligned; the other bases also serve where the encoding has five bits.
    const u32 choice = random_.below(100);
    unsigned base = bases_.aligned;
    if (row.insn_class == InsnClass::Atomic ? choice >= 95 : choice >= 75) base = bases_.any;
    if (choice < 4) base = bases_.nowhere;
    if (!set_register(row, bits, "sS", base) && !set_register(row, bits, "S", bases_.aligned)) return false;
  }
  if (uses_memory(row) && !has_field(row, "sS") && !bases_.stack) return false;  // the implied x2
  for (const char* letter = "STR"; *letter != 0; ++letter) {
    // In the syntax, capitals are floating-point registers; the fields for them are small (or 3 bits wide).
    if (!has(row, *letter)) continue;
    const char field[] = {static_cast<char>(*letter - 'A' + 'a'), *letter, 0};
    set_register(row, bits, field, random_float_register(source_format(row)));
  }
  if (has_field(row, "m")) {
    const u32 mode = random_.chance(94) ? (random_.chance(60) ? random_.below(5) : 7) : 5 + random_.below(2);
    set_field(row, bits, 'm', mode);
  }
  if (has_field(row, "c")) {
    set_field(row, bits, 'c', kCsrs[random_.below(std::size(kCsrs))]);
    // Set and clear with a register write even if it holds 0, which QEMU misses: with x0 only.
    const bool may_read = std::strcmp(row.name, "csrrs") == 0 || std::strcmp(row.name, "csrrc") == 0;
    if (random_.chance(20)) {
      set_field(row, bits, 'c', kReadOnlyCsr);
      if (may_read && options_.spare_qemu) set_field(row, bits, 's', 0);
    }
  }

  riscv::Operands o;
  if (arch_.decode(bits, &o) != &row)
    return false;  // broke the row's rule, or a more specific row's encoding
  if (!has(row, 'D') && bases_.contains(o.rd)) return false;
  if (starts_with(row, "amocas.") && bases_.contains(o.rd | 1)) return false;         // may be one of a pair
  if (starts_with(row, "amocas.") && o.rd == 0 && options_.spare_qemu) return false;  // x0 has a value then
  piece = {bits, row.length};
  return true;
}

bool Generator::encode(const InsnRow& row, Item::Piece& piece) {
  for (int attempt = 0; attempt < 50; ++attempt) {
    if (!try_encode(row, piece)) continue;
    riscv::Operands o;
    arch_.decode(piece.bits, &o);
    if (has(row, 'D')) formats_[o.rd] = result_format(row);
    return true;
  }
  return false;
}

Item::Piece Generator::filler() {
  for (;;) {
    const InsnRow& row = *riscv::all_rows()[rows_[random_.below(static_cast<u32>(rows_.size()))]];
    Item::Piece piece;
    if (options_.spare_qemu && is_spared(row)) continue;
    if (!is_control(row) && row.insn_class != InsnClass::Atomic && encode(row, piece)) return piece;
  }
}

Item::Piece Generator::illegal() {
  for (;;) {
    u32 bits = static_cast<u32>(random_.next());
    if (random_.chance(50)) {  // next to a row: one bit of an encoding is wrong
      const InsnRow& row = *riscv::all_rows()[rows_[random_.below(static_cast<u32>(rows_.size()))]];
      bits = (row.match | (bits & ~row.mask)) ^ u32 { 1 } << random_.below(row.length * 8u);
    }
    const u8 length = (bits & 3) == 3 ? 4 : 2;
    if (length == 2) bits &= 0xffff;
    if (length == 2 && arch_.insn_alignment() == 4) continue;  // the code would go on misaligned
    // Where the other side may know extensions and privilege levels that we do not.
    const u32 opcode = bits & 0x7f;
    if (length == 4 && (opcode == kSystemOpcode || opcode == kMiscMemOpcode)) continue;
    if (arch_.decode(bits) == nullptr) return {bits, length};
  }
}

unsigned Generator::scratch_register() {
  for (;;) {
    const unsigned reg = 1 + random_.below(31);
    if (!bases_.contains(reg)) return reg;
  }
}

bool Generator::add_forward(Item& item, const InsnRow& row) {
  const Item::Piece skipped = filler();
  for (int attempt = 0; attempt < 50; ++attempt) {
    u32 bits = row.match | (static_cast<u32>(random_.next()) & ~row.mask);
    if (row.length == 2) bits &= 0xffff;
    set_field(row, bits, 'i', row.length + skipped.length);
    riscv::Operands o;
    if (arch_.decode(bits, &o) != &row) continue;
    if (row.insn_class == InsnClass::Jump && bases_.contains(o.rd)) return false;
    item.pieces = {{bits, row.length}, skipped};
    item.rows.push_back(index_of(row));
    return true;
  }
  return false;
}

bool Generator::add_register_jump(Item& item, const InsnRow& row) {
  // auipc t, 0; addi t, t, n; the jump; an instruction that is jumped over. A jump with an offset may take
  // part of n.
  const Item::Piece skipped = filler();
  const unsigned t = scratch_register();
  const i32 distance = 8 + row.length + skipped.length;
  const i32 offset = has_field(row, "i") ? static_cast<i32>(random_.below(2048)) - 1024 : 0;
  u32 bits = row.match | (static_cast<u32>(random_.next()) & ~row.mask);
  if (row.length == 2) bits &= 0xffff;
  set_field(row, bits, 'i', static_cast<u64>(static_cast<i64>(offset)));
  if (!set_register(row, bits, "s", t)) return false;
  riscv::Operands o;
  if (arch_.decode(bits, &o) != &row || bases_.contains(o.rd)) return false;
  const u32 n = static_cast<u32>(distance - offset);
  // Bit 0 of the target is ignored.
  const u32 odd = random_.chance(20) ? 1 : 0;
  item.pieces = {
      {t << 7 | 0x17, 4}, {(n | odd) << 20 | t << 15 | t << 7 | 0x13, 4}, {bits, row.length}, skipped};
  item.rows.push_back(index_of(row));
  return true;
}

bool Generator::add_mret(Item& item, const InsnRow& row) {
  // mepc = the target, mstatus.MPP = M (FS stays on, MPIE off: interrupts stay off).
  const Item::Piece skipped = filler();
  const unsigned t = scratch_register();
  unsigned u = scratch_register();
  while (u == t) u = scratch_register();
  const u32 distance = 7 * 4 + skipped.length;
  item.pieces = {{t << 7 | 0x17, 4},                             // auipc t, 0
                 {distance << 20 | t << 15 | t << 7 | 0x13, 4},  // addi t, t, distance
                 {0x341u << 20 | t << 15 | 1 << 12 | 0x73, 4},   // csrw mepc, t
                 {0x8u << 12 | u << 7 | 0x37, 4},                // lui u, 8
                 {0x800u << 20 | u << 15 | u << 7 | 0x13, 4},    // addi u, u, -0x800
                 {0x300u << 20 | u << 15 | 1 << 12 | 0x73, 4},   // csrw mstatus, u
                 {row.match, row.length},
                 skipped};
  item.rows.push_back(index_of(row));
  return true;
}

bool Generator::add_reservation(Item& item, const InsnRow& row) {
  // A pair, with at most one register-only instruction between: what else a reservation survives is up to the
  // CPU.
  if (bases_.misaligned) return false;
  const std::string width = std::strrchr(row.name, '.');
  const InsnRow* load = row_named("lr" + width);
  const InsnRow* store = row_named("sc" + width);
  if (load == nullptr || store == nullptr) return false;
  const auto draw = [&](const InsnRow& r) {
    for (int attempt = 0; attempt < 50; ++attempt) {
      Item::Piece piece;
      if (!try_encode(r, piece)) continue;
      u32 bits = piece.bits;
      set_register(r, bits, "s", bases_.aligned);
      item.pieces.push_back({bits, 4});
      item.rows.push_back(index_of(r));
      return true;
    }
    return false;
  };
  const bool alone = &row == store && random_.chance(10);
  if (alone) {  // after a pair has used its reservation up
    if (!draw(*load) || !draw(*store)) return false;
    return draw(*store);
  }
  if (!draw(*load)) return false;
  if (random_.chance(50)) {
    const unsigned t = scratch_register();
    item.pieces.push_back({random_.below(4096) << 20 | t << 15 | t << 7 | 0x13, 4});
  }
  return draw(*store);
}

}  // namespace hindcast::oracle
