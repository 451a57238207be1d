#include "replay/event_cursor.h"

#include <fmt/format.h>

#include "replay/event_format.h"

namespace hindcast::replay {
namespace {

/// Events, and bytes of them, that are read at a time.
constexpr std::size_t kPieceEvents = 4096;
constexpr std::size_t kPieceBytes = 4u << 20;

}  // namespace

EventCursor::EventCursor(const storage::Reader& reader, Icount icount, u32 seq)
    : reader_(reader), last_{icount, seq} {}

void EventCursor::read_more() {
  if (all_read_) return;
  std::size_t events = 0, bytes = 0;
  bool full = false;
  auto take = [&](const storage::EventRecord& event) {
    const Position at{event.icount, event.seq};
    if (any_ ? at <= last_ : at < last_) return true;  // had it before
    if (!is_known(event.kind))
      throw storage::StoreError(
          fmt::format("an event of unknown kind {} at icount {}", event.kind, event.icount));
    any_ = true;
    last_ = at;
    window_.push_back(event);
    bytes += event.payload.size();
    full = ++events >= kPieceEvents || bytes >= kPieceBytes;
    return !full;
  };
  try {
    reader_.events(last_.icount, take);
    all_read_ = !full;
  } catch (const storage::StoreError&) {
    damage_ = std::current_exception();
    all_read_ = true;
  }
}

const storage::EventRecord* EventCursor::front() {
  while (window_.empty() && !all_read_) read_more();
  return window_.empty() ? nullptr : &window_.front();
}

Position EventCursor::next_position() {
  if (const storage::EventRecord* next = front()) return {next->icount, next->seq};
  return any_ ? Position{last_.icount, last_.seq + 1} : last_;
}

void EventCursor::pop() {
  window_.pop_front();
  if (scanned_ != 0) --scanned_;
}

Icount EventCursor::run_bound() {
  for (;;) {
    if (front() == nullptr) return kNever;
    for (; scanned_ < window_.size(); ++scanned_)
      if (!is_answer(window_[scanned_].kind)) return window_[scanned_].icount;
    if (all_read_) return kNever;
    // Only answers: the machine can use them up to the last one, and then more is read.
    const Icount last = window_.back().icount;
    if (window_.front().icount < last) return last;
    read_more();
  }
}

}  // namespace hindcast::replay
