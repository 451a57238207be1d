// A navigator of a recording as a live run needs it: the recording may grow, and a run can go on from where
// the cursor is.
#pragma once
#include "replay/navigator.h"
#include "replay/port_base.h"
#include "storage/event_store.h"

namespace hindcast::replay {

class PastNavigator : public Navigator {
 public:
  static std::unique_ptr<PastNavigator> open(const std::string& path, const EngineOptions& engine);

  /// The recording is being written: end() is now where it is complete up to now.
  virtual void follow() = 0;
  virtual const MachineConfig& config() const = 0;
  virtual const storage::Reader& reader() const = 0;
  /// The first event that has not happened at the cursor.
  virtual Position next_event() = 0;
  /// Gives `other`, which was built from config(), and its port the state at the cursor.
  virtual void clone_into(Machine& other, PortBase& port) = 0;
};

}  // namespace hindcast::replay
