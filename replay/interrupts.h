// SIGINT, SIGTERM and SIGHUP become an orderly end of the run; SIGPIPE becomes an error of write().
#pragma once
#include <signal.h>

#include <array>

#include "engine/machine.h"

namespace hindcast::replay {

/// While it lives, the signals stop the machine that is watched and wake whoever polls fd(). A second signal
/// ends the process at once, with the terminal restored; a recording survives that. Signals that were ignored
/// stay ignored. One per process.
class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  /// Machine::request_stop() is called when a signal comes; null: nobody's.
  void watch(Machine* machine);
  /// Nobody's, if it was `machine`'s.
  void unwatch(Machine* machine);
  /// The first signal that came, 0 if none.
  int pending() const;
  /// Readable from the first signal on.
  int fd() const;

 private:
  struct Saved {
    int signal;
    struct sigaction action;
  };
  std::array<Saved, 4> saved_;
};

}  // namespace hindcast::replay
