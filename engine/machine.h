// The machine: vCPUs, memory, devices, clock and the input port, and the run loop over them.
#pragma once
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "engine/address_space.h"
#include "engine/clock.h"
#include "engine/context_numbers.h"
#include "engine/device.h"
#include "engine/input_port.h"
#include "engine/vcpu.h"

namespace hindcast {

class Executor;
class Instrumentation;

/// How the guest's code is executed. Never visible to the guest.
struct EngineOptions {
  bool jit = true;
  /// For translated code (within the bounds below; jumps in it reach 2 GiB), and as much for what the
  /// interpreter keeps.
  u64 code_cache_bytes = 64u << 20;
  static constexpr u64 kLeastCodeCache = 256u << 10, kMostCodeCache = 1u << 30;
  /// Tests: host features not to use ("bmi2", "fma", ...), from --cpu-host.
  std::vector<std::string> host_features_off;
  /// Tests: if non-zero, caches are dropped and tiers changed at pseudo-random moments from this seed.
  u64 chaos_seed = 0;
  /// Takes one line for the user about the run (a device that is only a stub was touched). Empty: nobody
  /// listens.
  std::function<void(const std::string&)> note;
};

struct MachineOptions {
  unsigned smp = 1;
  unsigned icount_shift = 3;
  Icount quantum = 50'000;  // attempts before the next vCPU runs (only with several)
  EngineOptions engine;
};

enum class StopReason : u8 {
  Limit,       // the icount asked for was reached
  Exit,        // the guest ended the run: exit_code()
  Idle,        // every vCPU waits; next_wakeup() says until when
  Stopped,     // somebody called request_stop()
  Breakpoint,  // before the instruction at a breakpoint
  Watchpoint,  // after the instruction that touched watched memory: memory().take_watch_hit()
  Switch,  // current() takes over from another vCPU, before its instruction; only after stop_at_switches()
  Change,  // the observer wants to change the guest: request_change()
};

/// Where a run stops, at virtual pcs, whichever vCPU comes there.
struct Breakpoints {
  std::set<GuestAddr> pcs;
  /// Decides, before the instruction, whether the run stops; empty: always. Sees the machine as it is there
  /// and changes nothing that the guest could see. Called once for each time that the guest comes there.
  std::function<bool(Vcpu&)> counts;
};

class Machine {
 public:
  Machine(const Architecture& arch, MachineOptions options, unsigned physical_bits);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // Parts. The port is owned by whoever runs the machine (replay/) and is set before devices are built.
  const Architecture& arch() const { return arch_; }
  const MachineOptions& options() const { return options_; }
  AddressSpace& memory() { return memory_; }
  VirtualClock& clock() { return clock_; }
  InputPort& port() { return *port_; }
  void set_port(InputPort* port) { port_ = port; }
  Vcpu& vcpu(unsigned i) { return *vcpus_[i]; }
  unsigned vcpu_count() const { return static_cast<unsigned>(vcpus_.size()); }
  template <typename T, typename... Args>
  T& add_device(Args&&... args) {
    auto owned = std::make_unique<T>(std::forward<Args>(args)...);
    T& ref = *owned;
    devices_.push_back(std::move(owned));
    return ref;
  }
  const std::vector<std::unique_ptr<Device>>& devices() const { return devices_; }
  /// The board is complete: builds the memory window. Before the first run.
  void finish();
  /// Where a reset starts each vCPU; called by reset(). Set by the board.
  void on_reset(std::function<void(Machine&)> fn) { on_reset_ = std::move(fn); }
  /// Power-on state, now (the icount goes on).
  void reset();

  // Running.
  /// Runs until icount() == limit exactly, or an earlier reason. May be called again after any reason but
  /// Exit. `stop_here`: a breakpoint at the instruction where it starts counts too.
  StopReason run(Icount limit, bool stop_here = false);
  Icount icount() const { return clock_.icount(); }
  /// Costs nothing at other instructions. The instruction at which run() starts is executed even if it has a
  /// breakpoint, so that a run stopped there goes on.
  void set_breakpoints(Breakpoints breakpoints);
  const Breakpoints& breakpoints() const { return breakpoints_; }
  /// Whether run() returns Switch when another vCPU takes over. Invisible to the guest.
  void stop_at_switches(bool on) { stop_at_switches_ = on; }
  bool stops_at_switches() const { return stop_at_switches_; }
  /// Idle only: the virtual time of the next timer, kNever if only outside input can end the wait.
  VirtualNs next_wakeup() const { return clock_.next_deadline(); }
  /// Idle only: virtual time jumps to `when` (not before now). Timers due fire.
  void warp_to(VirtualNs when);
  /// An input arrived (the port's caller has delivered it): halted vCPUs are looked at again.
  void input_delivered();

