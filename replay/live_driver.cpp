#include "replay/live_driver.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "replay/host_clock.h"
#include "replay/host_io.h"

namespace hindcast::replay {
namespace {

constexpr u64 kMs = 1'000'000;
/// Host time of a slice: short enough that a key is seen, and output shown, without a delay that a person
/// would notice.
constexpr u64 kSliceNs = 3 * kMs;
constexpr Icount kMinSlice = 5'000;
/// While an answer from a network is expected.
constexpr Icount kAnswerSlice = 20'000;
constexpr Icount kMaxSlice = Icount{1} << 26;
/// Output waits at most this long for others to be written with it.
constexpr u64 kOutputDelayNs = 5 * kMs;
/// Without output, the recording's end is moved on this often, in case the recorder is killed.
constexpr u64 kCoverNs = 200 * kMs;
constexpr u64 kProgressNs = 100 * kMs;
/// An idle machine whose timers fire this often without waking any vCPU will not be woken by them.
constexpr u64 kMaxIdleJumps = 1'000'000;

}  // namespace

LiveDriver::LiveDriver(Machine& machine, LivePort& port, HostEnds ends, const Interrupts& interrupts,
                       const HostOptions& host, Recorder* recorder)
    : machine_(machine),
      port_(port),
      lines_(std::move(ends.consoles), port, interrupts),
      networks_(std::move(ends.networks), port),
      interrupts_(interrupts),
      host_(host),
      recorder_(recorder),
      pacer_(host.pace),
      pause_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      wake_fd_(::epoll_create1(EPOLL_CLOEXEC)) {
  lines_.begin();
  std::vector<int> wakers = networks_.fds();
  wakers.insert(wakers.end(), {pause_fd_, interrupts_.fd()});
  for (int fd : wakers) {
    epoll_event event{};
    event.events = EPOLLIN;
    if (fd < 0 || wake_fd_ < 0 || ::epoll_ctl(wake_fd_, EPOLL_CTL_ADD, fd, &event) != 0)
      throw Fatal("the host gives no event descriptor: too many open files");
  }
  start_ns_ = last_flush_ns_ = host_now_ns();
}

LiveDriver::~LiveDriver() {
  ::close(wake_fd_);
  ::close(pause_fd_);
}

RunResult LiveDriver::run() { return finish(*go(kNever, false).end); }

LiveDriver::Halt LiveDriver::go(Icount limit, bool stop_here) {
  const Icount start = machine_.icount();
  for (;;) {
    if (!jumped()) {
      if (machine_.exited()) return {StopKind::GuestExit, StopReason::Exit};
      if (auto reason = end_reason()) return {reason, StopReason::Stopped};
      if (machine_.icount() >= limit) return {std::nullopt, StopReason::Limit};
      if (paused_) return {std::nullopt, StopReason::Stopped};
      make_changes();  // those made while nothing ran
      if (!at_boundary()) {
        poll_host();
        deliver();
      }
    }
    const StopReason reason = run_slice(limit, stop_here || machine_.icount() != start);
    if (auto failure = port_.failure()) std::rethrow_exception(failure);
    if (machine_.exited()) return {StopKind::GuestExit, StopReason::Exit};
    const bool changed = make_changes();
    if (at_idle_ && !changed) {
      if (auto end = idle()) return {end, StopReason::Idle};
    }
    if (reason == StopReason::Breakpoint || reason == StopReason::Watchpoint || reason == StopReason::Switch)
      return {std::nullopt, reason};
  }
}

void LiveDriver::pause() {
  const int saved = errno;
  paused_ = true;
  machine_.request_stop();
  const u64 one = 1;
  // It can only fail when it is readable already.
  [[maybe_unused]] const ssize_t written = ::write(pause_fd_, &one, sizeof one);
  errno = saved;
}

void LiveDriver::resume() {
  u64 count = 0;
  paused_ = false;
  [[maybe_unused]] const ssize_t taken = ::read(pause_fd_, &count, sizeof count);
}

std::optional<StopKind> LiveDriver::end_reason() const {
  if (interrupts_.pending() != 0 || lines_.quit_requested() || lines_.output_lost())
    return StopKind::Interrupted;
  if (!lines_.problem().empty()) return StopKind::OutputFailed;
  if (host_.observer != nullptr && host_.observer->ended()) return StopKind::Interrupted;
  if (machine_.icount() >= host_.max_icount) return StopKind::MaxIcount;
  if (machine_.stuck()) return StopKind::WaitsForever;
  return std::nullopt;
}

Icount LiveDriver::slice_limit() const {
  const Icount now = machine_.icount();
  Icount limit = std::min(host_.max_icount, now + slice_);
  if (networks_.any() && networks_.expects_answer(host_now_ns())) limit = std::min(limit, now + kAnswerSlice);
  if (recorder_ != nullptr) limit = std::min(limit, recorder_->next_stop());
  return limit;
}

StopReason LiveDriver::run_slice(Icount limit, bool stop_here) {
  const u64 before_ns = host_now_ns();
  const Icount before = machine_.icount();
  if (recorder_ != nullptr) recorder_->plan(machine_);
  limit = std::min(limit, slice_limit());
  StopReason reason;
  do {
    reason = machine_.run(limit, stop_here);
  } while (reason == StopReason::Stopped && jumped() && !port_.failure());
  jumped_at_ = kNever;
  // A choice of the vCPU is as good as a jump: the machine must run before anything else happens.
  if (reason == StopReason::Switch) jumped_at_ = machine_.icount();
  const bool begun = reason == StopReason::Change && machine_.boundary_begun();
  if (reason == StopReason::Breakpoint || begun) boundary_at_ = machine_.icount();
  at_idle_ = reason == StopReason::Idle;
  pinned_at_ = kNever;
  const Icount now = machine_.icount();
  if (now != before) idle_jumps_ = 0;

  const u64 after_ns = host_now_ns();
  if (now - before >= slice_) {
    // Towards the size that takes kSliceNs, by at most a factor of 2 at a time.
    const u64 took = std::max<u64>(after_ns - before_ns, 1);
    const Icount wanted = static_cast<Icount>(static_cast<u128>(slice_) * kSliceNs / took);
    slice_ = std::clamp(wanted, std::max(kMinSlice, slice_ / 2), std::min(kMaxSlice, slice_ * 2));
  }
  if (recorder_ != nullptr && now == recorder_->next_stop() && !port_.failure())
    recorder_->at_stop(machine_, port_, after_ns - start_ns_ - slept_ns_);
  if (!port_.failure()) flush_if_due(after_ns);
  report_progress(after_ns);
  if (reason == StopReason::Limit || reason == StopReason::Stopped) throttle(after_ns);
  return reason;
}

void LiveDriver::throttle(u64 host_now) {
  const u64 until = pacer_.may_go_on_at(machine_.clock().now(), host_now);
  if (until == 0) return;
  flush();
  sleep_for_input(until);
}

// ---- Idle ----------------------------------------------------------------------------------------------

std::optional<StopKind> LiveDriver::idle() {
  if (auto reason = end_reason()) return reason;
  // Input that is there already has taken no time.
  poll_host();
  if (deliver()) return std::nullopt;

  const VirtualNs now = machine_.clock().now();
  const VirtualNs deadline = machine_.next_wakeup();
  const bool comes = lines_.may_get_input() || networks_.any();
  if ((deadline == kNever && !comes) || idle_jumps_ >= kMaxIdleJumps) return StopKind::WaitsForever;

  const u64 start = host_now_ns();
  const u64 until = pacer_.idle_until(now, deadline, start, comes);
  if (until > start) {
    if (port_.pending_size() != 0 || (recorder_ != nullptr && recorder_->has_unflushed())) flush();
    if (auto reason = end_reason()) return reason;  // nobody has taken the output
    while (sleep_for_input(until)) {
      if (lines_.can_deliver() || networks_.can_deliver()) {
        // The time that the guest has waited passes for it too, but the timer is not reached.
        const VirtualNs then =
            std::min(now + (host_now_ns() - start), deadline == kNever ? kNever : deadline - 1);
        pin_idle(std::max(then, now));
        machine_.warp_to(std::max(then, now));
        deliver();
        return std::nullopt;
      }
      if (end_reason() || !(lines_.watches() || networks_.any())) return std::nullopt;
    }
    const u64 after = host_now_ns();
    pacer_.slept(until, after);
    if (after < until) return std::nullopt;  // a signal
  }
  machine_.warp_to(deadline);
  jumped_at_ = machine_.icount();
  ++idle_jumps_;
  return std::nullopt;
}

bool LiveDriver::sleep_for_input(u64 host_deadline) {
  const bool watch = lines_.watches();
  for (;;) {
    const u64 now = host_now_ns();
    if (now >= host_deadline || interrupts_.pending() != 0 || paused_) return false;
    const u64 timeout = host_deadline == kNever ? kNever : host_deadline - now;
    const bool input = watch ? lines_.wait(timeout, wake_fd_) : wait_readable(-1, timeout, wake_fd_);
    slept_ns_ += host_now_ns() - now;
    if (input) lines_.read();
    if (networks_.read() || input) return true;
  }
}

// ---- Input ---------------------------------------------------------------------------------------------

void LiveDriver::poll_host() {
  if (lines_.watches() && lines_.wait(0, -1)) lines_.read();
  networks_.read();
}

bool LiveDriver::deliver() {
  const bool keys = lines_.can_deliver(), frames = networks_.can_deliver();
  if (!keys && !frames) return false;
  if (at_idle_) pin_idle(machine_.clock().now());
  if (keys) lines_.deliver();
  if (frames) networks_.deliver();
  return true;
}

// ---- Output --------------------------------------------------------------------------------------------

void LiveDriver::flush_if_due(u64 now) {
  const u64 since = now - last_flush_ns_;
  const std::size_t pending = port_.pending_size();
  if (pending >= LivePort::kMaxPending || !port_.pending_frames().empty() ||
      (pending != 0 && since >= kOutputDelayNs) || (recorder_ != nullptr && since >= kCoverNs))
    flush();
}

void LiveDriver::flush() {
  if (recorder_ != nullptr) {
    // Printed by a timer of the idle machine: an instruction count alone does not say that it has fired.
    if (at_idle_ && port_.last_output() == machine_.icount()) pin_idle(machine_.clock().now());
    recorder_->flush(machine_.icount());
  }
  lines_.flush();
  networks_.flush();
  last_flush_ns_ = host_now_ns();
}

void LiveDriver::pin() {
  if (at_idle_) pin_idle(machine_.clock().now());
  if (at_boundary()) port_.note_boundary();
  boundary_at_ = kNever;
}

void LiveDriver::settle() {
  if (at_idle_) pin_idle(machine_.clock().now());
  flush();
}

std::optional<std::string> LiveDriver::write(InputKind kind, ByteView payload) {
  if (machine_.exited()) return "the guest has ended the run";
  if (jumped()) return "the machine is between two instructions";
  pin();
  return port_.write(kind, payload);
}

bool LiveDriver::make_changes() {
  if (host_.observer == nullptr || !machine_.change_requested() || jumped()) return false;
  machine_.change_made();
  for (const GuestChange& change : host_.observer->take_changes()) {
    // What was ahead when it was asked for may have been reached.
    if (change.kind == InputKind::Clock && get_le(change.payload, 0, 8) <= machine_.clock().now()) continue;
    if (const auto problem = write(change.kind, change.payload)) host_.observer->change_failed(*problem);
  }
  return true;
}

bool LiveDriver::look_at_host() {
  poll_host();
  return interrupts_.pending() == 0 && !lines_.quit_requested() && !lines_.output_lost();
}

void LiveDriver::pin_idle(VirtualNs now) {
  if (pinned_at_ == now) return;
  port_.note_warp(now);
  pinned_at_ = now;
}

void LiveDriver::report_progress(u64 now) {
  if (!host_.progress || now - last_progress_ns_ < kProgressNs) return;
  last_progress_ns_ = now;
  Progress progress;
  progress.icount = machine_.icount();
  progress.log_bytes = recorder_ != nullptr ? recorder_->log_bytes() : 0;
  host_.progress(progress);
}

// ---- The end -------------------------------------------------------------------------------------------

RunResult LiveDriver::finish(StopKind kind, int signal) {
  pin();
  flush();
  if (host_.observer != nullptr)
    host_.observer->set_limited(kind != StopKind::GuestExit && kind != StopKind::WaitsForever);
  RunResult result;
  result.kind = kind;
  result.icount = machine_.icount();
  result.state_root = state_root(machine_, port_);
  result.output_hash = port_.output_hash().digest();
  storage::EndRecord end;
  if (kind == StopKind::GuestExit) {
    result.exit_code = machine_.exit_code();
    end.exit_code = result.exit_code;
  } else if (kind == StopKind::WaitsForever) {
    result.message = why_for_ever(machine_);
  } else if (kind == StopKind::Interrupted) {
    const int pending = interrupts_.pending();
    result.signal = lines_.output_lost() ? SIGPIPE : pending != 0 ? pending : signal;
    end.exit_code = result.signal;
    const bool observer = host_.observer != nullptr && host_.observer->ended();
    result.message = fmt::format("stopped at icount {}: {}", result.icount,
                                 lines_.output_lost()      ? "standard output was closed"
                                 : pending != 0            ? "interrupted"
                                 : observer                ? "by a plugin"
                                 : signal == SIGKILL       ? "killed by the debugger"
                                 : lines_.quit_requested() ? "asked for from the keyboard"
                                                           : "the debugger has gone");
  }
  // A state in the middle of an instruction is none to end with: the recording covers all instructions
  // before.
  if (recorder_ == nullptr || machine_.observer_left_inside()) return result;
  end.icount = result.icount;
  end.reason = static_cast<u8>(kind);
  end.state_root = result.state_root;
  end.output_hash = result.output_hash;
  end.output_bytes = port_.output_hash().bytes();
  recorder_->close(end);
  return result;
}

}  // namespace hindcast::replay
