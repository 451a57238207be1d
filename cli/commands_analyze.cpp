// analyze: plugins over a recording, after the fact.
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "cli/commands.h"
#include "cli/machine_options.h"
#include "cli/plugin_options.h"
#include "cli/values.h"
#include "plugins/jobs.h"
#include "plugins/part.h"

namespace hindcast::cli {
namespace {

constexpr u64 kMaxJobs = 256;

struct AnalyzeText {
  std::string path, from, to, jobs, log, part;
  EngineText engine;
  PluginText plugins;
};

std::string own_path() {
  std::array<char, 4096> buffer;
  const ssize_t n = ::readlink("/proc/self/exe", buffer.data(), buffer.size());
  if (n <= 0 || n == static_cast<ssize_t>(buffer.size()))
    throw Fatal("--jobs: the command does not find itself (/proc/self/exe)");
  return {buffer.data(), static_cast<std::size_t>(n)};
}

/// The command line of a part's process.
std::vector<std::string> part_command(const AnalyzeText& text) {
  std::vector<std::string> words = {own_path(), "analyze", text.path};
  for (const std::string& plugin : text.plugins.plugins) words.insert(words.end(), {"--plugin", plugin});
  if (!text.engine.engine.empty()) words.insert(words.end(), {"--engine", text.engine.engine});
  if (!text.engine.code_cache.empty()) words.insert(words.end(), {"--code-cache", text.engine.code_cache});
  if (!text.engine.cpu_host.empty()) words.insert(words.end(), {"--cpu-host", text.engine.cpu_host});
  if (!text.engine.chaos_seed.empty()) words.insert(words.end(), {"--chaos-seed", text.engine.chaos_seed});
  return words;
}

int run_analyze(const AnalyzeText& text) {
  Log log(text.log);
  plugins::AnalyzeOptions options;
  options.engine = text.engine.options();
  if (!text.from.empty()) options.from = parse_number("--from", text.from);
  if (!text.to.empty()) options.to = parse_number("--to", text.to);
  if (options.from > options.to)
    throw Fatal(fmt::format("--from {} lies behind --to {}", options.from, options.to));
  const u64 jobs = text.jobs.empty() ? 1 : parse_number("--jobs", text.jobs, 1, kMaxJobs);
  if (text.plugins.empty()) throw Fatal("analyze: a plugin is needed (-p NAME_OR_PATH)");
  const auto host = text.plugins.host(log, recorded_files(text.path));
  if (!text.part.empty())
    return plugins::serve_parts(text.path, *host, plugins::parse_part(text.part), options);

  StatusLine status;
  options.progress = status.callback();
  plugins::AnalyzeResult result;
  const plugins::Plugin* alone = jobs > 1 ? host->cannot_share() : nullptr;
  if (alone != nullptr)
    log.line(fmt::format("plugin '{}' cannot put parts together: one job runs everything", alone->name()));
  if (jobs > 1 && alone == nullptr)
    result = plugins::analyze_in_parts(text.path, *host,
                                       {options, static_cast<unsigned>(jobs), part_command(text), log.fd(),
                                        [&log](int problem) { log.note_lost(problem); },
                                        [&log](const std::string& line) { log.line(line); }});
  else
    result = plugins::analyze(text.path, *host, options);
  status.clear();
  if (!result.message.empty()) log.line(result.message);
  const int exit_status = status_with_plugins(host.get(), result.status, log);
  log.close();
  return exit_status;
}

}  // namespace

Command add_analyze(CLI::App& app) {
  auto text = std::make_shared<AnalyzeText>();
  CLI::App* command = app.add_subcommand("analyze", "plugins over a recording, after the fact");
  command->add_option("REC", text->path, "folder of the recording")->required();
  text->plugins.add_to(*command);
  command->add_option("--from", text->from, "attach the plugins at this icount");
  command->add_option("--to", text->to, "detach them at this icount");
  command->add_option("--jobs", text->jobs, "processes that share the work, where the plugins can");
  command->add_option("-D,--log", text->log, "file for the plugins' output (default: stderr)");
  command->add_option("--part", text->part)->group("");  // from one of our own processes to another
  text->engine.add_to(*command);
  return {command, false, [text](const std::vector<std::string>&) { return run_analyze(*text); }};
}

}  // namespace hindcast::cli
