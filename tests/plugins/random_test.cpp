// Random callbacks leave the same whether they are called (the interpreter calls every one) or read from
// their code and done inline.
#include "tests/plugins/fixture.h"

namespace hindcast::plugin_test {
namespace {

class RandomCallbacks : public Plugins, public ::testing::WithParamInterface<const char*> {};

TEST_P(RandomCallbacks, LeaveTheSame) {
  constexpr unsigned kSeeds = 16;
  const std::string image = program("counter", cli_test::counter_program(12, 60));
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    const std::string plugin = loaded(std::string("callbacks_") + GetParam()) +
                               ",seed=" + std::to_string(seed) + ",flavour=" + std::to_string(seed % 16);
    SCOPED_TRACE(plugin);
    const std::string called = log_of({"run", "--engine", "interp", "-p", plugin, image}, 5);
    EXPECT_EQ(called.substr(0, 2), "b ");
    EXPECT_EQ(log_of({"run", "-p", plugin, image}, 5), called);
  }
}

INSTANTIATE_TEST_SUITE_P(Compiled, RandomCallbacks, ::testing::Values("O0", "O2", "Os"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace hindcast::plugin_test
