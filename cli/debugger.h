// gdb on a recording or on a live run: the server, and gdb itself when it is to be started.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "cli/status_line.h"
#include "plugins/host.h"
#include "replay/session.h"

namespace hindcast::cli {

/// Where gdb connects when nothing else is said. Nobody outside this machine can.
inline constexpr const char* kDefaultListen = "127.0.0.1:1234";

struct DebuggerOptions {
  std::string listen;  // HOST:PORT or unix:PATH; not looked at with start_gdb
  bool start_gdb = false;
  std::vector<std::string> gdb_args;
  /// --semihosting target=: whether gdb's host serves the guest's files, and its console is the guest's;
  /// Auto: files while gdb lets the guest run.
  enum class Semihosting : u8 { Native, Gdb, Auto } semihosting = Semihosting::Native;
  bool wait = true;                        // live runs: the guest does not start before gdb says so
  plugins::PluginHost* plugins = nullptr;  // what watches, and takes more by `monitor plugin`
};

/// "native", "gdb" or "auto" (MachineText::semihosting_target()).
DebuggerOptions::Semihosting parse_semihosting_target(const std::string& text);

/// Serves gdb on a recording until a client kills it or a signal comes. Returns 0; what a run that branched
/// off ended with; or, when gdb was started, its status.
int debug_recording(const std::string& path, const EngineOptions& engine, const DebuggerOptions& options,
                    Log& log);

/// Runs the guest under gdb, recorded: with an empty `record.path` into a folder that is removed at the end.
/// `gdb_status`: gdb's own, when it was started.
replay::RunResult debug_live(const MachineConfig& config, replay::HostOptions host,
                             replay::RecordOptions record, const DebuggerOptions& options, Log& log,
                             std::optional<int>* gdb_status = nullptr);

}  // namespace hindcast::cli
