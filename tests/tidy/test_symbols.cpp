// The object files of the deterministic core do not reach for the host's clock, random numbers or
// environment.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <regex>
#include <string>

namespace hindcast::tidy {
namespace {

namespace fs = std::filesystem;

/// Undefined symbols of an archive, one a line as "archive:member: U name"; empty if there is no `nm`.
std::string undefined_symbols(const fs::path& archive) {
  std::string command = "nm -A -u '" + archive.string() + "' 2>/dev/null", out;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(::popen(command.c_str(), "r"), &::pclose);
  char buffer[4096];
  while (pipe != nullptr && std::fgets(buffer, sizeof buffer, pipe.get()) != nullptr) out += buffer;
  return out;
}

const std::regex& banned_symbol() {
  static const std::regex re(R"( U (s?rand|rand_r|random|srandom|drand48|arc4random\w*|getrandom|getentropy|)"
                             R"(time|clock|clock_gettime|gettimeofday|getenv|secure_getenv|getpid|)"
                             R"(_ZNSt13random_device\w+|_ZNSt6chrono\w+clock3nowEv)(@\S*)?$)");
  return re;
}

class CoreSymbols : public ::testing::TestWithParam<const char*> {};

TEST_P(CoreSymbols, AskTheHostNothing) {
  fs::path build = fs::path(HINDCAST_COMMAND).parent_path().parent_path();
  fs::path archive = build / GetParam();
  ASSERT_TRUE(fs::exists(archive)) << archive;
  std::string symbols = undefined_symbols(archive);
  if (symbols.empty()) GTEST_SKIP() << "nm is not installed";
  for (std::size_t at = 0; at < symbols.size();) {
    std::size_t end = symbols.find('\n', at);
    std::string line = symbols.substr(at, end - at);
    at = end + 1;
    if (line.find("host_files.cpp.o") != std::string::npos) continue;  // the host half of semihosting
    EXPECT_FALSE(std::regex_search(line, banned_symbol())) << line;
  }
}
INSTANTIATE_TEST_SUITE_P(Tidy, CoreSymbols,
                         ::testing::Values("engine/libhindcast_engine.a", "semihost/libhindcast_semihost.a",
                                           "targets/libhindcast_targets.a"),
                         [](const auto& info) {
                           std::string name = fs::path(info.param).parent_path().string();
                           return name;
                         });

TEST(CoreSymbolsRule, KnowsWhatItLooksFor) {
  for (const char* bad : {"a:b.o:                 U rand", "a:b.o: U clock_gettime@GLIBC_2.17", "a: U time",
                          "a: U _ZNSt6chrono3_V212steady_clock3nowEv"})
    EXPECT_TRUE(std::regex_search(bad, banned_symbol())) << bad;
  for (const char* good : {"a: U brand", "a: U _ZN8hindcast12VirtualClock4timeEv", "a: U clock_nanosleep_x"})
    EXPECT_FALSE(std::regex_search(good, banned_symbol())) << good;
}

}  // namespace
}  // namespace hindcast::tidy
