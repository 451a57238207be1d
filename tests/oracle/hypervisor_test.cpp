// The hypervisor extension at random (hypervisor/README.md): against what QEMU printed once, and against QEMU
// itself.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/types.h"
#include "tests/guests/run_command.h"

namespace hindcast::oracle {
namespace {

using ::hindcast::testing::CommandResult;
using ::hindcast::testing::guest_path;
using ::hindcast::testing::run_command;

constexpr u64 kQuiet = ~u64{0};

class HypervisorOracle : public ::testing::TestWithParam<unsigned> {
 protected:
  void SetUp() override {
    const std::string xlen = std::to_string(GetParam());
    elf_ = guest_path("hypervisor-rv" + xlen);
    if (elf_.empty()) GTEST_SKIP() << "guest programs were not built (no riscv64-unknown-elf-gcc)";
    cpu_ = "rv" + xlen + ",h=on,svadu=on,svinval=on" + (wide() ? ",svnapot=on,svpbmt=on" : "");
    qemu_ = "qemu-system-riscv" + xlen;
    options_ = (std::filesystem::temp_directory_path() / ("hindcast-hypervisor-" + std::to_string(getpid())))
                   .string();
  }
  void TearDown() override {
    std::error_code ignored;
    std::filesystem::remove(options_, ignored);
  }
  bool wide() const { return GetParam() == 64; }

  /// What the program is to do: little-endian, as `struct options` of hypervisor.c.
  void choose(u64 seed, u64 rounds) {
    const u64 words[] = {seed, rounds, kQuiet, wide() ? u64{23} : u64{17}};
    std::ofstream out(options_, std::ios::binary);
    out.write(reinterpret_cast<const char*>(words), sizeof words);
  }
  std::string here(const char* engine) {
    const CommandResult r = run_command({HINDCAST_COMMAND, "run", "--engine", engine, "-M", "virt", "-m",
                                         "128M", "--cpu", cpu_, "--load", options_ + "@0x80ff0000", elf_});
    EXPECT_EQ(r.status, 0) << r.err;
    return r.out;
  }
  CommandResult in_qemu() {
    return run_command({qemu_, "-M", "virt", "-m", "128M", "-cpu", cpu_, "-bios", "none", "-display", "none",
                        "-serial", "stdio", "-monitor", "none", "-device",
                        "loader,file=" + options_ + ",addr=0x80ff0000,force-raw=on", "-kernel", elf_});
  }

  std::string elf_, cpu_, qemu_, options_;
};

TEST_P(HypervisorOracle, DoesWhatQemuDid) {
  const std::string name = "/tests/oracle/hypervisor/expected-rv" + std::to_string(GetParam()) + ".txt";
  std::ifstream file(HINDCAST_SOURCE_DIR + name);
  std::stringstream expected;
  expected << file.rdbuf();
  ASSERT_FALSE(expected.str().empty()) << name;
  choose(1, 60);
  for (const char* engine : {"jit", "interp"}) EXPECT_EQ(here(engine), expected.str()) << engine;
}

TEST_P(HypervisorOracle, AgreesWithQemu) {
  const CommandResult version = run_command({qemu_, "--version"});
  const std::size_t at = version.out.find("version ");
  if (version.status != 0 || at == std::string::npos || std::atoi(version.out.c_str() + at + 8) < 10)
    GTEST_SKIP() << "no " << qemu_ << " of version 10 or newer";
  choose(77, 600);
  const CommandResult there = in_qemu();
  ASSERT_EQ(there.status, 0) << there.err;
  EXPECT_EQ(here("jit"), there.out);
}

INSTANTIATE_TEST_SUITE_P(RiscV, HypervisorOracle, ::testing::Values(32u, 64u),
                         [](const auto& info) { return "rv" + std::to_string(info.param); });

}  // namespace
}  // namespace hindcast::oracle
