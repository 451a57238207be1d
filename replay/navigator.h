// Going anywhere in a recording: seek to any instruction, step back, run back to the last moment at which
// something stopped the run. gdb and compare stand on it.
//
// Between the checkpoints of the recording it keeps checkpoints of its own around the cursor, in memory and
// bounded, so that the cost of a move depends on how far it goes and not on how long the recording is.
// Searches backwards replay one segment after the other at full speed with breakpoints and watches set, and
// remember the last stop in each.
#pragma once
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/machine.h"
#include "replay/session.h"

namespace hindcast::replay {

/// Why a move ended.
struct NavStop {
  enum class Kind : u8 {
    Arrived,     // at the position asked for
    Breakpoint,  // before the instruction at a breakpoint
    Watchpoint,  // going forward: after the instruction that touched watched memory; going back: likewise, so
                 // that the values seen are those just after the access
    Begin,       // the beginning of the recording
    End,         // its end: a stop, never an exit
    Interrupted,  // request_stop() was called
  };
  Kind kind = Kind::Arrived;
  unsigned vcpu = 0;
  std::optional<AddressSpace::WatchHit> watch;
};

/// Decides whether a stop at a breakpoint or watchpoint counts (a debugger's condition). Called on the
/// stopped machine, also for stops that a search passes over.
using StopFilter = std::function<bool(Machine&, const NavStop&)>;

class Navigator {
 public:
  /// Opens the recording at its beginning. Throws like replay(). Without `verify`, the recorded hashes are
  /// not looked at, nor its checkpoints used: the way is what this build makes of the inputs.
  static std::unique_ptr<Navigator> open(const std::string& path, const EngineOptions& engine,
                                         bool verify = true);
  virtual ~Navigator() = default;

  virtual Machine& machine() = 0;
  virtual Icount begin() const = 0;
  virtual Icount end() const = 0;
  virtual Icount position() const = 0;
  /// Instructions executed so far by all moves: what they have cost.
  virtual u64 executed() const { return 0; }
  /// From now on moves leave states to return to at distances that make a bisection of the whole recording
  /// execute it less than twice, even where going the way again would take less time.
  virtual void prepare_bisection() {}
  /// The guest's console output goes here (channel, bytes) while a move goes forward from the cursor; by
  /// default nowhere. What a search passes over, or the way to an earlier position, is silent, and what was
  /// heard once is not heard again after going back.
  virtual void on_output(std::function<void(Channel, ByteView)> fn) = 0;

  virtual void set_breakpoints(std::set<GuestAddr> pcs) = 0;
  virtual void set_watches(std::vector<AddressSpace::Watch> watches) = 0;
  virtual void set_filter(StopFilter filter) = 0;

  /// To exactly this icount (clamped to the recording), without looking at breakpoints.
  virtual NavStop seek(Icount icount) = 0;
  /// Forward until a stop, `limit` or the end.
  virtual NavStop run(Icount limit = kNever) = 0;
  /// `count` instructions of vCPU `vcpu` (others run in between), stopping early at breakpoints and watches.
  virtual NavStop step(unsigned vcpu, u64 count = 1) = 0;
  /// Back to before the previous attempt of `vcpu`. The entry of an interrupt is one, so the way back from a
  /// handler's first instruction shows the interrupted pc twice: before the entry, and then the instruction
  /// before it.
  virtual NavStop step_back(unsigned vcpu) = 0;
  /// Back to the last stop before the cursor (breakpoint: the state before that instruction; watch: the state
  /// after the access), or to the beginning. `access_here`: an access by the last instruction before the
  /// cursor counts too; the stop is then where the cursor is already.
  virtual NavStop run_back(bool access_here = false) = 0;
  /// From a signal handler or another thread: the move under way ends soon with Interrupted.
  virtual void request_stop() = 0;
};

}  // namespace hindcast::replay
