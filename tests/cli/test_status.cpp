// Exit statuses and error lines: the table that scripts rely on.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/cli/guest.h"
#include "tests/cli/process.h"

namespace hindcast::cli_test {
namespace {

class Status : public ::testing::Test {
 protected:
  std::string program(const std::string& name, const std::string& elf) {
    write_file(folder / name, elf);
    return folder / name;
  }
  /// 125 and one line that mentions `word`, nothing on stdout.
  void refused(const std::vector<std::string>& arguments, const std::string& word,
               const SpawnOptions& options = {}) {
    Outcome outcome = hindcast(arguments, "", options);
    std::string line;
    for (const std::string& argument : arguments) line += argument + " ";
    EXPECT_EQ(outcome.status, 125) << line << outcome.describe();
    EXPECT_TRUE(outcome.one_line()) << line << outcome.err;
    EXPECT_NE(outcome.err.find(word), std::string::npos) << line << outcome.err;
    EXPECT_EQ(outcome.out, "") << line;
  }
  TempFolder folder;
};

/// A guest that waits for a timer centuries away is replayed as it was recorded.
TEST_F(Status, OfAGuestThatWaitsUntilTheEndOfTime) {
  Assembler a;
  a.li(a.t1, 1);
  a.slli(a.t1, a.t1, 56);  // mtimecmp, in 100 ns
  a.li(a.t2, 0x2004000);
  a.sd(a.t1, a.t2, 0);
  a.li(a.t1, 0x80);
  a.word(0x30431073);  // csrw mie, t1
  a.word(0x10500073);  // wfi
  a.li(a.t1, -1);
  a.sd(a.t1, a.t2, 0);
  a.word(0x10500073);  // for ever
  const std::string image = program("far", a.elf()), recording = folder / "rec";
  EXPECT_EQ(hindcast({"record", "-o", recording, image}).status, 124);
  for (const std::string engine : {"jit", "interp"}) {
    const Outcome outcome = hindcast({"replay", "--engine", engine, recording});
    EXPECT_EQ(outcome.status, 124) << outcome.describe();
  }
}

TEST_F(Status, TheGuestsOwn) {
  for (int code : {0, 1, 42, 124, 125, 255}) {
    std::string image = program("exit" + std::to_string(code), exit_program(code));
    std::string recording = folder / ("rec" + std::to_string(code));
    for (const std::vector<std::string>& arguments : {std::vector<std::string>{"run", image},
                                                      {"run", "--engine=interp", image},
                                                      {"record", "-o", recording, image},
                                                      {"replay", recording}}) {
      Outcome outcome = hindcast(arguments);
      EXPECT_EQ(outcome.status, code) << arguments[0] << " " << outcome.describe();
      EXPECT_EQ(outcome.out + outcome.err, "");
    }
  }
}

TEST_F(Status, StoppedByTheIcount) {
  std::string image = program("spin", spin_program()), recording = folder / "rec";
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"run", "--max-icount", "100000", image},
        {"record", "-o", recording, "--max-icount", "100000", image},
        {"replay", recording},
        {"replay", recording, "--until", "5000"}}) {
    std::vector<std::string> with_summary = arguments;
    with_summary.push_back("--summary");
    Outcome outcome = hindcast(with_summary);
    EXPECT_EQ(outcome.status, 124) << outcome.describe();
    std::string icount = arguments.back() == "5000" ? "icount 5000," : "icount 100000,";
    EXPECT_NE(outcome.err.find(icount), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
}

TEST_F(Status, AGuestThatWaitsForEver) {
  std::string image = program("wait", wait_program());
  Outcome outcome = hindcast({"run", "--serial", "none", image});
  EXPECT_EQ(outcome.status, 124) << outcome.describe();
  EXPECT_TRUE(outcome.one_line()) << outcome.err;
}

TEST_F(Status, AGuestThatIsLostSaysSo) {
  std::string image = program("lost", lost_program());
  for (const char* engine : {"jit", "interp"}) {
    Outcome outcome = hindcast({"run", "--engine", engine, "--max-icount", "200000", image});
    EXPECT_EQ(outcome.status, 124) << outcome.describe();
    EXPECT_EQ(outcome.out, "");
    EXPECT_TRUE(outcome.one_line()) << outcome.err;
    EXPECT_NE(outcome.err.find("same exception for ever"), std::string::npos) << outcome.err;
  }
}

TEST_F(Status, BadUsage) {
  std::string image = program("exit", exit_program(0));
  refused({}, "--help");
  refused({"frobnicate"}, "frobnicate");
  refused({"run"}, "IMAGE");
  refused({"run", "--no-such-option", image}, "--no-such-option");
  refused({"run", folder / "missing"}, "missing");
  refused({"run", folder.path()}, "regular");
  refused({"run", image, image}, image);
  refused({"run", "-M", "no-such-board", image}, "no-such-board");
  refused({"run", "--cpu", "no-such-cpu", image}, "no-such-cpu");
  refused({"run", "--smp", "0", image}, "--smp");
  refused({"run", "--smp", "x", image}, "--smp");
  for (const char* many : {"9", "1000", "4294967297"}) refused({"run", "--smp", many, image}, "1 to 8 CPUs");
  refused({"run", "-m", "lots", image}, "--memory");
  refused({"run", "-m", "0", image}, "--memory");
  refused({"run", "-m", "8191P", image}, "4 KiB to 512 GiB");
  refused({"run", "-m", "1B", image}, "4 KiB to 512 GiB");
  refused({"run", "-m", "99999999999999999999G", image}, "4 KiB to 512 GiB");
  refused({"run", "--icount-shift", "11", image}, "--icount-shift");
  refused({"run", "--engine", "fast", image}, "fast");
  refused({"run", "--code-cache", "1025M", image}, "1024M");
  refused({"run", "--pace", "slow", image}, "slow");
  refused({"run", "--serial", "rs232", image}, "rs232");
  refused({"run", "--serial", "tcp:", image}, "tcp");
  refused({"record", "-o", folder / "unmade", "--serial", "tcp:127.0.0.1:99999", image}, "99999");
  refused({"record", "-o", folder / "unmade", "--serial=file:/no/such/folder/out", image}, "/no/such");
  EXPECT_FALSE(std::filesystem::exists(folder / "unmade")) << "a run that never began has left a recording";
  refused({"run", "--load", image}, "ADDR");
  refused({"run", "--load", image + "@here", image}, "here");
  refused({"run", "--semihosting=target=gdb", image}, "gdb");
  refused({"run", "--semihosting=colour=red", image}, "colour");
  refused({"run", "--semihost-root", folder / "missing", image}, "missing");
  refused({"run", "--max-icount", "-1", image}, "--max-icount");
  refused({"run", "--bios", folder / "missing", "-M", "virt"}, "missing");
  refused({"record", image}, "--output");
  refused({"record", "-o", folder / "r", "--checkpoints", "often", image}, "often");
  refused({"replay", folder / "missing"}, "missing");
  refused({"info", folder / "missing"}, "missing");
  refused({"events", folder / "missing"}, "missing");
  refused({"verify", folder / "missing"}, "missing");
  refused({"list", "colours"}, "colours");
  refused({"run", "-D", "/no/such/folder/log", image}, "/no/such/folder/log");
  refused({"replay", folder / "r", "--", "x"}, "guest arguments");
}

TEST_F(Status, WhatIsNotInThisVersionIsRefusedByName) {
  std::string image = program("exit", exit_program(0));
  for (const char* option : {"--drive", "--net", "--sysroot"})
    refused({"run", image, std::string(option) + "=x"}, option);
}

TEST_F(Status, AnExistingRecordingIsRefused) {
  std::string image = program("exit", exit_program(3)), recording = folder / "rec";
  EXPECT_EQ(hindcast({"record", "-o", recording, image}).status, 3);
  refused({"record", "-o", recording, image}, "--force");
  EXPECT_EQ(hindcast({"replay", recording}).status, 3);
  image = program("exit", exit_program(4));
  EXPECT_EQ(hindcast({"record", "--force", "-o", recording, image}).status, 4);
  EXPECT_EQ(hindcast({"replay", recording}).status, 4);

  // --force replaces recordings, not whatever lies there.
  std::filesystem::create_directory(folder / "precious");
  write_file(folder / "precious/file", "data");
  refused({"record", "--force", "-o", folder / "precious", image}, "precious");
  EXPECT_EQ(read_file(folder / "precious/file"), "data");
  refused({"record", "--force", "-o", folder / "precious/file", image}, "precious");
  EXPECT_EQ(read_file(folder / "precious/file"), "data");
  refused({"record", "-o", folder / "no/such/folder", image}, "no/such");
}

TEST_F(Status, WhatDoesNotFitTheRecordingIsRefused) {
  std::string image = program("spin", spin_program()), recording = folder / "rec";
  ASSERT_EQ(hindcast({"record", "-o", recording, "--max-icount=5000", image}).status, 124);
  refused({"replay", recording, "--from-checkpoint=1000", "--until=999"}, "behind --until 999");
  EXPECT_EQ(hindcast({"replay", recording, "--from-checkpoint=999", "--until=999"}).status, 124);
  refused({"events", recording, "--kind", "keys"}, "semihost-console");
  EXPECT_EQ(hindcast({"events", recording, "--kind", "serial"}).status, 0);
}

TEST_F(Status, ARefusedRunLeavesTheFileOfItsConsoleAlone) {
  std::string image = program("exit", exit_program(0)), recording = folder / "rec";
  ASSERT_EQ(hindcast({"record", "-o", recording, image}).status, 0);
  write_file(folder / "console", "of an earlier run");
  refused({"record", "-o", recording, "--serial=file:" + (folder / "console"), image}, "--force");
  EXPECT_EQ(read_file(folder / "console"), "of an earlier run");
  EXPECT_EQ(hindcast({"run", "--serial=file:" + (folder / "console"), image}).status, 0);
  EXPECT_EQ(read_file(folder / "console"), "");
}

TEST_F(Status, RecordingsAreTheUsersOwn) {
  std::string image = program("exit", exit_program(0)), recording = folder / "rec";
  EXPECT_EQ(hindcast({"record", "-o", recording, image}).status, 0);
  struct stat info {};
  ASSERT_EQ(::stat(recording.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST_F(Status, VersionAndHelp) {
  Outcome version = hindcast({"--version"});
  EXPECT_EQ(version.status, 0);
  EXPECT_TRUE(version.out.starts_with("hindcast ")) << version.out;
  for (const char* command : {"run", "record", "replay", "info", "events", "verify", "list"}) {
    Outcome help = hindcast({command, "--help"});
    EXPECT_EQ(help.status, 0);
    EXPECT_NE(help.out.find("Usage"), std::string::npos);
    EXPECT_NE(help.out.find("128+N"), std::string::npos) << help.out;
  }
}

TEST_F(Status, MessagesGoToTheLogFile) {
  std::string image = program("spin", spin_program());
  Outcome outcome = hindcast({"run", "--max-icount=1000", "-D", folder / "log", "--summary", image});
  EXPECT_EQ(outcome.status, 124);
  EXPECT_EQ(outcome.err, "");
  std::string log = read_file(folder / "log");
  EXPECT_NE(log.find("icount 1000"), std::string::npos) << log;
}

}  // namespace
}  // namespace hindcast::cli_test
