// export, import: a recording as one file, to pass on.
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/machine_options.h"
#include "cli/status_line.h"
#include "cli/values.h"
#include "replay/transfer.h"

namespace hindcast::cli {
namespace {

void report(const char* what, const std::string& name, const replay::TransferResult& result) {
  complain(fmt::format("{} {}: icount {} to {}, {} events, {} checkpoints; the file has {} bytes", what,
                       printable(name), result.begin, result.end, result.events, result.checkpoints,
                       result.file_bytes));
}

}  // namespace

Command add_export(CLI::App& app) {
  struct State {
    std::string path, file, from, to;
    bool no_checkpoints = false;
    EngineText engine;
  };
  auto state = std::make_shared<State>();
  CLI::App* command = app.add_subcommand("export", "a recording, or a part of it, as one compressed file");
  command->add_option("REC", state->path, "folder of the recording")->required();
  command->add_option("FILE", state->file, "file to write; an older export is replaced")->required();
  command->add_option("--from", state->from, "begin at the last checkpoint at or before this icount");
  command->add_option("--to", state->to, "end at this icount");
  command->add_flag("--no-checkpoints", state->no_checkpoints,
                    "leave out checkpoints that can be made again (hindcast index)");
  state->engine.add_to(*command);
  return {command, false, [state](const std::vector<std::string>&) {
            replay::ExportOptions options;
            options.engine = state->engine.options();
            if (!state->from.empty()) options.from = parse_number("--from", state->from);
            if (!state->to.empty()) options.to = parse_number("--to", state->to);
            options.checkpoints = !state->no_checkpoints;
            StatusLine status;
            options.progress = status.callback();
            const replay::TransferResult result = replay::export_recording(state->path, state->file, options);
            status.clear();
            report("exported", state->file, result);
            return 0;
          }};
}

Command add_import(CLI::App& app) {
  struct State {
    std::string file, path, limit;
  };
  auto state = std::make_shared<State>();
  CLI::App* command = app.add_subcommand("import", "makes a recording from an exported file");
  command->add_option("FILE", state->file, "the exported file")->required();
  command->add_option("REC", state->path, "folder of the recording to make; must not exist")->required();
  command->add_option("--limit", state->limit,
                      "size to which the file may unpack (default: 1000 times its own, at least 64M)");
  return {command, false, [state](const std::vector<std::string>&) {
            replay::ImportOptions options;
            if (!state->limit.empty()) options.limit = parse_size("--limit", state->limit, 1);
            StatusLine status;
            options.progress = status.callback();
            const replay::TransferResult result = replay::import_recording(state->file, state->path, options);
            status.clear();
            report("imported", state->path, result);
            return 0;
          }};
}

}  // namespace hindcast::cli
