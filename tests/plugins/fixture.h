// Runs of the hindcast command with plugins.
#pragma once
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/cli/guest.h"
#include "tests/cli/process.h"

namespace hindcast::plugin_test {

using cli_test::Outcome;
using Strings = std::vector<std::string>;

inline Strings lines_of(const std::string& text) {
  Strings lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

/// The number behind `before`, which must occur; or ~0.
inline std::uint64_t number_behind(const std::string& text, const std::string& before, int base = 10) {
  const std::size_t at = text.find(before);
  return at == std::string::npos ? ~0ull : std::stoull(text.substr(at + before.size()), nullptr, base);
}

class Plugins : public ::testing::Test {
 protected:
  std::string program(const std::string& name, const std::string& elf) {
    cli_test::write_file(folder / name, elf);
    return folder / name;
  }
  /// What plugins write when the command runs with these arguments and -D; its exit status must be `status`.
  std::string log_of(Strings arguments, int status) {
    const std::string log = folder / ("log" + std::to_string(++logs_));
    arguments.insert(arguments.begin() + 1, {"-D", log});
    const Outcome outcome = cli_test::hindcast(arguments);
    EXPECT_EQ(outcome.status, status) << outcome.describe();
    return cli_test::read_file(log);
  }
  static std::string loaded(const std::string& name) {
    return std::string(HINDCAST_TEST_PLUGINS) + "/" + name + ".so";
  }
  cli_test::TempFolder folder;

 private:
  int logs_ = 0;
};

}  // namespace hindcast::plugin_test
