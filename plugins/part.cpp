// The process that runs parts of an analysis, one after the other (serve_parts). The text of its plugins
// waits until all text before it has been written (PartText); what it says of its parts goes to the process
// that put it to work (Messages), whose side is in part_process.cpp and jobs.cpp.
#include "plugins/part.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>

#include "replay/host_clock.h"

namespace hindcast::plugins {
namespace {

constexpr u64 kProgressNs = 20'000'000;
constexpr std::size_t kDirectly = 32 << 10;  // text of this size is written without a copy
constexpr const char* kGone = "the process that puts the parts of the analysis together has gone";

/// The text of the plugins: a part's is kept until it is its turn, then written as it comes.
class PartText {
 public:
  PartText(const Part& first, std::size_t most) : part_(first), most_(most) {
    // The parts share their buffers, one after the other: taking fresh memory costs as much as the text
    // itself.
    void* const memory = ::mmap(nullptr, kPartBufferSize, PROT_READ | PROT_WRITE, MAP_SHARED, kPartBuffer, 0);
    if (memory == MAP_FAILED) throw Fatal("no memory for the text of a part of the analysis");
    data_ = static_cast<char*>(memory);
  }
  ~PartText() { ::munmap(data_, kPartBufferSize); }
  PartText(const PartText&) = delete;
  PartText& operator=(const PartText&) = delete;

  void add(std::string_view text) {
    total_ += text.size();
    if (turn_ && size_ == 0 && text.size() >= kDirectly) return write(text);
    while (!text.empty()) {
      const std::size_t n = std::min(text.size(), kPartPiece);
      std::memcpy(data_ + size_, text.data(), n);
      size_ += n;
      text.remove_prefix(n);
      if (size_ >= next_look_) make_room();
    }
  }
  /// Also for a process that is about to die.
  void flush() {
    if (!turn_) return;
    write({data_, size_});
    size_ = 0;
  }
  /// The part's end: waits for the turn if there is anything left to write. The first errno met, 0: all was
  /// written.
  int finish() {
    if (has_to_wait()) look(-1);
    flush();
    return problem_;
  }
  /// Waits for the next part, whose text begins. None: there is no more to do.
  std::optional<Part> next() {
    while (ordered_.empty())
      if (!read()) return std::nullopt;
    part_ = ordered_.front();
    ordered_.pop_front();
    turn_ = false;
    total_ = 0;
    problem_ = 0;
    next_look_ = kPartPiece;
    return part_;
  }
  bool has_to_wait() const { return !turn_ && size_ != 0; }
  u64 total() const { return total_; }

