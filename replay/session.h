// What the command does with a machine: run it, record it, replay it. Each call builds the machine from its
// configuration, runs it to its end and returns how it ended. Errors of the host or of the recording throw
// Fatal or storage::StoreError.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/registry.h"
#include "replay/host_services.h"
#include "replay/keeper.h"
#include "replay/network.h"
#include "replay/observer.h"
#include "replay/run_result.h"

namespace hindcast::replay {

/// What a byte stream of the guest is connected to on the host's side.
struct ConsoleOptions {
  /// File: output only. Pipe: named pipes that exist, PATH.in and PATH.out or PATH for both directions. Tcp,
  /// Unix, Pty: the run begins once somebody has connected.
  enum class Kind : u8 { Stdio, File, Pipe, Tcp, Unix, Pty, None };
  Kind kind = Kind::Stdio;
  std::string target;  // a path, or HOST:PORT to listen on
};

enum class Pace : u8 { Max, Real };

/// The host's side of a live or recorded run; no part of it is visible to the guest except through recorded
/// inputs.
struct HostOptions {
  EngineOptions engine;
  /// The first serial port of the board.
  ConsoleOptions serial;
  /// The semihosting console. Nullopt: the serial port's, or, where that takes no input, standard input and
  /// output.
  std::optional<ConsoleOptions> semihosting_console;
  /// The virtio console. Nullopt: the serial port's.
  std::optional<ConsoleOptions> virtio_console;
  /// What the cables of MachineConfig::networks lead to, by their numbers.
  std::vector<NetworkOptions> networks;
  /// File that gets every network frame, in pcap format; empty: none.
  std::string pcap;
  Pace pace = Pace::Max;
  Icount max_icount = kNever;
  /// For whoever registers the Semihost service. Empty: the guest gets no host file.
  std::string semihost_root;
  /// Who answers which kind of request. Entropy and RealTime are added when missing; the command registers
  /// Semihost.
  HostServices services;
  /// Open already, instead of `serial`, `semihosting_console` and `virtio_console`, when set (tests,
  /// embedding, branches).
  std::shared_ptr<class Console> console, semihosting, extra;
  /// Open already, instead of `networks`, when not empty.
  std::vector<std::shared_ptr<Network>> open_networks;
  /// Called now and then on the machine's thread, for the status line.
  std::function<void(const struct Progress&)> progress;
  /// Watches the run from its first instruction on; not owned.
  Observer* observer = nullptr;
};

struct Progress {
  Icount icount = 0;
  Icount total = 0;  // replay: the recording's length; 0 when unknown
  u64 log_bytes = 0;
};

struct RecordOptions {
  std::string path;
  bool force = false;
  bool sync = false;
  enum class Checkpoints : u8 { Auto, None, Every } checkpoints = Checkpoints::Auto;
  Icount checkpoint_every = 0;
  /// State and output hashes are recorded at multiples of this, and automatic checkpoints made there.
  Icount hash_grid = Icount{1} << 26;
  /// Flight recorder: only the last part is kept.
  KeepOptions keep;
  /// Told what the user should know while it runs.
  std::function<void(const std::string&)> notice;
};

RunResult run_live(MachineConfig config, const HostOptions& host);
RunResult record(MachineConfig config, const HostOptions& host, const RecordOptions& options);

struct ReplayOptions {
  EngineOptions engine;
  Icount until = kNever;
  bool print_output = true;  // the guest's console on stdout
  std::string pcap;          // as in HostOptions; the same bytes as were written when it was recorded
  /// Start from the last checkpoint at or before this icount instead of from power-on (tests, later seeking).
  std::optional<Icount> from_checkpoint;
  std::function<void(const Progress&)> progress;
  /// Watches the run from where it starts on; not owned.
  Observer* observer = nullptr;
};
/// Throws Divergence when the run leaves the recorded path.
RunResult replay(const std::string& path, const ReplayOptions& options);

/// Facts for `hindcast info`.
struct RecordingInfo {
  u32 schema_version = 0, model_version = 0;
  std::string build_id, machine, cpu;
  MachineConfig config;  // files without their data
  std::vector<u64> file_sizes;
  bool clean_close = false;
  bool end_lost = false;  // closed, but what was written last is not there any more
  bool growing = false;   // somebody is writing it: this is what there was when it was opened
  Icount begin = 0;       // where it begins: at a checkpoint, if not at power-on
  Icount icount = 0;      // where it ends
  StopKind stop = StopKind::CutShort;
  int exit_code = 0;
  u64 events = 0, event_bytes = 0, checkpoints = 0, pages = 0, page_bytes = 0, disk_bytes = 0;
  std::string state_root, output_hash;  // hex; empty if not closed cleanly
};
RecordingInfo info(const std::string& path);

/// One event, for `hindcast events`.
struct EventLine {
  Position position;
  std::string kind;
  unsigned channel = 0;
  std::size_t size = 0;
  std::string text;  // payload, printable, shortened
  Bytes payload;
};
void events(const std::string& path, Icount from, Icount to, const std::function<bool(const EventLine&)>& fn);
/// Checks everything in the recording (not by replaying); one line per finding. True if sound.
bool verify(const std::string& path, const std::function<void(const std::string&)>& problem);

}  // namespace hindcast::replay
