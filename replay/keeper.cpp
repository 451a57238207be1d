#include "replay/keeper.h"

#include <fmt/format.h>

#include <algorithm>

#include "replay/host_clock.h"

namespace hindcast::replay {
namespace {

/// A time that is kept is kept in so many segments, so at most one of them is too much.
constexpr u64 kTimeSegments = 8;
/// The beginnings of segments take at most one part in so many of the host's time, unless the disk has to be
/// kept within its bound.
constexpr u64 kShare = 10;

}  // namespace

void Keeper::start(storage::Writer& writer, VirtualNs now, u64 host_ns) {
  writer.start_segment(true);
  begun_.push_back(now);
  last_host_ns_ = host_ns;
}

bool Keeper::due(const storage::Writer& writer, VirtualNs now, u64 host_ns) const {
  if (options_.bytes != 0) return writer.segments().back().bytes >= step();
  return now - begun_.back() >= options_.ns / kTimeSegments && host_ns - last_host_ns_ >= kShare * cost_ns_;
}

void Keeper::before_checkpoint(storage::Writer& writer, VirtualNs now, u64 host_ns) {
  start_bytes_ = writer.total_bytes();
  starting_ = due(writer, now, host_ns);
  // Not this one in the old segment and another one for the new right after it.
  if (options_.bytes != 0 && writer.segments().back().bytes + checkpoint_bytes_ >= step()) starting_ = true;
  if (!starting_) return;
  start_host_ns_ = host_ns;
  writer.start_segment(false);
}

void Keeper::after_checkpoint(storage::Writer& writer, VirtualNs now) {
  checkpoint_bytes_ = std::max(writer.total_bytes() - start_bytes_, checkpoint_bytes_ / 8 * 7);
  if (!starting_) return;
  starting_ = false;
  begun_.push_back(now);
  // What is in tables is no longer needed in the log.
  writer.flush_tables();
  drop_old(writer, now);
  last_host_ns_ = host_now_ns();
  cost_ns_ = last_host_ns_ - start_host_ns_;
}

void Keeper::drop_old(storage::Writer& writer, VirtualNs now) {
  const auto drop = [&] {
    writer.drop_segment();
    begun_.pop_front();
  };
  // The segment being written and a whole one before it are always kept.
  if (options_.ns != 0) {
    while (begun_.size() > 2 && begun_[1] + options_.ns <= now) drop();
    return;
  }
  // The next segment is in the log and in tables for a moment, its beginning too; and the database writes
  // about its own files.
  constexpr u64 kFiles = 32 << 10;
  const u64 reserve = 2 * (step() + checkpoint_bytes_) + kFiles;
  const auto needed = [&] { return writer.disk_bytes() + reserve; };
  bool dropped = false;
  while (begun_.size() > 2 && needed() > options_.bytes) {
    drop();
    dropped = true;
  }
  if (begun_.size() == 2 && notice_ && needed() > options_.bytes) {
    notice_(
        fmt::format("--keep {} bytes is too little for this guest's memory: about {} are needed, and taken",
                    options_.bytes, needed()));
    notice_ = nullptr;
  }
  if (dropped) writer.flush_tables();
}

}  // namespace hindcast::replay
