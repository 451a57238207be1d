// Answers questions about the states that a recording goes through, as lines of JSON: what `compare` asks of
// this build and, through a pipe, of another one.
#pragma once
#include <memory>
#include <string>

#include "engine/machine.h"

namespace hindcast::replay {

/// Requests, and the replies, each one line:
///
///   hello              {"states": 1, "begin": first icount, "end": last icount,
///                       "executed": instructions so far, for all answers}
///   hash AT            {"at": AT, "hash": hex}
///   dump AT            {"at": AT, "vcpus": [{"pc", "executed", "insn", "registers": {name: hex}}],
///                       "fields": {"section.name": hex}, "memory": [{"name", "base", "pages": {number:
///                       hex}}]}
///   memory AT PA SIZE  {"at": AT, "bytes": hex}; at most 64 KiB
///
/// The state at an icount is that after all recorded events there. {"left_path": icount, "why": text}: this
/// build has left the recorded path on the way to AT. {"error": text}: anything else.
class StateServer {
 public:
  /// Throws like Navigator::open().
  StateServer(const std::string& path, const EngineOptions& engine);
  ~StateServer();
  /// Never throws but for the host's problems.
  std::string answer(const std::string& request);
  /// Answers standard input, line by line, on standard output, to its end.
  void serve();

  static constexpr int kVersion = 1;
  static constexpr u64 kMaxMemory = 64u << 10;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hindcast::replay
