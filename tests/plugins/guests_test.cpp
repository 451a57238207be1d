// Guests with interrupts, faults, several vCPUs and code that changes: what plugins are told is consistent,
// the same in both engines, and unnoticed.
#include <filesystem>

#include "tests/case_name.h"
#include "tests/plugins/fixture.h"

namespace hindcast::plugin_test {
namespace {

class Guests : public Plugins, public ::testing::WithParamInterface<const char*> {};

TEST_P(Guests, AreWatchedUnnoticed) {
  const std::string image = std::string(HINDCAST_GUEST_DIR) + "/" + GetParam() + ".elf";
  if (!std::filesystem::exists(image)) GTEST_SKIP() << "guest programs were not built";
  auto run = [&](Strings options) {
    const std::string log = folder / "log";
    std::filesystem::remove(log);
    Strings command = {"run", "-D", log, "--summary", "--max-icount", "1000000"};
    if (image.find("smp") != std::string::npos) command.insert(command.end(), {"--smp", "2"});
    command.insert(command.end(), options.begin(), options.end());
    command.push_back(image);
    cli_test::hindcast(command);
    return cli_test::read_file(log);
  };
  const std::string plain = run({});
  const Strings plugins = {"-p", "discons,abort=on", "-p", "insn", "-p", "inline", "-p", "cflow",
                           "-p", "hotblocks"};
  Strings interpreted = plugins;
  interpreted.insert(interpreted.end(), {"--engine", "interp"});
  const std::string log = run(plugins);
  EXPECT_EQ(log, run(interpreted));
  EXPECT_TRUE(log.ends_with(plain)) << plain << log;
  // Every attempt but the entries of interrupts is one of an instruction; where one faults in its fetch,
  // there is none.
  EXPECT_LE(number_behind(log, "total insns: "), number_behind(plain, "icount "));
}

INSTANTIATE_TEST_SUITE_P(Firmware, Guests,
                         ::testing::Values("irq-fifo-rv64gc", "smp-rv64gc", "smc-rv64gc", "faults-rv32imac",
                                           "storm-rv32gc", "hello-cortex-m0"),
                         [](const auto& info) { return case_name(info.param); });

}  // namespace
}  // namespace hindcast::plugin_test
