// How many host instructions the JIT emits for guest sequences, against host_insns.txt (README.md).
#include <capstone/capstone.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "engine/jit/jit.h"
#include "engine/machine.h"
#include "targets/riscv/riscv.h"
#include "tests/engine/assembler.h"

namespace hindcast::test {
namespace {

struct Sequence {
  const char* name;
  const char* cpu;
  void (*emit)(Assembler&);
  bool checked = false;  // behind memory protection
};

std::vector<Sequence> sequences() {
  return {
      {"addi", "rv64", [](Assembler& a) { a.addi(a0, a0, 1); }},
      {"addi to another", "rv64", [](Assembler& a) { a.addi(a0, a1, 1); }},
      {"addi of an unpinned register", "rv64", [](Assembler& a) { a.addi(s11, s11, 1); }},
      {"four addi to one", "rv64",
       [](Assembler& a) {
         for (int i = 0; i < 4; ++i) a.addi(a0, a0, i);
       }},
      {"add", "rv64", [](Assembler& a) { a.add(a0, a1, a2); }},
      {"sub in place", "rv64", [](Assembler& a) { a.sub(a0, a0, a2); }},
      {"addw", "rv64", [](Assembler& a) { a.word(r_type(0x3b, 0, 0, a0, a1, a2)); }},
      {"addiw", "rv64", [](Assembler& a) { a.word(i_type(0x1b, 0, a0, a1, 5)); }},
      {"xor", "rv64", [](Assembler& a) { a.xor_(a0, a1, a2); }},
      {"slli", "rv64", [](Assembler& a) { a.slli(a0, a1, 5); }},
      {"sll", "rv64", [](Assembler& a) { a.word(r_type(0x33, 1, 0, a0, a1, a2)); }},
      {"slt", "rv64", [](Assembler& a) { a.word(r_type(0x33, 2, 0, a0, a1, a2)); }},
      {"lui and addi", "rv64", [](Assembler& a) { a.li(a0, 0x12345678); }},
      {"auipc and addi", "rv64", [](Assembler& a) { a.la(a0, GuestAddr{0x80001234}); }},
      {"mul", "rv64", [](Assembler& a) { a.mul(a0, a1, a2); }},
      {"mulhu", "rv64", [](Assembler& a) { a.mulhu(a0, a1, a2); }},
      {"div", "rv64", [](Assembler& a) { a.div(a0, a1, a2); }},
      {"remu", "rv64", [](Assembler& a) { a.remu(a0, a1, a2); }},
      {"sh2add", "rv64", [](Assembler& a) { a.word(r_type(0x33, 4, 0x10, a0, a1, a2)); }},
      {"rev8", "rv64", [](Assembler& a) { a.word(i_type(0x13, 5, a0, a1, 0x6b8)); }},
      {"clz", "rv64", [](Assembler& a) { a.word(i_type(0x13, 1, a0, a1, 0x600)); }},
      {"max", "rv64", [](Assembler& a) { a.word(r_type(0x33, 6, 5, a0, a1, a2)); }},
      {"ld", "rv64", [](Assembler& a) { a.ld(a0, a1, 8); }},
      {"lw", "rv64", [](Assembler& a) { a.lw(a0, a1, 8); }},
      {"lb", "rv64", [](Assembler& a) { a.lb(a0, a1, 8); }},
      {"four lw of one base", "rv64",
       [](Assembler& a) {
         for (i32 i = 0; i < 4; ++i) a.lw(a2 + static_cast<u32>(i), a1, 4 * i);
       }},
      {"sd", "rv64", [](Assembler& a) { a.sd(a0, a1, 8); }},
      {"sb zero", "rv64", [](Assembler& a) { a.sb(zero, a1, 8); }},
      {"lw, addi, sw", "rv64", [](Assembler& a) { a.lw(a0, a1), a.addi(a0, a0, 1), a.sw(a0, a1); }},
      {"lw behind protection", "rv64", [](Assembler& a) { a.lw(a0, a1, 8); }, true},
      {"sw behind protection", "rv64", [](Assembler& a) { a.sw(a0, a1, 8); }, true},
      {"lw rv32", "rv32", [](Assembler& a) { a.lw(a0, a1, 8); }},
      {"sw rv32", "rv32", [](Assembler& a) { a.sw(a0, a1, 8); }},
      {"four lw of one base rv32", "rv32",
       [](Assembler& a) {
         for (i32 i = 0; i < 4; ++i) a.lw(a2 + static_cast<u32>(i), a1, 4 * i);
       }},
      {"add rv32", "rv32", [](Assembler& a) { a.add(a0, a1, a2); }},
      {"mulhu rv32", "rv32", [](Assembler& a) { a.mulhu(a0, a1, a2); }},
      {"amoadd.w", "rv64", [](Assembler& a) { a.amo_w(0, a0, a2, a1); }},
      {"lr and sc", "rv64", [](Assembler& a) { a.amo_w(2, a0, zero, a1), a.amo_w(3, a0, a2, a1); }},
      {"beq back", "rv64", [](Assembler& a) { a.beq(a0, a1, "start"); }},
      {"counting loop", "rv64", [](Assembler& a) { a.addi(a0, a0, -1), a.bne(a0, zero, "start"); }},
      {"jal", "rv64", [](Assembler& a) { a.jal(ra, "start"); }},
      {"ret", "rv64", [](Assembler& a) { a.ret(); }},
      {"fadd.d", "rv64", [](Assembler& a) { a.fp(0x01, 1, 2, 3); }},
      {"fmul.d and fsub.d", "rv64", [](Assembler& a) { a.fp(0x09, 1, 2, 3), a.fp(0x05, 1, 1, 4); }},
      {"fadd.s", "rv64", [](Assembler& a) { a.fp(0x00, 1, 2, 3); }},
      {"fdiv.d", "rv64", [](Assembler& a) { a.fp(0x0d, 1, 2, 3); }},
      {"fld and fsd", "rv64", [](Assembler& a) { a.fld(1, a1), a.fsd(1, a1, 8); }},
      {"flt.d", "rv64", [](Assembler& a) { a.fp(0x51, a0, 1, 2, 1); }},
      {"fcvt.w.d", "rv64", [](Assembler& a) { a.fp(0x61, a0, 1, 0, 1); }},
      {"fcvt.d.w", "rv64", [](Assembler& a) { a.fp(0x69, 1, a0, 0); }},
  };
}

/// x86-64-v3 and nothing beyond it, so that the counts are the same everywhere.
EngineOptions plain_host() {
  EngineOptions options;
  options.host_features_off = {"avx512"};
  return options;
}

struct Counts {
  unsigned guest = 0, host = 0;
};

unsigned count_host_insns(ByteView code) {
  csh handle = 0;
  if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK) throw Fatal("capstone cannot be opened");
  cs_insn* insns = nullptr;
  const std::size_t count = cs_disasm(handle, code.data(), code.size(), 0, 0, &insns);
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < count; ++i) bytes += insns[i].size;
  cs_free(insns, count);
  cs_close(&handle);
  EXPECT_EQ(bytes, code.size()) << "not all of the code could be disassembled";
  return static_cast<unsigned>(count);
}

