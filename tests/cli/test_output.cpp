// Messages and reports that nobody can read: stderr, stdout and the log file on a full disk, closed, or with
// their reader gone.
#include <gtest/gtest.h>

#include "tests/cli/guest.h"
#include "tests/cli/process.h"

namespace hindcast::cli_test {
namespace {

class Output : public ::testing::Test {
 protected:
  std::string program(const std::string& name, const std::string& elf) {
    write_file(folder / name, elf);
    return folder / name;
  }
  TempFolder folder;
};

struct Case {
  std::vector<std::string> arguments;
  int status;
};

TEST_F(Output, MessagesThatCannotBeWrittenChangeNoStatus) {
  const std::string spin = program("spin", spin_program()), wait = program("wait", wait_program());
  const std::string a = folder / "a", b = folder / "b", cut = folder / "cut", damaged = folder / "damaged";
  ASSERT_EQ(hindcast({"record", "-o", a, "--max-icount=5000", spin}).status, 124);
  ASSERT_EQ(hindcast({"record", "-o", b, program("exit", exit_program(3))}).status, 3);
  write_file(damaged, "not a recording");
  const std::vector<Case> cases = {
      {{"run", "--max-icount=1000", "--summary", spin}, 124},
      {{"run", "--serial=none", wait}, 124},
      {{"record", "-o", folder / "c", "--force", "--summary", program("exit7", exit_program(7))}, 7},
      {{"run", folder / "missing"}, 125},
      {{"replay", "--summary", b}, 3},
      {{"replay", "--until=100", "--summary", a}, 124},
      {{"info", a}, 0},
      {{"events", a}, 0},
      {{"verify", a}, 0},
      {{"verify", damaged}, 125},
      {{"list", "machines"}, 0},
      {{"compare", a, a}, 0},
      {{"compare", a, b}, 1},
      {{"index", "--every=1000", a}, 0},
      {{"debug", folder / "missing"}, 125},
      {{"bogus"}, 125},
      {{"run", "--bogus", spin}, 125},
      {{"--help"}, 0},
      {{"--version"}, 0},
      {{}, 125},
  };
  SpawnOptions full, closed;
  full.error_file = "/dev/full";
  closed.error = Stream::Closed;
  for (const Case& c : cases) {
    std::string line;
    for (const std::string& argument : c.arguments) line += argument + " ";
    EXPECT_EQ(hindcast(c.arguments, "", full).status, c.status) << line << "2>/dev/full";
    EXPECT_EQ(hindcast(c.arguments, "", closed).status, c.status) << line << "2>&-";
    Process unread(c.arguments);
    unread.close_error();
    const Outcome outcome = unread.finish();
    EXPECT_EQ(outcome.status, c.status) << line << "2> >(true)";
    EXPECT_EQ(outcome.signal, 0) << line << "2> >(true)";
  }
}

TEST_F(Output, ReportsThatCannotBeWrittenAreNoSuccess) {
  const std::string image = program("exit", exit_program(0)), recording = folder / "rec";
  ASSERT_EQ(hindcast({"record", "-o", recording, image}).status, 0);
  SpawnOptions full;
  full.output_file = "/dev/full";
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"--help"},
                                                    {"--version"},
                                                    {"run", "--help"},
                                                    {"info", recording},
                                                    {"info", "--json", recording},
                                                    {"verify", recording},
                                                    {"list", "machines"},
                                                    {"compare", recording, recording},
                                                    {"compare", "--json", recording, recording}}) {
    Outcome outcome = hindcast(arguments, "", full);
    EXPECT_EQ(outcome.status, 125) << arguments[0] << " " << outcome.describe();
    EXPECT_TRUE(outcome.one_line()) << arguments[0] << " " << outcome.err;
    // Whose reader has gone away had one that needed no more.
    Process unread(arguments);
    unread.close_output();
    outcome = unread.finish();
    EXPECT_EQ(outcome.status, 0) << arguments[0] << " " << outcome.describe();
    EXPECT_EQ(outcome.err, "") << arguments[0];
  }
}

TEST_F(Output, ALogThatCannotBeWrittenIsReportedAtTheEnd) {
  const std::string image = program("exit", exit_program(3)), recording = folder / "rec";
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"run", image}, {"record", "-o", recording, image}, {"replay", recording}}) {
    std::vector<std::string> with_log = arguments;
    with_log.insert(with_log.end(), {"--summary", "-D", "/dev/full"});
    const Outcome outcome = hindcast(with_log);
    EXPECT_EQ(outcome.status, 125) << arguments[0] << " " << outcome.describe();
    EXPECT_TRUE(outcome.one_line()) << outcome.err;
    EXPECT_NE(outcome.err.find("/dev/full"), std::string::npos) << outcome.err;
    // A log with nothing to say in it lacks nothing.
    with_log.erase(with_log.end() - 3);
    if (arguments[0] == "record") with_log.push_back("--force");
    EXPECT_EQ(hindcast(with_log).status, 3) << arguments[0];
  }
  EXPECT_EQ(hindcast({"replay", recording}).status, 3);
}

}  // namespace
}  // namespace hindcast::cli_test
