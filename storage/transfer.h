// Recordings as one file: what stands in an export, and how it becomes a recording again.
// Format: docs/export-format.md.
#pragma once
#include <functional>
#include <optional>
#include <string>

#include "storage/event_store.h"

namespace hindcast::storage {

/// Which part of a recording is exported.
struct ExportCut {
  /// The checkpoint at which the export begins; absent: where the recording begins.
  std::optional<CheckpointInfo> begin;
  /// Events before this position (icount, seq) happened while the machine was being built. Needed with
  /// `begin`.
  u64 built_icount = 0;
  u32 built_seq = 0;
  /// Events from this position on are left out, and checkpoints after it.
  u64 stop_icount = ~u64{0};
  u32 stop_seq = ~u32{0};
  /// How the exported part ends: complete up to there, and with this end record (absent: as a killed recorder
  /// leaves it).
  u64 covered_icount = 0;
  std::optional<EndRecord> end;
  /// Without: only the one at which the export begins.
  bool checkpoints = true;
};

/// What was moved.
struct TransferStats {
  u64 files = 0, events = 0, checkpoints = 0, pages = 0;
  u64 file_bytes = 0;  // size of the export
};

/// Called now and then with the icount reached; may throw to end the work, which then leaves nothing behind.
using TransferProgress = std::function<void(u64 icount)>;

/// Writes the file. Throws StoreError for a recording that is damaged in the part asked for, or a host that
/// does not take the file; there is then no file.
TransferStats export_recording(const Reader& reader, const ExportCut& cut, const std::string& file,
                               const TransferProgress& progress);

struct ImportOptions {
  /// Bytes to which the file may unpack; 0: see BundleReader.
  u64 limit = 0;
  TransferProgress progress;
  /// Looks at the imported recording, in a folder of another name, before it gets its own; may throw.
  std::function<void(const std::string& folder)> accept;
};
/// Makes recording `path`, which must not exist, from an export. Throws StoreError for a file that is not as
/// it was written; there is then no recording.
TransferStats import_recording(const std::string& file, const std::string& path,
                               const ImportOptions& options);

}  // namespace hindcast::storage
