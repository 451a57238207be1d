// The way to the cursor as a branch trace ("Branch Tracing" in the gdb manual): gdb's `record btrace` shows
// it as history of instructions and of function calls. It is not collected while running: it is the
// recording.
#pragma once
#include <optional>
#include <string>

#include "gdb/motion.h"
#include "gdb/packet.h"

namespace hindcast::gdb {

class BranchTrace {
 public:
  /// The longest history, in instructions of one vCPU.
  static constexpr u64 kMaxLength = 1'000'000;

  BranchTrace(replay::Navigator& navigator, Motion& motion) : navigator_(navigator), motion_(motion) {}

  /// The reply to a packet that begins with Qbtrace.
  std::string handle(Fields fields);
  /// The document of qXfer:btrace:read for `annex` ("all", "new", "delta"). Nullopt: gdb is to ask for
  /// all, or it was interrupted.
  std::optional<std::string> document(std::string_view annex, unsigned vcpu);
  /// Of qXfer:btrace-conf:read. Nullopt: tracing is off.
  std::optional<std::string> configuration() const;
  void clear() {
    on_ = false;
    length_ = kDefaultLength;
  }

 private:
  static constexpr u64 kDefaultLength = 65536;

  replay::Navigator& navigator_;
  Motion& motion_;
  bool on_ = false;
  u64 length_ = kDefaultLength;
};

}  // namespace hindcast::gdb
