// Exports: what goes in comes out; what is not as it was written is refused, and leaves nothing.
#include "storage/transfer.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "storage/bundle.h"
#include "storage/codec.h"
#include "tests/storage/support.h"

namespace hindcast::storage::test {
namespace {

namespace fs = std::filesystem;

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

ExportCut whole(const Reader& reader) {
  ExportCut cut;
  cut.covered_icount = reader.covered_icount();
  cut.end = reader.end();
  return cut;
}

/// A recording, its model, and its export.
struct Exported {
  explicit Exported(u64 seed, unsigned steps, bool close = true) : run(folder / "rec", seed) {
    for (unsigned i = 0; i < steps; i++) run.step();
    run.writer().flush(run.model.covered);
    run.model.events.insert(run.model.events.end(), run.pending.begin(), run.pending.end());
    run.model.covered =
        std::max(run.model.covered, run.model.events.empty() ? 0 : run.model.events.back().icount);
    run.pending.clear();
    if (close)
      run.close();
    else
      run.writer().close_failed();
    const auto reader = Reader::open(folder / "rec");
    run.model.covered = reader->covered_icount();
    stats = export_recording(*reader, whole(*reader), folder / "file", {});
  }
  TempFolder folder;
  RandomRun run;
  TransferStats stats;
};

/// What import says; empty if it takes the file.
std::string import_error(const TempFolder& folder, const std::string& file, ImportOptions options = {}) {
  std::string error;
  try {
    import_recording(folder / file, folder / "imported", options);
  } catch (const StoreError& problem) {
    error = problem.what();
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
    EXPECT_FALSE(fs::exists(folder / "imported"));
  }
  for (const auto& entry : fs::directory_iterator(folder / "."))
    EXPECT_EQ(entry.path().string().find(".import-"), std::string::npos) << entry.path();
  fs::remove_all(folder / "imported");
  return error;
}

/// The sections of an export, unpacked.
std::vector<std::pair<Section, Bytes>> sections_of(const std::string& file) {
  std::vector<std::pair<Section, Bytes>> out;
  BundleReader in(file, 0);
  do {
    Bytes raw;
    const Section section = in.next(raw);
    out.emplace_back(section, raw);
  } while (out.back().first != Section::Tail);
  return out;
}

TEST(Transfer, WhatGoesInComesOut) {
  for (u64 seed = 0; seed < 8; seed++) {
    SCOPED_TRACE(seed);
    Exported exported(seed, 400, seed % 2 == 0);
    const TransferStats stats = import_recording(exported.folder / "file", exported.folder / "again", {});
    EXPECT_EQ(stats.events, exported.run.model.events.size());
    EXPECT_EQ(stats.checkpoints, exported.run.model.checkpoints.size());
    EXPECT_EQ(stats.files, exported.run.model.blobs.size());
    EXPECT_EQ(stats.file_bytes, fs::file_size(exported.folder / "file"));
    const auto reader = Reader::open(exported.folder / "again");
    EXPECT_EQ(reader->schema(), kPlainSchema);
    // Of the model's pages, those that a checkpoint needs; all are needed here.
    expect_equal(*reader, exported.run.model);
    EXPECT_EQ(fs::status(exported.folder / "again").permissions(), fs::perms::owner_all);
    // And the same file once more.
    export_recording(*reader, whole(*reader), exported.folder / "file2", {});
    EXPECT_EQ(read_file(exported.folder / "file2"), read_file(exported.folder / "file"));
  }
}

TEST(Transfer, APartBeginsAtItsCheckpoint) {
  Exported exported(3, 700);
  const Model& model = exported.run.model;
  const auto reader = Reader::open(exported.folder / "rec");
  ASSERT_GE(model.checkpoints.size(), 4u);
  ExportCut cut = whole(*reader);
  cut.begin = reader->checkpoints()[2];
  cut.built_icount = model.events[1].icount;
  cut.built_seq = model.events[1].seq + 1;  // as if two events had come before the first instruction
  for (const bool checkpoints : {true, false}) {
    cut.checkpoints = checkpoints;
    const std::string name = checkpoints ? "all" : "one";
    export_recording(*reader, cut, exported.folder / "part", {});
    import_recording(exported.folder / "part", exported.folder / name, {});
    const auto part = Reader::open(exported.folder / name);
    Model expected = model;
    expected.begin = cut.begin;
    expected.checkpoints.erase(expected.checkpoints.begin(), expected.checkpoints.begin() + 2);
    if (!checkpoints) expected.checkpoints.resize(1);
    expected.pages.clear();
    expected.events.clear();
    for (std::size_t i = 0; i < model.events.size(); i++)
      if (i < 2 || std::pair(model.events[i].icount, model.events[i].seq) >=
                       std::pair(cut.begin->icount, cut.begin->seq))
        expected.events.push_back(model.events[i]);
    expect_equal(*part, expected);
    EXPECT_EQ(part->schema(), kSegmentedSchema);
  }
  EXPECT_LT(fs::file_size(exported.folder / "part"), fs::file_size(exported.folder / "file"));
  // A part of a part.
  const auto part = Reader::open(exported.folder / "all");
  ExportCut again = whole(*part);
  again.begin = part->checkpoints()[1];
  again.built_icount = cut.built_icount;
  again.built_seq = cut.built_seq;
  export_recording(*part, again, exported.folder / "part", {});
  import_recording(exported.folder / "part", exported.folder / "less", {});
  EXPECT_EQ(Reader::open(exported.folder / "less")->begin()->icount, again.begin->icount);
}

TEST(Transfer, DamagedFilesAreRefused) {
  Exported exported(1, 300);
  const std::string file = read_file(exported.folder / "file");
  std::mt19937_64 random(11);
  const auto refused = [&](const std::string& changed) {
    write_file(exported.folder / "changed", changed);
    const std::string error = import_error(exported.folder, "changed");
    EXPECT_NE(error.find(exported.folder / "changed"), std::string::npos) << error;
  };
  for (unsigned i = 0; i < 300; i++) {
    std::string changed = file;
    changed[random() % file.size()] ^= static_cast<char>(1u << random() % 8);
    refused(changed);
  }
  for (unsigned i = 0; i < 60; i++) refused(file.substr(0, random() % file.size()));
  refused(file + "x");
  refused(file + file);
  refused(file.substr(0, 64) + file.substr(65));
  refused("");
}

TEST(Transfer, WhatAHostileWriterWouldMakeIsRefusedOrSound) {
  Exported exported(2, 200);
  const auto sections = sections_of(exported.folder / "file");
  std::mt19937_64 random(5);
  unsigned taken = 0;
  for (unsigned i = 0; i < 150; i++) {
    auto changed = sections;
    const std::size_t which = random() % changed.size();
    Bytes& raw = changed[which].second;
    switch (random() % 6) {
      case 0: changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(which)); break;
      case 1: std::swap(changed[which], changed[random() % changed.size()]); break;
      case 2: changed.insert(changed.begin() + static_cast<std::ptrdiff_t>(which), changed[which]); break;
      case 3: raw.resize(random() % (raw.size() + 10)); break;
      default:
        for (unsigned bits = 1 + random() % 3; bits > 0 && !raw.empty(); bits--)
          raw[random() % raw.size()] ^= static_cast<u8>(1u << random() % 8);
    }
    fs::remove(exported.folder / "changed");
    {
      BundleWriter out(exported.folder / "changed");
      for (const auto& [section, bytes] : changed) out.put(section, bytes);
      out.finish();
    }
    ImportOptions options;
    options.accept = [&](const std::string& folder) {
      taken++;
      EXPECT_TRUE(Reader::open(folder)->verify([](const std::string& line) { ADD_FAILURE() << line; }));
    };
    import_error(exported.folder, "changed", options);
  }
  // Meta and file contents have no meaning here, so changes of them are as good as others.
  EXPECT_LT(taken, 75u);
}

TEST(Transfer, BombsAreRefusedBeforeTheyUnpack) {
  TempFolder folder;
  {
    BundleWriter out(folder / "bomb");
    const Bytes zeros(kMaxSection);
    for (unsigned i = 0; i < 3; i++) out.put(Section::Pages, zeros);
    out.finish();
  }
  EXPECT_LT(fs::file_size(folder / "bomb"), 1u << 20);
  EXPECT_NE(import_error(folder, "bomb").find("would unpack to more than the limit of"), std::string::npos);
  // A size in a frame that the header does not allow for.
  std::string lie = read_file(folder / "bomb");
  std::string header = lie.substr(0, 40);
  put_le64(header, 1000);
  header += lie.substr(48, 8);
  put_le64(header, hash64(header, 0));
  write_file(folder / "lie", header + lie.substr(64));
  EXPECT_NE(import_error(folder, "lie").find("its size is impossible"), std::string::npos);

  Exported exported(4, 300);
  ImportOptions options;
  options.limit = 5000;
  EXPECT_NE(import_error(exported.folder, "file", options).find("higher --limit"), std::string::npos);
}

TEST(Transfer, NothingIsReplacedByMistake) {
  Exported exported(6, 50);
  const auto reader = Reader::open(exported.folder / "rec");
  const ExportCut cut = whole(*reader);
  write_file(exported.folder / "precious", "text");
  EXPECT_THROW(export_recording(*reader, cut, exported.folder / "precious", {}), StoreError);
  EXPECT_EQ(read_file(exported.folder / "precious"), "text");
  EXPECT_THROW(export_recording(*reader, cut, "/dev/null", {}), StoreError);
  EXPECT_THROW(export_recording(*reader, cut, exported.folder / "rec", {}), StoreError);
  EXPECT_THROW(export_recording(*reader, cut, exported.folder / "nowhere/file", {}), StoreError);
  write_file(exported.folder / "empty", "");
  export_recording(*reader, cut, exported.folder / "empty", {});
  export_recording(*reader, cut, exported.folder / "empty", {});  // by now an export
  EXPECT_EQ(read_file(exported.folder / "empty"), read_file(exported.folder / "file"));
  EXPECT_THROW(import_recording(exported.folder / "file", exported.folder / "rec", {}), StoreError);
  EXPECT_THROW(import_recording(exported.folder / "rec", exported.folder / "new", {}), StoreError);
  EXPECT_THROW(import_recording(exported.folder / "none", exported.folder / "new", {}), StoreError);
  // One that is stopped half way leaves nothing.
  const auto stop = [](u64) { throw StoreError("enough"); };
  Exported longer(3, 700);
  const auto other = Reader::open(longer.folder / "rec");
  EXPECT_THROW(export_recording(*other, whole(*other), longer.folder / "stopped", stop), StoreError);
  ImportOptions options;
  options.progress = stop;
  EXPECT_EQ(import_error(longer.folder, "file", options), "enough");
  unsigned files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(longer.folder / ".")) files++;
  EXPECT_EQ(files, 2u);
}

}  // namespace
}  // namespace hindcast::storage::test
