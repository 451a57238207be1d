// What `info`, `events` and `verify` say of a recording without running it.
#include <fmt/format.h>

#include "replay/event_format.h"
#include "replay/meta.h"
#include "replay/session.h"
#include "storage/event_store.h"

namespace hindcast::replay {

RecordingInfo info(const std::string& path) try {
  const auto reader = storage::Reader::open(path);
  Meta meta = decode_meta(reader->meta(), path, true);
  RecordingInfo out;
  out.schema_version = reader->schema();
  out.model_version = meta.model_version;
  out.build_id = meta.build_id;
  out.machine = meta.config.machine;
  out.cpu = meta.config.cpu;
  out.config = std::move(meta.config);
  out.file_sizes = std::move(meta.file_sizes);
  out.icount = reader->covered_icount();
  out.growing = reader->growing();
  if (const auto begin = reader->begin()) out.begin = begin->icount;
  out.end_lost = reader->end_lost();
  if (const auto end = reader->end()) {
    out.clean_close = true;
    out.icount = end->icount;
    out.stop = static_cast<StopKind>(end->reason);
    out.exit_code = static_cast<int>(end->exit_code);
    out.state_root = hex(end->state_root);
    out.output_hash = hex(end->output_hash);
  }
  const storage::StoreStats stats = reader->stats();
  out.events = stats.events;
  out.event_bytes = stats.event_bytes;
  out.checkpoints = stats.checkpoints;
  out.pages = stats.pages;
  out.page_bytes = stats.page_bytes;
  out.disk_bytes = stats.disk_bytes;
  return out;
} catch (const storage::NeverBegun&) {
  return {};  // an empty recording that was cut short
}

void events(const std::string& path, Icount from, Icount to,
            const std::function<bool(const EventLine&)>& fn) try {
  const auto reader = storage::Reader::open(path);
  reader->events(from, [&](const storage::EventRecord& event) {
    if (event.icount > to) return false;
    EventLine line;
    line.position = {event.icount, event.seq};
    line.kind = kind_name(event.kind);
    line.channel = event.channel;
    // Without the hash of the request that precedes an answer.
    const std::size_t skip = is_answer(event.kind) && event.payload.size() >= 4 ? 4 : 0;
    line.payload.assign(event.payload.begin() + static_cast<std::ptrdiff_t>(skip), event.payload.end());
    line.size = line.payload.size();
    line.text = describe(event);
    return fn(line);
  });
} catch (const storage::NeverBegun&) {
  // Then there are none.
}

namespace {

/// What is wrong with an event's payload, whatever the machine; empty if nothing.
std::string event_problem(const storage::EventRecord& event) {
  if (!is_known(event.kind)) return fmt::format("unknown kind {}", event.kind);
  const std::size_t size = event.payload.size();
  if (is_answer(event.kind)) return size < 4 ? "an answer without the hash of its request" : "";
  switch (event.kind) {
    case kHashGrid: return size != 16 ? "a hash of the wrong size" : "";
    case kCheckpointRoot: return size != 16 ? "a root of the wrong size" : "";
    case static_cast<u8>(InputKind::Warp): return size != 8 ? "a jump of virtual time of the wrong size" : "";
    case static_cast<u8>(InputKind::RegisterWrite):
      return size != 16 ? "a register write of the wrong size" : "";
    case static_cast<u8>(InputKind::MemoryWrite): return size < 8 ? "a memory write without an address" : "";
    default: return "";
  }
}

}  // namespace

bool verify(const std::string& path, const std::function<void(const std::string&)>& problem) try {
  const auto reader = storage::Reader::open(path);
  bool sound = reader->verify(problem);
  auto report = [&](const std::string& line) {
    sound = false;
    problem(line);
  };
  try {
    Meta meta = decode_meta(reader->meta(), path);
    load_files(*reader, meta, path);
  } catch (const OtherVersion&) {
    throw;  // sound or not, it is not for this build to say
  } catch (const std::exception& error) {
    report(error.what());
  }
  try {
    Position last;
    bool any = false;
    reader->events(0, [&](const storage::EventRecord& event) {
      const Position at{event.icount, event.seq};
      if (const std::string what = event_problem(event); !what.empty())
        report(fmt::format("event {} at icount {}: {}", at.seq, at.icount, what));
      if (any && at <= last) report(fmt::format("event {} at icount {} is out of order", at.seq, at.icount));
      last = at;
      any = true;
      return true;
    });
    if (const auto end = reader->end(); end && any && last.icount > end->icount)
      report(fmt::format("an event at icount {} lies behind the end at {}", last.icount, end->icount));
  } catch (const storage::StoreError&) {
    // Damaged chunks: the store's own check has named them.
  }
  return sound;
} catch (const storage::NeverBegun&) {
  return true;  // nothing is in it, and nothing is missing
} catch (const storage::Damaged& error) {
  problem(error.what());
  return false;
}

}  // namespace hindcast::replay
