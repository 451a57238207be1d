// One virtual CPU: its state block, and what helpers and devices may ask of it.
#pragma once
#include <exception>
#include <memory>

#include "engine/arch.h"
#include "engine/types.h"

namespace hindcast {

class Machine;
struct SoftTlb;

/// The start of every architecture's state block; the architecture's own fields follow (its struct derives
/// from this). Translated code addresses the block through one host register at +128, so the first 256 bytes
/// are cheap.
struct CpuHeader {
  u64 pc = 0;            // the current or next instruction; exact whenever C++ code runs
  i64 budget = 0;        // attempts left after the current instruction; exact whenever C++ code runs
  u64 window_limit = 0;  // guest addresses below it may be accessed through the flat window
  u32 fp_flags = 0;      // accrued exception flags, fp::Flag bits
  u32 exit_request = 0;  // kExit bits: leave translated code at the next instruction boundary
  u32 mxcsr = 0x1f80;    // x86 host: control word of the translated code's context, no flags set
  u32 spare = 0;
  void* vcpu = nullptr;    // the Vcpu that owns the block
  u64 scratch[3] = {};     // translated code's own
  SoftTlb* tlb = nullptr;  // of the running context; null where memory is flat
  void* jumps = nullptr;   // jit::CodeView::jumps of the running context
};
static_assert(sizeof(CpuHeader) == 88);
inline constexpr u32 kExitBoundary = 1;  // the run loop wants control
inline constexpr u32 kExitFault = 2;     // a helper has raised an exception
inline constexpr int kStateBias = 128;

class Vcpu final : public IrqSink {
 public:
  Vcpu(Machine& machine, const Architecture& arch, unsigned index);
  ~Vcpu() override;

  unsigned index() const { return index_; }
  Machine& machine() const { return machine_; }
  const Architecture& arch() const { return arch_; }
  CpuHeader& header() const { return *header_; }
  /// The architecture's own struct, which derives from CpuHeader and is standard memory (memset to 0 at
  /// reset).
  template <typename T>
  T& state() const {
    return *static_cast<T*>(header_);
  }
  GuestAddr pc() const { return header_->pc; }
  void set_pc(GuestAddr pc) { header_->pc = pc; }

  /// Exact global icount: attempts completed before the current instruction.
  Icount icount() const;
  /// Attempts executed by this vCPU (before the current instruction); the base of its retired-instruction
  /// counters.
  u64 executed() const;

  /// For helpers: the current instruction raises a synchronous exception.
  void raise(const GuestFault& fault) {
    fault_ = fault;
    header_->exit_request |= kExitFault | kExitBoundary;
  }
  /// For translated code: a host exception that a helper threw, to be thrown again once the code has been
  /// left.
  void leave_with(std::exception_ptr error) {
    host_error_ = std::move(error);
    header_->exit_request |= kExitFault | kExitBoundary;
  }
  std::exception_ptr take_host_error() { return std::exchange(host_error_, nullptr); }
  /// For executors: takes the exception that a helper raised, if any.
  bool take_fault(GuestFault& fault) {
    if ((header_->exit_request & kExitFault) == 0) return false;
    header_->exit_request &= ~kExitFault;
    fault = fault_;
    return true;
  }
  /// For helpers: stop at the next instruction boundary and look at interrupts, deadlines and requests.
  void request_exit() { header_->exit_request |= kExitBoundary; }
  /// For helpers of wait instructions: no instruction runs until arch().wakes().
  void halt() {
    halted_ = true;
    request_exit();
  }
  bool halted() const { return halted_; }
  /// For architectures: Architecture::translate() may answer differently from the next block on. What was
  /// translated stays; whether it may still run is the context's to say.
  void protection_changed() { ++protection_generation_; }
  u64 protection_generation() const { return protection_generation_; }
  /// When Architecture::on_deadline() is wanted: what it brings about is a function of the state, so
  /// deadlines are none themselves; who loads a state sets them again.
  struct Deadlines {
    Icount icount = kNever;  // global
    u64 executed = kNever;   // own attempts
  };
  const Deadlines& deadlines() const { return deadlines_; }
  void set_deadlines(const Deadlines& deadlines) {
    deadlines_ = deadlines;
    request_exit();  // the current slice may go beyond them
  }
  /// Waits for a deferred answer; unpark() is called by whoever receives it.
  void park() {
    parked_ = true;
    request_exit();
  }
  void unpark() { parked_ = false; }
  bool parked() const { return parked_; }

  /// Guest virtual memory, as the vCPU sees it now, without the traces that its own accesses leave in page
  /// tables. False: not accessible (nothing was written).
  bool read_memory(GuestAddr va, void* out, std::size_t size);
  bool write_memory(GuestAddr va, const void* data, std::size_t size);

  // IrqSink: lines into this vCPU.
  void set_irq(unsigned line, bool level) override;

  /// All guest-visible state: register rows, halted, parked, counters, then Architecture::state.
  void save_or_load(Archive& ar);

 private:
  friend class Executor;
  friend class Machine;
  Machine& machine_;
  const Architecture& arch_;
  unsigned index_;
  CpuHeader* header_;
  std::unique_ptr<u8[]> storage_;
  bool halted_ = false;
  bool parked_ = false;
  bool idle_noted_ = false;  // the observer knows that it waits
  u64 protection_generation_ = 0;
  Deadlines deadlines_;
  GuestFault fault_;
  std::exception_ptr host_error_;
  bool running_ = false;    // inside Executor::run
  u64 executed_base_ = 0;   // attempts before the current slice
  i64 slice_budget_ = 0;    // header().budget at the start of the current slice
  Icount slice_start_ = 0;  // global icount at the start of the current slice
};

}  // namespace hindcast
