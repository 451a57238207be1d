#include "tests/oracle/compare.h"

#include <fmt/format.h>

#include <algorithm>

namespace hindcast::oracle {
namespace {

constexpr u64 kBreakpoint = 3, kLoadMisaligned = 4, kLoadFault = 5, kStoreMisaligned = 6, kStoreFault = 7;
constexpr u32 kAmoOpcode = 0x2f, kCacheBlockOpcode = 0x200f;

/// The instruction at a guest address of the image, 0 if there is none.
u32 instruction_at(const Bytes& image, GuestAddr pc) {
  // The code is the image's first segment, at a file offset of one page.
  const u64 at = 4096 + (pc - kBase);
  if (pc < kBase || pc >= kInputs || at + 4 > image.size()) return 0;
  return u32{image[at]} | u32{image[at + 1]} << 8 | u32{image[at + 2]} << 16 | u32{image[at + 3]} << 24;
}

bool same_trap(const Trap& a, const Trap& b, const Bytes& image, const CompareOptions& options) {
  if (a == b) return true;
  if (!options.tolerate_qemu || a.pc != b.pc) return false;
  if (a.cause == kBreakpoint && b.cause == kBreakpoint) return true;
  // It splits a misaligned access and names the aligned part.
  const bool access = (a.cause == kLoadFault || a.cause == kStoreFault) && a.value - b.value < 8;
  if (access && a.cause == b.cause) return true;
  const u32 insn = instruction_at(image, a.pc);
  const bool block = (insn & 0x707f) == kCacheBlockOpcode && (a.value & ~u64{63}) == (b.value & ~u64{63});
  if (block && a.cause == b.cause) return true;  // it names where the block begins
  if (a.value != b.value && !access) return false;
  if ((insn & 0x7f) != kAmoOpcode) return false;
  const auto folded = [](u64 cause) {
    return cause == kStoreMisaligned ? kLoadMisaligned : cause == kStoreFault ? kLoadFault : cause;
  };
  return folded(a.cause) == folded(b.cause);
}

bool same_block(const BlockResult& a, const BlockResult& b, const Bytes& image,
                const CompareOptions& options) {
  if (a.x != b.x || a.f != b.f || a.fcsr != b.fcsr || a.traps.size() != b.traps.size()) return false;
  for (std::size_t i = 0; i < a.traps.size(); ++i) {
    if (!same_trap(a.traps[i], b.traps[i], image, options)) return false;
  }
  return true;
}

/// Runs both sides; true if they differ.
class Judge {
 public:
  Judge(const Side& a, const Side& b, const CompareOptions& options) : a_(a), b_(b), options_(options) {}
  bool differs(const Program& program) const {
    return !differing_blocks(program, a_(program), b_(program), options_).empty();
  }

