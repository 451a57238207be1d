// info, events, verify and list: what they say about a recording whose content is known.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cli/guest.h"
#include "tests/cli/process.h"

namespace hindcast::cli_test {
namespace {

using Json = nlohmann::json;

class Reports : public ::testing::Test {
 protected:
  Reports() {
    write_file(folder / "serial.elf", serial_echo_program());
    Outcome outcome =
        hindcast({"record", "-o", recording, "-m", "64M", "--summary", folder / "serial.elf"}, "hi\x1b[q");
    EXPECT_EQ(outcome.status, 0) << outcome.describe();
    summary = outcome.err;
  }
  TempFolder folder;
  std::string recording = folder / "rec";
  std::string summary;
};

TEST_F(Reports, Info) {
  Json info = Json::parse(hindcast({"info", recording, "--json"}).out);
  for (const char* key : {"schema_version", "model_version", "build_id",     "machine",     "cpu",
                          "memory_bytes",   "smp",           "icount_shift", "semihosting", "append",
                          "guest_args",     "files",         "clean_close",  "icount",      "stop",
                          "exit_code",      "events",        "event_bytes",  "checkpoints", "pages",
                          "page_bytes",     "disk_bytes",    "state_hash",   "output_hash"})
    EXPECT_TRUE(info.contains(key)) << key;
  EXPECT_EQ(info["machine"], "virt");
  EXPECT_EQ(info["memory_bytes"], 64u << 20);
  EXPECT_EQ(info["smp"], 1);
  EXPECT_EQ(info["clean_close"], true);
  EXPECT_EQ(info["stop"], "guest-exit");
  EXPECT_EQ(info["exit_code"], 0);
  EXPECT_GE(info["events"], 1);
  ASSERT_EQ(info["files"].size(), 1u);
  EXPECT_EQ(info["files"][0]["role"], "kernel");
  EXPECT_EQ(info["files"][0]["size"], read_file(folder / "serial.elf").size());
  std::string icount = "icount " + std::to_string(info["icount"].get<std::uint64_t>()) + ",";
  EXPECT_NE(summary.find(icount), std::string::npos) << summary;
  EXPECT_NE(summary.find(info["state_hash"].get<std::string>()), std::string::npos) << summary;
  EXPECT_NE(summary.find(info["output_hash"].get<std::string>()), std::string::npos) << summary;

  std::string text = hindcast({"info", recording}).out;
  EXPECT_NE(text.find("virt"), std::string::npos);
  EXPECT_NE(text.find("exit code 0"), std::string::npos);
}

TEST_F(Reports, Events) {
  std::string keys;
  std::uint64_t last = 0;
  std::istringstream lines(hindcast({"events", recording, "--json", "--kind", "serial"}).out);
  for (std::string line; std::getline(lines, line);) {
    Json event = Json::parse(line);
    EXPECT_EQ(event["kind"], "serial");
    EXPECT_GE(event["icount"], last);
    last = event["icount"];
    std::string hex = event["data"];
    EXPECT_EQ(event["size"], hex.size() / 2);
    for (std::size_t i = 0; i < hex.size(); i += 2)
      keys += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  EXPECT_EQ(keys, "hi\x1b[q");

  std::string text = hindcast({"events", recording}).out;
  EXPECT_EQ(text.find('\x1b'), std::string::npos)
      << "a recording can type into the terminal of who looks at it";
  std::string after =
      hindcast({"events", recording, "--from", std::to_string(last + 1), "--kind", "serial"}).out;
  EXPECT_EQ(after, "");
  std::string until =
      hindcast({"events", recording, "--to", std::to_string(last - 1), "--kind", "serial"}).out;
  EXPECT_EQ(until.find("\"q\""), std::string::npos);
  EXPECT_NE(until.find("\"h"), std::string::npos) << until;
  EXPECT_EQ(hindcast({"events", recording, "--from", "x"}).status, 125);
}

TEST_F(Reports, Verify) {
  Outcome outcome = hindcast({"verify", recording});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.out, recording + ": sound\n");
  EXPECT_EQ(outcome.err, "");
}

TEST_F(Reports, ReportsLeaveTheRecordingAsItIs) {
  auto snapshot = [this] { return hindcast({"info", recording, "--json"}).out; };
  std::string before = snapshot();
  for (const char* command : {"info", "events", "verify", "replay"})
    EXPECT_EQ(hindcast({command, recording}).status, 0);
  EXPECT_EQ(snapshot(), before);
}

TEST_F(Reports, Lists) {
  EXPECT_NE(hindcast({"list", "machines"}).out.find("virt"), std::string::npos);
  EXPECT_NE(hindcast({"list", "cpus"}).out.find("rv32"), std::string::npos);
  EXPECT_NE(hindcast({"list", "devices"}).out.find("ns16550a"), std::string::npos);
  EXPECT_NE(hindcast({"list", "targets"}).out.find("riscv"), std::string::npos);
  EXPECT_NE(hindcast({"list", "plugins"}).out.find("howvec"), std::string::npos);
}

TEST_F(Reports, TheStatusLineNeedsATerminal) {
  write_file(folder / "counter", counter_program(200, 1'000'000));
  Outcome outcome = hindcast({"run", folder / "counter"});
  EXPECT_EQ(outcome.status, 5);
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(outcome.out, counter_text(200));
}

}  // namespace
}  // namespace hindcast::cli_test
