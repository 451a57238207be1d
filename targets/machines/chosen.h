// The device tree that the guest is handed, completed for the run: /chosen, and what only concerns us taken
// out.
#pragma once
#include "engine/input_port.h"
#include "engine/registry.h"
#include "targets/loader/device_tree.h"
#include "targets/machines/boot.h"

namespace hindcast::machines {

class GuestTree {
 public:
  /// The board's tree, or instead of it the user's (a file of the role "dtb"), with the kernel's command line
  /// and the initial RAM disk of the plan. The board's loses the nodes and properties that are named
  /// "hindcast,...", and if `seeded` gets /chosen/rng-seed.
  GuestTree(const loader::DeviceTree& board, const MachineConfig& config, const BootPlan& plan, bool seeded);

  Bytes blob() const { return tree_.to_blob(); }
  bool seeded() const { return seeded_; }
  /// The same with a fresh seed, which is asked for through the port: 32 random bytes, as firmware gives
  /// them.
  Bytes with_seed(InputPort& port);

 private:
  loader::DeviceTree tree_;
  bool seeded_;
};

}  // namespace hindcast::machines
