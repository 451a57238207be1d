#include "replay/player.h"

#include <fmt/format.h>

#include <algorithm>

#include "replay/checkpoint.h"
#include "replay/event_format.h"

namespace hindcast::replay {
Player::Player(const std::string& path, const EngineOptions& engine, bool verify)
    : path_(path),
      engine_(engine),
      verify_(verify),
      reader_(storage::Reader::open(path)),
      meta_(decode_meta(reader_->meta(), path)) {
  const auto end = reader_->end();
  end_icount_ = end ? end->icount : reader_->covered_icount();
  if (load_files(*reader_, meta_, path_)) build();
}

Player::~Player() = default;

void Player::build() {
  machine_.reset();
  checked_icount_ = 0;
  port_ = std::make_unique<ReplayPort>(std::make_unique<EventCursor>(*reader_));
  MachineConfig config = meta_.config;
  machine_ = Registry::instance().build(config, engine_, *port_);
  port_->bind(machine_.get());
  // Where the first part has been left out, what the machine was told while it was built is not there; its
  // state replaces all that came of it.
  if (const auto begin = reader_->begin())
    restore(begin->icount);
  else
    check_departure();
}

void Player::restart() { build(); }

void Player::follow() {
  std::unique_ptr<storage::Reader> grown = storage::Reader::open(path_);
  const Position next = port_->cursor().next_position();
  port_->set_cursor(std::make_unique<EventCursor>(*grown, next.icount, next.seq));
  reader_ = std::move(grown);
  const auto end = reader_->end();
  end_icount_ = std::max(end_icount_, end ? end->icount : reader_->covered_icount());
}

void Player::restore_before(Icount icount) {
  const storage::CheckpointInfo* best = nullptr;
  const std::vector<storage::CheckpointInfo> all = reader_->checkpoints();
  for (const storage::CheckpointInfo& info : all)
    if (info.icount <= icount && info.icount <= end_icount_) best = &info;
  build();
  if (best != nullptr) restore(best->icount);
}

void Player::restore(Icount checkpoint) {
  const storage::CheckpointRecord record = reader_->checkpoint(checkpoint);
  restore_checkpoint(*machine_, *port_, record,
                     [this](const storage::PageId& id) { return reader_->page(id); });
  resume_from(std::make_unique<EventCursor>(*reader_, record.icount, record.seq));
}

void Player::resume_from(std::unique_ptr<EventCursor> cursor) {
  port_->set_cursor(std::move(cursor));
  port_->forget_departure();
  switched_ = false;
  checked_icount_ = machine_->icount();
}

bool Player::run(Icount limit, Icount slice) {
  limit = std::min(limit, end_icount_);
  apply_events();
  const Icount start = machine_->icount();
  const Icount until = slice < limit - std::min(start, limit) ? start + slice : limit;
  while (machine_->icount() < until) {
    const StopReason reason = advance(until);
    if (reason == StopReason::Exit || reason == StopReason::Stopped) break;
  }
  return machine_->icount() < limit;
}

StopReason Player::advance(Icount limit, bool stop_here) {
  limit = std::min(limit, end_icount_);
  apply_events();
  if (std::exchange(switched_, false)) return StopReason::Switch;
  const Icount start = machine_->icount();
  StopReason reason = StopReason::Limit;
  while (machine_->icount() < limit && !machine_->exited()) {
    EventCursor& cursor = port_->cursor();
    Icount bound = std::min(limit, cursor.run_bound());
    if (cursor.damaged()) {
      // Up to the last event that could be read, everything is known.
      bound = std::min(bound, cursor.last_icount());
      if (machine_->icount() >= bound) cursor.rethrow_damage();
    }
    const Icount before = machine_->icount();
    reason = machine_->run(bound, stop_here || before != start);
    check_departure();
    const Icount now = machine_->icount();
    executed_ += now - before;
    if (const auto* next = cursor.front(); next != nullptr && next->icount < now)
      diverged({next->icount, next->seq},
               fmt::format("the guest did not ask for the recorded '{}' on channel {}", kind_name(next->kind),
                           next->channel));
    if (reason == StopReason::Idle && now < bound) {
      // Nothing recorded ended this wait: a timer did.
      if (machine_->next_wakeup() == kNever)
        diverged({now, 0}, "the guest waits for ever, where it ran on when it was recorded");
      machine_->warp_to(machine_->next_wakeup());
    }
    apply_events();
    if (std::exchange(switched_, false)) return StopReason::Switch;
    if (now == before && reason == StopReason::Limit)
      diverged({now, 0}, "a recorded answer was never asked for");
    if (reason != StopReason::Limit && reason != StopReason::Idle && reason != StopReason::Exit)
      return reason;
  }
  if (machine_->exited() && machine_->icount() < end_icount_)
    diverged({machine_->icount(), 0}, "the guest ended the run, where it ran on when it was recorded");
  return machine_->exited() ? StopReason::Exit : StopReason::Limit;
}

void Player::apply_events() {
  for (;;) {
    const storage::EventRecord* next = port_->cursor().front();
    if (next == nullptr || next->icount != machine_->icount() || is_answer(next->kind)) return;
    const storage::EventRecord event = *next;
    port_->cursor().pop();
    apply(event);
    check_departure();
  }
}

void Player::apply(const storage::EventRecord& event) {
  switch (event.kind) {
    case kHashGrid:
      if (verify_) check_hashes(event);
      return;
    case kCheckpointRoot:
      if (verify_) check_root(event);
      return;
    case static_cast<u8>(InputKind::Warp): return apply_warp(event);
    case kBoundary: return apply_boundary(event);
    default: break;
  }
  if (auto problem = port_->deliver(static_cast<InputKind>(event.kind), event.channel, event.payload))
    diverged({event.icount, event.seq}, fmt::format("the recorded '{}' on channel {} cannot be delivered: {}",
                                                    kind_name(event.kind), event.channel, *problem));
}

void Player::apply_warp(const storage::EventRecord& event) {
  const Position at{event.icount, event.seq};
  if (event.payload.size() != 8) diverged(at, "a recorded jump of virtual time is malformed");
  const VirtualNs then = get_le(event.payload, 0, 8);
  if (then < machine_->clock().now() || then == kNever)
    diverged(at, fmt::format("virtual time is {} ns, from where it cannot jump to the recorded {} ns",
                             machine_->clock().now(), then));
  for (;;) {
    // What is due at this icount happens, and shows whether the machine really waits.
    const StopReason reason = machine_->run(event.icount + 1);
    check_departure();
    if (reason != StopReason::Idle || machine_->icount() != event.icount)
      diverged(at, "the guest runs, where it waited when it was recorded");
    if (machine_->next_wakeup() > then) break;
    machine_->warp_to(machine_->next_wakeup());
  }
  machine_->warp_to(then);
}

/// The machine goes up to where it would take the next instruction.
void Player::apply_boundary(const storage::EventRecord& event) {
  const Breakpoints breakpoints = machine_->breakpoints();
  const unsigned before = machine_->current().index();
  std::set<GuestAddr> everywhere = breakpoints.pcs;
  for (unsigned i = 0; i < machine_->vcpu_count(); ++i) everywhere.insert(machine_->vcpu(i).pc());
  machine_->set_breakpoints({everywhere, {}});
  StopReason reason;
  for (;;) {
    reason = machine_->run(event.icount + 1, true);
    const bool waits = reason == StopReason::Idle && machine_->next_wakeup() != kNever;
    if (waits) machine_->warp_to(machine_->next_wakeup());
    if (!waits && reason != StopReason::Switch) break;
  }
  machine_->set_breakpoints(breakpoints);
  check_departure();
  if (reason != StopReason::Breakpoint || machine_->icount() != event.icount)
    diverged({event.icount, event.seq}, "the guest does not stand before an instruction, as when recorded");
  switched_ = machine_->stops_at_switches() && machine_->current().index() != before;
}

void Player::check_hashes(const storage::EventRecord& event) {
  const auto recorded = decode_hash_point(event.payload);
  const Position at{event.icount, event.seq};
  if (!recorded) diverged(at, "a recorded hash is malformed");
  const HashPoint now = hash_point(*machine_, *port_);
  const std::string since = fmt::format("; it was right at icount {}", checked_icount_);
  if (now.output != recorded->output)
    diverged(at, fmt::format("the hash of the output is {:016x}, recorded {:016x}{}", now.output,
                             recorded->output, since));
  if (now.state != recorded->state)
    diverged(at, fmt::format("the hash of CPU and device state is {:016x}, recorded {:016x}{}", now.state,
                             recorded->state, since));
  checked_icount_ = event.icount;
}

void Player::check_root(const storage::EventRecord& event) {
  if (event.icount != 0 && event.icount <= roots_right_until_) return;
  const storage::Root now = state_root(*machine_, *port_);
  if (!std::equal(now.begin(), now.end(), event.payload.begin(), event.payload.end()))
    diverged({event.icount, event.seq},
             fmt::format("the hash of memory and state is {}, recorded {}; it was right at icount {}",
                         hex(now), hex(event.payload), checked_icount_));
  checked_icount_ = roots_right_until_ = event.icount;
}

void Player::check_end() {
  const auto end = reader_->end();
  if (!end) return;
  const Position at{end->icount, 0};
  if (const auto* next = port_->cursor().front())
    diverged({next->icount, next->seq},
             fmt::format("the guest did not ask for the recorded '{}' on channel {}", kind_name(next->kind),
                         next->channel));
  const bool exits = end->reason == static_cast<u8>(StopKind::GuestExit);
  if (exits) reach_exit();
  if (exits != machine_->exited())
    diverged(at, exits ? "the guest runs on, where it ended the run when it was recorded"
                       : "the guest ends the run, where it did not when it was recorded");
  if (exits && end->exit_code != machine_->exit_code())
    diverged(at,
             fmt::format("the guest's exit code is {}, recorded {}", machine_->exit_code(), end->exit_code));
  const auto output = port_->output_hash().digest();
  if (output != end->output_hash)
    diverged(at, fmt::format("the hash of the output is {} ({} bytes), recorded {} ({} bytes)", hex(output),
                             port_->output_hash().bytes(), hex(end->output_hash), end->output_bytes));
  const storage::Root root = state_root(*machine_, *port_);
  if (root != end->state_root)
    diverged(at,
             fmt::format("the hash of memory and state is {}, recorded {}", hex(root), hex(end->state_root)));
}

void Player::reach_exit() {
  while (!machine_->exited() && machine_->icount() == end_icount_) {
    if (machine_->run(end_icount_ + 1) != StopReason::Idle || machine_->next_wakeup() == kNever) return;
    machine_->warp_to(machine_->next_wakeup());
  }
}

void Player::check_departure() {
  if (port_->departure()) diverged(port_->departure()->position, port_->departure()->what);
}

void Player::diverged(Position position, const std::string& what) {
  throw Divergence(fmt::format("{}: the replay left the recorded path at icount {} (event {}), pc {:#x}: {}",
                               path_, position.icount, position.seq, machine_->current().pc(), what));
}

}  // namespace hindcast::replay
