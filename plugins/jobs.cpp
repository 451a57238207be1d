#include "plugins/jobs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "replay/player.h"

extern char** environ;

namespace hindcast::plugins {
namespace {

/// Messages of a part's process: kind, length, bytes.
enum class Message : u8 { Progress = 1, Saved = 2, Failed = 3, Ended = 4 };
constexpr int kPartFd = 3;
constexpr std::size_t kHeader = 9;

void send(int fd, Message kind, ByteView payload) {
  const u64 size = payload.size();
  const u8* const size_bytes = reinterpret_cast<const u8*>(&size);
  Bytes out = {static_cast<u8>(kind)};
  out.insert(out.end(), size_bytes, size_bytes + sizeof size);
  out.insert(out.end(), payload.begin(), payload.end());
  for (std::size_t done = 0; done < out.size();) {
    const ssize_t n = ::write(fd, out.data() + done, out.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw Fatal("the process that puts the parts of the analysis together has gone");
    done += static_cast<std::size_t>(n);
  }
}

void send_text(int fd, Message kind, const std::string& text) {
  send(fd, kind, {reinterpret_cast<const u8*>(text.data()), text.size()});
}

/// A file without a name, for a part's text.
int open_scratch() {
  const char* folder = std::getenv("TMPDIR");
  const std::string path = folder != nullptr && *folder != '\0' ? folder : "/tmp";
  const int fd = ::open(path.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0) return fd;
  std::string name = path + "/hindcast-XXXXXX";
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named < 0) throw Fatal(fmt::format("no temporary file in {}: {}", path, std::strerror(errno)));
  ::unlink(name.c_str());
  return named;
}

/// A part's process.
struct Worker {
  pid_t pid = -1;
  int text = -1, messages = -1;
  Bytes received;
  std::optional<Bytes> saved;
  std::string failed;
  bool ended = false;  // a plugin ended the run there
  Icount done = 0;
  ~Worker() {
    if (pid > 0) {
      ::kill(pid, SIGTERM);
      ::waitpid(pid, nullptr, 0);
    }
    if (text >= 0) ::close(text);
    if (messages >= 0) ::close(messages);
  }
};

void start(Worker& worker, const std::vector<std::string>& command, const Part& part) {
  std::array<int, 2> pipe;
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) throw Fatal(fmt::format("no pipe: {}", std::strerror(errno)));
  worker.messages = pipe[0];
  worker.text = open_scratch();
  std::vector<std::string> words = command;
  words.push_back("--part");
  words.push_back(to_text(part));
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, worker.text, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, pipe[1], kPartFd);
  const int problem = ::posix_spawn(&worker.pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(pipe[1]);
  if (problem != 0) {
    worker.pid = -1;
    throw Fatal(fmt::format("a part of the analysis cannot be started: {}", std::strerror(problem)));
  }
}

/// Takes what has arrived apart. False: the other end was closed.
bool receive(Worker& worker) {
  std::array<u8, 65536> buffer;
  const ssize_t n = ::read(worker.messages, buffer.data(), buffer.size());
  if (n < 0) return errno == EINTR;
  if (n == 0) return false;
  worker.received.insert(worker.received.end(), buffer.begin(), buffer.begin() + n);
  while (worker.received.size() >= kHeader) {
    u64 size = 0;
    std::memcpy(&size, worker.received.data() + 1, sizeof size);
    if (worker.received.size() - kHeader < size) break;
    const u8* const payload = worker.received.data() + kHeader;
    switch (static_cast<Message>(worker.received[0])) {
      case Message::Progress:
        if (size == sizeof worker.done) std::memcpy(&worker.done, payload, sizeof worker.done);
        break;
      case Message::Saved: worker.saved = Bytes(payload, payload + size); break;
      case Message::Failed: worker.failed.assign(payload, payload + size); break;
      case Message::Ended: worker.ended = true; break;
    }
    worker.received.erase(worker.received.begin(),
                          worker.received.begin() + static_cast<std::ptrdiff_t>(kHeader + size));
  }
  return true;
}

void copy_text(int fd, PluginHost& host) {
  std::array<char, 65536> buffer;
  ::lseek(fd, 0, SEEK_SET);
  for (ssize_t n; (n = ::read(fd, buffer.data(), buffer.size())) > 0;)
    host.output({buffer.data(), static_cast<std::size_t>(n)});
}

/// Runs the parts, at most `jobs` at a time, until all are done.
void run_all(std::vector<Worker>& workers, const std::vector<Part>& parts, const JobsOptions& options) {
  std::size_t started = 0, finished = 0;
  std::vector<bool> running(workers.size(), false);
  while (finished < workers.size()) {
    auto active = static_cast<std::size_t>(std::count(running.begin(), running.end(), true));
    while (active < options.jobs && started < workers.size()) {
      start(workers[started], options.command, parts[started]);
      running[started] = true;
      ++active;
      ++started;
    }
    std::vector<pollfd> waiting;
    std::vector<std::size_t> of;
    for (std::size_t k = 0; k < workers.size(); ++k)
      if (running[k]) {
        waiting.push_back({workers[k].messages, POLLIN, 0});
        of.push_back(k);
      }
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR)
      throw Fatal(fmt::format("waiting for the parts of the analysis: {}", std::strerror(errno)));
    for (std::size_t k = 0; k < waiting.size(); ++k) {
      if (waiting[k].revents == 0 || receive(workers[of[k]])) continue;
      running[of[k]] = false;
      ++finished;
      Worker& worker = workers[of[k]];
      int status = 0;
      ::waitpid(worker.pid, &status, 0);
      worker.pid = -1;
      if (!worker.failed.empty()) throw Fatal(worker.failed);
      if (!worker.saved && !worker.ended)
        throw Fatal(fmt::format("a part of the analysis (from icount {} on) ended without a result",
                                parts[of[k]].from));
    }
    if (options.analyze.progress) {
      replay::Progress progress;
      for (std::size_t k = 0; k < workers.size(); ++k) {
        progress.icount += workers[k].done;
        progress.total += parts[k].to - parts[k].from;
      }
      options.analyze.progress(progress);
    }
  }
}

}  // namespace

