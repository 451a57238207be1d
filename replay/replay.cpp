// Replaying a recording from its beginning, or a checkpoint, to its end, with the guest's console on standard
// output.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "replay/checkpoint.h"
#include "replay/host_clock.h"
#include "replay/host_io.h"
#include "replay/pcap.h"
#include "replay/player.h"
#include "replay/session.h"

namespace hindcast::replay {
namespace {

/// Host time between two looks at output and status line.
constexpr u64 kSliceNs = 10'000'000;
constexpr u64 kProgressNs = 100'000'000;
constexpr Icount kMinSlice = 10'000, kMaxSlice = Icount{1} << 30;

/// Gives the guest's output to standard output. False: nobody reads it any more. Throws Fatal if it cannot be
/// written.
bool show_output(ReplayPort& port) {
  const bool shown =
      port.pending_output().empty() || write_all(STDOUT_FILENO, port.pending_output(), [] { return false; });
  if (!shown && errno != EPIPE && errno != EIO)
    throw Fatal(
        fmt::format("the guest's console cannot be written to standard output: {}", std::strerror(errno)));
  port.clear_output();
  return shown;
}

void report_progress(const Player& player, const ReplayOptions& options, u64 now, u64& last) {
  if (!options.progress || now - last < kProgressNs) return;
  last = now;
  Progress progress;
  progress.icount = player.icount();
  progress.total = player.end_icount();
  options.progress(progress);
}

/// Runs to the end or options.until. False: standard output was closed.
bool play(Player& player, const ReplayOptions& options) {
  Icount slice = 1'000'000;
  u64 last_progress = host_now_ns();
  for (bool more = true; more;) {
    const u64 before = host_now_ns();
    std::exception_ptr problem;
    try {
      more = player.run(options.until, slice);
    } catch (...) {
      problem = std::current_exception();  // to be thrown after what led to it was shown
    }
    if (!show_output(player.port())) return false;
    if (problem) std::rethrow_exception(problem);
    if (options.observer != nullptr && options.observer->ended()) return true;
    const u64 after = host_now_ns();
    if (after - before < kSliceNs)
      slice = std::min(slice * 2, kMaxSlice);
    else if (after - before > 2 * kSliceNs)
      slice = std::max(slice / 2, kMinSlice);
    report_progress(player, options, after, last_progress);
  }
  return true;
}

RunResult cut_short(Icount icount, bool growing) {
  RunResult result;
  result.kind = StopKind::CutShort;
  result.icount = icount;
  result.message =
      growing
          ? fmt::format(
                "the recording is still being written: replayed what it held at first, up to icount {}",
                icount)
          : fmt::format("the recording was cut short at icount {} (its recorder did not close it)", icount);
  return result;
}

/// A recorder that was killed leaves no end record; one that closed its recording did write it.
void refuse_lost_end(const Player& player, const std::string& path) {
  if (!player.reader().end_lost()) return;
  throw Fatal(fmt::format("recording {} is damaged after icount {}: it was closed, and its end is missing",
                          path, player.end_icount()));
}

}  // namespace

RunResult replay(const std::string& path, const ReplayOptions& options) try {
  Player player(path, options.engine);
  if (player.empty()) {
    refuse_lost_end(player, path);
    return cut_short(0, player.reader().growing());
  }
  if (options.from_checkpoint) player.restore_before(*options.from_checkpoint);
  player.port().keep_output(options.print_output);
  PcapWriter pcap(options.pcap);
  pcap.watch(player.port());
  const Observation observation(options.observer, player.machine(), false);
  if (options.observer != nullptr) options.observer->set_limited(options.until < player.end_icount());

  RunResult result;
  const bool read = play(player, options);
  pcap.finish();
  if (!read) {
    result.kind = StopKind::Interrupted;
    result.signal = SIGPIPE;
    result.icount = player.icount();
    return result;
  }
  const auto end = player.reader().end();
  const bool ended = options.observer != nullptr && options.observer->ended();
  const bool at_end = !ended && options.until >= player.end_icount();
  if (at_end) refuse_lost_end(player, path);
  if (at_end && !end) result = cut_short(player.end_icount(), player.reader().growing());
  result.icount = player.icount();
  result.state_root = state_root(player.machine(), player.port());
  result.output_hash = player.port().output_hash().digest();
  if (ended) {
    result.kind = StopKind::Interrupted;
  } else if (!at_end) {
    result.kind = StopKind::MaxIcount;
  } else if (end) {
    player.check_end();
    result.kind = static_cast<StopKind>(end->reason);
    if (result.kind == StopKind::GuestExit) result.exit_code = static_cast<int>(end->exit_code);
    if (result.kind == StopKind::Interrupted) result.signal = static_cast<int>(end->exit_code) & 0x7f;
    if (result.kind == StopKind::WaitsForever) result.message = why_for_ever(player.machine());
    if (result.kind == StopKind::OutputFailed)
      result.message = fmt::format(
          "the recorded run was stopped at icount {}: its console could not be written", result.icount);
  }
  return result;
} catch (const storage::NeverBegun&) {
  // Nothing was ever shown of that run, so nothing is missing.
  return cut_short(0, false);
}

}  // namespace hindcast::replay
