// A recording's events one after the other, with a look ahead.
#pragma once
#include <deque>
#include <exception>

#include "engine/types.h"
#include "storage/event_store.h"

namespace hindcast::replay {

/// Reads in pieces, so that a long recording needs little memory. Refuses events that make no sense (unknown
/// kinds, wrong order) like damage. Damage ends the events; it is reported by rethrow_damage(), after what
/// came before has been used.
class EventCursor {
 public:
  /// Starts at the first event that is not before (`icount`, `seq`). `reader` must outlive the cursor.
  explicit EventCursor(const storage::Reader& reader, Icount icount = 0, u32 seq = 0);

  /// The next event, null if there is none.
  const storage::EventRecord* front();
  void pop();
  /// The machine may run up to here: to the next event that happens between instructions, as far as that is
  /// known now. kNever if there is none. Answers before it are taken in passing.
  Icount run_bound();
  /// The events end early because the recording is damaged.
  bool damaged() const { return damage_ != nullptr; }
  [[noreturn]] void rethrow_damage() const { std::rethrow_exception(damage_); }
  /// A cursor that starts here has the same event in front. Behind the last event if there is no more.
  Position next_position();
  /// The position of the last event read before the damage.
  Icount last_icount() const { return last_.icount; }

 private:
  void read_more();

  const storage::Reader& reader_;
  std::deque<storage::EventRecord> window_;
  std::size_t scanned_ = 0;  // the first so many of the window are answers
  Position last_;            // of the last event read
  bool any_ = false;         // last_ means an event
  bool all_read_ = false;
  std::exception_ptr damage_;
};

}  // namespace hindcast::replay