  // For devices and helpers, effective at the next instruction boundary.
  void request_exit(int code);
  void request_reset();
  /// For helpers of instructions by which software waits for another vCPU: `vcpu`, which runs, lets the next
  /// one run. Without others nothing happens.
  void end_turn(Vcpu& vcpu);
  /// run() returns Stopped soon (host side: Ctrl-C; async-signal-safe).
  void request_stop();
  /// For architectures: the vCPU raises the same exception for ever, and no interrupt can be taken in
  /// between. Ends run() with Stopped, once; nothing that the guest sees changes. Without effect while other
  /// vCPUs could still interfere.
  void note_stuck();
  bool stuck() const { return stuck_; }
  bool exited() const { return exit_code_.has_value(); }
  int exit_code() const { return exit_code_.value_or(0); }

  // Observers (engine/instrument.h).
  /// From the next instruction on; null: no longer. Not while the machine runs. Invisible to the guest.
  void observe(Instrumentation* observer);
  /// The machine is not observed until observe() is called with the same observer, which must live until then
  /// or as long as the machine: it is told of blocks it knows no second time. Not while the machine runs.
  void pause_observer();
  /// The run is to end here: run() returns Stopped, before the next instruction. From the observer's own
  /// functions, which then return.
  void stop_observed();
  /// The observer wants to change the guest before the next instruction; from an operation with
  /// InstrOp::changes: before the one that it belongs to, or after the one whose access it saw. run() returns
  /// Change there, or another reason if that comes first; whoever runs the machine makes the change then and
  /// calls change_made().
  void request_change();
  bool change_requested() const { return change_requested_; }
  void change_made() { change_requested_ = false; }
  /// After Change: timers have fired at this icount and the vCPU was chosen, as at a breakpoint.
  bool boundary_begun() const { return boundary_begun_; }
  /// Likewise from an operation's callback, which does not return: before the instruction that it belongs to.
  /// From an access's callback that is not possible any more: the access has been made, and
  /// observer_left_inside() is true, because the state is none that the guest ever has between instructions.
  [[noreturn]] void leave_callback();
  bool observer_left_inside() const { return observer_left_inside_; }
  /// From anywhere in the observer: after the block that is running, all blocks and operations are forgotten
  /// (Instrumentation::forgotten() is called), as if the run had begun to be observed there.
  void forget_observed();
  /// While the machine does not run: likewise, and of the rest of a block in whose middle it stands the
  /// operations with this owner are dropped now.
  void forget_operations(const void* owner);
  /// Inside an operation's callback: makes the state exact that translated code keeps for itself (pc,
  /// icount).
  void settle_callback();
  /// Inside an access's callback whose operation wants it: the value read or written, in the low bits.
  u64 accessed_value() const;
  /// A target serves the guest itself, outside the machine (semihosting), at the current instruction.
  void note_host_call(Vcpu& vcpu, GuestAddr next_pc);

  /// The vCPU that is running, or would run next.
  Vcpu& current() { return *vcpus_[current_]; }
  /// Translations, or what the soft TLBs know, depend on something that changed and that is not in their
  /// context: nothing of them is used from the next instruction on.
  void flush_translations();
  /// For Architecture::context().
  ContextNumbers& context_numbers() { return context_numbers_; }

  /// Everything guest-visible but RAM contents: clock, vCPUs, devices, scheduler. Loading drops all caches.
  void state(Archive& ar);

  /// Hooks that targets may carry for others by name (for instance "semihosting"). Not guest state.
  void set_extension(const std::string& name, std::shared_ptr<void> object) {
    extensions_[name] = std::move(object);
  }
  template <typename T>
  T* extension(const std::string& name) const {
    auto it = extensions_.find(name);
    return it == extensions_.end() ? nullptr : static_cast<T*>(it->second.get());
  }

 private:
  friend class Executor;
  friend class Instrumented;
  friend class Vcpu;
  bool runnable(unsigned i) const;
  bool pick_runnable();
  void wake(Vcpu& vcpu);
  void note_idle();
  /// Calls Architecture::on_deadline() where one has been reached; true if it did.
  bool answer_deadlines();

  const Architecture& arch_;
  MachineOptions options_;
  AddressSpace memory_;
  VirtualClock clock_;
  InputPort* port_ = nullptr;
  std::vector<std::unique_ptr<Vcpu>> vcpus_;
  std::vector<std::unique_ptr<Device>> devices_;
  std::map<std::string, std::shared_ptr<void>> extensions_;
  std::function<void(Machine&)> on_reset_;
  ContextNumbers context_numbers_;
  std::unique_ptr<Executor> executor_;
  u32 current_ = 0;
  Icount quantum_end_ = 0;
  bool reset_requested_ = false;
  std::atomic<bool> stop_requested_ = false;
  std::optional<int> exit_code_;
  bool stuck_ = false;  // follows from the guest's state, so it is not part of it
  Breakpoints breakpoints_;
  Icount passed_at_ = 0;  // a breakpoint here has been decided: run() began here, or it did not count
  bool at_breakpoint_ = false;
  bool stop_at_switches_ = false;
  bool observed_stop_ = false;  // stop_observed() was called outside the executor
  bool observer_left_inside_ = false;
  bool change_requested_ = false;
  bool boundary_begun_ = false;
  bool observer_waits() const { return observed_stop_ || change_requested_; }
};

}  // namespace hindcast