 private:
  const Side& a_;
  const Side& b_;
  const CompareOptions& options_;
};

Program shrink(const Program& program, const std::vector<std::size_t>& blocks, const Judge& judge) {
  Program small = program;
  // One block, if one is enough: state passes between blocks only through the scratch memory.
  for (std::size_t i : blocks) {
    if (i >= program.blocks.size()) continue;
    small.blocks = {program.blocks[i]};
    if (judge.differs(small)) break;
    small.blocks = program.blocks;
  }
  if (small.blocks.size() > 1) {  // else halve the list
    for (std::size_t chunk = small.blocks.size() / 2; chunk > 0; chunk /= 2) {
      for (std::size_t at = 0; at < small.blocks.size() && small.blocks.size() > 1;) {
        Program trial = small;
        const std::size_t end = std::min(at + chunk, trial.blocks.size());
        trial.blocks.erase(trial.blocks.begin() + static_cast<long>(at),
                           trial.blocks.begin() + static_cast<long>(end));
        if (!trial.blocks.empty() && judge.differs(trial))
          small = std::move(trial);
        else
          at += chunk;
      }
    }
  }
  // Single items.
  for (std::size_t b = 0; b < small.blocks.size(); ++b) {
    for (std::size_t at = small.blocks[b].items.size(); at-- > 0;) {
      Program trial = small;
      trial.blocks[b].items.erase(trial.blocks[b].items.begin() + static_cast<long>(at));
      if (judge.differs(trial)) small = std::move(trial);
    }
  }
  if (small.loops > 1) {
    Program trial = small;
    trial.loops = 1;
    if (judge.differs(trial)) small = std::move(trial);
  }
  return small;
}

void describe_inputs(const riscv::RiscvArch& arch, const Block& block, std::string& text) {
  std::vector<bool> x(32), f(32);
  for (const Item& item : block.items) {
    for (const Item::Piece& piece : item.pieces) {
      riscv::Operands o;
      const riscv::InsnRow* row = arch.decode(piece.bits, &o);
      if (row == nullptr) continue;
      for (unsigned reg : {o.rs1, o.rs2, o.rs3, o.rd}) x[reg] = f[reg] = true;
    }
  }
  for (unsigned r = 1; r < 32; ++r) {
    if (x[r]) text += fmt::format("  x{} = {:#x}\n", r, arch.truncate(block.inputs.x[r]));
  }
  for (unsigned r = 0; r < 32; ++r) {
    if (f[r]) text += fmt::format("  f{} = {:#018x}\n", r, block.inputs.f[r]);
  }
  text += fmt::format("  fcsr = {:#x}\n", block.inputs.fcsr);
}

std::string describe(const riscv::RiscvArch& arch, const Program& program, const ProgramResult& a,
                     const ProgramResult& b, const std::string& name_a, const std::string& name_b) {
  std::string text =
      fmt::format("RV{}, {} block(s), {} loop(s)\n", program.xlen, program.blocks.size(), program.loops);
  const auto line = [&](const std::string& what, const std::string& va, const std::string& vb) {
    if (va != vb) text += fmt::format("  {:<12} {} {}   {} {}\n", what, name_a, va, name_b, vb);
  };
  for (std::size_t i = 0; i < program.blocks.size(); ++i) {
    text += fmt::format("block {}:\n", i);
    for (const Item& item : program.blocks[i].items) {
      for (const Item::Piece& piece : item.pieces) {
        const u8 code[4] = {static_cast<u8>(piece.bits), static_cast<u8>(piece.bits >> 8),
                            static_cast<u8>(piece.bits >> 16), static_cast<u8>(piece.bits >> 24)};
        std::string words;
        arch.disassemble(0, ByteView(code, piece.length), words);
        text += fmt::format("  {:0{}x}  {}\n", piece.bits, piece.length * 2, words);
      }
    }
    text += "inputs:\n";
    describe_inputs(arch, program.blocks[i], text);
    text += "differences:\n";
    const BlockResult &ra = a.blocks[i], &rb = b.blocks[i];
    for (unsigned r = 1; r < 32; ++r)
      line(fmt::format("x{}", r), fmt::format("{:#x}", ra.x[r]), fmt::format("{:#x}", rb.x[r]));
    for (unsigned r = 0; r < 32; ++r)
      line(fmt::format("f{}", r), fmt::format("{:#018x}", ra.f[r]), fmt::format("{:#018x}", rb.f[r]));
    line("fcsr", fmt::format("{:#x}", ra.fcsr), fmt::format("{:#x}", rb.fcsr));
    const auto trap = [](const BlockResult& r, std::size_t t) {
      if (t >= r.traps.size()) return std::string("none");
      return fmt::format("cause {} pc {:#x} value {:#x}", r.traps[t].cause, r.traps[t].pc, r.traps[t].value);
    };
    for (std::size_t t = 0; t < std::max(ra.traps.size(), rb.traps.size()); ++t)
      line(fmt::format("trap {}", t), trap(ra, t), trap(rb, t));
  }
  for (std::size_t i = 0, shown = 0; i < a.scratch.size() && shown < 16; ++i) {
    if (a.scratch[i] == b.scratch[i]) continue;
    line(fmt::format("[{:#x}]", kScratch + i), fmt::format("{:02x}", a.scratch[i]),
         fmt::format("{:02x}", b.scratch[i]));
    ++shown;
  }
  return text;
}

}  // namespace

std::vector<std::size_t> differing_blocks(const Program& program, const ProgramResult& a,
                                          const ProgramResult& b, const CompareOptions& options) {
  const Bytes image = build_image(program);
  std::vector<std::size_t> list;
  for (std::size_t i = 0; i < program.blocks.size(); ++i) {
    if (!same_block(a.blocks[i], b.blocks[i], image, options)) list.push_back(i);
  }
  if (a.scratch != b.scratch) list.push_back(program.blocks.size());
  return list;
}

std::string compare(const riscv::RiscvArch& arch, const Program& program, const Side& a, const Side& b,
                    const std::string& name_a, const std::string& name_b, const CompareOptions& options) {
  const std::vector<std::size_t> blocks = differing_blocks(program, a(program), b(program), options);
  if (blocks.empty()) return "";
  const Program small = shrink(program, blocks, Judge(a, b, options));
  return describe(arch, small, a(small), b(small), name_a, name_b);
}

}  // namespace hindcast::oracle
