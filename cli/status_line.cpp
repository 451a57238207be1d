#include "cli/status_line.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "cli/values.h"

namespace hindcast::cli {
namespace {

// Terminal control (ECMA-48, and the DEC functions that every terminal has).
constexpr const char* kSaveCursor = "\x1b\x37";
constexpr const char* kRestoreCursor = "\x1b\x38";
constexpr const char* kIndex = "\x1b\x44";  // a line feed that keeps the column
constexpr const char* kEraseToEnd = "\x1b[K";

constexpr auto kInterval = std::chrono::milliseconds(500);

void write_terminal(const std::string& text) {
  // A status line that cannot be written is no reason to stop.
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

std::string size_text(u64 bytes) {
  if (bytes < 10'000) return fmt::format("{} B", bytes);
  if (bytes < 10'000'000) return fmt::format("{:.1f} KB", static_cast<double>(bytes) / 1e3);
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

std::string count_text(Icount icount) {
  if (icount < 10'000'000) return fmt::format("{}", icount);
  return fmt::format("{:.1f}M", static_cast<double>(icount) / 1e6);
}

}  // namespace

StatusLine::StatusLine() : terminal_(::isatty(STDERR_FILENO) == 1), shared_(::isatty(STDOUT_FILENO) == 1) {}

std::function<void(const replay::Progress&)> StatusLine::callback() {
  if (!terminal_) return nullptr;
  return [this](const replay::Progress& progress) { show(progress); };
}

void StatusLine::show(const replay::Progress& progress) {
  auto now = std::chrono::steady_clock::now();
  if (last_.time_since_epoch().count() == 0) {  // nothing for runs that end at once
    last_ = now;
    last_icount_ = progress.icount;
    return;
  }
  if (now - last_ < kInterval) return;
  double seconds = std::chrono::duration<double>(now - last_).count();
  double mips =
      static_cast<double>(progress.icount - std::min(last_icount_, progress.icount)) / seconds / 1e6;
  last_ = now;
  last_icount_ = progress.icount;
  std::string text = fmt::format("icount {}  {:.1f} MIPS", count_text(progress.icount), mips);
  if (progress.log_bytes != 0) text += fmt::format("  log {}", size_text(progress.log_bytes));
  if (progress.total != 0)
    text += fmt::format("  {:.1f} %",
                        100.0 * static_cast<double>(progress.icount) / static_cast<double>(progress.total));
  draw(text);
}

bool StatusLine::reserve_row() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row < 4) return false;
  if (size.ws_row == rows_) return true;
  rows_ = size.ws_row;
  // The index at the bottom makes room; then the scrolling region leaves the bottom row out.
  write_terminal(fmt::format("{}\x1b[1A{}\x1b[1;{}r{}", kIndex, kSaveCursor, rows_ - 1, kRestoreCursor));
  return true;
}

void StatusLine::draw(const std::string& text) {
  if (!shared_) {
    write_terminal("\r" + text + kEraseToEnd);
  } else if (reserve_row()) {
    write_terminal(fmt::format("{}\x1b[{};1H\x1b[7m{}\x1b[0m{}{}", kSaveCursor, rows_, text, kEraseToEnd,
                               kRestoreCursor));
  } else {
    return;
  }
  shown_ = true;
}

void StatusLine::clear() {
  if (!shown_) return;
  shown_ = false;
  if (shared_)
    write_terminal(fmt::format("{}\x1b[{};1H{}\x1b[r{}", kSaveCursor, std::exchange(rows_, 0), kEraseToEnd,
                               kRestoreCursor));
  else
    write_terminal(std::string("\r") + kEraseToEnd);
}

Log::Log(const std::string& path)
    : path_(path), file_(stderr), watched_(path.empty() && ::isatty(STDERR_FILENO) == 1) {
  if (path.empty()) return;
  // As others write to it too, each at its end.
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
  file_ = fd < 0 ? nullptr : ::fdopen(fd, "a");
  if (file_ == nullptr) throw Fatal(fmt::format("--log {}: {}", path, std::strerror(errno)));
}

Log::~Log() {
  flush_text();
  if (file_ != stderr) std::fclose(file_);
}

void Log::line(const std::string& what) {
  flush_text();
  const std::string text = printable(what);
  if (path_.empty()) return complain(text);
  // Not fmt::print: a log that cannot be written must not end the run.
  if (std::fputs(("hindcast: " + text + "\n").c_str(), file_) == EOF || std::fflush(file_) != 0)
    problem_ = problem_ != 0 ? problem_ : errno;
}

void Log::text(std::string_view text) {
  constexpr std::size_t kKept = 64 << 10;
  kept_ += text;
  if (watched_ || kept_.size() >= kKept) flush_text();
}

void Log::flush_text() {
  const int fd = ::fileno(file_);
  for (std::size_t done = 0; done < kept_.size();) {
    const ssize_t n = ::write(fd, kept_.data() + done, kept_.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      note_lost(errno);
      break;
    }
    done += static_cast<std::size_t>(n);
  }
  kept_.clear();
}

int Log::fd() const { return ::fileno(file_); }

void Log::note_lost(int problem) {
  const bool reader_left = path_.empty() && problem == EPIPE;
  if (problem_ == 0 && !reader_left) problem_ = problem;
}

void Log::close() {
  flush_text();
  if (problem_ != 0 && path_.empty())
    throw Fatal(fmt::format("stderr: {}; text of plugins is missing from it", std::strerror(problem_)));
  if (problem_ != 0)
    throw Fatal(fmt::format("--log {}: {}; messages are missing from it", path_, std::strerror(problem_)));
}

}  // namespace hindcast::cli
