// Sessions on a guest's console: keys that are typed one by one, at moments drawn from a seed.
#pragma once
#include <random>
#include <string>
#include <vector>

#include "engine/types.h"
#include "tests/linux/linux.h"

namespace hindcast::linux_test {

class Session {
 public:
  /// Starts the command. `prompt`: what the guest shows when it reads the next line.
  Session(const std::vector<std::string>& arguments, std::string prompt, unsigned seed);

  /// Waits until `text` was shown; from the first time that it is not on, nothing is typed or awaited.
  bool await(const std::string& text);
  /// Types `text`, and nothing after it.
  void type(const std::string& text);
  /// Types a line, and waits until its last command is done and the prompt is there again. Both shells
  /// (busybox's and U-Boot's) drop what is typed before.
  void line(const std::string& text);
  /// Types what ends the guest, and waits for the end.
  Outcome finish(const std::string& last_line);
  Process& process() { return process_; }

 private:
  Process process_;
  std::string prompt_;
  std::minstd_rand moments_;
  unsigned lines_ = 0;
  bool shown_ = true;
};

/// Where the console stood, for a session that did not come to its end.
std::string last_shown(const Outcome& outcome);

/// Replays the recording at `rec`, whose recorder ended as `recorded`: the same output and state. `more`:
/// options.
void expect_same(const std::string& rec, const Outcome& recorded, const std::vector<std::string>& more = {});

/// Replays `size` instructions from a checkpoint at each of `begins`, translated, with the interpreter, and
/// with caches dropped at random: the same states.
void expect_same_segments(const std::string& rec, const std::vector<Icount>& begins, Icount size);

}  // namespace hindcast::linux_test
