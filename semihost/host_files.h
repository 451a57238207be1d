// The host half of semihosting: files below one directory, which the guest cannot leave. Used by live and
// recorded runs only; a replay reads the replies from the recording and never comes here.
#pragma once
#include <array>
#include <string>

#include "engine/types.h"
#include "semihost/protocol.h"

namespace hindcast::semihost {

/// Serves requests of InputKind::Semihost. Every path is resolved by the kernel below the root (openat2 with
/// RESOLVE_BENEATH; a kernel without it: everything is refused), and only regular files are opened. Not
/// thread-safe.
class HostFiles {
 public:
  /// `root`: the directory; empty: the guest gets no host file (every request about one fails with EACCES).
  /// Throws Fatal if `root` is not a directory that can be opened, or the kernel has no openat2.
  explicit HostFiles(const std::string& root);
  ~HostFiles();
  HostFiles(const HostFiles&) = delete;
  HostFiles& operator=(const HostFiles&) = delete;

  /// Answers one request. Never throws for what the guest or the files do: that is in the reply.
  Bytes serve(ByteView request);
  /// Whether serving `request` can change the folder: creates, empties, writes, removes or renames a file.
  static bool has_effects(ByteView request);

 private:
  Reply handle(const Request& request);
  Reply open(const Request& request);
  Reply read(const Request& request);
  Reply write(const Request& request);
  Reply length(const Request& request);
  Reply remove(const Request& request);
  Reply rename(const Request& request);
  void close_all();

  struct OpenFile {
    int fd = -1;
    bool append = false;
  };
  int root_ = -1;
  std::array<OpenFile, kMaxHandles> files_{};
};

}  // namespace hindcast::semihost