std::string to_text(const Part& part) {
  return fmt::format("{}:{}:{}", part.from, part.to, (part.first ? 1 : 0) + (part.last ? 2 : 0));
}

Part parse_part(const std::string& text) {
  unsigned long long from = 0, to = 0;
  unsigned ends = 0;
  if (std::sscanf(text.c_str(), "%llu:%llu:%u", &from, &to, &ends) != 3 || ends > 3)
    throw Fatal("--part is for processes that the command starts itself");
  return {from, to, (ends & 1) != 0, (ends & 2) != 0};
}

int serve_part(const std::string& path, PluginHost& host, const Part& part, AnalyzeOptions options, int fd) {
  try {
    options.progress = [&](const replay::Progress& progress) {
      const u64 done = progress.icount > part.from ? progress.icount - part.from : 0;
      send(fd, Message::Progress, {reinterpret_cast<const u8*>(&done), sizeof done});
    };
    const Bytes saved = analyze_part(path, host, part, options);
    if (!host.message().empty())
      send_text(fd, Message::Failed, host.message());
    else if (host.ended())
      send(fd, Message::Ended, {});
    else
      send(fd, Message::Saved, saved);
    host.flush_output();
    return 0;
  } catch (const std::exception& error) {
    send_text(fd, Message::Failed, error.what());
    return 125;
  }
}

AnalyzeResult analyze_in_parts(const std::string& path, PluginHost& host, const JobsOptions& options) {
  const std::vector<Part> parts = divide(path, options.analyze.from, options.analyze.to, options.jobs);
  if (parts.size() < 2) return analyze(path, host, options.analyze);
  std::vector<Worker> workers(parts.size());
  run_all(workers, parts, options);
  // One that ends the run would have ended it for those behind it: found out, it is done again in one piece.
  if (std::any_of(workers.begin(), workers.end(), [](const Worker& w) { return w.ended; }))
    return analyze(path, host, options.analyze);

  replay::Player player(path, options.analyze.engine);
  const replay::Observation observation(&host, player.machine());
  for (const Worker& worker : workers) {
    copy_text(worker.text, host);
    host.merge(*worker.saved);
  }
  AnalyzeResult result;
  result.icount = parts.back().to;
  if (options.analyze.to >= player.end_icount() && !player.reader().end()) {
    result.status = 124;
    result.message = fmt::format("the recording was cut short at icount {} (its recorder did not close it)",
                                 result.icount);
  }
  return result;
}

}  // namespace hindcast::plugins
