// A plugin's author needs nothing but what the package installs: the sample of docs/plugins.md compiles
// against the headers alone, and runs.
#include "tests/plugins/fixture.h"

namespace hindcast::plugin_test {
namespace {

using cli_test::read_file;

using Header = Plugins;

TEST_F(Header, TheSampleOfTheManualCompilesAndRuns) {
  if (std::system("cc --version >/dev/null 2>&1 && pkg-config --exists glib-2.0") != 0)
    GTEST_SKIP() << "no C compiler";
  const std::string manual = read_file(std::string(HINDCAST_SOURCE_DIR) + "/docs/plugins.md");
  const std::size_t begin = manual.find("```c\n"), end = manual.find("```\n", begin + 5);
  ASSERT_NE(end, std::string::npos);
  cli_test::write_file(folder / "my.c", manual.substr(begin + 5, end - begin - 5));
  const std::string include = std::string(HINDCAST_SOURCE_DIR) + "/plugins/include";
  for (const char* language : {"c -std=c11", "c++ -std=c++17"}) {
    const std::string compile = std::string("cc -x ") + language + " -shared -fPIC -fvisibility=hidden -I" +
                                include + " " + (folder / "my.c") +
                                " $(pkg-config --cflags --libs glib-2.0) -o " + (folder / "my.so");
    ASSERT_EQ(std::system(compile.c_str()), 0) << compile;
    const std::string image = program("counter", cli_test::counter_program(5, 100));
    EXPECT_GT(number_behind(log_of({"run", "-p", folder / "my.so", image}, 5), "stores: "), 10u);
  }
}

}  // namespace
}  // namespace hindcast::plugin_test
