#include "replay/session.h"

#include <fmt/format.h>

#include <csignal>

#include "replay/checkpoint.h"
#include "replay/console.h"
#include "replay/console_tcp.h"
#include "replay/host_clock.h"
#include "replay/interrupts.h"
#include "replay/live_driver.h"
#include "replay/live_port.h"
#include "replay/meta.h"
#include "replay/player.h"

namespace hindcast::replay {
namespace {

RunResult drive(MachineConfig& config, const HostOptions& host, LivePort& port, Recorder* recorder) {
  Interrupts interrupts;
  std::unique_ptr<Machine> machine = Registry::instance().build(config, host.engine, port);
  port.bind(machine.get());
  if (recorder != nullptr) recorder->start(encode_meta(config), config);
  std::shared_ptr<Console> console = host.console ? host.console : open_console(host.serial, interrupts.fd());
  interrupts.watch(machine.get());
  RunResult result = LiveDriver(*machine, port, *console, interrupts, host, recorder).run();
  interrupts.watch(nullptr);
  return result;
}

HostServices services_of(const HostOptions& host) {
  HostServices services = host.services;
  add_default_services(services);
  return services;
}

}  // namespace

int RunResult::status() const {
  switch (kind) {
    case StopKind::GuestExit: return exit_code & 0xff;
    case StopKind::Interrupted: return signal == 0 ? 0 : 128 + signal;
    case StopKind::MaxIcount:
    case StopKind::WaitsForever:
    case StopKind::CutShort: break;
  }
  return 124;
}

RunResult run_live(MachineConfig config, const HostOptions& host) {
  ensure_standard_fds();
  LivePort port(services_of(host));
  return drive(config, host, port, nullptr);
}

RunResult record(MachineConfig config, const HostOptions& host, const RecordOptions& options) {
  ensure_standard_fds();
  if (options.checkpoints == RecordOptions::Checkpoints::Every && options.checkpoint_every == 0)
    throw Fatal("--checkpoints every=N: N must be at least 1");
  Recorder recorder(options);
  RecordingPort port(services_of(host), recorder);
  return drive(config, host, port, &recorder);
}

RunResult replay(const std::string& path, const ReplayOptions& options) {
  constexpr u64 kSliceNs = 10'000'000;
  constexpr u64 kProgressNs = 100'000'000;
  Player player(path, options.engine);
  RunResult result;
  const auto end = player.reader().end();
  if (!player.empty()) {
    if (options.from_checkpoint) player.restore_before(*options.from_checkpoint);
    player.port().keep_output(options.print_output);
    Icount slice = 1'000'000;
    u64 last_progress = host_now_ns();
    bool more = true;
    while (more) {
      const u64 before = host_now_ns();
      std::exception_ptr problem;
      try {
        more = player.run(options.until, slice);
      } catch (...) {
        problem = std::current_exception();  // after showing what led to it
      }
      if (!player.port().pending_output().empty()) {
        if (!write_all(1, player.port().pending_output(), [] { return false; })) {
          result.kind = StopKind::Interrupted;
          result.signal = SIGPIPE;
          result.icount = player.icount();
          return result;
        }
        player.port().clear_output();
      }
      if (problem) std::rethrow_exception(problem);
      const u64 after = host_now_ns();
      if (after - before < kSliceNs)
        slice = std::min<Icount>(slice * 2, Icount{1} << 30);
      else if (after - before > 2 * kSliceNs)
        slice = std::max<Icount>(slice / 2, 10'000);
      if (options.progress && after - last_progress >= kProgressNs) {
        last_progress = after;
        Progress progress;
        progress.icount = player.icount();
        progress.total = player.end_icount();
        options.progress(progress);
      }
    }
    result.icount = player.icount();
    result.state_root = state_root(player.machine(), player.port());
    result.output_hash = player.port().output_hash().digest();
  }
  if (!player.empty() && options.until < player.end_icount()) {
    result.kind = StopKind::MaxIcount;
    return result;
  }
  if (!end) {
    result.kind = StopKind::CutShort;
    result.message = fmt::format("the recording was cut short at icount {} (its recorder did not close it)",
                                 player.end_icount());
    return result;
  }
  player.check_end();
  result.kind = static_cast<StopKind>(end->reason);
  if (result.kind == StopKind::GuestExit) result.exit_code = static_cast<int>(end->exit_code);
  if (result.kind == StopKind::Interrupted) result.signal = static_cast<int>(end->exit_code) & 0x7f;
  if (result.kind == StopKind::WaitsForever)
    result.message =
        fmt::format("the guest waits for ever at icount {}, and no input can come", result.icount);
  return result;
}

}  // namespace hindcast::replay
