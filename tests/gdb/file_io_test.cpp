// Semihosting on gdb's host (File-I/O): with gdb itself, and with a client that answers as it likes.
#include "tests/case_name.h"
#include "tests/cli/guest.h"
#include "tests/gdb/server_fixture.h"

namespace hindcast::gdb {
namespace {

class FilesOfGdb : public RealGdb {
 protected:
  void write(const std::string& name, const std::string& data) { std::ofstream(folder_ / name) << data; }
  std::string read(const std::string& name) {
    std::ifstream in(folder_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
};

TEST_P(FilesOfGdb, AreTheGuestsAndAReplayNeedsNone) {
  if (!fs::exists(elf("files"))) GTEST_SKIP() << "no guest";
  std::string text;
  for (int i = 0; text.size() < 20'000; ++i) text += "line " + std::to_string(i) + '\n';
  text += std::string("\x03}#$*\0\xff", 7);  // what packets are made of
  write("in.txt", text);
  write("gone.txt", "");
  const std::string command = std::string(HINDCAST_COMMAND) + " debug --semihosting target=gdb -o " +
                              recording() + " " + elf("files") + " --gdb -nx -batch -ex continue";
  const std::string said =
      shell("sh -c " + quoted("cd " + folder_.string() + " && printf 'typed in gdb\\n' | " + command));
  const std::string console = "begin\ncopied " + std::to_string(text.size()) + " bytes\nread: typed in gdb\n";
  EXPECT_NE(said.find(console), std::string::npos) << said;
  EXPECT_NE(said.find("the guest ended the run with status 0"), std::string::npos) << said;
  EXPECT_TRUE(read("kept.txt") == text + text);
  EXPECT_FALSE(fs::exists(folder_ / "gone.txt") || fs::exists(folder_ / "out.txt"));
  fs::remove(folder_ / "in.txt");
  fs::remove(folder_ / "kept.txt");
  int status = -1;
  EXPECT_EQ(shell(std::string(HINDCAST_COMMAND) + " replay " + recording(), &status), console);
  EXPECT_EQ(status, 0);
  EXPECT_FALSE(fs::exists(folder_ / "kept.txt"));
}

INSTANTIATE_TEST_SUITE_P(Width, FilesOfGdb, testing::Values("rv64gc", "rv32gc", "cortex-m0", "cortex-m3"),
                         [](const auto& info) { return case_name(info.param); });

class FileIoServer : public ServerTest {
 protected:
  std::string echo() {
    std::ofstream(folder / "echo", std::ios::binary) << cli_test::echo_program();
    return folder / "echo";
  }
  /// The fields of a request, which must be of this call.
  static std::vector<u64> fields(const std::string& request, const std::string& call) {
    EXPECT_TRUE(request.starts_with(call + ',')) << request;
    std::vector<u64> out;
    std::istringstream in(request.substr(std::min(request.size(), call.size() + 1)));
    for (std::string part; std::getline(in, part, ',');) out.push_back(std::stoull(part, nullptr, 16));
    return out;
  }
  static std::string hex(u64 value) {
    std::ostringstream out;
    out << std::hex << value;
    return out.str();
  }
};

TEST_F(FileIoServer, TheConsoleIsReadAgainAfterCtrlC) {
  Child child({"record", "-o", rec(), listen(), "--wait", "--semihosting", "target=gdb", echo()}, folder);
  Client client(socket());
  EXPECT_TRUE(client.ask("?").starts_with("T05"));
  auto request = fields(client.ask("c"), "Fread");
  ASSERT_EQ(request.size(), 3u);
  EXPECT_EQ(request[0], 0u);
  EXPECT_TRUE(client.ask("F-1,4,C").starts_with("T02"));
  // The guest waits in its call, and can be looked at.
  EXPECT_NE(client.ask("p20"), "");
  request = fields(client.ask("c"), "Fread");
  ASSERT_EQ(request.size(), 3u);
  // Of the memory only the buffer can be seen now.
  EXPECT_EQ(client.ask("m0,4"), "E0e");
  EXPECT_EQ(client.ask("M" + hex(request[1] + request[2]) + ",1:00"), "E0e");
  EXPECT_EQ(client.ask("M" + hex(request[1]) + ",4:6162630a"), "OK");
  EXPECT_EQ(client.ask("m" + hex(request[1]) + ",2"), "6162");
  request = fields(client.ask("F4"), "Fread");
  EXPECT_TRUE(client.ask("F0").starts_with("T05"));
  client.say("k");
  child.wait();
  int status = -1;
  EXPECT_EQ(replayed(&status), "abc\n");
  EXPECT_EQ(status, 7);
}

TEST_F(FileIoServer, TheEndOrAnErrorEndsTheInput) {
  // The end; a bad descriptor; more than was asked for; numbers of any size; nothing.
  for (const char* reply : {"F0", "F-1,9", "F-1,270f", "F7fffffff", "F-8000000000000000", "F-1", "F"}) {
    Child child({"run", listen(), "--wait", "--semihosting", "target=gdb", echo()}, folder);
    Client client(socket());
    EXPECT_TRUE(client.ask("?").starts_with("T05"));
    fields(client.ask("c"), "Fread");
    // Interrupted: once more.
    fields(client.ask("F-1,4"), "Fread");
    EXPECT_TRUE(client.ask(reply).starts_with("T05")) << reply;
    client.say("k");
    child.wait();
    fs::remove(socket());
  }
}

TEST_F(FileIoServer, AClientMayGoInTheMiddle) {
  Child child({"run", listen(), "--wait", "--semihosting=target=gdb", echo()}, folder);
  {
    Client client(socket());
    EXPECT_TRUE(client.ask("?").starts_with("T05"));
    fields(client.ask("c"), "Fread");
  }
  Client client(socket());
  EXPECT_TRUE(client.ask("?").starts_with("T"));
  EXPECT_NE(child.err().find("the debugger has gone; the guest waits at icount"), std::string::npos)
      << child.err();
  const auto request = fields(client.ask("c"), "Fread");
  EXPECT_EQ(request.size(), 3u);
  // And the run can be ended then.
  child.signal(SIGTERM);
  EXPECT_EQ(child.wait(), 143) << child.err();
}

TEST_F(FileIoServer, ErrorsAreTheGuests) {
  Child child({"run", listen(), "--wait", "--semihosting=target=gdb", guest("files")}, folder);
  Client client(socket());
  EXPECT_TRUE(client.ask("?").starts_with("T05"));
  const std::string open = client.ask("c");
  ASSERT_TRUE(open.starts_with("Fopen,") && open.ends_with("/7,0,1b6")) << open;
  const std::string address = open.substr(6, open.find('/') - 6);
  EXPECT_EQ(client.ask("m" + address + ",7"), to_hex(std::string("in.txt\0", 7)));
  EXPECT_TRUE(client.ask("F-1,2").starts_with("T05"));
  client.say("k");
  child.wait();
}

TEST_F(FileIoServer, AutoIsNativeWithoutGdb) {
  std::ofstream(folder / "in.txt") << "some text\n";
  std::ofstream(folder / "gone.txt") << "";
  Child child(
      {"run", listen(), "--semihosting-config", "target=auto", "--semihost-root", folder, guest("files")},
      folder);
  child.type("typed\n");
  EXPECT_EQ(child.wait(), 0) << child.out() << child.err();
  EXPECT_TRUE(fs::exists(folder / "kept.txt"));
  int status = -1;
  const std::string said =
      shell(std::string(HINDCAST_COMMAND) + " run --semihosting=target=gdb " + guest("files"), &status);
  EXPECT_EQ(status, 125);
  EXPECT_NE(said.find("target=gdb needs a gdb"), std::string::npos) << said;
}

}  // namespace
}  // namespace hindcast::gdb
