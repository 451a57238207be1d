#include "plugins/jobs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "plugins/part.h"
#include "replay/player.h"

extern char** environ;

namespace hindcast::plugins {
namespace {

constexpr Icount kLeast = 1'000'000;  // starting a process is not worth less
/// The first parts are not longer: what plugins write is not known yet.
constexpr Icount kFirst = 64'000'000;
/// A part gets this share of what is left for each process, but not less than this share of all.
constexpr double kShare = 1.25;
constexpr unsigned kShortest = 3;

/// A part's process.
struct Worker {
  Part part;
  pid_t pid = -1;
  int messages = -1, turn = -1;
  int buffer = -1;  // belongs to Parts
  Bytes received;
  std::optional<Bytes> saved;
  std::optional<int> ended;  // a plugin ended the run there
  std::string failed;
  bool written = false;
  int wait_status = 0;  // once the process has ended
  u64 done = 0, text = 0;
  /// It has ended as it should: not after losing text that nobody knows of.
  bool complete() const {
    return saved && written && WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;
  }
  bool running() const { return !saved && failed.empty() && messages >= 0; }

  Worker() = default;
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker() {
    if (pid > 0) {
      ::kill(pid, SIGTERM);
      ::waitpid(pid, nullptr, 0);
    }
    if (messages >= 0) ::close(messages);
    if (turn >= 0) ::close(turn);
  }
};

std::array<int, 2> new_pipe() {
  std::array<int, 2> ends;
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw Fatal(fmt::format("no pipe: {}", std::strerror(errno)));
  return ends;
}

/// What is `fd` here becomes `as` in the new process. Not below the numbers that are taken there, so that
/// none of them is closed by the next.
int out_of_the_way(int fd) {
  constexpr int kFree = 10;
  const int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, kFree);
  if (moved < 0) throw Fatal(fmt::format("no file descriptor: {}", std::strerror(errno)));
  ::close(fd);
  return moved;
}

void start(Worker& worker, const JobsOptions& options) {
  std::array<int, 2> messages = new_pipe(), turn = new_pipe();
  worker.messages = messages[0];
  worker.turn = turn[1];
  messages[1] = out_of_the_way(messages[1]);
  turn[0] = out_of_the_way(turn[0]);
  std::vector<std::string> words = options.command;
  words.push_back("--part");
  words.push_back(to_text(worker.part));
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, options.output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, messages[1], kPartMessages);
  posix_spawn_file_actions_adddup2(&actions, turn[0], kPartTurn);
  posix_spawn_file_actions_adddup2(&actions, worker.buffer, kPartBuffer);
  const int problem = ::posix_spawn(&worker.pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(messages[1]);
  ::close(turn[0]);
  if (problem != 0) {
    worker.pid = -1;
    throw Fatal(fmt::format("a part of the analysis cannot be started: {}", std::strerror(problem)));
  }
}

void take_message(Worker& worker, const JobsOptions& options, PartMessage kind, ByteView payload) {
  const auto number = [&](auto& value) {
    if (payload.size() == sizeof value) std::memcpy(&value, payload.data(), sizeof value);
  };
  std::array<u64, 2> progress = {worker.done, worker.text};
  i32 code = 0;
  switch (kind) {
    case PartMessage::Progress:
      number(progress);
      worker.done = progress[0];
      worker.text = progress[1];
      break;
    case PartMessage::Saved: worker.saved = Bytes(payload.begin(), payload.end()); break;
    case PartMessage::Failed: worker.failed.assign(payload.begin(), payload.end()); break;
    case PartMessage::Ended:
      number(code);
      worker.ended = code;
      break;
    case PartMessage::Lost:
      number(code);
      if (options.lost) options.lost(code);
      break;
    case PartMessage::Written: worker.written = true; break;
  }
}

/// Waits for the end of a process that has closed its messages. Its wait status.
int collect(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) return fmt::format("was ended by signal {}", WTERMSIG(status));
  return fmt::format("ended with status {}", WEXITSTATUS(status));
}

