// export and import: what the command says, its statuses, and that nothing is left behind.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/cli/guest.h"
#include "tests/cli/process.h"

namespace hindcast::cli_test {
namespace {

namespace fs = std::filesystem;

/// Records counter_program(lines); the recording has checkpoints.
void record_counter(const TempFolder& folder, unsigned lines) {
  write_file(folder / "guest.elf", counter_program(lines, 200));
  const Outcome out =
      hindcast({"record", "-o", folder / "rec", "--checkpoints", "every=20000", folder / "guest.elf"});
  ASSERT_EQ(out.status, 5) << out.describe();
}

TEST(Export, MovesARecording) {
  TempFolder folder;
  record_counter(folder, 60);
  Outcome out = hindcast({"export", folder / "rec", folder / "file"});
  EXPECT_EQ(out.status, 0) << out.describe();
  EXPECT_EQ(out.out, "");
  EXPECT_TRUE(out.one_line()) << out.err;
  EXPECT_LT(fs::file_size(folder / "file"), 30'000u);
  // Nothing else is needed any more.
  fs::remove_all(folder / "rec");
  fs::remove(folder / "guest.elf");
  out = hindcast({"import", folder / "file", folder / "again"});
  EXPECT_EQ(out.status, 0) << out.describe();
  EXPECT_TRUE(out.one_line()) << out.err;
  out = hindcast({"replay", folder / "again"});
  EXPECT_EQ(out.status, 5) << out.describe();
  EXPECT_EQ(out.out, counter_text(60));
  EXPECT_EQ(hindcast({"verify", folder / "again"}).status, 0);
}

TEST(Export, MovesAPart) {
  TempFolder folder;
  record_counter(folder, 200);
  Outcome out = hindcast({"export", folder / "rec", folder / "file", "--from=45000", "--to", "70000"});
  EXPECT_EQ(out.status, 0) << out.describe();
  EXPECT_NE(out.err.find("icount 40000 to 70000"), std::string::npos) << out.err;
  EXPECT_EQ(hindcast({"import", folder / "file", folder / "part"}).status, 0);
  const Outcome part = hindcast({"replay", folder / "part", "--summary"});
  EXPECT_EQ(part.status, 124) << part.describe();
  const Outcome whole = hindcast({"replay", folder / "rec", "--summary", "--until", "70000"});
  EXPECT_EQ(part.err, whole.err);  // icount, state and output hashes
  EXPECT_FALSE(part.out.empty());
  EXPECT_TRUE(whole.out.ends_with(part.out));
  EXPECT_LT(part.out.size(), whole.out.size());
  out = hindcast({"info", folder / "part"});
  EXPECT_NE(out.out.find("70000 (begins at 40000)"), std::string::npos) << out.out;
  EXPECT_EQ(hindcast({"verify", folder / "part"}).status, 0);
  EXPECT_EQ(hindcast({"compare", folder / "rec", folder / "part"}).status, 1);  // other lengths
  out = hindcast({"events", folder / "part", "--kind", "checkpoint"});
  EXPECT_EQ(out.status, 0);
  EXPECT_NE(out.out.find("60000"), std::string::npos) << out.out;
  EXPECT_EQ(out.out.find("20000"), std::string::npos) << out.out;
}

TEST(Export, RefusesInOneLine) {
  TempFolder folder;
  record_counter(folder, 20);
  ASSERT_EQ(hindcast({"export", folder / "rec", folder / "file"}).status, 0);
  write_file(folder / "precious", "text");
  const auto refused = [&](const std::vector<std::string>& arguments, const std::string& why) {
    const Outcome out = hindcast(arguments);
    EXPECT_EQ(out.status, 125) << out.describe();
    EXPECT_TRUE(out.one_line()) << out.err;
    EXPECT_NE(out.err.find(why), std::string::npos) << out.err;
  };
  refused({"export", folder / "none", folder / "new"}, "does not exist");
  refused({"export", folder / "rec", folder / "precious"}, "is no export: not replaced");
  refused({"export", folder / "rec", folder / "new", "--from", "20", "--to", "10"}, "lies behind --to");
  refused({"export", folder / "rec", folder / "new", "--from", "x"}, "not a number");
  refused({"export", folder / "rec"}, "FILE");
  refused({"import", folder / "none", folder / "new"}, "cannot be read");
  refused({"import", folder / "precious", folder / "new"}, "is not an export of hindcast");
  refused({"import", folder / "rec", folder / "new"}, "is not an export");
  refused({"import", folder / "file", folder / "rec"}, "exists already");
  refused({"import", folder / "file", folder / "new", "--limit", "2K"}, "higher --limit");
  refused({"import", folder / "file", folder / "new", "--limit", "0"}, "--limit");
  std::string file = read_file(folder / "file");
  write_file(folder / "cut", file.substr(0, file.size() - 1));
  refused({"import", folder / "cut", folder / "new"}, "it was cut off");
  file[file.size() / 2] ^= 0x10;
  write_file(folder / "damaged", file);
  refused({"import", folder / "damaged", folder / "new"}, "is damaged in its section at byte");
  SpawnOptions no_room;
  no_room.file_size_limit = 500;
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"export", folder / "rec", folder / "new"},
        std::vector<std::string>{"import", folder / "file", folder / "new"}}) {
    const Outcome out = hindcast(arguments, "", no_room);
    EXPECT_EQ(out.status, 125) << out.describe();
    EXPECT_TRUE(out.one_line()) << out.err;
  }
  unsigned entries = 0;
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    EXPECT_EQ(entry.path().filename().string().find("new"), std::string::npos) << entry.path();
    entries++;
  }
  EXPECT_EQ(entries, 6u);  // guest.elf, rec, file, precious, cut, damaged
  EXPECT_EQ(read_file(folder / "precious"), "text");
}

TEST(Export, ADamagedRecordingIsNotExportedBeyondTheDamage) {
  TempFolder folder;
  record_counter(folder, 20);
  for (const auto& entry : fs::directory_iterator(folder / "rec")) {
    std::string name = entry.path().filename();
    if (!name.ends_with(".log")) continue;
    std::string log = read_file(entry.path());
    log[log.size() * 9 / 10] ^= 1;
    write_file(entry.path(), log);
  }
  const Outcome out = hindcast({"export", folder / "rec", folder / "file"});
  EXPECT_EQ(out.status, 125) << out.describe();
  EXPECT_TRUE(out.one_line()) << out.err;
  EXPECT_FALSE(fs::exists(folder / "file"));
}

}  // namespace
}  // namespace hindcast::cli_test
