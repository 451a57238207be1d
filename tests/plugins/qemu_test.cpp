// QEMU's own plugins here, and what QEMU itself says of the same program. Needs folders that
// scripts/qemu-plugins has made: those that scripts/test leaves in the build folder, or the ones named in
// HINDCAST_QEMU_PLUGINS (separated by ':'). The comparison also needs qemu-system-riscv64, of the interface
// version of one of them.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "tests/plugins/fixture.h"

namespace hindcast::plugin_test {
namespace {

using cli_test::hindcast;
using cli_test::read_file;

class Qemu : public Plugins {
 protected:
  void SetUp() override {
    find_folders();
    if (folders.empty()) {
      const std::string reason = read_file(kBuilt / "not-built");
      GTEST_SKIP() << (reason.empty() ? "scripts/qemu-plugins has built nothing" : reason);
    }
    // Both must tell the guest the same name.
    image = folder / "guest";
    const std::string built = HINDCAST_GUEST_DIR "/kernels-rv64gc.elf";
    if (!std::filesystem::exists(built)) GTEST_SKIP() << "guest programs were not built";
    cli_test::write_file(image, read_file(built));
  }
  void find_folders() {
    namespace fs = std::filesystem;
    if (const char* value = std::getenv("HINDCAST_QEMU_PLUGINS")) {
      std::istringstream in(value);
      for (std::string part; std::getline(in, part, ':');) folders.push_back(part);
    } else if (fs::exists(kBuilt)) {
      for (const auto& entry : fs::directory_iterator(kBuilt))
        if (fs::exists(entry.path() / "complete")) folders.push_back(entry.path());
      std::sort(folders.begin(), folders.end());
    }
  }
  /// What QEMU writes with this plugin; empty if it does not load it.
  std::string in_qemu(const std::string& plugin) const {
    const std::string log = folder / "qemu";
    std::filesystem::remove(log);
    const std::string command =
        "qemu-system-riscv64 -M virt -m 128M -bios none -display none -serial null -monitor none -nic none "
        "-semihosting-config enable=on,target=native,arg=" +
        image + ",arg=crc,arg=1 -plugin " + plugin + " -d plugin -D " + log + " -kernel " + image +
        " </dev/null >/dev/null 2>&1";
    return std::system(command.c_str()) == 0 && std::filesystem::exists(log) ? read_file(log) : "";
  }
  std::string here(const std::string& plugin) {
    const std::string log = folder / "here";
    std::filesystem::remove(log);
    const Outcome outcome = hindcast({"run", "-D", log, "-p", plugin, image, "--", "crc", "1"});
    EXPECT_EQ(outcome.status, 0) << plugin << ": " << outcome.describe();
    return read_file(log);
  }
  const std::filesystem::path kBuilt = HINDCAST_QEMU_PLUGINS_BUILT;
  Strings folders;
  std::string image;
};

/// Those that need an option get it; those that refuse this guest by themselves are left out.
TEST_F(Qemu, PluginsLoadUnmodified) {
  const std::pair<const char*, const char*> options[] = {{"libbbv", ",outfile="},
                                                         {"libips", ",ips=1000000000"},
                                                         {"libstoptrigger", ",icount=1000"},
                                                         {"libpatch", ",target=00,patch=00"}};
  for (const std::string& from : folders) {
    unsigned loaded = 0;
    for (const auto& entry : std::filesystem::directory_iterator(from)) {
      const std::string name = entry.path().stem();
      if (entry.path().extension() != ".so" || name == "liblockstep" || name == "libuftrace") continue;
      std::string plugin = entry.path();
      for (const auto& [of, text] : options)
        if (name == of) plugin += text + (name == "libbbv" ? folder / "bbv" : std::string());
      if (name == "libdrcov") plugin += ",filename=" + (folder / "drcov");
      const Outcome outcome =
          hindcast({"run", "--max-icount", "300000", "-D", folder / "log", "-p", plugin, image});
      EXPECT_EQ(outcome.status, name == "libstoptrigger" ? 0 : 124) << plugin << ": " << outcome.describe();
      ++loaded;
    }
    EXPECT_GT(loaded, 8u) << from;
  }
}

TEST_F(Qemu, CountsAreTheSame) {
  bool compared = false;
  for (const std::string& from : folders) {
    const std::string insns = in_qemu(from + "/libinsn.so");
    if (insns.empty()) continue;  // of another version
    compared = true;
    EXPECT_EQ(here("insn"), insns);
    EXPECT_EQ(here(from + "/libinsn.so"), insns);
    EXPECT_EQ(number_behind(here("insn,inline=on"), "total insns: "), number_behind(insns, "total insns: "));
    const std::string accesses = in_qemu(from + "/libmem.so,inline=on");
    EXPECT_EQ(here("mem,inline=on") + "\n", accesses + (accesses.ends_with('\n') ? "\n" : ""));
    // The line of sums: accesses and misses of both caches.
    EXPECT_EQ(lines_of(here("cache")).at(1), lines_of(in_qemu(from + "/libcache.so")).at(1));
  }
  if (!compared) GTEST_SKIP() << "the installed qemu-system-riscv64 loads none of the plugins";
}

/// Addresses and accesses of every instruction; the texts come from other disassemblers, and the codes of
/// short instructions are longer there.
TEST_F(Qemu, ExeclogIsTheSame) {
  cli_test::write_file(image, read_file(HINDCAST_GUEST_DIR "/hello-rv64gc.elf"));
  for (const std::string& from : folders) {
    if (in_qemu(from + "/libinsn.so").empty()) continue;
    auto reduced = [](const std::string& log) {
      Strings out;
      for (const std::string& line : lines_of(log)) {
        const std::size_t begin = line.find(", 0x", 5), quote = line.rfind('"');
        // The board's ROM is not where it is for the program in QEMU's count.
        if (line.find("0, 0x10") != 0) out.push_back(line.substr(0, begin) + line.substr(quote + 1));
      }
      return out;
    };
    const Strings a = reduced(in_qemu(from + "/libexeclog.so")), b = reduced(here("execlog"));
    EXPECT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) ASSERT_EQ(a[i], b[i]) << "line " << i;
    return;
  }
  GTEST_SKIP() << "the installed qemu-system-riscv64 loads none of the plugins";
}

}  // namespace
}  // namespace hindcast::plugin_test
