// Recordings of every schema and model version: replayed, or refused with the reason. tests/corpus/README.md
// says what they are and how to add one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "tests/cli/process.h"

namespace hindcast::cli_test {
namespace {

namespace fs = std::filesystem;

struct Entry {
  std::string file, name;
  unsigned schema = 0, model = 0;
};

std::vector<Entry> corpus() {
  std::vector<Entry> out;
  for (const auto& file : fs::directory_iterator(HINDCAST_SOURCE_DIR "/tests/corpus")) {
    if (file.path().extension() != ".hindcast") continue;
    Entry entry{file.path(), file.path().stem()};
    if (std::sscanf(entry.name.c_str(), "schema%u-model%u-", &entry.schema, &entry.model) != 2)
      ADD_FAILURE() << entry.name << ": the name must begin with schemaN-modelN-";
    out.push_back(std::move(entry));
  }
  std::sort(out.begin(), out.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return out;
}

struct Versions {
  unsigned schema = 0, model = 0;
};

Versions of_this_build() {
  const std::string text = hindcast({"--version"}).out;
  Versions out;
  if (const std::size_t at = text.find("schema "); at != std::string::npos)
    std::sscanf(text.c_str() + at, "schema %u, model %u", &out.schema, &out.model);
  return out;
}

/// What the recording replays to; stderr comes last.
void expect_replays(const Entry& entry, const std::string& rec) {
  Outcome out = hindcast({"import", entry.file, rec});
  ASSERT_EQ(out.status, 0) << out.describe();
  out = hindcast({"replay", "--summary", rec});
  EXPECT_EQ(out.status, 0) << out.describe();
  EXPECT_EQ(out.out + out.err, read_file(fs::path(entry.file).replace_extension(".txt")));
  out = hindcast({"replay", "--summary", "--engine", "interp", rec});
  EXPECT_EQ(out.out + out.err, read_file(fs::path(entry.file).replace_extension(".txt")));
  EXPECT_EQ(hindcast({"verify", rec}).status, 0);
  const std::string versions =
      "schema " + std::to_string(entry.schema) + ", model " + std::to_string(entry.model) + ",";
  out = hindcast({"info", rec});
  EXPECT_NE(out.out.find(versions), std::string::npos) << out.out;
}

void expect_refused(const Entry& entry, const std::string& rec, const Versions& own) {
  const Outcome out = hindcast({"import", entry.file, rec});
  EXPECT_EQ(out.status, 125) << out.describe();
  EXPECT_TRUE(out.one_line()) << out.err;
  EXPECT_NE(out.err.find("recorded by model version " + std::to_string(entry.model) + ", this build has " +
                         std::to_string(own.model) + ": use the build that recorded it (0.1.0 "),
            std::string::npos)
      << out.err;
  EXPECT_FALSE(fs::exists(rec));
}

TEST(Corpus, GoesOnReplayingOrIsRefusedWithTheReason) {
  const std::vector<Entry> entries = corpus();
  ASSERT_GE(entries.size(), 6u);
  const Versions own = of_this_build();
  TempFolder folder;
  for (const Entry& entry : entries) {
    SCOPED_TRACE(entry.name);
    if (entry.model == own.model && entry.schema <= own.schema)
      expect_replays(entry, folder / entry.name);
    else
      expect_refused(entry, folder / entry.name, own);
  }
}

TEST(Corpus, HasRecordingsOfThisVersion) {
  const std::vector<Entry> entries = corpus();
  const Versions own = of_this_build();
  ASSERT_GE(own.schema, 1u);
  for (unsigned schema = 1; schema <= own.schema; ++schema)
    EXPECT_TRUE(
        std::any_of(entries.begin(), entries.end(),
                    [&](const Entry& entry) { return entry.schema == schema && entry.model == own.model; }))
        << "no recording of schema " << schema << ", model " << own.model
        << ": tests/corpus/README.md says how to add one";
}

}  // namespace
}  // namespace hindcast::cli_test
