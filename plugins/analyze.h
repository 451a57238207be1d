// Plugins over a recording, after the fact.
#pragma once
#include <functional>
#include <memory>
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
/// What a process does that runs parts. The plugins do not report.
class PartRunner {
 public:
  /// The host must outlive it.
  PartRunner(const std::string& path, PluginHost& host, const AnalyzeOptions& options);
  ~PartRunner();
  /// What the plugins have saved (PluginHost::save()). Parts must follow each other in the recording, and all
  /// but the first need plugins that can begin again.
  Bytes run(const Part& part);

 private:
  void go_to_beginning(const Part& part);

  const std::string& path_;
  PluginHost& host_;
  const AnalyzeOptions& options_;
  std::unique_ptr<replay::Player> player_;
  std::vector<Icount> checkpoints_;  // in their order
  bool begun_ = false;
  Icount last_to_ = 0;  // the end that the last part was given
};

}  // namespace hindcast::plugins
