// Virtual time against the host's. Host-side only: what it decides is never visible to the guest.
#pragma once
#include "engine/types.h"
#include "replay/session.h"

namespace hindcast::replay {

class Pacer {
 public:
  explicit Pacer(Pace pace) : pace_(pace) {}

  /// The host time at which a running machine that has reached virtual time `now` may go on; 0: at once.
  u64 may_go_on_at(VirtualNs now, u64 host_now);
  /// The host time until which a machine that is idle from virtual `now` to `deadline` sleeps. `waits`:
  /// whether input could end the wait; without it only Pace::Real sleeps. kNever for kNever.
  u64 idle_until(VirtualNs now, VirtualNs deadline, u64 host_now, bool waits);
  /// An idle sleep was to end at `planned` and did end at `host_now`.
  void slept(u64 planned, u64 host_now);

 private:
  /// Host time of virtual `when`. Far behind the wall clock, the two are tied anew.
  u64 host_time(VirtualNs when, VirtualNs now, u64 host_now);

  Pace pace_;
  bool tied_ = false;
  u64 host_base_ = 0;
  VirtualNs virtual_base_ = 0;
  u64 overslept_ = 0;
};

}  // namespace hindcast::replay
