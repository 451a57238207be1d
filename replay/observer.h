// Somebody who watches a run without touching it (plugins).
#pragma once

namespace hindcast {
class Machine;
}

namespace hindcast::replay {

class Observer {
 public:
  virtual ~Observer() = default;
  /// The machine is where observation begins, and is about to run. Throws Fatal if it cannot be observed.
  virtual void begin(Machine& machine) = 0;
  /// Whether it wants the run to end here. Machine::run() has returned Stopped then.
  virtual bool ended() const = 0;
  /// After the last instruction, and after a recording was closed; the machine still exists. Also after a run
  /// that failed.
  virtual void end() = 0;
};

/// Calls begin() now, and end() when it goes out of scope. Without an observer, nothing.
class Observation {
 public:
  Observation(Observer* observer, Machine& machine) : observer_(observer) {
    if (observer_ != nullptr) observer_->begin(machine);
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
