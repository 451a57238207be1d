// One analysis by several processes: each runs a part of the recording, and this one puts the results
// together.
#pragma once
#include "plugins/analyze.h"

namespace hindcast::plugins {

struct JobsOptions {
  AnalyzeOptions analyze;
  unsigned jobs = 2;
  /// The command line of a part's process, but for what says which part: the command, its name, the
  /// recording, plugins, options.
  std::vector<std::string> command;
};

/// The same result, and the same text by host.output(), as analyze(). All plugins must be able to take part
/// (PluginHost::cannot_share()).
AnalyzeResult analyze_in_parts(const std::string& path, PluginHost& host, const JobsOptions& options);

/// What a part's process is told, after the command line above: "--part TEXT".
std::string to_text(const Part& part);
/// Fatal if it makes no sense.
Part parse_part(const std::string& text);
/// In a part's process: runs it. Its text goes to standard output, what it has saved and its progress to this
/// file descriptor. The exit status.
int serve_part(const std::string& path, PluginHost& host, const Part& part, AnalyzeOptions options, int fd);

}  // namespace hindcast::plugins
