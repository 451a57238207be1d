#include "replay/index.h"

#include <algorithm>

#include "replay/checkpoint.h"
#include "replay/player.h"

namespace hindcast::replay {
namespace {

/// The events at the present icount have happened, but for an answer inside the next instruction.
u32 next_seq(Player& player) {
  const storage::EventRecord* next = player.port().cursor().front();
  return next != nullptr && next->icount == player.icount() ? next->seq : ~u32{0};
}

}  // namespace

IndexResult index_recording(const std::string& path, const IndexOptions& options) {
  if (options.every == 0) throw Fatal("index: checkpoints must be at least one instruction apart");
  // First the lock: what is read must be what is written on.
  const auto writer = storage::Writer::reopen(path);
  Player player(path, options.engine);
  IndexResult result;
  if (!player.empty()) {
    std::vector<Icount> present;
    for (const storage::CheckpointInfo& info : player.reader().checkpoints()) present.push_back(info.icount);
    const auto near = [&](Icount at) {
      auto it = std::lower_bound(present.begin(), present.end(), at - std::min(at, options.every / 4));
      return it != present.end() && *it - at + options.every / 4 <= options.every / 2;
    };
    CheckpointMaker maker;
    const Icount first = player.icount() / options.every * options.every + options.every;
    for (Icount at = first; at < player.end_icount(); at += options.every) {
      while (player.icount() < at && player.advance(at) != StopReason::Exit) {
      }
      if (player.icount() != at) break;
      if (!near(at)) {
        storage::CheckpointRecord record = maker.make(player.machine(), player.port(), *writer);
        record.seq = next_seq(player);
        writer->put_checkpoint(record);
        ++result.added;
      }
      if (options.progress) {
        Progress progress;
        progress.icount = at;
        progress.total = player.end_icount();
        options.progress(progress);
      }
    }
  }
  result.bytes = writer->total_bytes();
  writer->finish_adding();
  return result;
}

}  // namespace hindcast::replay
