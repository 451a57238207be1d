// Plugins over a recording, after the fact.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "plugins/host.h"
#include "replay/session.h"

namespace hindcast::replay {
class Player;
}

namespace hindcast::plugins {

struct AnalyzeOptions {
  EngineOptions engine;
  Icount from = 0;
  Icount to = kNever;
  std::function<void(const replay::Progress&)> progress;
};

struct AnalyzeResult {
  Icount icount = 0;    // where it ended
  std::string message;  // one line for the user; empty: nothing to say
  int status = 0;
};

/// Attaches the plugins at `from`, which is reached from the last checkpoint before it at full speed, and
/// runs them to `to`, the end of the recording, or where one of them ends the run. They have reported on
/// return. Throws like replay().
AnalyzeResult analyze(const std::string& path, PluginHost& host, const AnalyzeOptions& options);

/// A part of an analysis that several processes share. Its ends are moved to the next place where a block
/// begins whatever was run before; so parts that follow each other see together what one run sees.
struct Part {
  Icount from = 0, to = kNever;
  bool first = true, last = true;  // that end is exact
};
/// Runs a part; the plugins do not report, and what they have saved is returned (PluginHost::save()).
Bytes analyze_part(const std::string& path, PluginHost& host, const Part& part,
                   const AnalyzeOptions& options);

}  // namespace hindcast::plugins
