// The description of the recorded machine that a recording carries: everything that determines it, nothing of
// the host.
#pragma once
#include <string>

#include "engine/registry.h"
#include "storage/event_store.h"

namespace hindcast::replay {

struct Meta {
  u32 schema_version = 0;
  u32 model_version = 0;
  std::string build_id;
  MachineConfig config;  // files without their data
  std::vector<u64> file_sizes;
};

/// The recording is of a model version or schema that this build does not replay.
class OtherVersion : public Fatal {
 public:
  using Fatal::Fatal;
};

/// JSON. Strings that are not UTF-8 (file names, guest arguments) survive.
Bytes encode_meta(const MachineConfig& config);
/// Throws Fatal, naming `path`, for anything but a well-formed description, and OtherVersion for one of
/// another model version or schema unless `any_version`.
Meta decode_meta(const Bytes& bytes, const std::string& path, bool any_version = false);
/// The files' bytes, from the recording. False if the recorder was killed before it had stored them all.
bool load_files(const storage::Reader& reader, Meta& meta, const std::string& path);

/// Which sources this program was built from.
std::string build_id();

}  // namespace hindcast::replay
