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

using Places = Guests;

/// Programs that change their page tables and modes at random: wherever an access has gone, the plugin is
/// told what a walk says at that moment.
TEST_P(Places, AreThoseOfThePageTables) {
  const std::string image = std::string(HINDCAST_GUEST_DIR) + "/" + GetParam() + ".elf";
  if (!std::filesystem::exists(image)) GTEST_SKIP() << "guest programs were not built";
  const bool wide = image.find("64") != std::string::npos,
             hypervisor = image.find("hyp") != std::string::npos;
  const std::string cpu = std::string("rv") + (wide ? "64,svnapot=on,svpbmt=on" : "32") +
                          ",svadu=on,svinval=on" + (hypervisor ? ",h=on" : "");
  // Where the programs look for their options (tests/oracle/guest.h): a seed, how many rounds, that they are
  // quiet, and what the CPU has.
  const std::uint64_t options[] = {7, 50, ~0ull, hypervisor ? (wide ? 23u : 17u) : (wide ? 63u : 41u)};
  const std::string file =
      program("options", std::string(reinterpret_cast<const char*>(options), sizeof options));
  const auto run = [&](const char* engine) {
    return log_of({"run", "-M", "virt", "-m", "128M", "--cpu", cpu, "--engine", engine, "--load",
                   file + "@0x80ff0000", "-p", loaded("places"), image},
                  0);
  };
  const std::string log = run("jit");
  EXPECT_EQ(run("interp"), log);
  EXPECT_EQ(number_behind(log, "different "), 0u) << log;
  EXPECT_GT(number_behind(log, "elsewhere "), 80u) << log;
  EXPECT_GT(number_behind(log, "devices "), 0u) << log;
}

INSTANTIATE_TEST_SUITE_P(Firmware, Places,
                         ::testing::Values("paging-rv64", "paging-rv32", "hypervisor-rv64",
                                           "hypervisor-rv32"),
                         [](const auto& info) { return case_name(info.param); });

}  // namespace
}  // namespace hindcast::plugin_test
