// Listening on a path of the host's file system.
#pragma once
#include <string>

namespace hindcast::replay {

/// A listening Unix socket at `path`, whose file the caller removes. A socket there that nobody listens to
/// any more, which a killed run has left behind, is replaced; nothing else is. Throws Fatal, which begins
/// with `option`.
int listen_on_path(const std::string& path, const std::string& option);

}  // namespace hindcast::replay
