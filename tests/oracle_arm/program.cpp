#include "tests/oracle_arm/program.h"

#include <cstring>
#include <map>
#include <stdexcept>
#include <string>

namespace hindcast::oracle_arm {
namespace {

// Inputs of a block, in words: r4 to r11, psp, frame (r0 r1 r2 r3 r12 lr pc xpsr), fpscr, s0 to s31.
constexpr u32 kInputWords = 8 + 1 + 8 + 1 + 32;
// Results, in words: r4 to r11, psp, frame, fpscr, s0 to s31, number of faults, faults.
constexpr u32 kCountAt = 8 + 1 + 8 + 1 + 32, kFaultsAt = kCountAt + 1, kFaultWords = 4, kMostFaults = 40;
constexpr u32 kResultWords = kFaultsAt + kFaultWords * kMostFaults;
constexpr unsigned kFrameXpsr = 7;

/// A few 16-bit instructions (all of Armv6-M, so that any model can run them), and the two that FP needs.
class Assembler {
 public:
  explicit Assembler(GuestAddr base) : base_(static_cast<u32>(base)) {}
  u32 pc() const { return base_ + static_cast<u32>(bytes_.size()); }
  Bytes& bytes() { return bytes_; }

  void half(u32 bits) {
    bytes_.push_back(static_cast<u8>(bits));
    bytes_.push_back(static_cast<u8>(bits >> 8));
  }
  void wide(u32 bits) {
    half(bits >> 16);
    half(bits & 0xffff);
  }
  void insn(const Item::Piece& piece) { piece.length == 2 ? half(piece.bits) : wide(piece.bits); }
  void word(u32 value) {
    half(value & 0xffff);
    half(value >> 16);
  }
  void movs(u32 d, u32 imm) { half(0x2000 | d << 8 | imm); }
  void adds(u32 d, u32 imm) { half(0x3000 | d << 8 | imm); }
  void subs(u32 d, u32 imm) { half(0x3800 | d << 8 | imm); }
  void cmp(u32 n, u32 imm) { half(0x2800 | n << 8 | imm); }
  void add_reg(u32 d, u32 n, u32 m) { half(0x1800 | m << 6 | n << 3 | d); }
  void lsls(u32 d, u32 m, u32 by) { half(by << 6 | m << 3 | d); }
  void lsrs(u32 d, u32 m, u32 by) { half(0x0800 | by << 6 | m << 3 | d); }
  void bics(u32 d, u32 m) { half(0x4380 | m << 3 | d); }
  void mov(u32 d, u32 m) { half(0x4600 | (d & 8) << 4 | m << 3 | (d & 7)); }
  void ldr(u32 t, u32 n, u32 words) { half(0x6800 | words << 6 | n << 3 | t); }
  void str(u32 t, u32 n, u32 words) { half(0x6000 | words << 6 | n << 3 | t); }
  void ldrh(u32 t, u32 n, u32 halves) { half(0x8800 | halves << 6 | n << 3 | t); }
  void ldm(u32 n, u32 list) { half(0xc800 | n << 8 | list); }
  void stm(u32 n, u32 list) { half(0xc000 | n << 8 | list); }
  void bx(u32 m) { half(0x4700 | m << 3); }
  void svc() { half(0xdf00); }
  void mrs(u32 d, u32 sysm) { wide(0xf3ef8000 | d << 8 | sysm); }
  void msr(u32 sysm, u32 n) { wide(0xf3808800 | n << 16 | sysm); }
  /// Loads a constant from the pool that flush() places.
  void li(u32 t, u32 value) {
    pool_.push_back({pc(), t, value});
    half(0x4800 | t << 8);
  }
  void branch(u32 target) { half(0xe000 | (((target - pc() - 4) >> 1) & 0x7ff)); }
  /// Conditional forward branch over what is emitted until land().
  std::size_t skip_if(u32 cond) {
    half(0xd000 | cond << 8);
    return bytes_.size() - 2;
  }
  void land(std::size_t at) { bytes_[at] = static_cast<u8>((bytes_.size() - at - 4) / 2); }
  void branch_back(u32 cond, u32 target) { half(0xd000 | cond << 8 | (((target - pc() - 4) >> 1) & 0xff)); }
  void flush() {
    if (bytes_.size() % 4 != 0) half(0xbf00);
    for (const Literal& l : pool_) {
      const u32 distance = pc() - ((l.at + 4) & ~u32{3});
      if (distance > 1020) throw std::logic_error("a constant is too far away");
      bytes_[l.at - base_] = static_cast<u8>(distance / 4);
      word(l.value);
    }
    pool_.clear();
  }