Counts translate(const Sequence& sequence) {
  constexpr GuestAddr kStart = 0x80000000;
  Assembler a(kStart);
  a.set_wide(std::string(sequence.cpu) == "rv64");
  a.label("start");
  sequence.emit(a);
  const Bytes code = a.finish();

  const auto arch = riscv::make_riscv_arch(sequence.cpu);
  MachineOptions options;
  options.engine = plain_host();
  Machine machine(*arch, options, arch->xlen() == 32 ? 32 : 56);
  machine.memory().add_ram("ram", kStart, 1u << 20);
  machine.finish();
  jit::Jit jit(machine);
  jit::Context context;
  // Machine mode, floating point on and dirty, so that no sequence pays for the first use.
  context.value = riscv::kMachine | riscv::kMachine << riscv::context::kDataPrivShift |
                  riscv::context::kFsOn | riscv::context::kFsDirty |
                  (sequence.checked ? riscv::context::kChecked : 0);
  context.flat = !sequence.checked;

  ir::Builder builder(*arch, kStart, context.value);
  GuestAddr pc = kStart;
  Counts counts;
  while (pc < kStart + code.size() && !builder.ended()) {
    builder.insn_start(pc, 0);
    const InsnInfo info = arch->translate_insn(builder, pc, ByteView(code).subspan(pc - kStart));
    builder.set_insn_length(info.length);
    pc += info.length;
    ++counts.guest;
  }
  if (!builder.ended()) builder.goto_pc(pc);
  const u32 block = jit.compile(context, builder.take(), {});
  if (block != jit::Jit::kNone) counts.host = count_host_insns(jit.code(block));
  return counts;
}

const std::string kFile = HINDCAST_SOURCE_DIR "/tests/golden/host_insns.txt";

std::map<std::string, Counts> read_golden() {
  std::map<std::string, Counts> golden;
  std::ifstream in(kFile);
  for (std::string line; std::getline(in, line);) {
    std::istringstream row(line);
    Counts c;
    std::string name;
    if (row >> c.guest >> c.host && std::getline(row >> std::ws, name)) golden[name] = c;
  }
  return golden;
}

TEST(Golden, HostInstructions) {
  const jit::HostFeatures host = jit::detect_host({});
  if (!host.avx || !host.bmi1 || !host.bmi2 || !host.fma || !host.lzcnt || !host.popcnt)
    GTEST_SKIP() << "the counts are for an x86-64-v3 host";
  const bool update = std::getenv("HINDCAST_UPDATE_GOLDEN") != nullptr;
  const auto golden = read_golden();
  std::string text = "# guest instructions, host instructions, sequence (README.md)\n";
  for (const Sequence& s : sequences()) {
    const Counts now = translate(s);
    EXPECT_NE(now.host, 0u) << s.name << " was not compiled";
    char row[128];
    std::snprintf(row, sizeof row, "%2u %4u  %s\n", now.guest, now.host, s.name);
    text += row;
    if (update) continue;
    const auto it = golden.find(s.name);
    if (it == golden.end()) {
      ADD_FAILURE() << s.name << " has no row: " << row;
      continue;
    }
    EXPECT_EQ(now.guest, it->second.guest) << s.name;
    EXPECT_LE(now.host, it->second.host) << s.name << ": more host instructions than pinned";
    EXPECT_GE(now.host, it->second.host) << s.name << ": fewer than pinned; update the file (README.md)";
  }
  if (!update) {
    EXPECT_EQ(golden.size(), sequences().size()) << "rows of sequences that are no more";
  } else {
    std::ofstream(kFile) << text;
  }
}

}  // namespace
}  // namespace hindcast::test
