// gdb on a recorded boot with the kernel's symbols: forwards, backwards, in user mode, through the page
// tables.
#include <cstdlib>
#include <regex>
#include <thread>

#include "tests/linux/linux.h"

namespace hindcast::linux_test {
namespace {

/// What gdb says to the commands, connected to the recording.
std::string gdb(const TempFolder& folder, const std::string& rec, const std::string& commands) {
  const std::string socket = folder / "socket", script = folder / "script", said = folder / "said";
  cli_test::write_file(script,
                       "set pagination off\nset confirm off\nset tcp connect-timeout 60\n"
                       "file " +
                           kFolder + "/kernel.elf\ntarget remote " + socket + "\n" + commands);
  Process server({"debug", rec, "--listen", "unix:" + socket});
  for (int tries = 0; tries < 600 && !std::filesystem::exists(socket); ++tries)
    std::this_thread::sleep_for(Milliseconds(100));
  const std::string line =
      "timeout 300 gdb-multiarch -q -nx -batch -x " + script + " >" + said + " 2>&1 </dev/null";
  EXPECT_EQ(std::system(line.c_str()), 0);
  return cli_test::read_file(said);
}

TEST_F(Linux, GdbOnARecordedBoot) {
  if (std::system("gdb-multiarch --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no gdb-multiarch";
  const Outcome recorded = Process(record(rec(), 4, "initrd-off.cpio")).finish(kLong);
  ASSERT_EQ(recorded.status, 0) << recorded.describe();
  const std::string said = gdb(folder, rec(),
                               "hbreak start_kernel\ncontinue\ninfo symbol $pc\ndelete\n"
                               "monitor seek 60%\nmaintenance flush register-cache\ninfo threads\n"
                               "watch *(unsigned long*)&jiffies\nreverse-continue\ninfo symbol $pc\ndelete\n"
                               "eval \"monitor page %#lx\", &jiffies\n"
                               // The first instruction of /init, which is not there until it has faulted:
                               // there gdb could not go on.
                               "monitor seek begin\nmaintenance flush register-cache\n"
                               "hbreak start_thread\ncontinue\nset $entry = $a1\ndelete\n"
                               "hbreak *$entry\ncontinue\nx/i $pc\n"
                               "printf \"user %d at entry %d\\n\", $priv, $pc == $entry\n"
                               "eval \"monitor page %#lx\", $pc\n"
                               "stepi\nreverse-stepi\nprintf \"back %d\\n\", $pc == $entry\n"
                               // Nothing before it counts: not the attempt that faulted either.
                               "reverse-continue\nmonitor when\nprintf \"status %d\\n\", $sstatus != 0\n");
  const auto expect = [&](const char* pattern) {
    EXPECT_TRUE(std::regex_search(said, std::regex(pattern))) << pattern << "\n" << said;
  };
  expect("\nstart_kernel in section");
  expect("vCPU 0[^]*vCPU 1[^]*vCPU 2[^]*vCPU 3");
  expect("Hardware watchpoint [0-9]+: \\*\\(unsigned long\\*\\)&jiffies\n\nOld value = [0-9]+");
  expect("tick_do_update_jiffies64 \\+ [0-9]+ in section");
  expect("Sv57, satp 0xa0[^]*level 4: entry 511 [^]*rw- supervisor global accessed dirty");
  expect("is at 0x8[0-9a-f]{7} in physical memory: ram");
  expect("user 0 at entry 1");
  expect("r-x user accessed");
  expect("back 1\n[^]*No more reverse-execution history[^]*icount 0 of");
  expect("status 1");
}

/// A device is one, wherever firmware and kernel have it in their addresses.
TEST_F(Linux, HwprofileNamesTheBoardsDevices) {
  const Outcome recorded = Process(record(rec(), 1, "initrd-off.cpio")).finish(kLong);
  ASSERT_EQ(recorded.status, 0) << recorded.describe();
  const Outcome profile = Process({"analyze", rec(), "-p", "hwprofile"}).finish(kLong);
  for (const char* line : {"uart0, 0x10000000, 1, ", "plic0, 0xc000000, 1, ", "rtc0, 0x101000, 1, "}) {
    const std::size_t at = profile.err.find(line);
    EXPECT_NE(at, std::string::npos) << line << profile.err;
    EXPECT_EQ(profile.err.find(line, at + 1), std::string::npos) << line << profile.err;
  }
  EXPECT_EQ(profile.err.find("0xff"), std::string::npos) << profile.err;
}

}  // namespace
}  // namespace hindcast::linux_test
