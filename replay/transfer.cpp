#include "replay/transfer.h"

#include <fmt/format.h>

#include <algorithm>

#include "replay/checkpoint.h"
#include "replay/interrupts.h"
#include "replay/meta.h"
#include "replay/player.h"
#include "storage/transfer.h"

namespace hindcast::replay {
namespace {

/// Instructions between two looks at signals and progress.
constexpr Icount kSlice = 20'000'000;

/// Where the machine's construction ended: the first event that is not its.
Position construction_end(const storage::Reader& reader, Player& player) {
  if (const auto begin = reader.begin()) return {begin->icount, begin->seq};
  player.restart();
  const storage::EventRecord* next = player.port().cursor().front();
  return next == nullptr ? Position{0, ~u32{0}} : Position{next->icount, next->seq};
}

class Export {
 public:
  Export(const std::string& path, const ExportOptions& options)
      : path_(path), options_(options), reader_(storage::Reader::open(path)) {}

  TransferResult run(const std::string& file) {
    const auto end = reader_->end();
    Icount last = end ? end->icount : reader_->covered_icount();
    if (options_.from && options_.to && *options_.from > *options_.to)
      throw Fatal(fmt::format("export: --from {} lies behind --to {}", *options_.from, *options_.to));
    const bool cut_end = options_.to && *options_.to < last;
    if (!cut_end && reader_->end_lost())
      throw Fatal(
          fmt::format("recording {} is damaged after icount {}: its end is missing; --to exports what "
                      "lies before",
                      path_, last));
    const auto begin = reader_->begin();
    if (begin && cut_end && *options_.to < begin->icount)
      throw Fatal(fmt::format("export: recording {} begins at icount {}, after --to {}", path_, begin->icount,
                              *options_.to));
    storage::ExportCut cut;
    cut.checkpoints = options_.checkpoints;
    cut.begin = begin;
    if (options_.from) cut.begin = last_checkpoint(std::min(*options_.from, last));
    if (cut.begin || cut_end) player_ = std::make_unique<Player>(path_, options_.engine);
    if (player_ && player_->empty())
      throw Fatal(fmt::format("{}: nothing was recorded that could be exported", path_));
    if (cut.begin) {
      const Position built = construction_end(*reader_, *player_);
      cut.built_icount = built.icount;
      cut.built_seq = built.seq;
    }
    cut.end = end;
    if (cut_end) find_end(cut, last = *options_.to);
    cut.covered_icount = last;
    const auto report = [&](Icount icount) { look_up(icount, last); };
    const storage::TransferStats stats = storage::export_recording(*reader_, cut, file, report);
    return {cut.begin ? cut.begin->icount : 0, last, stats.events, stats.checkpoints, stats.file_bytes};
  }

 private:
  std::optional<storage::CheckpointInfo> last_checkpoint(Icount icount) const {
    std::optional<storage::CheckpointInfo> best = reader_->begin();
    for (const storage::CheckpointInfo& info : reader_->checkpoints())
      if (info.icount <= icount) best = info;
    return best;
  }

  /// Replays to `to`, for the state there and for which events have happened by then.
  void find_end(storage::ExportCut& cut, Icount to) {
    player_->restore_before(to);
    while (player_->run(to, kSlice)) look_up(player_->icount(), to);
    if (const storage::EventRecord* next = player_->port().cursor().front()) {
      cut.stop_icount = next->icount;
      cut.stop_seq = next->seq;
    }
    storage::EndRecord end;
    end.icount = to;
    end.reason = static_cast<u8>(StopKind::MaxIcount);
    end.state_root = state_root(player_->machine(), player_->port());
    end.output_hash = player_->port().output_hash().digest();
    end.output_bytes = player_->port().output_hash().bytes();
    cut.end = end;
  }

  void look_up(Icount icount, Icount total) {
    if (interrupts_.pending() != 0) throw Fatal("export: interrupted");
    if (!options_.progress) return;
    Progress progress;
    progress.icount = icount;
    progress.total = total;
    options_.progress(progress);
  }

  std::string path_;
  const ExportOptions& options_;
  std::unique_ptr<storage::Reader> reader_;
  std::unique_ptr<Player> player_;
  Interrupts interrupts_;
};

}  // namespace

TransferResult export_recording(const std::string& path, const std::string& file,
                                const ExportOptions& options) try {
  return Export(path, options).run(file);
} catch (const storage::NeverBegun&) {
  throw Fatal(fmt::format("{}: nothing was recorded that could be exported", path));
}

TransferResult import_recording(const std::string& file, const std::string& path,
                                const ImportOptions& options) {
  const Interrupts interrupts;
  TransferResult result;
  storage::ImportOptions store;
  store.limit = options.limit;
  store.progress = [&](Icount icount) {
    if (interrupts.pending() != 0) throw Fatal("import: interrupted");
    if (!options.progress) return;
    Progress progress;
    progress.icount = icount;
    options.progress(progress);
  };
  store.accept = [&](const std::string& folder) {
    {
      const auto reader = storage::Reader::open(folder);
      decode_meta(reader->meta(), file);  // one of another version is refused by its name
      if (const auto begin = reader->begin()) result.begin = begin->icount;
      result.end = reader->covered_icount();
    }
    verify(folder, [&](const std::string& problem) {
      throw Fatal(fmt::format("{} holds no sound recording: {}", file, problem));
    });
  };
  const storage::TransferStats stats = storage::import_recording(file, path, store);
  result.events = stats.events;
  result.checkpoints = stats.checkpoints;
  result.file_bytes = stats.file_bytes;
  return result;
}

}  // namespace hindcast::replay
