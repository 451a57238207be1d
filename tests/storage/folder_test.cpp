// The folder: what is created, replaced, refused; read-only readers; locks; schema versions.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/storage/support.h"

namespace hindcast::storage::test {
namespace {

namespace fs = std::filesystem;

std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const StoreError& error) {
    return error.what();
  }
  return "no error";
}
std::string open_error(const std::string& path) {
  return error_of([&] { Reader::open(path); });
}
std::string create_error(const std::string& path, bool replace) {
  return error_of([&] { Writer::create(path, {}, {.replace = replace}); });
}
#define EXPECT_CONTAINS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

void make_recording(const std::string& path) {
  RandomRun run(path, 77);
  for (unsigned i = 0; i < 100; i++) run.step();
  run.close();
}

TEST(Folder, ExistingIsRefused) {
  TempFolder folder;
  make_recording(folder / "rec");
  const auto before = snapshot(folder / "rec");
  EXPECT_CONTAINS(create_error(folder / "rec", false), "exists already");
  EXPECT_EQ(snapshot(folder / "rec"), before);
  fs::create_directory(folder / "empty");
  EXPECT_CONTAINS(create_error(folder / "empty", false), "exists already");
  EXPECT_CONTAINS(create_error(folder / "no/such/place", false), "cannot create the folder");
}

TEST(Folder, ReplacesRecordingsOnly) {
  TempFolder folder;
  make_recording(folder / "rec");
  Writer::create(folder / "rec", {9}, {.replace = true})->close({});
  EXPECT_EQ(Reader::open(folder / "rec")->meta(), Bytes{9});

  fs::create_directory(folder / "mine");
  write_file(folder / "mine/CURRENT", "precious");
  EXPECT_CONTAINS(create_error(folder / "mine", true), "is not a recording");
  EXPECT_EQ(snapshot(folder / "mine").size(), 1u);

  write_file(folder / "file", "precious");
  EXPECT_CONTAINS(create_error(folder / "file", true), "file");
  EXPECT_TRUE(fs::is_regular_file(folder / "file"));

  for (const std::string name : {"notes.txt", "12.log.bak", "MANIFEST-", "sub"}) {
    make_recording(folder / "rec2");
    if (name == "sub") {
      fs::create_directory(folder / "rec2/sub");
    } else {
      write_file(folder / "rec2/" + name, "precious");
    }
    const auto count = std::distance(fs::directory_iterator(folder / "rec2"), {});
    EXPECT_CONTAINS(create_error(folder / "rec2", true), name);
    EXPECT_EQ(std::distance(fs::directory_iterator(folder / "rec2"), {}), count);
    fs::remove_all(folder / "rec2");
  }
  // A link to somebody's file, under a name of ours.
  make_recording(folder / "rec3");
  write_file(folder / "precious", "precious");
  fs::create_symlink(folder / "precious", folder / "rec3/999999.log");
  EXPECT_CONTAINS(create_error(folder / "rec3", true), "999999.log");
  EXPECT_TRUE(fs::exists(folder / "precious"));
}

TEST(Folder, UnfinishedOnesAreReplacedToo) {
  TempFolder folder;
  fs::create_directory(folder / "empty");
  Writer::create(folder / "empty", {}, {.replace = true})->close({});
  EXPECT_TRUE(Reader::open(folder / "empty")->end());
  fs::create_directory(folder / "marker");
  write_file(folder / "marker/RECORDING", "");
  Writer::create(folder / "marker", {}, {.replace = true})->close({});
  EXPECT_TRUE(Reader::open(folder / "marker")->end());
}

TEST(Folder, OneWriter) {
  TempFolder folder;
  auto writer = Writer::create(folder / "rec", {}, {});
  EXPECT_CONTAINS(create_error(folder / "rec", false), "exists already");
  EXPECT_CONTAINS(create_error(folder / "rec", true), "in use");
  writer->append(event_at(1, 0, {1}));
  writer->close({.icount = 2});
  {
    const auto reader = Reader::open(folder / "rec");
    EXPECT_CONTAINS(create_error(folder / "rec", true), "in use");
    EXPECT_EQ(read_events(*reader).size(), 1u);
  }
  Writer::create(folder / "rec", {}, {.replace = true})->close({});
}

