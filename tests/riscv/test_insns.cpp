// The one-line cases, in the interpreter and in translated code, and the disassembler on the same lines.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <cstdlib>
#include <map>

#include "tests/riscv/insn_cases.h"
#include "tests/riscv/test_machine.h"

namespace hindcast::test {
namespace {

const char* const kFiles[] = {"riscv.ins",         "riscv_atomics.ins",
                              "riscv_control.ins", "riscv_zcb_zicond.ins",
                              "riscv_zk.ins",      "riscv_h.ins"};
constexpr GuestAddr kTrapVector = kCode + 0x8000;
constexpr u64 kAttempts = 8;  // the instruction, and a few rounds of the loop that it lands in

std::string path_of(const char* file) { return std::string(HINDCAST_SOURCE_DIR "/tests/insns/") + file; }

class Runner {
 public:
  explicit Runner(bool jit) : jit_(jit) {}

  void run(const InsnCase& c) {
    TestMachine& m = machine(c.cpu);
    m.clear();
    riscv::RiscvState& s = m.state();
    s.mstatus |= riscv::mstatus::kFs;
    s.mtvec = kTrapVector;
    // Every register differs from every other and from zero, so that a wrong one is noticed.
    for (u64 i = 1; i < 32; ++i) s.x[i] = m.arch->truncate(0x0101'0101'0000'0001 * (i + 0x30));
    for (u64 i = 0; i < 32; ++i) s.f[i] = 0x4000'0000'0000'0000 + (i << 44);
    m.machine.memory().host_write(kCode, c.code.data(), c.code.size());
    for (const Assignment& a : c.inputs) set(m, a);
    const std::vector<u64> before = registers(m);
    ASSERT_EQ(m.run(kAttempts), StopReason::Limit);
    check(m, c, before);
  }

 private:
  TestMachine& machine(const std::string& cpu) {
    auto& slot = machines_[cpu];
    if (!slot) slot = std::make_unique<TestMachine>(cpu, jit_);
    return *slot;
  }

  static unsigned row_named(const TestMachine& m, const std::string& name) {
    const auto rows = m.arch->registers();
    for (unsigned i = 0; i < rows.size(); ++i) {
      if (name == rows[i].name || name == rows[i].abi_name) return i;
    }
    ADD_FAILURE() << "no register " << name;
    return 0;
  }

  static void set(TestMachine& m, const Assignment& a) {
    if (a.place.empty()) {
      m.machine.memory().host_write(a.address, &a.value, a.memory_bits / 8);
    } else {
      EXPECT_TRUE(m.arch->write_register(
          m.vcpu(), row_named(m, a.place),
          m.arch->xlen() == 32 && a.place[0] != 'f' ? static_cast<u32>(a.value) : a.value));
    }
  }

  static std::vector<u64> registers(TestMachine& m) {
    std::vector<u64> values;
    for (unsigned i = 0; i < m.arch->registers().size(); ++i) {
      values.push_back(m.arch->read_register(m.vcpu(), i));
    }
    return values;
  }

  /// Not the instruction's result: what the engine keeps, and what is only another view of other rows.
  static bool is_internal(const RegisterRow& row) {
    return std::string_view(row.group) == "internal" || row.offset >= sizeof(riscv::RiscvState);
  }

  void check(TestMachine& m, const InsnCase& c, std::vector<u64> expected) {
    bool traps = false;
    expected[m.arch->pc_register()] = kCode + c.code.size();
    for (const Assignment& a : c.outputs) {
      if (a.place == "trap") {
        traps = true;
        EXPECT_EQ(m.pc(), kTrapVector);
        EXPECT_EQ(m.state().mcause, a.value);
        EXPECT_EQ(m.state().mepc, kCode);
      } else if (a.place.empty()) {
        u64 value = 0;
        m.machine.memory().host_read(a.address, &value, a.memory_bits / 8);
        EXPECT_EQ(fmt::format("{:#x}", value), fmt::format("{:#x}", a.value))
            << "memory at " << std::hex << a.address;
      } else {
        const unsigned row = row_named(m, a.place);
        expected[row] = ir::is_float(m.arch->registers()[row].type) ? a.value : m.arch->truncate(a.value);
        if (a.place == "fflags") {  // which fcsr repeats
          u64& fcsr = expected[row_named(m, "fcsr")];
          fcsr = (fcsr & ~u64{31}) | a.value;
        }
      }
    }
    const std::vector<u64> after = registers(m);
    for (unsigned i = 0; i < after.size(); ++i) {
      const RegisterRow& row = m.arch->registers()[i];
      if (is_internal(row) ||
          (traps && (i == m.arch->pc_register() || std::string_view(row.group) == "control")))
        continue;
      EXPECT_EQ(fmt::format("{:#x}", after[i]), fmt::format("{:#x}", expected[i])) << row.abi_name;
    }
  }

  bool jit_;
  std::map<std::string, std::unique_ptr<TestMachine>> machines_;
};

void run_files(bool jit, const std::vector<std::string>& paths) {
  Runner runner(jit);
  for (const std::string& path : paths) {
    for (const InsnCase& c : read_insn_cases(path)) {
      SCOPED_TRACE(fmt::format("{}:{}: {}", path, c.line, c.text));
      runner.run(c);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

std::vector<std::string> all_files() {
  std::vector<std::string> paths;
  for (const char* file : kFiles) paths.push_back(path_of(file));
  return paths;
}

TEST(Insns, CasesInTheInterpreter) { run_files(false, all_files()); }
TEST(Insns, CasesInTranslatedCode) { run_files(true, all_files()); }

/// A file of one's own, for instance a random campaign from make_riscv.py.
TEST(InsnFile, FromTheEnvironment) {
  const char* path = std::getenv("HINDCAST_INSN_FILE");
  if (path == nullptr) GTEST_SKIP() << "HINDCAST_INSN_FILE names no file";
  run_files(false, {path});
  run_files(true, {path});
}

TEST(Insns, CasesDisassemble) {
  std::map<std::string, std::unique_ptr<riscv::RiscvArch>> archs;
  for (const char* file : kFiles) {
    for (const InsnCase& c : read_insn_cases(path_of(file))) {
      auto& arch = archs[c.cpu];
      if (!arch) arch = riscv::make_riscv_arch(c.cpu);
      std::string text;
      EXPECT_EQ(arch->disassemble(kCode, c.code, text), c.code.size()) << file << ":" << c.line;
      EXPECT_EQ(text, c.text) << file << ":" << c.line;
    }
  }
}

/// Every row of the table occurs in the cases, but for those that the tests of traps and CSRs cover.
TEST(Insns, CasesCoverTheRows) {
  std::map<const riscv::InsnRow*, unsigned> seen;
  std::map<std::string, std::unique_ptr<riscv::RiscvArch>> archs;
  for (const char* file : kFiles) {
    for (const InsnCase& c : read_insn_cases(path_of(file))) {
      auto& arch = archs[c.cpu];
      if (!arch) arch = riscv::make_riscv_arch(c.cpu);
      const riscv::Fetched insn = riscv::fetch(c.code);
      if (const riscv::InsnRow* row = arch->decode(insn.bits)) ++seen[row];
    }
  }
  for (const riscv::InsnRow* row : riscv::all_rows()) {
    if (row->insn_class == riscv::InsnClass::System) continue;
    EXPECT_TRUE(seen.contains(row)) << "no case for " << row->name << " (" << row->pattern << ")";
  }
}

}  // namespace
}  // namespace hindcast::test
