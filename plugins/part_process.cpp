#include "plugins/part_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

extern char** environ;

namespace hindcast::plugins {
namespace {

std::array<int, 2> new_pipe() {
  std::array<int, 2> ends;
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw Fatal(fmt::format("no pipe: {}", std::strerror(errno)));
  return ends;
}

/// What is `fd` here becomes one of kPartMessages... in the new process. Not one of these numbers here, so
/// that none of them is closed by the next.
int out_of_the_way(int fd) {
  constexpr int kFree = 10;
  const int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, kFree);
  if (moved < 0) throw Fatal(fmt::format("no file descriptor: {}", std::strerror(errno)));
  ::close(fd);
  return moved;
}

}  // namespace

PartProcess::PartProcess(Setup setup, PartState* first) : setup_(std::move(setup)), parts_{first} { start(); }

PartProcess::~PartProcess() {
  dismiss();
  if (messages_ >= 0) ::close(messages_);
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);  // it may have been started with SIGTERM ignored
    ::waitpid(pid_, nullptr, 0);
  }
}

void PartProcess::start() {
  std::array<int, 2> messages = new_pipe(), orders = new_pipe();
  messages_ = messages[0];
  orders_ = orders[1];
  messages[1] = out_of_the_way(messages[1]);
  orders[0] = out_of_the_way(orders[0]);
  std::vector<std::string> words = setup_.command;
  words.push_back("--part");
  words.push_back(to_text(parts_.front()->part));
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, setup_.output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, messages[1], kPartMessages);
  posix_spawn_file_actions_adddup2(&actions, orders[0], kPartOrders);
  posix_spawn_file_actions_adddup2(&actions, setup_.buffer, kPartBuffer);
  const int problem = ::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(messages[1]);
  ::close(orders[0]);
  if (problem != 0) {
    pid_ = -1;
    throw Fatal(fmt::format("a part of the analysis cannot be started: {}", std::strerror(problem)));
  }
}

bool PartProcess::ended_well() const {
  return ended() && WIFEXITED(wait_status_) && WEXITSTATUS(wait_status_) == 0;
}

std::string PartProcess::how_it_ended() const {
  if (WIFSIGNALED(wait_status_)) return fmt::format("was ended by signal {}", WTERMSIG(wait_status_));
  return fmt::format("ended with status {}", WEXITSTATUS(wait_status_));
}

void PartProcess::take(PartMessage kind, ByteView payload) {
  if (parts_.empty()) return;
  PartState& part = *parts_.front();
  const auto number = [&](auto& value) {
    if (payload.size() == sizeof value) std::memcpy(&value, payload.data(), sizeof value);
  };
  std::array<u64, 2> progress = {part.done, part.text};
  i32 code = 0;
  switch (kind) {
    case PartMessage::Progress:
      number(progress);
      part.done = progress[0];
      part.text = progress[1];
      break;
    case PartMessage::Saved: part.saved = Bytes(payload.begin(), payload.end()); break;
    case PartMessage::Failed: part.failed.assign(payload.begin(), payload.end()); break;
    case PartMessage::Ended:
      if (payload.size() < sizeof code) break;
      std::memcpy(&code, payload.data(), sizeof code);
      part.ended = {code, std::string(payload.begin() + sizeof code, payload.end())};
      break;
    case PartMessage::Lost:
      number(code);
      if (setup_.lost) setup_.lost(code);
      break;
    case PartMessage::Written:
      part.written = true;
      parts_.pop_front();
      break;
  }
}

/// False: the other end was closed.
bool PartProcess::take_bytes() {
  std::array<u8, 65536> buffer;
  const ssize_t n = ::read(messages_, buffer.data(), buffer.size());
  if (n < 0) return errno == EINTR;
  if (n == 0) return false;
  received_.insert(received_.end(), buffer.begin(), buffer.begin() + n);
  std::size_t at = 0;
  while (received_.size() - at >= kPartHeader) {
    u64 size = 0;
    std::memcpy(&size, received_.data() + at + 1, sizeof size);
    if (received_.size() - at - kPartHeader < size) break;
    take(static_cast<PartMessage>(received_[at]), ByteView(received_).subspan(at + kPartHeader, size));
    at += kPartHeader + size;
  }
  received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(at));
  return true;
}

void PartProcess::receive() {
  if (take_bytes()) return;
  ::close(std::exchange(messages_, -1));
  dismiss();
  while (::waitpid(pid_, &wait_status_, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

void PartProcess::order(const PartOrder& order) {
  // A process that has gone is noticed by its messages.
  while (::write(orders_, &order, sizeof order) < 0 && errno == EINTR) {
  }
}

void PartProcess::give_turn(PartState& part) {
  if (part.has_turn) return;
  part.has_turn = true;
  order({PartOrder::Kind::Turn, part.part});
}

void PartProcess::run(PartState* next) {
  parts_.push_back(next);
  order({PartOrder::Kind::Run, next->part});
}

void PartProcess::dismiss() {
  if (orders_ >= 0) ::close(std::exchange(orders_, -1));
}

}  // namespace hindcast::plugins
