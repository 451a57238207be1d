// Runs the hindcast command (or another) as a child process for tests: feeds stdin on a schedule, collects
// what it prints and how it ended.
#pragma once
#include <string>
#include <vector>

namespace hindcast::testing {

/// A piece of standard input, written `delay_ms` after the one before.
struct Keys {
  unsigned delay_ms = 0;
  std::string text;
};

struct CommandResult {
  int status = -1;  // exit status; 128 + N if killed by signal N
  bool timed_out = false;
  std::string out, err;
};

/// argv[0] is the program. stdin is a pipe that is closed after the last piece. After `timeout_s` the child
/// is killed.
CommandResult run_command(const std::vector<std::string>& argv, const std::vector<Keys>& input = {},
                          unsigned timeout_s = 60);

/// The guest ELF of that name ("smc-rv64gc"), or "" if the guests were not built.
std::string guest_path(const std::string& name);

}  // namespace hindcast::testing
