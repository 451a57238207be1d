// gdb itself under test: a folder, recordings of real firmware, gdb's scripts and what it said.
#pragma once
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace hindcast::gdb {

namespace fs = std::filesystem;

inline std::string quoted(const std::string& text) {
  std::string out = "'";
  for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

/// stdout and stderr together.
inline std::string shell(const std::string& command, int* status = nullptr) {
  std::FILE* pipe = ::popen(("timeout 60 " + command + " 2>&1 </dev/null").c_str(), "r");
  std::string out;
  char buffer[4096];
  for (std::size_t got; (got = std::fread(buffer, 1, sizeof buffer, pipe)) != 0;) out.append(buffer, got);
  const int result = ::pclose(pipe);
  if (status != nullptr) *status = WIFEXITED(result) ? WEXITSTATUS(result) : -1;
  return out;
}

class RealGdb : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (std::system("gdb-multiarch --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no gdb-multiarch";
    folder_ = fs::temp_directory_path() / ("hindcast-gdb-test-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override {
    if (!folder_.empty()) fs::remove_all(folder_);
  }
  std::string elf(const std::string& guest) {
    return std::string(HINDCAST_GUEST_DIR) + "/" + guest + "-" + GetParam() + ".elf";
  }
  std::string recording() { return folder_ / "rec"; }
  bool record(const std::string& guest, const std::string& options = "") {
    if (!fs::exists(elf(guest))) return false;
    int status = 0;
    const std::string out = shell(std::string(HINDCAST_COMMAND) + " record --force --serial none -o " +
                                      recording() + " " + options + " " + elf(guest),
                                  &status);
    EXPECT_LE(status, 1) << out;
    return true;
  }
  /// Each command's output follows a line ">>> command".
  std::string debug(const std::vector<std::string>& commands) {
    return gdb(std::string(HINDCAST_COMMAND) + " debug " + recording() + " --gdb", commands);
  }
  /// The same for a run that starts now.
  std::string debug_live(const std::string& guest, const std::string& options,
                         const std::vector<std::string>& commands) {
    return gdb(std::string(HINDCAST_COMMAND) + " debug " + options + " " + elf(guest) + " --gdb", commands);
  }
  std::string gdb(std::string line, const std::vector<std::string>& commands) {
    line += " -nx -batch -ex 'set confirm off'";
    for (const std::string& command : commands)
      line += " -ex " + quoted("echo >>> " + command + "\\n") + " -ex " + quoted(command);
    return transcript_ = shell(line);
  }
  /// Commands of several lines.
  std::string script(const std::string& text) {
    std::ofstream(folder_ / "script.gdb") << text;
    return gdb(std::string(HINDCAST_COMMAND) + " debug " + recording() + " --gdb",
               {"source " + (folder_ / "script.gdb").string()});
  }
  /// What gdb said to the `n`th command of that name.
  std::string said(const std::string& command, unsigned n = 1) {
    std::size_t at = 0;
    for (unsigned i = 0; i < n; ++i) {
      at = transcript_.find(">>> " + command + "\n", at);
      if (at == std::string::npos) return "(never asked)";
      at += command.size() + 5;
    }
    return transcript_.substr(at, transcript_.find(">>> ", at) - at);
  }
#define EXPECT_PRINTED(part) EXPECT_NE(transcript_.find(part), std::string::npos) << transcript_
#define EXPECT_SAID(part, ...)                                              \
  EXPECT_NE(said(__VA_ARGS__).find(part), std::string::npos)                \
      << "want: " << (part) << "\ngot: " << said(__VA_ARGS__) << "\n----\n" \
      << transcript_

  fs::path folder_;
  std::string transcript_;
};

}  // namespace hindcast::gdb
