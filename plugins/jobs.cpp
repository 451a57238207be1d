#include "plugins/jobs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>

#include "plugins/part_process.h"
#include "replay/player.h"

namespace hindcast::plugins {
namespace {

constexpr Icount kLeast = 1'000'000;  // starting a process is not worth less
/// Nor asking one that runs for less than that.
constexpr Icount kLeastOfCheap = 20'000;
/// The first parts are not longer: what plugins write is not known yet.
constexpr Icount kFirst = 64'000'000, kFirstOfCheap = 100'000;
/// A part gets this share of what is left for each process, but not less than this share of all.
constexpr double kShare = 1.25;
constexpr unsigned kShortest = 16;
/// Parts of which a process has this many ahead are short.
constexpr double kShort = 4;
/// A process that has run one of them goes on with another that it has already: asking takes a tenth of a
/// millisecond, and a short part ten times that.
constexpr std::size_t kShortAhead = 2;

/// Cuts the analysis into parts, one after the other.
class Divider {
 public:
  /// `cheap`: short parts are, too.
  Divider(const replay::Player& player, Icount from, Icount to, unsigned jobs, bool cheap)
      : from_(from), at_(from), to_(to), jobs_(jobs), cheap_(cheap) {
    for (const auto& info : player.reader().checkpoints()) checkpoints_.push_back(info.icount);
  }
  bool done() const { return at_ >= to_; }
  Icount total() const { return to_ - from_; }
  /// Text makes the parts short: much shorter than what is left for each process.
  bool parts_are_short(double density) const {
    return cheap_ &&
           density * static_cast<double>(to_ - at_) > kShort * jobs_ * static_cast<double>(part_text(cheap_));
  }

  /// `density`: bytes of text for each instruction so far; negative: not known.
  Part next(double density) {
    Icount least = std::max(total() / (kShortest * jobs_), kLeast);
    auto length = std::max(static_cast<Icount>(static_cast<double>(to_ - at_) / (kShare * jobs_)), least);
    if (density < 0) length = std::min(length, cheap_ ? kFirstOfCheap : kFirst);
    const auto text = static_cast<double>(part_text(cheap_));
    if (density * static_cast<double>(length) > text)
      length = std::max(static_cast<Icount>(text / density), cheap_ ? kLeastOfCheap : kLeast);
    least = std::min(least, length);
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
  bool cheap_;
};

/// The parts that are being run, in their order, and the processes.
class Parts {
 public:
  Parts(PluginHost& host, const JobsOptions& options, Divider divider)
      : host_(host), options_(options), divider_(std::move(divider)), serves_many_(host.can_begin_again()) {}
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;
  ~Parts() {
    for (int fd : buffers_) ::close(fd);
  }

  /// Runs all parts, and merges each when its text is written.
  void run() {
    while (!over_ && (!divider_.done() || !parts_.empty())) {
      give_turn();
      start_some();
      give_turn();
      wait();
      while (!over_ && !parts_.empty() && is_over(parts_.front())) finish_first();
      report_progress();
    }
    if (!over_) end_processes();
  }

 private:
  struct Running {
    std::unique_ptr<PartState> state;
    PartProcess* process;
  };

  void give_turn() {
    if (!parts_.empty()) parts_.front().process->give_turn(*parts_.front().state);
  }

  bool is_over(const Running& part) const {
    return part.process->ended() || (serves_many_ && part.state->written && part.state->failed.empty());
  }

  /// As many as may run; of those that wait for their turn with their text, not too many.
  void start_some() {
    // A failure is reported when it is its turn, if nothing ends the run before it.
    for (const Running& part : parts_)
      if (part.state->ended || !part.state->failed.empty()) return;
    while (!divider_.done()) {
      const bool another = room_for_another();
      PartProcess* process = another ? nullptr : least_busy();
      if (process == nullptr && !another) return;
      auto state = std::make_unique<PartState>();
      state->part = divider_.next(density());
      if (process != nullptr) {
        process->run(state.get());
      } else {
        const PartProcess::Setup setup{options_.command, options_.output, free_buffer(), options_.lost};
        processes_.push_back(std::make_unique<PartProcess>(setup, state.get()));
        process = processes_.back().get();
      }
      parts_.push_back({std::move(state), process});
    }
  }

  /// The one that can have another part soonest; null: none should.
  PartProcess* least_busy() const {
    if (!serves_many_) return nullptr;
    std::size_t fewest = divider_.parts_are_short(density()) ? kShortAhead : 1;
    PartProcess* found = nullptr;
    for (const auto& process : processes_) {
      if (process->ended() || process->parts() >= fewest) continue;
      fewest = process->parts();
      found = process.get();
    }
    return found;
  }

  bool room_for_another() const {
    if (serves_many_) return processes_.size() < options_.jobs;
    std::size_t running = 0, waiting = 0;
    for (const Running& part : parts_) {
      running += part.state->running();
      waiting += !part.state->running() && !part.state->written;
    }
    return running < options_.jobs && running + waiting <= options_.jobs;
  }

