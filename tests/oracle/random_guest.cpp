#include "tests/oracle/random_guest.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

namespace hindcast::oracle {

using ::hindcast::testing::CommandResult;
using ::hindcast::testing::guest_path;
using ::hindcast::testing::run_command;

namespace {
// Where the programs look for their options (guest.h).
constexpr const char* kOptionsAddress = "0x80ff0000";
}  // namespace

RandomGuest::RandomGuest(Setup setup) : setup_(std::move(setup)) {
  const std::string xlen = std::to_string(setup_.xlen);
  elf_ = guest_path(setup_.name + "-rv" + xlen);
  qemu_ = "qemu-system-riscv" + xlen;
  options_ =
      (std::filesystem::temp_directory_path() / ("hindcast-" + setup_.name + "-" + std::to_string(getpid())))
          .string();
}

RandomGuest::~RandomGuest() {
  std::error_code ignored;
  std::filesystem::remove(options_, ignored);
}

void RandomGuest::choose(u64 seed, u64 rounds) const {
  constexpr u64 kQuiet = ~u64{0};
  const u64 words[] = {seed, rounds, kQuiet, setup_.features};  // little-endian, as struct options of guest.h
  std::ofstream out(options_, std::ios::binary);
  out.write(reinterpret_cast<const char*>(words), sizeof words);
}

std::string RandomGuest::here(const char* engine) const {
  const CommandResult r =
      run_command({HINDCAST_COMMAND, "run", "--engine", engine, "-M", setup_.machine, "-m", "128M", "--cpu",
                   setup_.cpu, "--load", options_ + "@" + kOptionsAddress, elf_});
  EXPECT_EQ(r.status, 0) << r.err;
  return r.out;
}

CommandResult RandomGuest::in_qemu() const {
  return run_command({qemu_, "-M", setup_.machine, "-m", "128M", "-cpu", setup_.qemu_cpu, "-bios", "none",
                      "-display", "none", "-serial", "stdio", "-monitor", "none", "-device",
                      "loader,file=" + options_ + ",addr=" + kOptionsAddress + ",force-raw=on", "-kernel",
                      elf_});
}

int RandomGuest::qemu_version() const {
  const CommandResult r = run_command({qemu_, "--version"});
  constexpr std::string_view kBefore = "version ";
  const std::size_t at = r.out.find(kBefore);
  return r.status != 0 || at == std::string::npos ? 0 : std::atoi(r.out.c_str() + at + kBefore.size());
}

void RandomGuest::expect_what_qemu_did(u64 rounds, const std::string& file) const {
  const std::string name = "/tests/oracle/" + setup_.name + "/" + file;
  std::ifstream in(HINDCAST_SOURCE_DIR + name);
  std::stringstream expected;
  expected << in.rdbuf();
  ASSERT_FALSE(expected.str().empty()) << name;
  choose(1, rounds);
  for (const char* engine : {"jit", "interp"}) EXPECT_EQ(here(engine), expected.str()) << engine;
}

void RandomGuest::expect_what_qemu_does(u64 rounds) const {
  choose(77, rounds);
  const CommandResult there = in_qemu();
  ASSERT_EQ(there.status, 0) << there.err;
  EXPECT_EQ(here("jit"), there.out);
}

}  // namespace hindcast::oracle
