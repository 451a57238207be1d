// Smaia and Ssaia: the CSRs of the Advanced Interrupt Architecture.
#include <gtest/gtest.h>

#include "targets/devices/imsic.h"
#include "tests/riscv/encode.h"
#include "tests/riscv/test_machine.h"

namespace hindcast::test {
namespace {

using namespace rv;
using devices::Imsic;
using riscv::kMachine, riscv::kSupervisor, riscv::kUser;
constexpr GuestAddr kVector = kCode + 0x4000, kSupervisorVector = kCode + 0x5000;
constexpr u32 sie = 0x104, sieh = 0x114, sip = 0x144, siselect = 0x150, sireg = 0x151, siph = 0x154,
              stopei = 0x15c, stopi = 0xdb0, mideleg = 0x303, mvien = 0x308, mvip = 0x309, mvienh = 0x318,
              mviph = 0x319, miselect = 0x350, mireg = 0x351, miph = 0x354, mtopei = 0x35c, mtopi = 0xfb0,
              mieh = 0x314, midelegh = 0x313, mstateen0 = 0x30c;
constexpr u64 kSsi = 1 << 1, kMsi = 1 << 3, kSti = 1 << 5, kMti = 1 << 7, kSei = 1 << 9, kMei = 1 << 11;

class AiaTest : public ::testing::TestWithParam<bool> {
 protected:
  static constexpr const char* kCpu = "rv64,pmp=off,smaia=on,ssaia=on";
  /// With interrupt files of 127 identities.
  static void add_files(Machine& m) {
    for (const auto& [name, line] : {std::pair{Imsic::kMachineFiles, riscv::irq::kExternal},
                                     {Imsic::kSupervisorFiles, riscv::irq::kSupervisorExternal}}) {
      auto& imsic = m.add_device<Imsic>(name, 127u, std::vector<IrqLine>{IrqLine(&m.vcpu(0), line)});
      m.set_extension(name, std::shared_ptr<void>(std::shared_ptr<void>(), &imsic));
      devices::ExternalPriorities* priorities = &imsic;
      m.set_extension(
          line == riscv::irq::kExternal ? devices::kMachineExternal : devices::kSupervisorExternal,
          std::shared_ptr<void>(std::shared_ptr<void>(), priorities));
    }
  }
  /// Runs one instruction at `privilege`; the exception that it raised, or 99.
  static u64 cause_of(TestMachine& m, u64 privilege, u32 insn) {
    riscv::RiscvState& s = m.state();
    s.mtvec = kVector;
    s.mcause = 99;
    s.privilege = privilege;
    s.pc = kCode;
    m.put(kCode, {insn});
    m.run(1);
    return s.mcause;
  }
  static u64 get(TestMachine& m, u32 csr, u64 privilege = kMachine) {
    EXPECT_EQ(cause_of(m, privilege, csrr(a1, csr)), 99u) << std::hex << csr;
    return m.x(a1);
  }
  static void set(TestMachine& m, u32 csr, u64 value, u64 privilege = kMachine) {
    m.x(a0) = value;
    EXPECT_EQ(cause_of(m, privilege, csrw(csr, a0)), 99u) << std::hex << csr;
  }
  static void set_indirect(TestMachine& m, u64 select, u64 value) {
    set(m, miselect, select);
    set(m, mireg, value);
  }
  static u64 iid(u64 top) { return top >> 16; }
  const bool jit_ = GetParam();
};
INSTANTIATE_TEST_SUITE_P(Engines, AiaTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "jit" : "interp"; });

/// `mireg` and `sireg` have rows for debuggers, which look where `select` refuses instructions.
TEST_P(AiaTest, ADebuggerFindsNothingWhereNoRegisterIs) {
  TestMachine m(kCpu, jit_, 1, add_files);
  const auto rows = m.arch->registers();
  for (unsigned i = 0; i < rows.size(); ++i) {
    const std::string_view name = rows[i].name;
    if (name != "mireg" && name != "sireg") continue;
    u64& select = name == "mireg" ? m.state().miselect : m.state().siselect;
    for (select = 0xc0; select < 0x200; select += 2) {
      EXPECT_TRUE(m.arch->write_register(m.vcpu(), i, ~u64{0}));
      EXPECT_EQ(m.arch->read_register(m.vcpu(), i) != 0, select < 0xc4) << name << " " << select;
    }
    select = 0xc0;
    EXPECT_EQ(m.arch->read_register(m.vcpu(), i), ~u64{1}) << name;
  }
}

TEST_P(AiaTest, ThereOnlyWithTheExtensions) {
  TestMachine without("rv64,pmp=off", jit_), machine_only("rv64,pmp=off,smaia=on", jit_);
  for (const u32 csr : {mtopi, mvien, miselect}) {
    EXPECT_EQ(cause_of(without, kMachine, csrr(a1, csr)), 2u);
    EXPECT_EQ(cause_of(machine_only, kMachine, csrr(a1, csr)), 99u);
  }
  EXPECT_EQ(cause_of(machine_only, kMachine, csrr(a1, stopi)), 2u);
  TestMachine m(kCpu, jit_), narrow("rv32,pmp=off,smaia=on,ssaia=on", jit_);
  for (const u32 csr : {sieh, siph, mieh, midelegh, mvienh, mviph, miph}) {
    EXPECT_EQ(cause_of(m, kMachine, csrr(a1, csr)), 2u);
    EXPECT_EQ(cause_of(narrow, kMachine, csrr(a1, csr)), 99u);
  }
  EXPECT_EQ(cause_of(m, kSupervisor, csrr(a1, stopi)), 99u);
  EXPECT_EQ(cause_of(m, kSupervisor, csrr(a1, mtopi)), 2u);
  EXPECT_EQ(cause_of(m, kMachine, csrw(mtopi, a0)), 2u) << "read-only";
  EXPECT_EQ(cause_of(m, kMachine, csrr(a1, mtopei)), 2u) << "no interrupt files";
  EXPECT_EQ(cause_of(m, kMachine, csrr(a1, stopei)), 2u);
}

TEST_P(AiaTest, TopInterruptByDefaultOrder) {
  TestMachine m(kCpu, jit_);
  m.state().mie = m.state().mip = kSsi | kMsi | kSti | kMti | kSei;
  m.state().mideleg = kSsi | kSti | kSei;
  EXPECT_EQ(get(m, mtopi), 3u << 16 | 255);
  EXPECT_EQ(get(m, stopi), 9u << 16 | 255);
  m.state().mip &= ~(kMsi | kSei);
  EXPECT_EQ(get(m, mtopi), 7u << 16 | 255);
  EXPECT_EQ(get(m, stopi), 1u << 16 | 255);
  m.state().mideleg = 0;
  m.state().mie = kSsi;
  EXPECT_EQ(get(m, mtopi), 1u << 16 | 255);
  EXPECT_EQ(get(m, stopi), 0u);
  m.state().mie = 0;
  EXPECT_EQ(get(m, mtopi), 0u);
}

TEST_P(AiaTest, PrioritiesAreByInterrupt) {
  TestMachine m(kCpu, jit_);
  set_indirect(m, 0x30, ~u64{0});
  EXPECT_EQ(get(m, mireg), 0xff00'ff00'ff00'ff00u) << "1, 3, 5, 7";
  set_indirect(m, 0x32, ~u64{0});
  EXPECT_EQ(get(m, mireg), 0xff00u) << "9, but not 11";
  set(m, miselect, 0x31);
  EXPECT_EQ(cause_of(m, kMachine, csrr(a1, mireg)), 2u);
  set(m, siselect, 0x30);
  set(m, sireg, ~u64{0}, kSupervisor);
  EXPECT_EQ(get(m, sireg), 0x0000'ff00'0000'ff00u) << "1 and 5";

  set_indirect(m, 0x30, u64{9} << 56 | u64{10} << 24);
  m.state().mie = m.state().mip = kMsi | kMti;
  EXPECT_EQ(get(m, mtopi), 7u << 16 | 9);
  m.state().mstatus |= riscv::mstatus::kMie;
  m.state().mtvec = kVector;
  m.state().privilege = kMachine;
  m.run(1);
  EXPECT_EQ(m.state().mcause, u64{1} << 63 | 7) << "the one that is taken, too";
  m.state().mstatus &= ~riscv::mstatus::kMie;
  set_indirect(m, 0x30, u64{9} << 56 | u64{9} << 24);
  EXPECT_EQ(iid(get(m, mtopi)), 3u) << "equal numbers: the default order";
}

TEST_P(AiaTest, ExternalInterruptsHaveTheNumbersOfTheirIdentities) {
  TestMachine m(kCpu, jit_, 1, add_files);
  auto* files = m.machine.extension<Imsic>(Imsic::kMachineFiles);
  set_indirect(m, 0x70, 1);
  set_indirect(m, 0xc0, u64{1} << 20 | u64{1} << 40);
  files->msi(0, 40);
  m.state().mie = kMei | kMti | kMsi;
  m.state().mip |= kMti | kMsi;
  EXPECT_EQ(get(m, mtopi), 11u << 16 | 40);
  set_indirect(m, 0x30, u64{39} << 56);
  EXPECT_EQ(get(m, mtopi), 7u << 16 | 39);
  set_indirect(m, 0x30, u64{41} << 56);
  EXPECT_EQ(get(m, mtopi), 11u << 16 | 40);
  files->msi(0, 20);
  EXPECT_EQ(get(m, mtopi), 11u << 16 | 20);
}

TEST_P(AiaTest, TopExternalIsReadAndClaimed) {
  TestMachine m(kCpu, jit_, 1, add_files);
  auto* files = m.machine.extension<Imsic>(Imsic::kSupervisorFiles);
  set(m, siselect, 0x70);
  set(m, sireg, 1, kSupervisor);
  set(m, siselect, 0xc0);
  set(m, sireg, ~u64{0}, kSupervisor);
  EXPECT_EQ(get(m, sireg), ~u64{1});
  files->msi(0, 17);
  files->msi(0, 18);
  EXPECT_EQ(riscv::pending_of(m.state()), kSei);
  EXPECT_EQ(get(m, stopei), 17u << 16 | 17);
  EXPECT_EQ(get(m, stopei), 17u << 16 | 17) << "a read alone claims nothing";
  EXPECT_EQ(cause_of(m, kSupervisor, csrrw(a1, stopei, zero)), 99u);
  EXPECT_EQ(m.x(a1), 17u << 16 | 17);
  EXPECT_EQ(cause_of(m, kSupervisor, csrrw(a1, stopei, zero)), 99u);
  EXPECT_EQ(m.x(a1), 18u << 16 | 18);
  EXPECT_EQ(get(m, stopei), 0u);
  EXPECT_EQ(riscv::pending_of(m.state()), 0u);
  set(m, siselect, 0x80);
  set(m, sireg, 4, kSupervisor);
  EXPECT_EQ(get(m, stopei), 2u << 16 | 2);
  set(m, siselect, 0x81);
  EXPECT_EQ(cause_of(m, kSupervisor, csrr(a1, sireg)), 2u) << "odd";
  set(m, siselect, 0x71);
  EXPECT_EQ(get(m, sireg), 0u) << "reserved";
  set(m, siselect, 0x40);
  EXPECT_EQ(cause_of(m, kSupervisor, csrr(a1, sireg)), 2u);
  set(m, siselect, ~u64{0});
  EXPECT_EQ(get(m, siselect), 0x1ffu);
}

TEST_P(AiaTest, MachineModeFiltersWhatSupervisorModeSees) {
  TestMachine m(kCpu, jit_, 1, add_files);
  auto* files = m.machine.extension<Imsic>(Imsic::kSupervisorFiles);
  set(m, mvien, ~u64{0});
  EXPECT_EQ(get(m, mvien), ~u64{0x1fff} | kSsi | kSei);
  set(m, mvip, ~u64{0});
  EXPECT_EQ(get(m, mvip), ~u64{0x1fff} | kSsi | kSti | kSei);
  EXPECT_EQ(riscv::pending_of(m.state()), kSti) << "only the timer's bit is mip's";
  EXPECT_EQ(get(m, sip), ~u64{0x1fff} | kSsi | kSei);
  EXPECT_EQ(get(m, sie), 0u);
  set(m, sie, ~u64{0}, kSupervisor);
  EXPECT_EQ(get(m, sie), ~u64{0x1fff} | kSsi | kSei);
  EXPECT_EQ(m.state().mie, 0u) << "bits of its own";
  set(m, sip, 0, kSupervisor);
  EXPECT_EQ(get(m, mvip), kSti | kSei) << "the external one is not sip's to clear";
  set(m, mip, 0);
  EXPECT_EQ(get(m, mvip), kSei) << "nor mip's, now";
  // Supervisor mode has no way to its file.
  EXPECT_EQ(cause_of(m, kSupervisor, csrr(a1, stopei)), 2u);
  EXPECT_EQ(cause_of(m, kMachine, csrr(a1, stopei)), 99u);
  set(m, siselect, 0x70);
  EXPECT_EQ(cause_of(m, kSupervisor, csrr(a1, sireg)), 2u);
  files->write(0, 0x70, 64, 1);
  files->write(0, 0xc0, 64, 4);
  files->msi(0, 2);
  set(m, mvip, 0);
  EXPECT_EQ(get(m, mip), kSei);
  EXPECT_EQ(get(m, sip), 0u) << "the wire is machine mode's";
  // Without the bit the two are one again.
  set(m, mvien, 0);
  set(m, mvip, kSsi | kSei);
  EXPECT_EQ(m.state().mip, kSsi | kSei);
}

TEST_P(AiaTest, VirtualInterruptsAreTaken) {
  TestMachine m(kCpu, jit_);
  set(m, mvien, u64{1} << 40 | u64{1} << 33);
  set(m, mvip, u64{1} << 40 | u64{1} << 33);
  EXPECT_EQ(get(m, stopi), 0u);
  set(m, sie, u64{1} << 33, kSupervisor);
  EXPECT_EQ(get(m, stopi), 33u << 16 | 255);
  set(m, sie, u64{1} << 33 | u64{1} << 40, kSupervisor);
  EXPECT_EQ(get(m, stopi), 40u << 16 | 0) << "above external interrupts";
  EXPECT_EQ(get(m, mtopi), 0u);
  riscv::RiscvState& s = m.state();
  s.stvec = kSupervisorVector | 1;
  s.mstatus |= riscv::mstatus::kSie;
  s.privilege = kUser;
  s.pc = kCode;
  m.run(1);
  EXPECT_EQ(s.privilege, kSupervisor);
  EXPECT_EQ(s.scause, u64{1} << 63 | 40);
  EXPECT_EQ(s.pc, kSupervisorVector + 4 * 40);
  // Waiting ends for them too.
  s.mstatus &= ~riscv::mstatus::kSie;
  EXPECT_TRUE(m.arch->wakes(m.vcpu()));
  set(m, mvip, 0);
  EXPECT_FALSE(m.arch->wakes(m.vcpu()));
}

TEST_P(AiaTest, HighHalves) {
  TestMachine m("rv32,pmp=off,smaia=on,ssaia=on", jit_);
  set(m, mvien, ~u32{0});
  set(m, mvienh, 0xff);
  EXPECT_EQ(get(m, mvien), 0xffffe202u);
  EXPECT_EQ(get(m, mvienh), 0xffu);
  set(m, mviph, 0x81);
  set(m, mvip, 1 << 20);
  EXPECT_EQ(get(m, siph, kSupervisor), 0x81u);
  EXPECT_EQ(get(m, sip, kSupervisor), 1u << 20);
  set(m, sieh, ~u32{0}, kSupervisor);
  EXPECT_EQ(get(m, sieh, kSupervisor), 0xffu);
  EXPECT_EQ(get(m, stopi, kSupervisor) >> 16, 32u + 7) << "39 before 20 is not: 20 is not enabled";
  set(m, sie, 1 << 20, kSupervisor);
  EXPECT_EQ(get(m, stopi, kSupervisor) >> 16, 20u);
  set(m, siph, 0x80, kSupervisor);
  EXPECT_EQ(get(m, mviph), 0x80u);
  EXPECT_EQ(get(m, mvip), 1u << 20);
  set(m, miselect, 0x31);
  set(m, mireg, ~u32{0});
  EXPECT_EQ(get(m, mireg), 0xff00ff00u) << "5 and 7";
}

TEST_P(AiaTest, StateEnableBits) {
  TestMachine m("rv64,pmp=off,smaia=on,ssaia=on,smstateen=on", jit_, 1, add_files);
  set(m, siselect, 0x70);
  const std::pair<u32, u64> rows[] = {
      {siselect, riscv::stateen::kIndirect}, {stopi, riscv::stateen::kAia}, {stopei, riscv::stateen::kImsic}};
  for (const auto& [csr, bit] : rows) {
    set(m, mstateen0, ~bit);
    EXPECT_EQ(cause_of(m, kSupervisor, csrr(a1, csr)), 2u) << std::hex << csr;
    EXPECT_EQ(cause_of(m, kMachine, csrr(a1, csr)), 99u);
    set(m, mstateen0, bit);
    EXPECT_EQ(cause_of(m, kSupervisor, csrr(a1, csr)), 99u);
  }
  set(m, mstateen0, riscv::stateen::kIndirect);
  EXPECT_EQ(cause_of(m, kSupervisor, csrr(a1, sireg)), 2u);
  set(m, mstateen0, riscv::stateen::kIndirect | riscv::stateen::kImsic);
  EXPECT_EQ(cause_of(m, kSupervisor, csrr(a1, sireg)), 99u);
  TestMachine without("rv64,pmp=off,smaia=on,ssaia=on,smstateen=on", jit_);
  set(without, mstateen0, ~u64{0});
  EXPECT_EQ(get(without, mstateen0) >> 58 & 7, 6u) << "no files, no bit";
}

TEST_P(AiaTest, StateIsSavedAndChecked) {
  TestMachine m(kCpu, jit_);
  set(m, mvien, kSei | u64{1} << 50);
  set(m, mvip, u64{1} << 50);
  set(m, sie, u64{1} << 50, kSupervisor);
  set_indirect(m, 0x30, 0x0700'0000);
  SaveArchive out;
  m.machine.state(out);
  const Bytes good = out.take();
  m.machine.reset();
  EXPECT_EQ(m.state().mvien, 0u);
  LoadArchive in(good);
  m.machine.state(in);
  EXPECT_EQ(m.state().mvien, kSei | u64{1} << 50);
  EXPECT_EQ(m.state().virtual_enabled, u64{1} << 50);
  EXPECT_EQ(m.state().machine_priorities[3], 7u);
  m.state().machine_priorities[11] = 1;
  SaveArchive bad;
  m.machine.state(bad);
  const Bytes bytes = bad.take();
  LoadArchive wrong(bytes);
  EXPECT_THROW(m.machine.state(wrong), Fatal);
}

}  // namespace
}  // namespace hindcast::test
