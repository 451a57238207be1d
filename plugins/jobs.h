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
  /// Where the plugins' text goes, which the parts' processes write there themselves, in their order.
  int output = 2;
  /// Some of it could not be written: the errno.
  std::function<void(int)> lost;
  /// A line for the user.
  std::function<void(const std::string&)> say;
};

/// The same result, and the same text, as analyze(). All plugins must be able to take part
/// (PluginHost::cannot_share()). The parts follow each other in the recording and get shorter towards its
/// end, so that the processes end together.
AnalyzeResult analyze_in_parts(const std::string& path, PluginHost& host, const JobsOptions& options);

}  // namespace hindcast::plugins
