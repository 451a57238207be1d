// How a run ended, and how a replay can fail.
#pragma once
#include <array>
#include <string>

#include "engine/types.h"

namespace hindcast {
class Machine;
}

namespace hindcast::replay {

/// How a run ended. The numbers are part of the recording format.
enum class StopKind : u8 {
  GuestExit = 0,     // exit_code is the guest's
  MaxIcount = 1,     // --max-icount / --until
  WaitsForever = 2,  // idle and no input can come, or raising the same exception for ever
  Interrupted = 3,   // Ctrl-C or SIGTERM; the recording was closed properly
  CutShort = 4,      // replay only: the recorder was killed; replayed to the last instruction covered
  OutputFailed = 5,  // the console's output could not be written; the recording was closed properly
};

struct RunResult {
  StopKind kind = StopKind::GuestExit;
  int exit_code = 0;
  int signal = 0;  // Interrupted: which signal; 0 if asked for from the keyboard
  Icount icount = 0;
  std::array<u8, 16> state_root{};  // final state hash
  std::array<u8, 16> output_hash{};
  std::string message;  // one line for stderr; empty: nothing to say
  /// The exit status of the command (the table in the command-line documentation).
  int status() const;
};

/// What to say of a machine that has come to StopKind::WaitsForever.
std::string why_for_ever(Machine& machine);

/// Replay left the recorded path: position, pc and what differs, in one line.
class Divergence : public Fatal {
 public:
  using Fatal::Fatal;
};

/// Behaviour of CPU and device models; raised when a change makes old recordings replay differently.
inline constexpr u32 kModelVersion = 10;

}  // namespace hindcast::replay