 private:
  void write(std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ::write(STDOUT_FILENO, text.data(), text.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        problem_ = problem_ != 0 ? problem_ : errno;
        return;
      }
      text.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  void make_room() {
#ifdef MADV_POPULATE_WRITE
    // Many pages at once: one by one they are a tenth of the work. An old kernel does so.
    if (!turn_ && size_ + kPartPiece > mapped_ && mapped_ < most_) {
      ::madvise(data_ + mapped_, kMapped, MADV_POPULATE_WRITE);
      mapped_ += kMapped;
    }
#endif
    if (!turn_) look(size_ >= most_ ? -1 : 0);
    flush();
    next_look_ = std::min(size_ + kPartPiece, most_);
  }
  void look(int timeout_ms) {
    pollfd orders{kPartOrders, POLLIN, 0};
    while (!turn_) {
      const int n = ::poll(&orders, 1, timeout_ms);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return;
      // Without the other process there is nobody to write for. Not by an exception: plugins call this.
      if (!read()) ::_exit(125);
    }
  }
  bool read() {
    PartOrder order;
    ssize_t n = 0;  // they are short enough to arrive whole
    while ((n = ::read(kPartOrders, &order, sizeof order)) < 0 && errno == EINTR) {
    }
    if (n != sizeof order) return false;
    if (order.kind == PartOrder::Kind::Run)
      ordered_.push_back(order.part);
    else if (order.part.from == part_.from)  // else it comes too late for a part without text
      turn_ = true;
    return true;
  }

  static constexpr std::size_t kMapped = 4 << 20;
  Part part_;
  std::deque<Part> ordered_;  // behind it
  const std::size_t most_;    // that waits
  char* data_;
  std::size_t mapped_ = 0;  // up to here
  std::size_t size_ = 0, next_look_ = kPartPiece;
  u64 total_ = 0;
  bool turn_ = false;
  int problem_ = 0;
};

/// What the process says about its parts; several at once cost one wake-up.
class Messages {
 public:
  void add(PartMessage kind, ByteView payload) {
    const u64 size = payload.size();
    const u8* const size_bytes = reinterpret_cast<const u8*>(&size);
    out_.push_back(static_cast<u8>(kind));
    out_.insert(out_.end(), size_bytes, size_bytes + sizeof size);
    out_.insert(out_.end(), payload.begin(), payload.end());
  }
  template <typename T>
  void add_value(PartMessage kind, const T& value) {
    add(kind, {reinterpret_cast<const u8*>(&value), sizeof value});
  }
  void add_progress(u64 instructions, u64 text) {
    add_value(PartMessage::Progress, std::array<u64, 2>{instructions, text});
  }
  void add_ended(i32 status, const std::string& message) {
    Bytes payload(sizeof status);
    std::memcpy(payload.data(), &status, sizeof status);
    payload.insert(payload.end(), message.begin(), message.end());
    add(PartMessage::Ended, payload);
  }
  void send() {
    for (std::size_t done = 0; done < out_.size();) {
      const ssize_t n = ::write(kPartMessages, out_.data() + done, out_.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) throw Fatal(kGone);
      done += static_cast<std::size_t>(n);
    }
    out_.clear();
  }

 private:
  Bytes out_;
};

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

int serve_parts(const std::string& path, PluginHost& host, const Part& first, AnalyzeOptions options) {
  // However the command ends, its parts end with it, also where they wait for a reader of their text.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  pollfd messages{kPartMessages, 0, 0};
  if (::poll(&messages, 1, 0) == 1) return 125;  // it had gone before that: nobody reads them
  const bool many = host.can_begin_again();
  PartText text(first, most_part_text(host.keeps_blocks()));
  Messages say;
  Part part = first;
  u64 said_at = 0;
  options.progress = [&](const replay::Progress& progress) {
    const u64 now = replay::host_now_ns();
    if (now - said_at < kProgressNs) return;
    said_at = now;
    say.add_progress(progress.icount > part.from ? progress.icount - part.from : 0, text.total());
    say.send();
  };
  int status = 0;
  {
    std::unique_ptr<PartRunner> runner;
    bool more = many;
    for (std::optional<Part> next = first; next; next = more ? text.next() : std::nullopt) {
      part = *next;
      try {
        host.become_part([&](std::string_view line) { text.add(line); }, [&] { text.flush(); });
        if (!runner) runner = std::make_unique<PartRunner>(path, host, options);
        const Bytes saved = runner->run(part);
        say.add_progress(part.to - part.from, text.total());
        if (host.ended()) {
          say.add_ended(*host.exit_status(), host.message());
          more = false;
        }
        say.add(PartMessage::Saved, saved);
      } catch (const std::exception& error) {
        const std::string what = error.what();
        say.add(PartMessage::Failed, {reinterpret_cast<const u8*>(what.data()), what.size()});
        status = 125;
        more = false;
      }
      if (!many && text.has_to_wait()) say.send();  // another may be started meanwhile
      if (const int problem = text.finish(); problem != 0) say.add_value(PartMessage::Lost, i32{problem});
      say.add(PartMessage::Written, {});
      say.send();
    }
  }
  host.become_part([](std::string_view) {}, [] {});  // the text is gone before the host is
  return status;
}

}  // namespace hindcast::plugins