/// Takes what has arrived apart. False: the other end was closed.
bool receive(Worker& worker, const JobsOptions& options) {
  std::array<u8, 65536> buffer;
  const ssize_t n = ::read(worker.messages, buffer.data(), buffer.size());
  if (n < 0) return errno == EINTR;
  if (n == 0) return false;
  worker.received.insert(worker.received.end(), buffer.begin(), buffer.begin() + n);
  std::size_t at = 0;
  while (worker.received.size() - at >= kPartHeader) {
    u64 size = 0;
    std::memcpy(&size, worker.received.data() + at + 1, sizeof size);
    if (worker.received.size() - at - kPartHeader < size) break;
    take_message(worker, options, static_cast<PartMessage>(worker.received[at]),
                 ByteView(worker.received).subspan(at + kPartHeader, size));
    at += kPartHeader + size;
  }
  worker.received.erase(worker.received.begin(), worker.received.begin() + static_cast<std::ptrdiff_t>(at));
  return true;
}

/// Cuts the analysis into parts, one after the other.
class Divider {
 public:
  Divider(const replay::Player& player, Icount from, Icount to, unsigned jobs)
      : from_(from), at_(from), to_(to), jobs_(jobs) {
    for (const auto& info : player.reader().checkpoints()) checkpoints_.push_back(info.icount);
  }
  bool done() const { return at_ >= to_; }
  Icount total() const { return to_ - from_; }

  /// `density`: bytes of text for each instruction so far; negative: not known.
  Part next(double density) {
    const Icount least = std::max(total() / (kShortest * jobs_), kLeast);
    auto length = std::max(static_cast<Icount>(static_cast<double>(to_ - at_) / (kShare * jobs_)), least);
    if (density < 0) length = std::min(length, kFirst);
    if (density * static_cast<double>(length) > static_cast<double>(kPartText))
      length = std::max(static_cast<Icount>(static_cast<double>(kPartText) / density), kLeast);
    Icount cut = to_;
    if (to_ - at_ > length + std::min(length, least) / 2) cut = near_checkpoint(at_ + length, length / 4);
    const Part part{at_, cut, at_ == from_, cut == to_};
    at_ = cut;
    return part;
  }

 private:
  /// A checkpoint that is not further from there; else the place itself.
  Icount near_checkpoint(Icount wanted, Icount near) const {
    Icount best = wanted, distance = near + 1;
    for (Icount checkpoint : checkpoints_) {
      const Icount d = std::max(checkpoint, wanted) - std::min(checkpoint, wanted);
      if (d < distance && checkpoint > at_) best = checkpoint, distance = d;
    }
    return best;
  }
  std::vector<Icount> checkpoints_;
  Icount from_, at_, to_;
  unsigned jobs_;
};

/// The processes, in the order of their parts.
class Parts {
 public:
  Parts(PluginHost& host, const JobsOptions& options, Divider divider)
      : host_(host), options_(options), divider_(std::move(divider)) {}
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;
  ~Parts() {
    for (int fd : buffers_) ::close(fd);
  }

  /// Runs all parts, and merges each when its text is written.
  void run() {
    while (!over_ && (!divider_.done() || !workers_.empty())) {
      start_some();
      wait();
      while (!workers_.empty() && workers_.front()->messages < 0) finish_first();
      if (!workers_.empty()) give_turn();
      report_progress();
    }
  }

 private:
  /// As many as may run; of those that wait for their turn with their text, not too many.
  void start_some() {
    const auto is_running = [](const auto& w) { return w->running(); };
    auto running = static_cast<std::size_t>(std::count_if(workers_.begin(), workers_.end(), is_running));
    // A failure is reported when it is its turn, if nothing ends the run before it.
    for (const auto& w : workers_)
      if (w->ended || !w->failed.empty()) return;
    while (running < options_.jobs && workers_.size() <= options_.jobs && !divider_.done()) {
      auto worker = std::make_unique<Worker>();
      worker->part = divider_.next(density());
      worker->buffer = free_buffer();
      start(*worker, options_);
      workers_.push_back(std::move(worker));
      ++running;
    }
  }