  int free_buffer() {
    if (free_buffers_.empty()) {
      constexpr int kOutOfTheWay = 10;  // of the numbers that a part's process has its descriptors at
      const int fd = ::memfd_create("text of a part", MFD_CLOEXEC);
      const int moved = fd < 0 ? -1 : ::fcntl(fd, F_DUPFD_CLOEXEC, kOutOfTheWay);
      const int problem = errno;
      if (fd >= 0) ::close(fd);
      if (moved >= 0) buffers_.push_back(moved);
      if (moved < 0 || ::ftruncate(moved, kPartBufferSize) != 0)
        throw Fatal(fmt::format("no memory for the text of a part of the analysis: {}",
                                std::strerror(moved < 0 ? problem : errno)));
      free_buffers_.push_back(moved);
    }
    const int fd = free_buffers_.back();
    free_buffers_.pop_back();
    return fd;
  }

  double density() const {
    u64 done = done_, text = text_;
    for (const Running& part : parts_) {
      done += part.state->done;
      text += part.state->text;
    }
    return done == 0 ? -1 : static_cast<double>(text) / static_cast<double>(done);
  }

  void wait() {
    std::vector<pollfd> waiting;
    for (const auto& process : processes_) waiting.push_back({process->messages(), POLLIN, 0});
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR)
      throw Fatal(fmt::format("waiting for the parts of the analysis: {}", std::strerror(errno)));
    for (std::size_t k = 0; k < waiting.size(); ++k)
      if (waiting[k].revents != 0) processes_[k]->receive();
  }

  void finish_first() {
    const PartState& state = *parts_.front().state;
    PartProcess* const process = parts_.front().process;
    if (!state.failed.empty()) throw Fatal(state.failed);
    // A process that runs several parts may have gone in one behind this.
    const bool well = serves_many_ || !process->ended() || process->ended_well();
    if (!state.saved || !state.written || !well) incomplete(state.part.from, *process);
    host_.merge(*state.saved);
    done_ += state.part.to - state.part.from;
    text_ += state.text;
    if (state.ended) {
      host_.set_ended(state.ended->status, state.ended->message);
      over_ = true;  // what comes behind it counts for nothing
    }
    parts_.pop_front();
    if (process->ended() && process->parts() == 0) {
      free_buffers_.push_back(process->buffer());
      std::erase_if(processes_, [process](const auto& p) { return p.get() == process; });
    }
  }

  [[noreturn]] static void incomplete(Icount from, const PartProcess& process) {
    throw Fatal(
        fmt::format("a part of the analysis (from icount {} on) {} before all that it found out was "
                    "written: the result is incomplete",
                    from, process.how_it_ended()));
  }

  /// Those that waited for more: they have to end as they should, too.
  void end_processes() {
    for (const auto& process : processes_) {
      process->dismiss();
      while (!process->ended()) process->receive();
      if (!process->ended_well())
        throw Fatal(fmt::format("a process that had run parts of the analysis {}", process->how_it_ended()));
    }
  }

  void report_progress() const {
    if (!options_.analyze.progress) return;
    replay::Progress progress;
    progress.icount = done_;
    progress.total = divider_.total();
    for (const Running& part : parts_)
      progress.icount += std::min<u64>(part.state->done, part.state->part.to - part.state->part.from);
    options_.analyze.progress(progress);
  }

  PluginHost& host_;
  const JobsOptions& options_;
  Divider divider_;
  const bool serves_many_;                   // a process can run several parts
  std::vector<int> buffers_, free_buffers_;  // outlive the processes
  std::deque<Running> parts_;
  std::vector<std::unique_ptr<PartProcess>> processes_;
  u64 done_ = 0, text_ = 0;  // of those that have ended
  bool over_ = false;
};

}  // namespace

AnalyzeResult analyze_in_parts(const std::string& path, PluginHost& host, const JobsOptions& options) {
  replay::Player player(path, options.analyze.engine);
  const Icount from = player.empty() ? 0 : std::max(options.analyze.from, player.icount());
  const Icount to = player.empty() ? 0 : std::min(options.analyze.to, player.end_icount());
  // With several vCPUs no place is one where all of them begin a block.
  const bool several = player.machine().vcpu_count() > 1;
  if (several && options.say)
    options.say("a machine with several vCPUs is not divided: one job runs everything");
  if (player.empty() || to <= from || to - from < 2 * kLeast || several)
    return analyze(path, host, options.analyze);
  host.set_limited(options.analyze.to < player.end_icount());
  AnalyzeResult result;
  {
    const replay::Observation observation(&host, player.machine(), false);
    host.flush_output();
    const Divider divider(player, from, to, options.jobs, host.keeps_blocks());
    Parts(host, options, divider).run();
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
