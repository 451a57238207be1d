#include "replay/recorder.h"

#include <fmt/format.h>

#include "replay/event_format.h"
#include "replay/host_clock.h"

namespace hindcast::replay {
namespace {

/// Automatic checkpoints take at most this share of the run's host time. What they leave cold in the caches
/// costs as much again where memory is large and busy; together it is to stay below 3 % (benchmarks/run).
constexpr u64 kBudgetPerMille = 15;
/// None comes before the run has lasted this long.
constexpr u64 kFirstAfterNs = 1'000'000'000;
/// What the first checkpoint is assumed to cost per touched byte, in ns/1024: hashing, compressing, storing.
constexpr u64 kFirstCostPerKiB = 5'000;
/// Those of the flight recorder are not closer together than this: each takes room that could hold history.
constexpr u64 kKeepSpacingNs = 10'000'000'000;

}  // namespace

Recorder::Recorder(const RecordOptions& options) : options_(options), next_grid_(options.hash_grid) {
  if (!options.keep.on()) return;
  if (options.checkpoints == RecordOptions::Checkpoints::None)
    throw Fatal("--keep needs checkpoints: what is kept begins at one");
  if (options.keep.bytes != 0 && options.keep.bytes < Keeper::kMinBytes)
    throw Fatal(fmt::format("--keep: less than {} bytes cannot be kept", Keeper::kMinBytes));
  keeper_.emplace(options.keep, options.notice);
}

void Recorder::create(const Bytes& meta, const MachineConfig& config, bool segmented) {
  for (const MachineDrive& drive : config.drives)
    if (drive.write_through)
      throw Fatal(
          fmt::format("--drive {}: a recording never changes a drive's file, it keeps what was written "
                      "itself: leave write=on out, or use 'hindcast run'",
                      drive.name));
  storage::WriterOptions store;
  store.replace = options_.force;
  store.sync = options_.sync;
  store.segmented = segmented;
  writer_ = storage::Writer::create(options_.path, meta, store);
  for (std::size_t i = 0; i < config.files.size(); ++i)
    writer_->put_blob(fmt::format("file/{}", i), config.files[i].data);
  if (options_.checkpoints == RecordOptions::Checkpoints::Every) next_every_ = options_.checkpoint_every;
}

void Recorder::start(const Bytes& meta, const MachineConfig& config) {
  create(meta, config, keeper_.has_value());
  for (const storage::EventRecord& event : early_) writer_->append(event);
  early_.clear();
  flush(0);
  if (keeper_) keeper_->start(*writer_, 0, host_now_ns());
}

void Recorder::start_branch(const Bytes& meta, const MachineConfig& config, const storage::Reader& from,
                            Icount icount, Position next) {
  early_.clear();
  last_icount_ = 0;
  next_seq_ = 0;
  const auto begin = from.begin();
  create(meta, config, begin.has_value());
  keeper_.reset();  // what a branch is for begins in the past
  if (begin) copy_beginning(from, *begin);
  from.events(begin ? begin->icount : 0, [&](const storage::EventRecord& event) {
    const Position at{event.icount, event.seq};
    if (begin && at < Position{begin->icount, begin->seq}) return true;
    if (at >= next) return false;
    append(event.kind, event.channel, event.icount, event.payload);
    return true;
  });
  flush(icount);
  next_grid_ = (icount / options_.hash_grid + 1) * options_.hash_grid;
  if (next_every_ != kNever)
    next_every_ = (icount / options_.checkpoint_every + 1) * options_.checkpoint_every;
}

void Recorder::copy_beginning(const storage::Reader& from, const storage::CheckpointInfo& begin) {
  from.events(0, [&](const storage::EventRecord& event) {
    if (Position{event.icount, event.seq} >= Position{begin.icount, begin.seq}) return false;
    append(event.kind, event.channel, event.icount, event.payload);
    return true;
  });
  writer_->start_segment(false);
  storage::CheckpointRecord record = from.checkpoint(begin.icount);
  for (storage::CheckpointBlock& block : record.blocks)
    for (auto& [number, id] : block.pages) {
      const Bytes content = from.page(id);
      id = writer_->put_page(content.data(), content.size());
    }
  writer_->put_checkpoint(record);
  last_icount_ = begin.icount;
  next_seq_ = begin.seq;
}

void Recorder::append(u8 kind, Channel channel, Icount icount, Bytes payload) {
  if (icount != last_icount_) {
    if (icount < last_icount_)
      throw Fatal(fmt::format("internal error: an event at icount {} after one at {}", icount, last_icount_));
    last_icount_ = icount;
    next_seq_ = 0;
  }
  storage::EventRecord event{icount, next_seq_++, kind, channel, std::move(payload)};
  if (writer_ == nullptr) {
    early_.push_back(std::move(event));
    return;
  }
  writer_->append(event);
  unflushed_ = true;
}

void Recorder::flush(Icount icount) {
  writer_->flush(icount);
  unflushed_ = false;
}

void Recorder::plan(Machine& machine) {
  if (keeper_ && next_keep_ == kNever && keeper_->due(*writer_, machine.clock().now(), host_now_ns()))
    next_keep_ = machine.icount() + 1;
}

Icount Recorder::next_stop() const { return std::min({next_grid_, next_every_, next_keep_}); }

void Recorder::at_stop(Machine& machine, PortBase& port, u64 busy_ns) {
  const Icount icount = machine.icount();
  bool due = false;
  if (icount == next_grid_) {
    next_grid_ += options_.hash_grid;
    append(kHashGrid, 0, icount, encode(hash_point(machine, port)));
    due = checkpoint_is_due(machine, icount, busy_ns);
  }
  if (icount == next_every_) {
    next_every_ += options_.checkpoint_every;
    due = true;
  }
  if (icount == next_keep_) {
    next_keep_ = kNever;
    due = true;
  }
  // A machine that has ended has nothing left to be gone on with.
  if (!due || machine.exited()) return;
  checkpoint(machine, port);
  last_checkpoint_at_ns_ = busy_ns;
}

void Recorder::checkpoint(Machine& machine, PortBase& port) {
  const Icount icount = machine.icount();
  const u64 start = host_now_ns();
  if (keeper_) keeper_->before_checkpoint(*writer_, machine.clock().now(), start);
  storage::CheckpointRecord record = maker_.make(machine, port, *writer_);
  append(kCheckpointRoot, 0, icount, Bytes(record.root.begin(), record.root.end()));
  record.seq = next_seq_;
  writer_->put_checkpoint(record);
  if (keeper_) keeper_->after_checkpoint(*writer_, machine.clock().now());
  unflushed_ = false;
  last_checkpoint_ns_ = host_now_ns() - start;
  checkpoint_ns_ += last_checkpoint_ns_;
}

bool Recorder::checkpoint_is_due(Machine& machine, Icount, u64 busy_ns) {
  if (options_.checkpoints != RecordOptions::Checkpoints::Auto || busy_ns < kFirstAfterNs) return false;
  if (keeper_ && busy_ns - last_checkpoint_at_ns_ < kKeepSpacingNs) return false;
  const u64 expected =
      last_checkpoint_ns_ != 0 ? last_checkpoint_ns_ : touched_bytes(machine) / 1024 * kFirstCostPerKiB;
  return (checkpoint_ns_ + expected) * 1000 <= busy_ns * kBudgetPerMille;
}

}  // namespace hindcast::replay
