// Debian's riscv64 kernel under OpenSBI: what the tests of this folder start. scripts/riscv-linux fetches it.
#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/cli/process.h"

namespace hindcast::linux_test {

using cli_test::hindcast;
using cli_test::Milliseconds;
using cli_test::Outcome;
using cli_test::Process;
using cli_test::TempFolder;

inline const std::string kFolder = HINDCAST_LINUX_DIR;
inline const std::string kFirmware = "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin";
constexpr Milliseconds kLong{60'000};  // a boot on a busy machine

class Linux : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kFolder + "/complete")) GTEST_SKIP() << "no kernel: scripts/riscv-linux";
    if (!std::filesystem::exists(kFirmware)) GTEST_SKIP() << "no OpenSBI (package opensbi)";
  }
  std::string rec(unsigned number = 0) const { return folder / ("rec" + std::to_string(number)); }

  TempFolder folder;
};

/// The arguments that record a boot into `rec`; `initrd`: empty for none.
inline std::vector<std::string> record(const std::string& rec, unsigned harts, const std::string& initrd) {
  std::vector<std::string> line = {"record",   "-o",
                                   rec,        "--summary",
                                   "-M",       "virt",
                                   "-m",       "256M",
                                   "--smp",    std::to_string(harts),
                                   "--bios",   kFirmware,
                                   "--kernel", kFolder + "/Image",
                                   "--append", "console=ttyS0"};
  if (!initrd.empty()) line.insert(line.end(), {"--initrd", kFolder + "/" + initrd});
  return line;
}

/// The last line that `--summary` has given.
inline std::string summary(const Outcome& outcome) {
  const std::size_t at = outcome.err.rfind("hindcast: icount");
  return at == std::string::npos ? "none: " + outcome.err : outcome.err.substr(at);
}

}  // namespace hindcast::linux_test
