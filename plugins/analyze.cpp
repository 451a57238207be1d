#include "plugins/analyze.h"

#include <fmt/format.h>

#include <algorithm>

#include "replay/host_clock.h"
#include "replay/player.h"

namespace hindcast::plugins {
namespace {

constexpr u64 kSliceNs = 50'000'000;
/// Going on from where a machine is costs less than restoring a checkpoint this near.
constexpr Icount kWorthRestoring = 50'000'000;
constexpr Icount kMinSlice = 10'000, kMaxSlice = Icount{1} << 30;

/// Runs to `limit` without a plugin that has ended the run. False: it has, or the guest did.
bool run_to(replay::Player& player, Icount limit, const PluginHost* host, const AnalyzeOptions& options) {
  Icount slice = 100'000;
  while (player.icount() < limit) {
    const u64 before = replay::host_now_ns();
    const bool more = player.run(limit, slice);
    if ((host != nullptr && host->ended()) || player.machine().exited() || !more) break;
    const u64 took = replay::host_now_ns() - before;
    if (took < kSliceNs / 2)
      slice = std::min(slice * 2, kMaxSlice);
    else if (took > 2 * kSliceNs)
      slice = std::max(slice / 2, kMinSlice);
    if (options.progress) {
      replay::Progress progress;
      progress.icount = player.icount();
      progress.total = std::min(options.to, player.end_icount());
      options.progress(progress);
    }
  }
  return player.icount() >= limit && !player.machine().exited() && !(host != nullptr && host->ended());
}

/// Takes the player to `icount`, fast.
void go_to(replay::Player& player, const std::string& path, Icount icount, const AnalyzeOptions& options) {
  if (icount > player.end_icount())
    throw Fatal(fmt::format("--from {}: recording {} ends at icount {}", icount, path, player.end_icount()));
  if (icount > player.icount()) {
    player.restore_before(icount);
    run_to(player, icount, nullptr, options);
  }
}

/// On from here to where control has just been transferred, and nothing else is about to happen: there a
/// block begins in whatever way the instructions before are divided into blocks. False: the recording, or the
/// guest, ends first.
bool go_to_block(replay::Player& player, const PluginHost* host) {
  Machine& machine = player.machine();
  const Architecture& arch = machine.arch();
  while (player.icount() < player.end_icount() && !machine.exited() && !(host != nullptr && host->ended())) {
    const GuestAddr pc = machine.current().pc();
    player.run(player.icount() + 1, 1);
    const GuestAddr now = machine.current().pc();
    // Forwards past any instruction, backwards, or an instruction to itself.
    const bool jumped = now - pc > arch.max_insn_bytes() || now == pc;
    if (jumped && !machine.exited() && !machine.current().halted() &&
        !arch.interrupt_pending(machine.current()) && machine.clock().next_deadline() > machine.clock().now())
      return true;
  }
  return false;
}

std::unique_ptr<replay::Player> open(const std::string& path, const AnalyzeOptions& options) {
  auto player = std::make_unique<replay::Player>(path, options.engine);
  if (player->empty()) throw Fatal(fmt::format("recording {} holds no instruction to analyze", path));
  player->port().keep_output(false);
  return player;
}

}  // namespace

AnalyzeResult analyze(const std::string& path, PluginHost& host, const AnalyzeOptions& options) {
  const std::unique_ptr<replay::Player> player = open(path, options);
  go_to(*player, path, options.from, options);
  AnalyzeResult result;
  host.set_limited(options.to < player->end_icount());
  {
    const replay::Observation observation(&host, player->machine(), false);
    run_to(*player, std::min(options.to, player->end_icount()), &host, options);
  }
  result.icount = player->icount();
  const bool at_end = !host.ended() && options.to >= player->end_icount();
  if (at_end && player->reader().end()) player->check_end();
  if (at_end && !player->reader().end()) {
    result.status = 124;
    result.message = fmt::format("the recording was cut short at icount {} (its recorder did not close it)",
                                 result.icount);
  }
  return result;
}

PartRunner::PartRunner(const std::string& path, PluginHost& host, const AnalyzeOptions& options)
    : path_(path), host_(host), options_(options), player_(open(path, options)) {
  for (const auto& info : player_->reader().checkpoints()) checkpoints_.push_back(info.icount);
}

PartRunner::~PartRunner() { host_.leave_machine(); }

void PartRunner::go_to_beginning(const Part& part) {
  // Where the last one has gone beyond its end to a block's beginning, this is the first such place after
  // that end, and after any place between.
  if (begun_ && (part.from == last_to_ || (part.from > last_to_ && part.from < player_->icount()))) return;
  const bool near = std::any_of(checkpoints_.begin(), checkpoints_.end(), [&](Icount checkpoint) {
    return checkpoint <= part.from && checkpoint > player_->icount() + kWorthRestoring;
  });
  if (!begun_ || near)
    go_to(*player_, path_, part.from, options_);
  else
    run_to(*player_, part.from, nullptr, options_);
  if (!part.first) go_to_block(*player_, nullptr);
}

Bytes PartRunner::run(const Part& part) {
  go_to_beginning(part);
  if (begun_)
    host_.begin_again(player_->machine());
  else
    host_.begin(player_->machine(), false);
  begun_ = true;
  last_to_ = part.to;
  // Empty if the next beginning of a block after its own beginning lies behind its end.
  const bool empty = player_->icount() > part.to;
  const Icount end = player_->end_icount();
  const bool went = !empty && run_to(*player_, std::min(part.to, end), &host_, options_);
  if (went && !part.last) go_to_block(*player_, &host_);
  if (part.last && part.to >= end && !host_.ended() && player_->reader().end()) player_->check_end();
  return host_.save();
}

}  // namespace hindcast::plugins
