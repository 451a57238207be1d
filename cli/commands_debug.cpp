// debug: a gdb server on a recording or on a live run, or gdb itself.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "cli/commands.h"
#include "cli/debugger.h"
#include "cli/machine_options.h"
#include "cli/plugin_options.h"
#include "cli/values.h"

namespace hindcast::cli {
namespace {

bool is_folder(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

/// A recording says itself what was run; the other options mean nothing then.
constexpr std::array kForRecordings = {"IMAGE",      "--listen",     "--gdb",        "--log",   "--engine",
                                       "--cpu-host", "--code-cache", "--chaos-seed", "--plugin"};

void refuse_machine_options(const CLI::App& command) {
  for (const CLI::Option* option : command.get_options()) {
    const std::string name = option->get_name();
    if (option->count() != 0 &&
        std::find(kForRecordings.begin(), kForRecordings.end(), name) == kForRecordings.end())
      throw Fatal(fmt::format("{} is for an image; what is debugged here is a recording", name));
  }
}

}  // namespace

Command add_debug(CLI::App& app) {
  struct State {
    MachineText machine;
    PluginText plugins;
    DebuggerOptions debugger;
    replay::RecordOptions record;
    std::string log;
  };
  auto state = std::make_shared<State>();
  state->debugger.listen = kDefaultListen;
  CLI::App* command =
      app.add_subcommand("debug", "gdb, forwards and backwards, on a recording or on a run that starts now");
  state->machine.add_to(*command);
  command->get_option("IMAGE")->description(
      "a recording; or what to run: an ELF file, or what the board takes as its kernel");
  state->plugins.add_to(*command);
  auto* listen =
      command->add_option("--listen", state->debugger.listen, "where gdb connects; port 0: a free one")
          ->type_name("HOST:PORT")
          ->capture_default_str();
  command
      ->add_flag("--gdb", state->debugger.start_gdb,
                 "start gdb, connected; what follows are arguments for it")
      ->excludes(listen);
  command->add_option("-D,--log", state->log, "file for hindcast's own messages (default: stderr)");
  command->add_option("-o,--output", state->record.path, "keep the recording of the run")->type_name("REC");
  command->add_flag("--force", state->record.force, "replace an existing recording");
  auto run = [state, command](const std::vector<std::string>& arguments) {
    DebuggerOptions debugger = state->debugger;
    debugger.semihosting = parse_semihosting_target(state->machine.semihosting_target());
    if (debugger.start_gdb) debugger.gdb_args = arguments;
    Log log(state->log);
    int status = 0;
    if (is_folder(state->machine.image)) {
      if (!arguments.empty() && !debugger.start_gdb) throw Fatal("a recording takes no guest arguments");
      refuse_machine_options(*command);
      const auto plugins = state->plugins.host(log, recorded_files(state->machine.image), true);
      debugger.plugins = plugins.get();
      status = debug_recording(state->machine.image, state->machine.engine.options(), debugger, log);
      status = status_with_plugins(plugins.get(), status, log);
    } else {
      if (!debugger.start_gdb) state->machine.guest_args = arguments;
      std::optional<int> gdb_status;
      const MachineConfig config = state->machine.config();
      const auto plugins = state->plugins.host(log, config.files, true);
      debugger.plugins = plugins.get();
      const replay::RunResult result =
          debug_live(config, state->machine.host(), state->record, debugger, log, &gdb_status);
      if (!result.message.empty() && !gdb_status) log.line(result.message);
      status = status_with_plugins(plugins.get(), gdb_status.value_or(result.status()), log);
    }
    log.close();
    return status;
  };
  return {command, true, run};
}

}  // namespace hindcast::cli
