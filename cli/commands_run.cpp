// run, record, replay: what executes a guest.
#include <fmt/format.h>

#include <functional>

#include "cli/commands.h"
#include "cli/debugger.h"
#include "cli/machine_options.h"
#include "cli/plugin_options.h"
#include "cli/status_line.h"
#include "cli/values.h"
#include "replay/session.h"

namespace hindcast::cli {
namespace {

/// What all three share.
struct Common {
  std::string log;
  bool summary = false;
  void add_to(CLI::App& command) {
    command.add_option("-D,--log", log, "file for hindcast's own messages (default: stderr)");
    command.add_flag("--summary", summary, "at the end, one line with icount, exit code and hashes");
  }
};

/// gdb on the run.
struct ListenText {
  DebuggerOptions options;
  ListenText() { options.wait = false; }
  DebuggerOptions debugger(const MachineText& machine) const;
  void add_to(CLI::App& command) {
    auto* listen =
        command.add_option("--listen", options.listen, "a gdb server on the run; port 0: a free one")
            ->type_name("HOST:PORT");
    command.add_flag("-S,--wait", options.wait, "with --listen: the guest does not start before gdb says so")
        ->needs(listen);
  }
};

DebuggerOptions ListenText::debugger(const MachineText& machine) const {
  DebuggerOptions out = options;
  out.semihosting = parse_semihosting_target(machine.semihosting_target());
  if (out.listen.empty() && out.semihosting == DebuggerOptions::Semihosting::Gdb)
    throw Fatal("--semihosting: target=gdb needs a gdb: add --listen HOST:PORT, or use 'hindcast debug'");
  return out;
}

std::string hex(const std::array<u8, 16>& hash) {
  std::string text;
  for (u8 byte : hash) text += fmt::format("{:02x}", byte);
  return text;
}

/// Lines about the run while it goes on.
std::function<void(const std::string&)> noter(StatusLine& status, Log& log) {
  return [&](const std::string& text) {
    status.clear();
    log.line(text);
  };
}

int finish(const replay::RunResult& result, const Common& common, Log& log,
           const plugins::PluginHost* plugins) {
  if (!result.message.empty()) log.line(result.message);
  if (common.summary)
    log.line(
        fmt::format("icount {}, exit code {}, state {}, output {}", result.icount,
                    result.kind == replay::StopKind::GuestExit ? std::to_string(result.exit_code) : "none",
                    hex(result.state_root), hex(result.output_hash)));
  const int status = status_with_plugins(plugins, result.status(), log);
  log.close();
  return status;
}

replay::RecordOptions::Checkpoints parse_checkpoints(const std::string& text, Icount* every) {
  using Kind = replay::RecordOptions::Checkpoints;
  if (text == "auto") return Kind::Auto;
  if (text == "none") return Kind::None;
  if (text.starts_with("every=")) {
    *every = parse_number("--checkpoints every", text.substr(6), 1);
    return Kind::Every;
  }
  throw Fatal(fmt::format("--checkpoints: '{}' is not one of auto, none, every=N", printable(text)));
}

/// "256M" or "5min". No "5m", which could be either.
replay::KeepOptions parse_keep(const std::string& text) {
  replay::KeepOptions keep;
  const std::string unit = text.substr(text.find_last_of("0123456789") + 1);
  if (unit.empty() || unit == "m")
    throw Fatal(fmt::format("--keep: '{}' is neither a size nor a time; write it like 256M or 5min",
                            printable(text)));
  if (unit == "ms" || unit == "s" || unit == "sec" || unit == "min" || unit == "h" || unit == "d")
    keep.ns = parse_duration("--keep", text);
  else
    keep.bytes = parse_size("--keep", text, 1);
  return keep;
}

}  // namespace

Command add_run(CLI::App& app) {
  struct State {
    MachineText machine;
    PluginText plugins;
    Common common;
    ListenText listen;
  };
  auto state = std::make_shared<State>();
  CLI::App* command = app.add_subcommand("run", "run a guest, keep nothing");
  state->machine.add_to(*command);
  state->plugins.add_to(*command);
  state->common.add_to(*command);
  state->listen.add_to(*command);
  auto run = [state](const std::vector<std::string>& guest_args) {
    state->machine.guest_args = guest_args;
    Log log(state->common.log);
    replay::HostOptions host = state->machine.host();
    StatusLine status;
    host.progress = status.callback();
    host.engine.note = noter(status, log);
    MachineConfig config = state->machine.config();
    DebuggerOptions debugger = state->listen.debugger(state->machine);
    const auto plugins = state->plugins.host(log, config.files, !debugger.listen.empty());
    debugger.plugins = plugins.get();
    host.observer = plugins.get();
    replay::RunResult result = debugger.listen.empty()
                                   ? replay::run_live(std::move(config), host)
                                   : debug_live(config, host, {}, debugger, log);
    status.clear();
    return finish(result, state->common, log, plugins.get());
  };
  return {command, true, run};
}

Command add_record(CLI::App& app) {
  struct State {
    MachineText machine;
    PluginText plugins;
    Common common;
    ListenText listen;
    replay::RecordOptions options;
    std::string checkpoints = "auto";
    std::optional<std::string> keep;
  };
  auto state = std::make_shared<State>();
  CLI::App* command =
      app.add_subcommand("record", "run a guest and record everything that it gets from outside");
  command->add_option("-o,--output", state->options.path, "folder of the recording")
      ->required()
      ->type_name("REC");
  command->add_option("--checkpoints", state->checkpoints, "auto, none, or every=N instructions")
      ->capture_default_str();
  command
      ->add_option("--keep", state->keep,
                   "flight recorder: keep the last part only, so much disk or virtual time (256M, 5min)")
      ->type_name("SIZE_OR_TIME");
  command->add_flag("--sync", state->options.sync, "wait for the disk before each output");
  command->add_flag("--force", state->options.force, "replace an existing recording");
  state->machine.add_to(*command);
  state->plugins.add_to(*command);
  state->common.add_to(*command);
  state->listen.add_to(*command);
  auto run = [state](const std::vector<std::string>& guest_args) {
    state->machine.guest_args = guest_args;
    Log log(state->common.log);
    state->options.checkpoints = parse_checkpoints(state->checkpoints, &state->options.checkpoint_every);
    if (state->keep) state->options.keep = parse_keep(*state->keep);
    replay::HostOptions host = state->machine.host();
    StatusLine status;
    host.progress = status.callback();
    host.engine.note = noter(status, log);
    state->options.notice = noter(status, log);
    MachineConfig config = state->machine.config();
    DebuggerOptions debugger = state->listen.debugger(state->machine);
    const auto plugins = state->plugins.host(log, config.files, !debugger.listen.empty());
    debugger.plugins = plugins.get();
    host.observer = plugins.get();
    replay::RunResult result = debugger.listen.empty()
                                   ? replay::record(std::move(config), host, state->options)
                                   : debug_live(config, host, state->options, debugger, log);
    status.clear();
    return finish(result, state->common, log, plugins.get());
  };
  return {command, true, run};
}

Command add_replay(CLI::App& app) {
  struct State {
    std::string path, until, from_checkpoint, pcap;
    bool quiet = false;
    EngineText engine;
    PluginText plugins;
    Common common;
  };
  auto state = std::make_shared<State>();
  CLI::App* command = app.add_subcommand("replay", "run a recording again, exactly");
  command->add_option("REC", state->path, "folder of the recording")->required();
  command->add_option("--until", state->until, "stop at this icount (exit 124)");
  command->add_option("--from-checkpoint", state->from_checkpoint,
                      "start from the last checkpoint at or before this icount");
  command->add_option("--pcap", state->pcap, "file for every network frame, with virtual time");
  command->add_flag("--quiet", state->quiet, "do not print the guest's console");
  state->engine.add_to(*command);
  state->plugins.add_to(*command);
  state->common.add_to(*command);
  add_options_of_later_versions(*command, {"--listen"});
  auto run = [state](const std::vector<std::string>&) {
    Log log(state->common.log);
    replay::ReplayOptions options;
    options.engine = state->engine.options();
    if (!state->until.empty()) options.until = parse_number("--until", state->until);
    if (!state->from_checkpoint.empty())
      options.from_checkpoint = parse_number("--from-checkpoint", state->from_checkpoint);
    if (options.from_checkpoint.value_or(0) > options.until)
      throw Fatal(fmt::format("--from-checkpoint {} lies behind --until {}", *options.from_checkpoint,
                              options.until));
    options.print_output = !state->quiet;
    options.pcap = state->pcap;
    const auto plugins =
        state->plugins.empty() ? nullptr : state->plugins.host(log, recorded_files(state->path));
    options.observer = plugins.get();
    StatusLine status;
    options.progress = status.callback();
    options.engine.note = noter(status, log);
    replay::RunResult result = replay::replay(state->path, options);
    status.clear();
    return finish(result, state->common, log, plugins.get());
  };
  return {command, false, run};
}

}  // namespace hindcast::cli
