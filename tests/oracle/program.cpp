#include "tests/oracle/program.h"

#include <cstring>
#include <stdexcept>

#include "tests/oracle/assembler.h"

namespace hindcast::oracle {
namespace {

// Layout of one block's inputs and results, in bytes. Registers have 8 bytes each whatever XLEN is.
constexpr i32 kIntegerAt = 0, kFloatAt = 256, kFcsrAt = 512;
constexpr u64 kInputBytes = 520;
constexpr i32 kTrapCountAt = 520, kSaveAt = 528, kLoopsLeftAt = 560, kTrapsAt = 576;
constexpr i32 kTrapBytes = 24, kMostTraps = 40;
constexpr u64 kResultBytes = 1536;
static_assert(kTrapsAt + kTrapBytes * kMostTraps <= static_cast<i32>(kResultBytes));

constexpr u32 kFcsr = 0x003, kMstatus = 0x300, kMie = 0x304, kMtvec = 0x305, kMscratch = 0x340, kMepc = 0x341,
              kMcause = 0x342, kMtval = 0x343;

GuestAddr input_of(std::size_t block) { return kInputs + block * kInputBytes; }
GuestAddr result_of(std::size_t block) { return kResults + block * kResultBytes; }

/// Logs the trap in the block's result (whose address is in mscratch) and goes on behind the instruction.
void emit_trap_handler(Assembler& a) {
  a.csr_swap(31, kMscratch);
  for (Reg r = 28; r <= 30; ++r) a.store(r, 31, kSaveAt + 8 * static_cast<i32>(r - 28));
  a.load(30, 31, kTrapCountAt);
  a.addi(29, 0, kMostTraps - 1);
  a.branch(4, 29, 30, a.pc() + 4 + 4 * 12);  // full: do not log (blt)
  a.i_type(0x13, 1, 29, 30, 4);              // 24 = 16 + 8
  a.i_type(0x13, 1, 28, 30, 3);
  a.r_type(0x33, 0, 0, 29, 29, 28);
  a.r_type(0x33, 0, 0, 29, 29, 31);
  a.csrr(28, kMcause);
  a.store(28, 29, kTrapsAt);
  a.csrr(28, kMepc);
  a.store(28, 29, kTrapsAt + 8);
  a.csrr(28, kMtval);
  a.store(28, 29, kTrapsAt + 16);
  a.addi(30, 30, 1);
  a.store(30, 31, kTrapCountAt);
  a.csrr(28, kMepc);
  a.i_type(0x03, 5, 29, 28, 0);  // lhu: the instruction's low half tells its length
  a.i_type(0x13, 7, 29, 29, 3);
  a.addi(29, 29, -3);
  a.addi(28, 28, 2);
  a.branch(1, 29, 0, a.pc() + 8);
  a.addi(28, 28, 2);
  a.csrw(kMepc, 28);
  for (Reg r = 28; r <= 30; ++r) a.load(r, 31, kSaveAt + 8 * static_cast<i32>(r - 28));
  a.csr_swap(31, kMscratch);
  a.mret();
}

void emit_setup(Assembler& a, GuestAddr handler) {
  a.li(5, 0x6000);  // mstatus.FS = dirty, machine interrupts off
  a.csrw(kMstatus, 5);
  a.la(5, handler);
  a.csrw(kMtvec, 5);
  // A software interrupt that is pending but not taken: wfi falls through.
  a.addi(5, 0, 8);
  a.csrw(kMie, 5);
  a.li(5, static_cast<i32>(kClint));
  a.addi(6, 0, 1);
  a.s_type(0x23, 2, 6, 5, 0);
}

void emit_block(Assembler& a, const Block& block, std::size_t index, unsigned loops) {
  a.la(31, result_of(index));
  a.addi(30, 0, static_cast<i32>(loops));
  a.store(30, 31, kLoopsLeftAt);
  const GuestAddr again = a.pc();
  a.la(31, result_of(index));
  a.store(0, 31, kTrapCountAt);
  a.csrw(kMscratch, 31);
  a.la(31, input_of(index));
  for (Reg r = 0; r < 32; ++r) a.load_double(r, 31, kFloatAt + 8 * static_cast<i32>(r));
  a.load(1, 31, kFcsrAt);
  a.csrw(kFcsr, 1);
  for (Reg r = 1; r < 32; ++r) a.load(r, 31, kIntegerAt + 8 * static_cast<i32>(r));  // x31 last

  for (const Item& item : block.items) {
    for (const Item::Piece& piece : item.pieces) a.insn(piece.bits, piece.length);
  }
  if (a.pc() % 4 != 0) a.insn(0x0001, 2);  // c.nop

  a.csr_swap(31, kMscratch);
  for (Reg r = 1; r < 31; ++r) a.store(r, 31, kIntegerAt + 8 * static_cast<i32>(r));
  a.csrr(1, kMscratch);
  a.store(1, 31, kIntegerAt + 8 * 31);
  a.csrr(1, kFcsr);
  a.store(1, 31, kFcsrAt);
  for (Reg r = 0; r < 32; ++r) a.store_double(r, 31, kFloatAt + 8 * static_cast<i32>(r));
  a.load(1, 31, kLoopsLeftAt);
  a.addi(1, 1, -1);
  a.store(1, 31, kLoopsLeftAt);
  a.branch(1, 1, 0, again);
}

void put(Bytes& out, u64 value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) out.push_back(static_cast<u8>(value >> (8 * i)));
}

struct Segment {
  GuestAddr at;
  Bytes bytes;
};

Bytes make_elf(unsigned xlen, const std::vector<Segment>& segments) {
  const bool wide = xlen == 64;
  const unsigned word = wide ? 8 : 4, header = wide ? 64 : 52, entry = wide ? 56 : 32;
  Bytes elf = {0x7f, 'E', 'L', 'F', static_cast<u8>(wide ? 2 : 1), 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  put(elf, 2, 2);    // an executable
  put(elf, 243, 2);  // for RISC-V
  put(elf, 1, 4);
  put(elf, kBase, word);
  put(elf, header, word);
  put(elf, 0, word);
  put(elf, wide ? 5 : 5, 4);  // compressed, double-float ABI
  put(elf, header, 2);
  put(elf, entry, 2);
  put(elf, segments.size(), 2);
  put(elf, 0, 6);
  u64 offset = (header + segments.size() * entry + 4095) & ~u64{4095};
  std::vector<u64> offsets;
  for (const Segment& s : segments) {
    put(elf, 1, 4);
    if (wide) put(elf, 7, 4);
    put(elf, offset, word);
    put(elf, s.at, word);
    put(elf, s.at, word);
    put(elf, s.bytes.size(), word);
    put(elf, s.bytes.size(), word);
    if (!wide) put(elf, 7, 4);
    put(elf, 4096, word);
    offsets.push_back(offset);
    offset = (offset + s.bytes.size() + 4095) & ~u64{4095};
  }
  for (std::size_t i = 0; i < segments.size(); ++i) {
    elf.resize(offsets[i]);
    elf.insert(elf.end(), segments[i].bytes.begin(), segments[i].bytes.end());
  }
  return elf;
}

u64 get(ByteView ram, GuestAddr at, unsigned size) {
  u64 value = 0;
  std::memcpy(&value, ram.data() + (at - kBase), size);
  return value;
}

}  // namespace

Bytes build_image(const Program& program) {
  if (program.blocks.size() > kMostBlocks) throw std::logic_error("too many blocks for one image");
  Assembler a(program.xlen, kBase);
  // The handler stands behind a jump, so that the entry is where the board starts an image.
  Assembler handler(program.xlen, kBase + 4);
  emit_trap_handler(handler);
  a.jump(kBase + 4 + handler.bytes().size());
  emit_trap_handler(a);
  emit_setup(a, kBase + 4);
  for (std::size_t i = 0; i < program.blocks.size(); ++i) emit_block(a, program.blocks[i], i, program.loops);
  a.li(5, static_cast<i32>(kFinisher));
  a.li(6, 0x5555);
  a.s_type(0x23, 2, 6, 5, 0);
  a.jump(a.pc());
  if (a.pc() > kInputs) throw std::logic_error("the code is too long for one image");

  Bytes inputs;
  for (const Block& block : program.blocks) {
    for (u64 value : block.inputs.x) put(inputs, value, 8);
    for (u64 value : block.inputs.f) put(inputs, value, 8);
    put(inputs, block.inputs.fcsr, 8);
  }
  return make_elf(program.xlen, {{kBase, a.bytes()}, {kInputs, inputs}, {kScratch, program.scratch}});
}

ProgramResult read_results(const Program& program, ByteView ram) {
  if (ram.size() < kRamBytes) throw std::logic_error("the guest's RAM is too small");
  const unsigned word = program.xlen / 8;
  ProgramResult result;
  for (std::size_t i = 0; i < program.blocks.size(); ++i) {
    const GuestAddr at = result_of(i);
    BlockResult& block = result.blocks.emplace_back();
    for (unsigned r = 1; r < 32; ++r) block.x[r] = get(ram, at + kIntegerAt + 8 * r, word);
    for (unsigned r = 0; r < 32; ++r) block.f[r] = get(ram, at + kFloatAt + 8 * r, 8);
    block.fcsr = get(ram, at + kFcsrAt, word);
    const u64 count = std::min<u64>(get(ram, at + kTrapCountAt, word), kMostTraps);
    for (u64 t = 0; t < count; ++t) {
      const GuestAddr trap = at + kTrapsAt + t * kTrapBytes;
      block.traps.push_back({get(ram, trap, word), get(ram, trap + 8, word), get(ram, trap + 16, word)});
    }
  }
  const u8* scratch = ram.data() + (kScratch - kBase);
  result.scratch.assign(scratch, scratch + kScratchBytes);
  return result;
}

}  // namespace hindcast::oracle