 private:
  struct Literal {
    u32 at, reg, value;
  };
  u32 base_;
  Bytes bytes_;
  std::vector<Literal> pool_;
};

constexpr u32 kEq = 0, kNe = 1, kHs = 2;
constexpr u32 kPsp = 9;
constexpr u32 kCpacr = 0xe000ed88, kShcsr = 0xe000ed24, kCfsr = 0xe000ed28;
// Variables: input, result, loops left, blocks left.
constexpr u32 kInputVar = 0, kResultVar = 1, kLoopsVar = 2, kBlocksVar = 3;

u32 variables(const Target& target) { return static_cast<u32>(target.ram) + kVariables; }

/// Starts the block at the input variable, r0 holds the variables' address.
void emit_start(Assembler& a, const Target& target) {
  a.ldr(1, 0, kInputVar);
  a.ldr(2, 0, kResultVar);
  a.li(3, kCountAt * 4);
  a.movs(4, 0);
  a.half(0x5000 | 3 << 6 | 2 << 3 | 4);  // str r4, [r2, r3]
  a.mov(3, 1);
  a.adds(3, 32);
  a.ldm(3, 0x04);  // r2: psp
  a.msr(kPsp, 2);
  for (unsigned half = 0; half < 2; ++half) {  // the frame
    a.ldm(3, 0xf0);
    a.stm(2, 0xf0);
  }
  a.ldm(3, 0x04);  // fpscr
  if (target.fp) {
    a.wide(0xeee12a10);  // vmsr fpscr, r2
    a.wide(0xec930a20);  // vldmia r3, {s0-s31}
  }
  a.mov(3, 1);
  a.adds(3, 16);
  a.ldm(3, 0xf0);
  for (u32 r = 4; r < 8; ++r) a.mov(r + 4, r);
  a.ldm(1, 0xf0);
  a.li(0, 0xfffffffd);
  a.bx(0);
}

void emit_svc(Assembler& a, const Target& target, unsigned loops) {
  a.li(0, variables(target));
  a.ldr(1, 0, kResultVar);
  a.stm(1, 0xf0);
  for (u32 r = 4; r < 8; ++r) a.mov(r, r + 4);
  a.stm(1, 0xf0);
  a.mrs(2, kPsp);
  a.stm(1, 0x04);
  for (unsigned half = 0; half < 2; ++half) {
    a.ldm(2, 0xf0);
    a.stm(1, 0xf0);
  }
  a.movs(2, 0);
  if (target.fp) a.wide(0xeef12a10);  // vmrs r2, fpscr
  a.stm(1, 0x04);
  if (target.fp) a.wide(0xec810a20);  // vstmia r1, {s0-s31}
  a.ldr(1, 0, kLoopsVar);
  a.subs(1, 1);
  a.str(1, 0, kLoopsVar);
  const std::size_t again = a.skip_if(kNe);
  a.li(1, loops);
  a.str(1, 0, kLoopsVar);
  a.ldr(1, 0, kInputVar);
  a.li(2, kInputWords * 4);
  a.add_reg(1, 1, 2);
  a.str(1, 0, kInputVar);
  a.ldr(1, 0, kResultVar);
  a.li(2, kResultWords * 4);
  a.add_reg(1, 1, 2);
  a.str(1, 0, kResultVar);
  a.ldr(1, 0, kBlocksVar);
  a.subs(1, 1);
  a.str(1, 0, kBlocksVar);
  const std::size_t more = a.skip_if(kNe);
  a.movs(0, 0x18);  // SYS_EXIT
  a.li(1, 0x20026);
  a.half(0xbeab);
  a.half(0xe7fe);
  a.land(again);
  a.land(more);
  emit_start(a, target);
  a.flush();
}

/// Logs the fault in the block's result and goes on behind the instruction, outside any IT block.
void emit_fault(Assembler& a, const Target& target, bool main) {
  a.mrs(0, kPsp);
  a.li(1, variables(target));
  a.ldr(1, 1, kResultVar);
  a.li(2, kCountAt * 4);
  a.add_reg(1, 1, 2);
  a.ldr(2, 1, 0);
  a.cmp(2, kMostFaults);
  const std::size_t full = a.skip_if(kHs);
  a.lsls(3, 2, 4);  // of 16 bytes each
  a.adds(2, 1);
  a.str(2, 1, 0);
  a.add_reg(1, 1, 3);
  a.mrs(2, 5);  // IPSR
  a.str(2, 1, 1);
  a.ldr(2, 0, 6);
  a.str(2, 1, 2);
  if (main) {
    a.li(3, kCfsr);
    a.ldr(2, 3, 0);
    a.str(2, 1, 3);
    a.ldr(2, 3, 4);  // BFAR
    a.str(2, 1, 4);
  } else {
    a.movs(2, 0);
    a.str(2, 1, 3);
    a.str(2, 1, 4);
  }
  a.land(full);
  if (main) {
    a.li(3, kCfsr);
    a.ldr(2, 3, 0);
    a.str(2, 3, 0);
  }
  a.ldr(1, 0, 6);
  a.ldrh(2, 1, 0);
  a.adds(1, 2);
  a.lsrs(2, 2, 11);
  a.cmp(2, 0x1d);
  const std::size_t is_short = a.skip_if(3);  // lower
  a.adds(1, 2);
  a.land(is_short);
  a.str(1, 0, 6);
  a.ldr(1, 0, kFrameXpsr);
  a.li(2, 0x0600fc00);
  a.bics(1, 2);
  a.str(1, 0, kFrameXpsr);
  a.half(0x4770);  // bx lr
  a.flush();
}

void put(Bytes& out, u64 value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) out.push_back(static_cast<u8>(value >> (8 * i)));
}

struct Segment {
  GuestAddr at;
  Bytes bytes;
};

Bytes make_elf(const std::vector<Segment>& segments) {
  Bytes elf = {0x7f, 'E', 'L', 'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  put(elf, 2, 2);   // an executable
  put(elf, 40, 2);  // for Arm
  put(elf, 1, 4);
  put(elf, segments.front().at + 0x41, 4);
  put(elf, 52, 4);
  put(elf, 0, 4);
  put(elf, 0x05000000, 4);
  put(elf, 52, 2);
  put(elf, 32, 2);
  put(elf, segments.size(), 2);
  put(elf, 0, 6);
  u64 offset = (52 + segments.size() * 32 + 4095) & ~u64{4095};
  std::vector<u64> offsets;
  for (const Segment& s : segments) {
    for (const u64 value :
         {u64{1}, offset, s.at, s.at, u64{s.bytes.size()}, u64{s.bytes.size()}, u64{7}, u64{4096}})
      put(elf, value, 4);
    offsets.push_back(offset);
    offset = (offset + s.bytes.size() + 4095) & ~u64{4095};
  }
  for (std::size_t i = 0; i < segments.size(); ++i) {
    elf.resize(offsets[i]);
    elf.insert(elf.end(), segments[i].bytes.begin(), segments[i].bytes.end());
  }
  return elf;
}

u32 get(ByteView data, u64 at) {
  u32 value = 0;
  std::memcpy(&value, data.data() + at, 4);
  return value;
}

}  // namespace

Bytes build_image(const Target& target, const Program& program) {
  if (program.blocks.size() > kMostBlocks) throw std::logic_error("too many blocks for one image");
  const std::string cpu = target.cpu;
  const bool main = cpu.find("m0") == std::string::npos && cpu.find("m23") == std::string::npos;
  constexpr u32 kVectorBytes = 64;
  Assembler a(target.code);
  for (u32 i = 0; i < kVectorBytes / 4; ++i) a.word(0);
  std::map<unsigned, u32> vectors;
  vectors[1] = a.pc();
  if (main) {
    a.li(0, kShcsr);
    a.li(1, 15 << 16);
    a.str(1, 0, 0);
    if (target.fp) {
      a.li(0, kCpacr);
      a.li(1, 0xf << 20);
      a.str(1, 0, 0);
      a.li(0, 0xe000ef34);  // FPCCR: no frames for floating point
      a.movs(1, 0);
      a.str(1, 0, 0);
    }
  }
  a.li(0, variables(target));
  const u32 data = static_cast<u32>(target.data);
  a.li(1, data + kInputsAt);
  a.str(1, 0, kInputVar);
  a.li(1, data + kResultsAt);
  a.str(1, 0, kResultVar);
  a.li(1, program.loops);
  a.str(1, 0, kLoopsVar);
  a.li(1, static_cast<u32>(program.blocks.size()));
  a.str(1, 0, kBlocksVar);
  a.svc();  // its frame becomes nobody's; see the second entry below
  a.flush();
  vectors[11] = a.pc();
  // The first call comes from the main stack, to start the first block.
  a.mov(0, 14);
  a.half(0x43c0);  // mvns r0, r0
  a.cmp(0, 6);     // 0xfffffff9
  const std::size_t from_block = a.skip_if(kNe);
  a.li(0, variables(target));
  emit_start(a, target);
  a.flush();
  a.land(from_block);
  emit_svc(a, target, program.loops);
  const u32 fault = a.pc();
  emit_fault(a, target, main);
  for (const unsigned n : {3u, 4u, 5u, 6u, 7u}) vectors[n] = fault;

  Bytes inputs;
  for (const Block& block : program.blocks) {
    while (a.pc() % 4 != 0) a.half(0xbf00);
    const Inputs& in = block.inputs;
    for (unsigned r = 4; r < 12; ++r) put(inputs, in.r[r], 4);
    put(inputs, in.r[13] - 32, 4);
    for (const u32 value :
         {in.r[0], in.r[1], in.r[2], in.r[3], in.r[12], in.r[14], a.pc(), in.xpsr | 1 << 24})
      put(inputs, value, 4);
    put(inputs, in.fpscr, 4);
    for (const u32 value : in.s) put(inputs, value, 4);
    for (const Item& item : block.items)
      for (const Item::Piece& piece : item.pieces) a.insn(piece);
    a.svc();
  }
  Bytes& code = a.bytes();
  const auto set = [&](u32 at, u32 value) {
    for (unsigned i = 0; i < 4; ++i) code[at + i] = static_cast<u8>(value >> (8 * i));
  };
  set(0, static_cast<u32>(target.ram) + kMainStack);
  for (const auto& [n, address] : vectors) set(4 * n, address | 1);
  return make_elf(
      {{target.code, code}, {target.data + kInputsAt, inputs}, {target.data + kScratchAt, program.scratch}});
}

ProgramResult read_results(const Program& program, ByteView data) {
  if (data.size() < kDataBytes) throw std::logic_error("the guest's memory is too small");
  ProgramResult result;
  for (std::size_t i = 0; i < program.blocks.size(); ++i) {
    const u64 at = kResultsAt + i * kResultWords * 4;
    const auto word = [&](u32 n) { return get(data, at + 4 * n); };
    BlockResult& block = result.blocks.emplace_back();
    for (unsigned r = 0; r < 8; ++r) block.r[4 + r] = word(r);
    block.r[13] = word(8);
    for (unsigned r = 0; r < 4; ++r) block.r[r] = word(9 + r);
    block.r[12] = word(13);
    block.r[14] = word(14);
    block.xpsr = word(16);
    block.fpscr = word(17);
    for (unsigned n = 0; n < 32; ++n) block.s[n] = word(18 + n);
    const u32 count = std::min<u32>(word(kCountAt), kMostFaults);
    for (u32 f = 0; f < count; ++f) {
      const u32 first = kFaultsAt + f * kFaultWords;
      // QEMU splits accesses to what is no RAM, and names a part's address: compared by double words.
      block.faults.push_back({word(first), word(first + 1), word(first + 2), word(first + 3) & ~u32{7}});
    }
  }
  const u8* scratch = data.data() + kScratchAt;
  result.scratch.assign(scratch, scratch + kScratchBytes);
  return result;
}

}  // namespace hindcast::oracle_arm
