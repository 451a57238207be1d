#include "plugins/analyze.h"

#include <fmt/format.h>

#include <algorithm>

#include "replay/host_clock.h"
#include "replay/player.h"

namespace hindcast::plugins {
namespace {

constexpr u64 kSliceNs = 50'000'000;
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
    const bool jumped = now - pc > arch.max_insn_bytes();  // forwards past any instruction, or backwards
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

Bytes analyze_part(const std::string& path, PluginHost& host, const Part& part,
                   const AnalyzeOptions& options) {
  const std::unique_ptr<replay::Player> player = open(path, options);
  go_to(*player, path, part.from, options);
  if (!part.first) go_to_block(*player, nullptr);
  host.begin(player->machine(), false);
  if (run_to(*player, std::min(part.to, player->end_icount()), &host, options) && !part.last)
    go_to_block(*player, &host);
  return host.save();
}

}  // namespace hindcast::plugins
