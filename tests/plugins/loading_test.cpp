// What loads, what does not, and what becomes of plugins that misbehave.
#include <sys/stat.h>

#include "tests/plugins/fixture.h"

namespace hindcast::plugin_test {
namespace {

using cli_test::counter_program;
using cli_test::hindcast;
using cli_test::SpawnOptions;

using Versions = Plugins;

/// Each version says the same, alone and beside the others; in the order of loading.
TEST_F(Versions, AllLoad) {
  const std::string image = program("counter", counter_program(5, 100));
  Strings command = {"run"};
  std::string apart, expected;
  for (int version = 1; version <= 7; ++version) {
    const std::string plugin = loaded("version" + std::to_string(version));
    command.insert(command.end(), {"-p", plugin});
    const std::string line = log_of({"run", "-p", plugin, image}, 5);
    apart += line;
    const std::string rest = line.substr(std::min(line.size(), std::string("version 1").size()));
    if (version == 2) expected = rest;
    if (version == 1)
      EXPECT_GT(number_behind(line, "version 1: "), 100u) << line;
    else
      EXPECT_EQ(rest, expected) << "version " << version;
  }
  // The first has no registers, else it is the same.
  EXPECT_EQ(apart.substr(9, apart.find('\n') - 9), expected.substr(0, expected.rfind(' ')));
  command.push_back(image);
  EXPECT_EQ(log_of(command, 5), apart);
}

TEST_F(Versions, OnePluginTwice) {
  const std::string image = program("counter", counter_program(5, 100)), plugin = loaded("version7");
  const std::string once = log_of({"run", "-p", plugin, image}, 5);
  EXPECT_EQ(log_of({"run", "-p", plugin, "-p", plugin, image}, 5), once + once);
}

struct Bad {
  const char* plugin;  // after -p
  const char* says;
};

TEST_F(Versions, WhatDoesNotLoadSaysSoInOneLine) {
  const std::string image = program("counter", counter_program(5, 100));
  cli_test::write_file(folder / "text.so", "not a shared object");
  const std::string whole = cli_test::read_file(loaded("version7")), cut = folder / "cut.so";
  cli_test::write_file(cut, whole.substr(0, whole.size() / 2));
  const std::string fifo = folder / "fifo.so";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const std::pair<std::string, std::string> cases[] = {
      {"nonsense", "is none of the bundled ones (bb, "},
      {"insn,nonsense=1", "the option 'nonsense' is not known"},
      {"insn,inline=perhaps", "'inline=perhaps' makes no sense"},
      {"insn,=1", "has no name"},
      {"", "a name or a path is needed"},
      {folder / "missing.so", "there is no such file"},
      {folder / "text.so", "cannot be loaded"},
      {loaded("bad1"), "does not export qemu_plugin_version"},
      {loaded("bad2"), "version 99 of the plugin interface; versions 1 to 7 load here"},
      {loaded("bad3"), "does not export qemu_plugin_install"},
      {loaded("bad4"), "qemu_plugin_of_the_future"},
      {loaded("bad5"), "its installation returned 3"},
      {loaded("bad12"), "its qemu_plugin_install is not a function"},
      {loaded("bad15"), "its hindcast_plugin_segments lacks save"},
      {cut, "the file is cut short"},
      {fifo, "it is no file"},
  };
  for (const auto& [plugin, says] : cases) {
    const Outcome outcome = hindcast({"run", "-p", plugin, image});
    EXPECT_EQ(outcome.status, 125) << plugin << ": " << outcome.describe();
    EXPECT_EQ(outcome.out, "") << plugin;
    EXPECT_NE(outcome.err.find(says), std::string::npos) << plugin << ": " << outcome.describe();
    EXPECT_TRUE(outcome.one_line()) << plugin << ": " << outcome.describe();
  }
}

TEST_F(Versions, TheEnvironmentNamesOne) {
  const std::string image = program("counter", counter_program(5, 100));
  for (const char* variable : {"HINDCAST_PLUGIN", "QEMU_PLUGIN"}) {
    SpawnOptions options;
    options.environment = {std::string(variable) + "=file=insn,inline=on"};
    EXPECT_NE(hindcast({"run", image}, "", options).err.find("total insns: "), std::string::npos);
  }
}

using Misbehaving = Plugins;

/// One line says which plugin and what; what was recorded until then is sound and replays.
TEST_F(Misbehaving, TheRecordingIsUnharmed) {
  const std::string image = program("counter", counter_program(5, 100)), rec = folder / "rec";
  const std::pair<const char*, const char*> cases[] = {
      {"bad6", "crashed: a memory fault (SIGSEGV)"},
      {"bad7", "crashed: an abort (SIGABRT)"},
      {"bad8", "uses a counter that is in none of its scoreboards"},
      {"bad9", "asks for instruction 1000 of a block that has "},
      {"bad10", "crashed: a memory fault (SIGSEGV)"},
      {"bad11", "crashed: a trap (SIGTRAP)"},
      {"bad13", "ends the thread that runs the machine (pthread_exit)"},
  };
  for (const auto& [plugin, says] : cases) {
    const Outcome outcome = hindcast({"record", "--force", "-o", rec, "-p", loaded(plugin), image});
    EXPECT_EQ(outcome.status, 125) << plugin << ": " << outcome.describe();
    EXPECT_NE(outcome.err.find(says), std::string::npos) << plugin << ": " << outcome.describe();
    EXPECT_NE(outcome.err.find(plugin), std::string::npos) << outcome.describe();
    EXPECT_EQ(hindcast({"verify", rec}).status, 0) << plugin;
    const Outcome replayed = hindcast({"replay", rec});
    EXPECT_TRUE(replayed.status == 0 || replayed.status == 124) << plugin << ": " << replayed.describe();
    EXPECT_LE(lines_of(replayed.err).size(), 1u) << replayed.describe();
  }
  // What a plugin may mean to do: the run ends there, and its recording is whole.
  EXPECT_EQ(hindcast({"record", "--force", "-o", rec, "-p", loaded("bad14"), image}).status, 7);
  EXPECT_EQ(hindcast({"replay", rec}).status, 0);
}

}  // namespace
}  // namespace hindcast::plugin_test
