// The whole state of a machine: hashed, saved into the store, and restored.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <unordered_map>

#include "engine/machine.h"
#include "replay/event_format.h"
#include "replay/port_base.h"
#include "storage/event_store.h"

namespace hindcast::replay {

/// Everything but memory contents: the machine's state and the port's, as CheckpointRecord::machine_state
/// holds it.
Bytes save_state(Machine& machine, PortBase& port);
/// Gives both what save_state() returned for them at another moment. Throws Fatal if it does not fit them.
void load_state(Machine& machine, PortBase& port, ByteView saved);
/// Gives `to`, which was built from the same configuration, the state and memory of `from`.
void copy_state(Machine& from, PortBase& from_port, Machine& to, PortBase& to_port);
/// The cheap hashes of the icount grid.
HashPoint hash_point(Machine& machine, PortBase& port);
/// The state hash, CheckpointInfo::root, of the machine as it is. Reads every page that was ever touched.
storage::Root state_root(Machine& machine, PortBase& port);
/// Bytes of memory that were ever touched.
u64 touched_bytes(Machine& machine);

/// Makes checkpoints of one machine for one writer. Remembers what it stored, so that a page that has not
/// changed since the last checkpoint costs one hash.
class CheckpointMaker {
 public:
  CheckpointMaker();
  /// Stores the pages; the caller adds the position and stores the record. seq is left 0.
  storage::CheckpointRecord make(Machine& machine, PortBase& port, storage::Writer& writer);

 private:
  struct Known {
    u64 hash_low, hash_high;
    storage::PageId id;
    u64 round;  // in which it was there last: what is older may not be stored any more
  };
  u64 round_ = 0;
  u64 seed_;  // secret, so that a guest cannot make two pages that look unchanged
  std::map<std::string, std::unordered_map<u64, Known>> known_;  // by block and page number
};

/// Gives `machine`, which was built from the same configuration and may be at any icount, the state of the
/// checkpoint. `page` fetches a page's content. Throws Fatal if the record is not one of such a machine; the
/// machine is then useless.
void restore_checkpoint(Machine& machine, PortBase& port, const storage::CheckpointRecord& record,
                        const std::function<Bytes(const storage::PageId&)>& page);

}  // namespace hindcast::replay
