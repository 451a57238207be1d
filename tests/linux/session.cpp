#include "tests/linux/session.h"

#include <signal.h>

#include <algorithm>
#include <thread>

namespace hindcast::linux_test {
namespace {

cli_test::SpawnOptions with_keys() {
  cli_test::SpawnOptions options;
  options.input = cli_test::Stream::Pipe;
  return options;
}

}  // namespace

Session::Session(const std::vector<std::string>& arguments, std::string prompt, unsigned seed)
    : process_(arguments, with_keys()), prompt_(std::move(prompt)), moments_(seed) {}

bool Session::await(const std::string& text) {
  shown_ = shown_ && process_.await(text, kLong);
  return shown_;
}

void Session::type(const std::string& text) {
  for (char key : text) {
    if (!shown_) return;
    process_.write(std::string(1, key));
    std::this_thread::sleep_for(Milliseconds(moments_() % 8));
  }
}

void Session::line(const std::string& text) {
  const std::string number = std::to_string(++lines_);
  type(text + "; echo m''ark-" + number + "\n");
  await("mark-" + number + "\r\n" + prompt_);
}

Outcome Session::finish(const std::string& last_line) {
  if (!shown_) process_.signal(SIGKILL);
  type(last_line + "\n");
  return process_.finish(kLong);
}

std::string last_shown(const Outcome& outcome) {
  return "\nlast on the console: " +
         outcome.out.substr(outcome.out.size() - std::min<std::size_t>(outcome.out.size(), 300));
}

void expect_same(const std::string& rec, const Outcome& recorded, const std::vector<std::string>& more) {
  std::vector<std::string> line = {"replay", "--summary", rec};
  line.insert(line.end(), more.begin(), more.end());
  const Outcome again = Process(line).finish(kLong);
  EXPECT_EQ(again.out, recorded.out);
  EXPECT_EQ(summary(again), summary(recorded));
}

void expect_same_segments(const std::string& rec, const std::vector<Icount>& begins, Icount size) {
  for (Icount begin : begins) {
    std::vector<std::string> line = {"replay",
                                     "--quiet",
                                     "--summary",
                                     "--from-checkpoint",
                                     std::to_string(begin),
                                     "--until",
                                     std::to_string(begin + size),
                                     rec};
    const Outcome translated = Process(line).finish(kLong);
    EXPECT_EQ(translated.status, 124) << translated.describe();
    for (const char* how : {"--engine=interp", "--chaos-seed=7"}) {
      line.push_back(how);
      EXPECT_EQ(summary(Process(line).finish(kLong)), summary(translated)) << how << " from " << begin;
      line.pop_back();
    }
  }
}

}  // namespace hindcast::linux_test