TEST(Folder, NotRecordings) {
  TempFolder folder;
  EXPECT_CONTAINS(open_error(folder / "none"), "does not exist");
  write_file(folder / "file", "x");
  EXPECT_CONTAINS(open_error(folder / "file"), "not a recording");
  fs::create_directory(folder / "empty");  // what a recorder leaves that was killed at once
  EXPECT_CONTAINS(open_error(folder / "empty"), "cut short while being created");
  EXPECT_THROW(Reader::open(folder / "empty"), NeverBegun);
  fs::create_directory(folder / "other");
  write_file(folder / "other/x", "x");
  EXPECT_CONTAINS(open_error(folder / "other"), "not a recording");
}

TEST(Folder, CutShortWhileBeingCreated) {
  TempFolder folder;
  Writer::create(folder / "rec", {}, {})->close({});
  const std::string first_mark = snapshot(folder / "rec").at("RECORDING");
  fs::create_directory(folder / "a");
  write_file(folder / "a/RECORDING", "");
  EXPECT_CONTAINS(open_error(folder / "a"), "cut short while being created");
  // Only the first mark, which says that nothing is there yet, in place.
  write_file(folder / "a/RECORDING", first_mark.substr(0, 64) + std::string(128, '\0'));
  EXPECT_CONTAINS(open_error(folder / "a"), "cut short while being created");
}

TEST(Folder, OtherSchemasAreRefusedFirst) {
  TempFolder folder;
  make_recording(folder / "rec");
  std::string marker = snapshot(folder / "rec").at("RECORDING");
  marker.replace(marker.find("schema ") + 7, 1, "3");
  write_file(folder / "rec/RECORDING", marker);
  write_file(folder / "rec/CURRENT", "nonsense");  // what else there is must not matter
  EXPECT_CONTAINS(open_error(folder / "rec"),
                  "has schema 3, this program reads schemas 1 to 2: use a newer one");
}

TEST(Folder, NothingButPlainFiles) {
  TempFolder folder;
  make_recording(folder / "rec");
  const std::string current = folder / "rec/CURRENT";
  fs::remove(current);
  fs::create_symlink("/dev/zero", current);
  EXPECT_CONTAINS(open_error(folder / "rec"), "not a plain file");
  fs::remove(current);
  ASSERT_EQ(mkfifo(current.c_str(), 0600), 0);
  EXPECT_CONTAINS(open_error(folder / "rec"), "not a plain file");
  make_recording(folder / "rec2");
  fs::remove(folder / "rec2/RECORDING");
  ASSERT_EQ(mkfifo((folder / "rec2/RECORDING").c_str(), 0600), 0);
  EXPECT_CONTAINS(open_error(folder / "rec2"), "not a plain file");
}

/// Reading a sound, a killed and a damaged recording leaves every byte and every time stamp alone.
TEST(Folder, ReadersWriteNothing) {
  TempFolder folder;
  const std::string path = folder / "rec";
  for (const std::string kind : {"closed", "killed", "damaged"}) {
    SCOPED_TRACE(kind);
    fs::remove_all(path);
    {
      RandomRun run(path, 5);
      for (unsigned i = 0; i < 120; i++) run.step();
      if (kind == "closed") run.close();
    }
    for (const auto& [name, content] : snapshot(path)) {
      if (kind == "damaged" && name.ends_with(".log")) {
        write_file(path + "/" + name,
                   content.substr(0, content.size() / 2) + "x" + content.substr(content.size() / 2));
      }
      fs::permissions(path + "/" + name, fs::perms::owner_read);
    }
    fs::permissions(path, fs::perms::owner_read | fs::perms::owner_exec);
    const auto before = snapshot(path);
    std::map<std::string, fs::file_time_type> times;
    for (const auto& [name, content] : before) times[name] = fs::last_write_time(path + "/" + name);
    const auto folder_time = fs::last_write_time(path);
    const Contents found = read_all(path);
    EXPECT_EQ(found.sound, kind != "damaged");
    EXPECT_FALSE(found.model.events.empty());
    EXPECT_EQ(snapshot(path), before);
    for (const auto& [name, time] : times) EXPECT_EQ(fs::last_write_time(path + "/" + name), time) << name;
    EXPECT_EQ(fs::last_write_time(path), folder_time);
    fs::permissions(path, fs::perms::owner_all);
  }
}

}  // namespace
}  // namespace hindcast::storage::test
