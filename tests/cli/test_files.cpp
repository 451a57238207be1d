// Semihosting with host files, from outside: the folder is the limit, and a replay needs it no more.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "tests/cli/guest.h"
#include "tests/cli/process.h"

namespace hindcast::cli_test {
namespace {

namespace fs = std::filesystem;

class Files : public ::testing::Test {
 protected:
  Files() {
    fs::create_directory(root);
    for (int i = 0; i < 200; ++i) text += "line " + std::to_string(i) + "\n";
    write_file(root + "/in", text);
    write_file(folder / "secret", "secret");
  }
  std::string copier(const std::string& from, const std::string& to) {
    std::string path = folder / "image";
    write_file(path, copy_program(from, to));
    return path;
  }
  TempFolder folder;
  std::string root = folder / "root", recording = folder / "rec", text;
};

TEST_F(Files, ReadWrittenRecordedAndReplayedWithoutThem) {
  Outcome outcome = hindcast({"record", "-o", recording, "--semihost-root", root, copier("in", "out")});
  EXPECT_EQ(outcome.status, 0) << outcome.describe();
  EXPECT_EQ(outcome.out, text);
  EXPECT_EQ(read_file(root + "/out"), text);
  fs::remove_all(root);
  Outcome replay = hindcast({"replay", recording});
  EXPECT_EQ(replay.status, 0) << replay.describe();
  EXPECT_EQ(replay.out, text);
  EXPECT_FALSE(fs::exists(root)) << "a replay wrote to the host";
  EXPECT_EQ(hindcast({"replay", recording, "--engine=interp"}).out, text);
}

TEST_F(Files, NothingWithoutARoot) {
  EXPECT_EQ(hindcast({"run", copier("in", "out")}).status, 1);
  EXPECT_EQ(hindcast({"run", copier(root + "/in", "out")}).status, 1);
  EXPECT_EQ(hindcast({"run", "--semihosting=off", "--max-icount=10000", copier("in", "out")}).status, 124);
}

TEST_F(Files, NothingOutsideTheRoot) {
  for (const std::string& name : {std::string("../secret"), folder / "secret", std::string("/etc/passwd")}) {
    Outcome outcome = hindcast({"run", "--semihost-root", root, copier(name, "out")});
    EXPECT_EQ(outcome.status, 1) << name << outcome.describe();
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(hindcast({"run", "--semihost-root", root, copier("in", name)}).status, 2) << name;
  }
  EXPECT_EQ(read_file(folder / "secret"), "secret");
}

/// The first word of arg= is the program's name, as QEMU's option has it.
TEST_F(Files, WordsOfTheSemihostingOptionAreTheWholeCommandLine) {
  const std::string image = std::string(HINDCAST_GUEST_DIR) + "/kernels-rv64gc.elf";
  if (access(image.c_str(), R_OK) != 0) GTEST_SKIP() << "guest programs were not built";
  const Outcome behind = hindcast({"run", image, "--", "crc", "1"});
  EXPECT_EQ(behind.status, 0);
  EXPECT_NE(behind.out, "");
  EXPECT_EQ(hindcast({"run", "--semihosting=arg=kernels,arg=crc,arg=1", image}).out, behind.out);
  EXPECT_EQ(hindcast({"run", "--semihosting=arg=kernels,arg=crc", image, "--", "1"}).out, behind.out);
}

}  // namespace
}  // namespace hindcast::cli_test
