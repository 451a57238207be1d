#include "engine/machine.h"

#include <algorithm>

#include "engine/executor.h"
#include "engine/instrumented.h"

namespace hindcast {

Machine::Machine(const Architecture& arch, MachineOptions options, unsigned physical_bits)
    : arch_(arch), options_(std::move(options)), memory_(physical_bits), clock_(options_.icount_shift) {
  for (unsigned i = 0; i < options_.smp; ++i) vcpus_.push_back(std::make_unique<Vcpu>(*this, arch_, i));
  clock_.on_earlier_deadline([this] { current().request_exit(); });
}

Machine::~Machine() = default;

void Machine::finish() {
  memory_.build_window();
  executor_ = std::make_unique<Executor>(*this);
}

void Machine::reset() {
  for (auto& device : devices_) device->reset();
  for (auto& vcpu : vcpus_) {
    vcpu->halted_ = vcpu->parked_ = false;
    arch_.reset(*vcpu, 0);
  }
  current_ = 0;
  stuck_ = false;
  quantum_end_ = clock_.icount() + options_.quantum;
  if (on_reset_) on_reset_(*this);
}

bool Machine::runnable(unsigned i) const {
  const Vcpu& v = *vcpus_[i];
  return !v.parked_ && (!v.halted_ || arch_.wakes(v));
}

/// Chooses the vCPU that runs next: the current one until its quantum ends or it waits, then the next in
/// turn.
bool Machine::pick_runnable() {
  const unsigned n = vcpu_count();
  const bool expired = n > 1 && clock_.icount() >= quantum_end_;
  if (!expired && runnable(current_)) {
    wake(current());
    return true;
  }
  for (unsigned step = 1; step <= n; ++step) {
    unsigned i = (current_ + step) % n;
    if (!runnable(i)) continue;
    if (i != current_) arch_.on_switch(current());
    current_ = i;
    quantum_end_ = clock_.icount() + options_.quantum;
    wake(current());
    return true;
  }
  return false;
}

void Machine::wake(Vcpu& vcpu) {
  vcpu.halted_ = false;
  if (!vcpu.idle_noted_) return;
  vcpu.idle_noted_ = false;
  if (const Instrumented* observed = executor_->instrumented()) observed->observer().resumed(vcpu);
}

/// Tells the observer of vCPUs that have come to wait.
void Machine::note_idle() {
  const Instrumented* observed = executor_->instrumented();
  for (unsigned i = 0; observed != nullptr && i < vcpu_count(); ++i) {
    if (vcpus_[i]->idle_noted_ || runnable(i)) continue;
    vcpus_[i]->idle_noted_ = true;
    observed->observer().idle(*vcpus_[i]);
  }
}

void Machine::set_breakpoints(Breakpoints breakpoints) {
  const bool moved = breakpoints.pcs != breakpoints_.pcs;
  breakpoints_ = std::move(breakpoints);
  if (moved) flush_translations();  // blocks end before breakpoints
}

StopReason Machine::run(Icount limit, bool stop_here) {
  passed_at_ = stop_here ? kNever : clock_.icount();
  Icount begun_at = kNever;
  bool changed_here = false;  // the boundary at begun_at has changed something
  for (;;) {
    if (exit_code_) return StopReason::Exit;
    const u32 last = current_;
    if (reset_requested_) {
      reset_requested_ = false;
      reset();
    }
    if (clock_.icount() >= limit) return StopReason::Limit;
    if (observed_stop_) {
      if (begun_at != clock_.icount() || !changed_here) {
        observed_stop_ = false;
        return StopReason::Stopped;
      }
      executor_->run_unobserved(current());  // for the reason given below
      continue;
    }
    boundary_begun_ = begun_at == kNever || begun_at == clock_.icount();
    if (change_requested_ && !boundary_begun_) return StopReason::Change;
    // Not where timers have fired or a vCPU was chosen already: a stop in the middle of a boundary could not
    // be told from one before it, so whoever replays to this icount would find another state.
    if (begun_at != clock_.icount() && stop_requested_.exchange(false)) return StopReason::Stopped;
    begun_at = clock_.icount();
    Instrumented* const observed = executor_->instrumented();
    changed_here = observed != nullptr && (clock_.next_deadline() <= clock_.now() || current().halted_);
    clock_.fire_due();
    changed_here |= answer_deadlines();
    if (exit_code_ || reset_requested_) continue;
    if (observed != nullptr) note_idle();
    if (!pick_runnable()) return StopReason::Idle;
    changed_here |= current_ != last;
    if (stop_at_switches_ && current_ != last) return StopReason::Switch;

    Vcpu& vcpu = current();
    if (arch_.interrupt_pending(vcpu)) {
      // An interrupt entry counts as one attempt.
      const GuestAddr from = vcpu.pc();
      arch_.enter_interrupt(vcpu);
      vcpu.executed_base_ += 1;
      clock_.set_icount(clock_.icount() + 1);
      if (observed != nullptr) observed->discontinuity(vcpu, Discontinuity::Interrupt, from);
      if (memory_.watch_hit()) return StopReason::Watchpoint;
      continue;
    }
    boundary_begun_ = true;
    if (change_requested_) return StopReason::Change;
    Icount end = std::min(limit, clock_.icount_of(clock_.next_deadline()));
    if (vcpu_count() > 1) end = std::min(end, quantum_end_);
    for (const auto& v : vcpus_) end = std::min(end, v->deadlines_.icount);
    if (const u64 own = vcpu.deadlines_.executed; own != kNever)
      end = std::min(end, clock_.icount() + (own - vcpu.executed_base_));
    // What has just fired wants a stop: at the next boundary, since not in the middle of this one.
    if (stop_requested_.load(std::memory_order_relaxed)) end = std::min(end, clock_.icount() + 1);
    executor_->run(vcpu, end - clock_.icount());
    if (at_breakpoint_) {
      at_breakpoint_ = false;
      return StopReason::Breakpoint;
    }
    if (memory_.watch_hit()) return StopReason::Watchpoint;
  }
}

bool Machine::answer_deadlines() {
  bool any = false;
  for (auto& v : vcpus_) {
    if (clock_.icount() < v->deadlines_.icount && v->executed_base_ < v->deadlines_.executed) continue;
    arch_.on_deadline(*v);
    any = true;
  }
  return any;
}

void Machine::warp_to(VirtualNs when) {
  if (when > clock_.now()) clock_.add_warp(when - clock_.now());
}

void Machine::input_delivered() {
  for (auto& vcpu : vcpus_) vcpu->request_exit();
}

void Machine::request_exit(int code) {
  if (!exit_code_) exit_code_ = code;
  current().request_exit();
}

void Machine::note_stuck() {
  if (stuck_ || vcpu_count() > 1) return;
  stuck_ = true;
  request_stop();
  current().request_exit();
}

void Machine::end_turn(Vcpu& vcpu) {
  if (vcpu_count() == 1) return;
  quantum_end_ = vcpu.icount() + 1;
  vcpu.request_exit();
}

void Machine::request_reset() {
  reset_requested_ = true;
  current().request_exit();
}

void Machine::request_stop() { stop_requested_.store(true); }

void Machine::observe(Instrumentation* observer) {
  observed_stop_ = observer_left_inside_ = change_requested_ = false;
  for (auto& vcpu : vcpus_) vcpu->idle_noted_ = false;
  executor_->observe(observer);
}

void Machine::pause_observer() {
  observed_stop_ = observer_left_inside_ = change_requested_ = false;
  executor_->pause_observer();
}

void Machine::stop_observed() {
  observed_stop_ = true;
  current().request_exit();
}

void Machine::request_change() {
  change_requested_ = true;
  current().request_exit();
}

void Machine::forget_observed() {
  if (Instrumented* observed = executor_->instrumented()) observed->request_forget(current());
}

void Machine::forget_operations(const void* owner) {
  if (Instrumented* observed = executor_->instrumented()) observed->forget_operations(owner, current());
}

void Machine::leave_callback() { executor_->instrumented()->leave_callback(); }

void Machine::settle_callback() {
  if (const Instrumented* observed = executor_->instrumented()) observed->settle(current());
}

u64 Machine::accessed_value() const {
  const Instrumented* observed = executor_->instrumented();
  return observed != nullptr ? observed->accessed_value(*vcpus_[current_]) : 0;
}

void Machine::note_host_call(Vcpu& vcpu, GuestAddr next_pc) {
  if (Instrumented* observed = executor_->instrumented()) observed->host_call(vcpu, next_pc);
}

void Machine::flush_translations() {
  if (!executor_) return;
  executor_->request_flush();
  current().request_exit();
}

void Machine::state(Archive& ar) {
  clock_.state(ar);
  ar.section("scheduler");
  u32 current = current_;
  ar.field("current", current);
  if (current >= vcpus_.size()) throw Fatal("saved state: no such vCPU");
  current_ = current;
  ar.field("quantum_end", quantum_end_);
  ar.field("reset_requested", reset_requested_);
  for (auto& vcpu : vcpus_) vcpu->save_or_load(ar);
  for (auto& device : devices_) {
    ar.section(device->name());
    device->state(ar);
  }
  if (ar.loading()) {
    exit_code_.reset();
    stuck_ = false;
    flush_translations();
  }
}

}  // namespace hindcast