  int free_buffer() {
    if (free_buffers_.empty()) {
      const int fd = ::memfd_create("text of a part", MFD_CLOEXEC);
      if (fd >= 0) free_buffers_.push_back(out_of_the_way(fd));
      if (fd < 0 || ::ftruncate(free_buffers_.back(), kPartBufferSize) != 0)
        throw Fatal(
            fmt::format("no memory for the text of a part of the analysis: {}", std::strerror(errno)));
      buffers_.push_back(free_buffers_.back());
    }
    const int fd = free_buffers_.back();
    free_buffers_.pop_back();
    return fd;
  }

  double density() const {
    u64 done = done_, text = text_;
    for (const auto& w : workers_) {
      done += w->done;
      text += w->text;
    }
    return done == 0 ? -1 : static_cast<double>(text) / static_cast<double>(done);
  }

  void wait() {
    std::vector<pollfd> waiting;
    for (const auto& w : workers_) waiting.push_back({w->messages, POLLIN, 0});
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR)
      throw Fatal(fmt::format("waiting for the parts of the analysis: {}", std::strerror(errno)));
    for (std::size_t k = 0; k < waiting.size(); ++k) {
      Worker& worker = *workers_[k];
      if (waiting[k].revents == 0 || receive(worker, options_)) continue;
      ::close(std::exchange(worker.messages, -1));
      worker.wait_status = collect(std::exchange(worker.pid, -1));
    }
  }

  void give_turn() {
    Worker& first = *workers_.front();
    if (first.turn < 0) return;
    const u8 byte = 1;
    // A process that has gone is noticed by its messages.
    if (::write(first.turn, &byte, 1) < 0 && errno == EINTR) return;
    ::close(std::exchange(first.turn, -1));
  }

  /// The first part's process has ended.
  void finish_first() {
    Worker& worker = *workers_.front();
    if (!worker.failed.empty()) throw Fatal(worker.failed);
    if (!worker.complete())
      throw Fatal(
          fmt::format("a part of the analysis (from icount {} on) {} before all that it found out was "
                      "written: the result is incomplete",
                      worker.part.from, how_it_ended(worker.wait_status)));
    host_.merge(*worker.saved);
    done_ += worker.part.to - worker.part.from;
    text_ += worker.text;
    if (worker.ended) {
      host_.set_ended(*worker.ended);
      over_ = true;  // what comes behind it has never been run
    }
    free_buffers_.push_back(worker.buffer);
    workers_.erase(workers_.begin());
  }

  void report_progress() const {
    if (!options_.analyze.progress) return;
    replay::Progress progress;
    progress.icount = done_;
    progress.total = divider_.total();
    for (const auto& w : workers_) progress.icount += std::min<u64>(w->done, w->part.to - w->part.from);
    options_.analyze.progress(progress);
  }

  PluginHost& host_;
  const JobsOptions& options_;
  Divider divider_;
  std::vector<int> buffers_, free_buffers_;  // outlive the workers
  std::vector<std::unique_ptr<Worker>> workers_;
  u64 done_ = 0, text_ = 0;  // of those that have ended
  bool over_ = false;
};

}  // namespace

AnalyzeResult analyze_in_parts(const std::string& path, PluginHost& host, const JobsOptions& options) {
  replay::Player player(path, options.analyze.engine);
  const Icount from = player.empty() ? 0 : std::max(options.analyze.from, player.icount());
  const Icount to = player.empty() ? 0 : std::min(options.analyze.to, player.end_icount());
  // With several vCPUs no place is one where all of them begin a block.
  if (player.empty() || to <= from || to - from < 2 * kLeast || player.machine().vcpu_count() > 1)
    return analyze(path, host, options.analyze);
  host.set_limited(options.analyze.to < player.end_icount());
  AnalyzeResult result;
  {
    const replay::Observation observation(&host, player.machine(), false);
    host.flush_output();
    Parts(host, options, Divider(player, from, to, options.jobs)).run();
  }
  result.icount = to;
  if (!host.ended() && options.analyze.to >= player.end_icount() && !player.reader().end()) {
    result.status = 124;
    result.message = fmt::format("the recording was cut short at icount {} (its recorder did not close it)",
                                 result.icount);
  }
  return result;
}

}  // namespace hindcast::plugins
