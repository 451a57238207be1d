// Somebody who watches a run, and may change the guest while it is live (plugins).
#pragma once
#include <string>
#include <vector>

#include "engine/input_port.h"

namespace hindcast {
class Machine;
}

namespace hindcast::replay {

/// What an observer of a live run wants: RegisterWrite, MemoryWrite or Clock, and the payload of
/// event_format.h.
struct GuestChange {
  InputKind kind;
  Bytes payload;
};

class Observer {
 public:
  virtual ~Observer() = default;
  /// The machine is where observation begins, and is about to run. `live`: take_changes() will be called.
  /// Throws Fatal if it cannot be observed.
  virtual void begin(Machine& machine, bool live) = 0;
  /// Live runs, after Machine::request_change(): what is to be changed now, in this order.
  virtual std::vector<GuestChange> take_changes() { return {}; }
  /// One of them was not possible.
  virtual void change_failed(const std::string& /*why*/) {}
  /// Whether it wants the run to end here. Machine::run() has returned Stopped then.
  virtual bool ended() const = 0;
  /// Before end(): whether the run has been cut short (a limit, Ctrl-C, a debugger's kill): it could go on.
  virtual void set_limited(bool /*limited*/) {}
  /// After the last instruction, and after a recording was closed; the machine still exists. Also after a run
  /// that failed.
  virtual void end() = 0;
};

/// Calls begin() now, and end() when it goes out of scope. Without an observer, nothing.
class Observation {
 public:
  Observation(Observer* observer, Machine& machine, bool live) : observer_(observer) {
    if (observer_ != nullptr) observer_->begin(machine, live);
  }
  ~Observation() {
    if (observer_ != nullptr) observer_->end();
  }
  Observation(const Observation&) = delete;
  Observation& operator=(const Observation&) = delete;

 private:
  Observer* observer_;
};

}  // namespace hindcast::replay
