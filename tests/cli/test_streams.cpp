// What is connected to stdin and stdout, and what becomes of it.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "tests/cli/guest.h"
#include "tests/cli/process.h"

namespace hindcast::cli_test {
namespace {

class Streams : public ::testing::Test {
 protected:
  std::string program(const std::string& name, const std::string& elf) {
    write_file(folder / name, elf);
    return folder / name;
  }
  /// The recording is sound, was closed properly, and replays to `console` with `status`.
  void replays(const std::string& recording, const std::string& console, int status) {
    EXPECT_EQ(hindcast({"verify", recording}).status, 0);
    EXPECT_NE(hindcast({"info", recording, "--json"}).out.find("\"clean_close\": true"), std::string::npos);
    Outcome outcome = hindcast({"replay", recording});
    EXPECT_EQ(outcome.status, status) << outcome.describe();
    EXPECT_EQ(outcome.out, console);
  }
  TempFolder folder;
};

TEST_F(Streams, SemihostingEchoToTheEndOfInput) {
  std::string image = program("echo", echo_program()), recording = folder / "rec";
  std::string text;
  for (int i = 0; i < 3000; ++i) text += "line " + std::to_string(i) + "\n";
  Outcome run = hindcast({"run", image}, text);
  EXPECT_EQ(run.status, 7) << run.describe();
  EXPECT_EQ(run.out, text);
  Outcome record = hindcast({"record", "-o", recording, image}, text);
  EXPECT_EQ(record.status, 7) << record.describe();
  EXPECT_EQ(record.out, text);
  replays(recording, text, 7);
}

TEST_F(Streams, SemihostingTakesEveryByte) {
  std::string image = program("echo", echo_program());
  std::string bytes;
  for (int i = 0; i < 2048; ++i) bytes += static_cast<char>(i * 37 + i / 256);
  EXPECT_EQ(hindcast({"run", image}, bytes).out, bytes);
}

TEST_F(Streams, InputThatComesLate) {
  std::string image = program("echo", echo_program()), recording = folder / "rec";
  SpawnOptions options;
  options.input = Stream::Pipe;
  Process process({"record", "-o", recording, image}, options);
  for (const char* text : {"one\n", "two\n", "three\n"}) {
    process.write(text);
    ASSERT_TRUE(process.await(text)) << "what was typed is not shown before the next key";
  }
  process.close_input();
  Outcome outcome = process.finish();
  EXPECT_EQ(outcome.status, 7) << outcome.describe();
  EXPECT_EQ(outcome.out, "one\ntwo\nthree\n");
  replays(recording, "one\ntwo\nthree\n", 7);
}

TEST_F(Streams, TheSerialPortLosesNothing) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += static_cast<char>('A' + i % 26);
  text += 'q';
  SpawnOptions from_file;  // there from the beginning
  from_file.input_file = folder / "keys";
  write_file(from_file.input_file, text);
  for (bool fifo : {false, true}) {
    std::string image = program("serial", serial_echo_program(fifo)), recording = folder / "rec";
    Outcome outcome = hindcast({"record", "--force", "-o", recording, "--summary", image}, "", from_file);
    EXPECT_EQ(outcome.status, 0) << outcome.describe();
    EXPECT_EQ(outcome.out, text);
    replays(recording, text, 0);
    // A byte or a FIFO full of them is there when the last one has been taken, and the guest does not wait.
    const std::string::size_type at = outcome.err.find("icount ");
    ASSERT_NE(at, std::string::npos);
    EXPECT_LT(std::stoul(outcome.err.substr(at + 7)), 20 * text.size())
        << (fifo ? "with" : "without") << " FIFO";
    const std::string events = hindcast({"events", recording, "--kind", "serial"}).out;
    const auto lines = static_cast<std::size_t>(std::count(events.begin(), events.end(), '\n'));
    EXPECT_LE(lines, fifo ? text.size() / 16 + 100 : text.size());
  }
}

TEST_F(Streams, WhatIsTypedBeforeTheGuestLooksIsKept) {
  std::string image = program("boot", serial_boot_program()), recording = folder / "rec";
  SpawnOptions from_file;
  from_file.input_file = folder / "keys";
  write_file(from_file.input_file, "early keysq");
  const Outcome outcome = hindcast({"record", "-o", recording, image}, "", from_file);
  EXPECT_EQ(outcome.status, 0) << outcome.describe();
  EXPECT_EQ(outcome.out, "boot\nboot\nboot\nearly keysq");
  replays(recording, outcome.out, 0);
}

TEST_F(Streams, SerialToAFile) {
  std::string image = program("serial", serial_echo_program()), recording = folder / "rec";
  Outcome outcome = hindcast(
      {"record", "-o", recording, "--serial=file:" + (folder / "out"), "--max-icount=100000", image});
  EXPECT_EQ(outcome.status, 124) << outcome.describe();
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(read_file(folder / "out"), "");
  Outcome bad = hindcast({"run", "--serial=file:/no/such/folder/out", image});
  EXPECT_EQ(bad.status, 125) << bad.describe();
  EXPECT_TRUE(bad.one_line()) << bad.err;
}

TEST_F(Streams, SemihostingNeedsNoSerialPort) {
  const std::string recording = folder / "rec", file = "file:" + (folder / "out");
  for (const std::string& serial : {std::string("none"), file}) {
    Outcome outcome = hindcast({"run", "--serial", serial, program("some", counter_program(3, 1))});
    EXPECT_EQ(outcome.status, 5) << outcome.describe();
    EXPECT_EQ(outcome.out, counter_text(3)) << serial;
    outcome =
        hindcast({"record", "--force", "-o", recording, "--serial", serial, program("echo", echo_program())},
                 "a line\n");
    EXPECT_EQ(outcome.status, 7) << outcome.describe();
    EXPECT_EQ(outcome.out, "a line\n") << serial;
    replays(recording, "a line\n", 7);
  }
  // What the port prints is not semihosting's, and what is typed not the port's.
  const Outcome boot = hindcast({"record", "--force", "-o", recording, "--serial", file,
                                 "--max-icount=2000000", program("boot", serial_boot_program())},
                                "q");
  EXPECT_EQ(boot.status, 124) << boot.describe();
  EXPECT_EQ(boot.out, "");
  EXPECT_EQ(read_file(folder / "out"), "boot\nboot\nboot\n");
  replays(recording, "boot\nboot\nboot\n", 124);
}

TEST_F(Streams, ClosedStandardInput) {
  std::string echo = program("echo", echo_program()), recording = folder / "rec";
  SpawnOptions options;
  options.input = Stream::Closed;
  Outcome outcome = hindcast({"record", "-o", recording, echo}, "", options);
  EXPECT_EQ(outcome.status, 7) << outcome.describe();  // the end of input, at once
  replays(recording, "", 7);
}

TEST_F(Streams, ClosedStandardOutput) {
  std::string image = program("counter", counter_program(50, 1)), recording = folder / "rec";
  SpawnOptions options;
  options.output = Stream::Closed;
  Outcome outcome = hindcast({"record", "-o", recording, image}, "", options);
  EXPECT_EQ(outcome.signal, 0);
  EXPECT_TRUE(outcome.status == 5 || outcome.status == 125) << outcome.describe();
  if (outcome.status == 5) replays(recording, counter_text(50), 5);
  EXPECT_EQ(hindcast({"verify", recording}).status, 0);
}

TEST_F(Streams, TheReaderGoesAway) {
  std::string image = program("counter", counter_program(0, 1000)), recording = folder / "rec";
  Process process({"record", "-o", recording, image});
  ASSERT_TRUE(process.await("00000010\n"));
  process.close_output();
  Outcome outcome = process.finish();
  EXPECT_FALSE(outcome.timed_out) << "it ran on with nobody listening";
  EXPECT_EQ(outcome.signal, 0) << outcome.describe();
  EXPECT_TRUE(outcome.err.empty() || outcome.one_line()) << outcome.err;
  EXPECT_EQ(hindcast({"verify", recording}).status, 0);
  Outcome replay = hindcast({"replay", recording});
  EXPECT_TRUE(replay.out.starts_with(outcome.out)) << replay.describe();
}

TEST_F(Streams, AFullOutputIsAnError) {
  std::string image = program("counter", counter_program(100, 1));
  SpawnOptions options;
  options.output_file = "/dev/full";
  Outcome outcome = hindcast({"run", image}, "", options);
  EXPECT_EQ(outcome.status, 125) << outcome.describe();
  EXPECT_TRUE(outcome.one_line()) << outcome.err;
  for (const std::vector<std::string>& report :
       {std::vector<std::string>{"list", "devices"}, {"list", "cpus"}}) {
    Outcome full = hindcast(report, "", options);
    EXPECT_EQ(full.status, 125) << full.describe();
    EXPECT_TRUE(full.one_line()) << full.err;
  }
}

TEST_F(Streams, NorDoesOneThatRunsFreeOfItsDebuggerCrash) {
  const std::string boot = program("boot", serial_boot_program()), recording = folder / "rec";
  for (const std::string& command : {std::string("run"), std::string("record")}) {
    std::vector<std::string> arguments = {command,    "--listen",       "unix:" + (folder / "gdb"),
                                          "--serial", "file:/dev/full", boot};
    if (command == "record") arguments.insert(arguments.end() - 1, {"-o", recording});
    const Outcome outcome = hindcast(arguments);
    EXPECT_EQ(outcome.signal, 0) << outcome.describe();
    EXPECT_EQ(outcome.status, 125) << outcome.describe();
    EXPECT_NE(outcome.err.find("No space left"), std::string::npos) << outcome.err;
  }
  // How far the guest is when the loss is seen depends on the host's time.
  const Outcome replay = hindcast({"replay", recording});
  EXPECT_FALSE(replay.out.empty());
  EXPECT_TRUE(std::string("boot\nboot\nboot\n").starts_with(replay.out)) << replay.out;
  replays(recording, replay.out, 124);
}

TEST_F(Streams, ARecordingSurvivesAConsoleThatCannotBeWritten) {
  const std::string endless = program("endless", counter_program(0, 10)),
                    some = program("some", counter_program(3, 1));
  const std::string echo = program("echo", echo_program()), boot = program("boot", serial_boot_program());
  SpawnOptions full, open_input;
  full.output_file = "/dev/full";
  full.input = Stream::Pipe;
  open_input.input = Stream::Pipe;
  // The guest that runs on is stopped; the one that has ended by itself has; the one that would wait for more
  // input is not left to.
  const std::vector<std::pair<std::string, int>> guests = {
      {endless, 124}, {some, 5}, {echo, 124}, {boot, 124}};
  for (const auto& [image, status] : guests)
    for (const std::string serial : {"stdio", "file:/dev/full"}) {
      if (image != boot && serial != "stdio") continue;  // semihosting prints elsewhere
      const std::string recording = folder / "rec";
      Process process({"record", "--force", "-o", recording, "--serial", serial, image},
                      serial == "stdio" ? full : open_input);
      if (image == echo) process.write("a line\n");
      const Outcome outcome = process.finish();
      EXPECT_FALSE(outcome.timed_out) << image << " " << serial;
      EXPECT_EQ(outcome.status, 125) << image << " " << outcome.describe();
      EXPECT_TRUE(outcome.one_line()) << outcome.err;
      const Outcome replay = hindcast({"replay", recording});
      EXPECT_EQ(replay.status, status) << image << " " << replay.describe();
      if (image != endless && image != boot) {
        EXPECT_EQ(replay.out, image == some ? counter_text(3) : "a line\n");
      }
      replays(recording, replay.out, status);
      // A replay that cannot be shown is no success either.
      EXPECT_EQ(hindcast({"replay", recording}, "", full).status, 125);
    }
}

TEST_F(Streams, Signals) {
  struct Case {
    std::string image;
    bool prints;
  };
  for (const Case& c :
       {Case{program("counter", counter_program(0, 1000)), true},
        Case{program("spin", spin_program()), false}, Case{program("wait", wait_program()), false},
        Case{program("echo", echo_program()), false}}) {
    for (int number : {SIGINT, SIGTERM, SIGHUP}) {
      std::string recording = c.image + std::to_string(number) + ".rec";
      SpawnOptions options;
      options.input = Stream::Pipe;  // stays open, so that a waiting guest waits
      Process process({"record", "-o", recording, c.image}, options);
      if (c.prints)
        ASSERT_TRUE(process.await("00000010\n"));
      else
        ::usleep(150'000);
      process.signal(number);
      Outcome outcome = process.finish(Milliseconds(5000));
      EXPECT_FALSE(outcome.timed_out) << c.image << " does not end by signal " << number;
      EXPECT_EQ(outcome.status, 128 + number) << c.image << " " << outcome.describe();
      EXPECT_TRUE(outcome.err.empty() || outcome.one_line()) << outcome.err;
      replays(recording, outcome.out, 128 + number);
    }
  }
}

TEST_F(Streams, WhatIsStillBeingWrittenIsCalledSo) {
  std::string image = program("counter", counter_program(0, 1000)), recording = folder / "rec";
  Process recorder({"record", "-o", recording, image});
  ASSERT_TRUE(recorder.await("00000010\n"));
  const Outcome replay = hindcast({"replay", recording});
  EXPECT_EQ(replay.status, 124) << replay.describe();
  EXPECT_TRUE(replay.one_line()) << replay.err;
  EXPECT_NE(replay.err.find("still being written"), std::string::npos) << replay.err;
  EXPECT_NE(hindcast({"info", recording}).out.find("still being written"), std::string::npos);
  recorder.signal(SIGTERM);
  // Nobody read for a while: what did not fit into the pipe when the signal came was not printed.
  const Outcome outcome = recorder.finish(), whole = hindcast({"replay", recording});
  EXPECT_TRUE(whole.out.starts_with(replay.out)) << replay.out.size();
  EXPECT_TRUE(whole.out.starts_with(outcome.out)) << outcome.out.size();
  replays(recording, whole.out, 128 + SIGTERM);
}

TEST_F(Streams, ReplayReadsNoInputAndCanBeInterrupted) {
  std::string image = program("spin", spin_program()), recording = folder / "rec";
  ASSERT_EQ(
      hindcast({"record", "-o", recording, "--max-icount", "1000000000", "--checkpoints", "none", image})
          .status,
      124);
  Process process({"replay", recording});
  ::usleep(100'000);
  process.signal(SIGINT);
  Outcome outcome = process.finish(Milliseconds(5000));
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_TRUE(outcome.status == 130 || outcome.signal == SIGINT) << outcome.describe();
}

}  // namespace
}  // namespace hindcast::cli_test
