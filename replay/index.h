// Adding checkpoints to a finished recording, so that seeking in it is fast.
#pragma once
#include <functional>
#include <string>

#include "replay/session.h"

namespace hindcast::replay {

struct IndexOptions {
  EngineOptions engine;
  /// Instructions between checkpoints: a few hundredths of a second of replay.
  Icount every = Icount{1} << 24;
  std::function<void(const Progress&)> progress;
};

struct IndexResult {
  u64 added = 0;  // checkpoints
  u64 bytes = 0;  // handed to the database for them
};

/// Replays the recording once, checking it on the way, and adds a checkpoint at every multiple of
/// `options.every` that has none near. Throws like replay(), and when somebody else uses the recording; what
/// was added before stays.
IndexResult index_recording(const std::string& path, const IndexOptions& options);

}  // namespace hindcast::replay
