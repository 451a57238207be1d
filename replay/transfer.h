// Recordings as files to pass on: the whole of one or a part, and back.
#pragma once
#include <functional>
#include <optional>
#include <string>

#include "engine/machine.h"
#include "replay/session.h"

namespace hindcast::replay {

struct ExportOptions {
  EngineOptions engine;
  /// The export begins at the last checkpoint at or before `from`, or where the recording does; and ends at
  /// `to`.
  std::optional<Icount> from, to;
  /// Without: only the checkpoint at which it begins. `hindcast index` makes new ones.
  bool checkpoints = true;
  std::function<void(const Progress&)> progress;
};

struct ImportOptions {
  /// Bytes to which the file may unpack; 0: 1000 times its size, or 64 MiB if that is more.
  u64 limit = 0;
  std::function<void(const Progress&)> progress;
};

struct TransferResult {
  Icount begin = 0, end = 0;  // the part that was exported or imported
  u64 events = 0, checkpoints = 0;
  u64 file_bytes = 0;
};

/// Throws Fatal or storage::StoreError for a recording that cannot be read as far as is needed, and
/// Divergence when the replay up to `to`, which finds out how the part ends, leaves the recorded path. There
/// is then no file.
TransferResult export_recording(const std::string& path, const std::string& file,
                                const ExportOptions& options);
/// Checks everything in the file, and the recording that it has become. Throws Fatal or storage::StoreError;
/// there is then no recording.
TransferResult import_recording(const std::string& file, const std::string& path,
                                const ImportOptions& options);

}  // namespace hindcast::replay
