// Every bundled plugin on a Cortex-M: the same live, in both engines, in a replay and over the recording; and
// what they say makes sense there.
#include <filesystem>

#include "tests/case_name.h"
#include "tests/plugins/fixture.h"

namespace hindcast::plugin_test {
namespace {

namespace fs = std::filesystem;
using cli_test::hindcast;
using cli_test::read_file;

class Arm : public Plugins, public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    image_ = std::string(HINDCAST_GUEST_DIR) + "/" + GetParam() + ".elf";
    if (!fs::exists(image_)) GTEST_SKIP() << "guest programs were not built";
    if (image_.find("-m4") != std::string::npos) machine_ = {"--machine", "mps2-an386"};
    if (image_.find("-m7") != std::string::npos) machine_ = {"--machine", "mps2-an500"};
  }
  /// The arguments with the machine and the image behind them.
  Strings on_guest(Strings arguments) const {
    arguments.insert(arguments.end(), machine_.begin(), machine_.end());
    arguments.push_back(image_);
    return arguments;
  }
  Strings machine_;
  std::string image_;
};

/// With files named after `run`.
Strings all_plugins(const std::string& run) {
  Strings out;
  for (const std::string& plugin :
       {std::string("bb"), "bbv,interval=200,outfile=" + run + ".bbv", std::string("cache,l2=on"),
        std::string("cflow"), std::string("discons,abort=on"), "drcov,filename=" + run + ".drcov",
        std::string("empty"), std::string("execlog,reg=r?,reg=sp,reg=xpsr,afilter=0"),
        std::string("execlog,ifilter=bl,reg=lr"), std::string("hotblocks"), std::string("hotpages,io=on"),
        std::string("howvec"), std::string("howvec,count=branch,inline=on"), std::string("hwprofile"),
        std::string("inline"), std::string("insn,sizes=on,match=pop"),
        std::string("mem,inline=on,callback=on,region-summary=on"), std::string("syscall"),
        "uftrace,dir=" + run + ".uftrace"}) {
    out.emplace_back("-p");
    out.push_back(plugin);
  }
  return out;
}

TEST_P(Arm, TheSameEverywhere) {
  const std::string rec = folder / "rec";
  const Outcome plain = hindcast(on_guest({"record", "-o", rec, "--checkpoints", "every=20000"}));
  ASSERT_EQ(plain.status, 0) << plain.describe();
  const auto with = [&](const std::string& run, Strings before, const Strings& after) {
    const Strings plugins = all_plugins(folder / run);
    before.insert(before.end(), plugins.begin(), plugins.end());
    before.insert(before.end(), after.begin(), after.end());
    return log_of(before, 0);
  };
  const std::string live = with("live", {"run"}, on_guest({}));
  EXPECT_TRUE(with("interp", {"run", "--engine", "interp"}, on_guest({})) == live);
  EXPECT_TRUE(with("replay", {"replay"}, {rec}) == live);
  EXPECT_TRUE(with("slow", {"replay", "--engine", "interp"}, {rec}) == live);
  EXPECT_TRUE(with("analyze", {"analyze"}, {rec}) == live);
  for (const char* run : {"interp", "replay", "slow", "analyze"}) {
    for (const char* file : {".bbv.0.bb", ".drcov", ".uftrace/100.dat", ".uftrace/guest.sym", ".uftrace/info",
                             ".uftrace/task.txt"}) {
      const std::string want = read_file((folder / "live") + file);
      EXPECT_NE(want, "") << file;
      EXPECT_TRUE(read_file((folder / run) + file) == want) << run << file;
    }
  }
}

TEST_P(Arm, SaysWhatHappens) {
  const std::string classes = log_of(on_guest({"run", "-p", "howvec"}), 0);
  for (const char* name : {"Arithmetic", "Load", "Store", "Branch", "Move", "Compare"})
    EXPECT_NE(classes.find(std::string("Class: ") + name), std::string::npos) << classes;
  EXPECT_EQ(classes.find("Undefined"), std::string::npos) << classes;
  // A call sets lr to the address behind it, with the Thumb bit.
  const std::string calls = log_of(on_guest({"run", "-p", "execlog,ifilter=bl\t,ifilter=bl ,reg=lr"}), 0);
  EXPECT_NE(calls.find("lr -> 0x"), std::string::npos) << calls.substr(0, 2000);
  // Calls and returns pair up: the deepest call of hello's printf comes back, main is below.
  log_of(on_guest({"run", "-p", "uftrace,dir=" + (folder / "calls")}), 0);
  const std::string symbols = read_file((folder / "calls") + "/guest.sym");
  EXPECT_NE(symbols.find(" T main\n"), std::string::npos) << symbols;
  const std::string trace = read_file((folder / "calls") + "/100.dat");
  std::size_t entries = 0, exits = 0, deepest = 0;
  for (std::size_t at = 0; at + 16 <= trace.size(); at += 16) {
    const auto low = static_cast<unsigned char>(trace[at + 8]);
    const auto high = static_cast<unsigned char>(trace[at + 9]);
    (low & 3) == 0 ? ++entries : ++exits;
    deepest = std::max<std::size_t>(deepest, (low >> 6 | high << 2) & 0x3ff);
  }
  EXPECT_EQ(entries, exits);
  EXPECT_GT(entries, 10u);
  EXPECT_GT(deepest, 2u);
  EXPECT_LT(deepest, 40u);
  const std::string refused = hindcast(on_guest({"run", "-p", "execlog,reg=a0"})).err;
  EXPECT_NE(refused.find("there is no such register"), std::string::npos) << refused;
}

INSTANTIATE_TEST_SUITE_P(Firmware, Arm,
                         ::testing::Values("hello-cortex-m0", "hello-cortex-m4", "hello-cortex-m7"),
                         [](const auto& info) { return case_name(info.param); });

}  // namespace
}  // namespace hindcast::plugin_test
