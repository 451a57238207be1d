// Linux boots, takes typed commands and panics; each recording replays to the byte and to the state hash.
#include <signal.h>

#include <iterator>

#include "tests/linux/session.h"

namespace hindcast::linux_test {
namespace {

TEST_F(Linux, BootsOnTwoHarts) {
  Process boot(record(rec(), 2, "initrd-off.cpio"));
  const Outcome recorded = boot.finish(kLong);
  ASSERT_EQ(recorded.status, 0) << recorded.describe();
  EXPECT_NE(recorded.out.find("smp: Brought up 1 node, 2 CPUs"), std::string::npos);
  EXPECT_NE(recorded.out.find("init: harts 2"), std::string::npos);
  EXPECT_NE(recorded.out.find("  /bin/busybox"), std::string::npos);
  EXPECT_NE(recorded.out.find("reboot: Power down"), std::string::npos);
  expect_same(rec(), recorded);

  ASSERT_EQ(hindcast({"index", "--every", "150000000", rec()}).status, 0);
  expect_same_segments(rec(), {150'000'000, 600'000'000, 1'200'000'000}, 12'345'678);
}

/// A session in the shell of the machine that `arguments` start.
Outcome typed_session(const std::vector<std::string>& arguments, unsigned seed) {
  Session shell(arguments, "~ # ", seed);
  shell.await("~ # ");
  for (const char* line :
       {"nproc; uname -s", "seq 1 2000 | sha256sum", "for i in 1 2 3; do sleep 0.1; done & ps | wc -l; wait",
        "dd if=/bin/busybox bs=64k 2>/dev/null | sha256sum"})
    shell.line(line);
  return shell.finish("poweroff -f");
}

TEST_F(Linux, ShellSessionsReplay) {
  constexpr unsigned kHarts[] = {1, 2, 4};
  Outcome outcomes[std::size(kHarts)];
  cli_test::in_parallel(std::size(kHarts), [&](unsigned k) {
    outcomes[k] = typed_session(record(rec(k), kHarts[k], "initrd.cpio"), k + 1);
  });
  cli_test::in_parallel(std::size(kHarts), [&](unsigned k) {
    const Outcome& recorded = outcomes[k];
    ASSERT_EQ(recorded.status, 0) << kHarts[k] << " harts: " << recorded.describe() << last_shown(recorded);
    EXPECT_NE(recorded.out.find("init: harts " + std::to_string(kHarts[k])), std::string::npos);
    EXPECT_NE(recorded.out.find("reboot: Power down"), std::string::npos);
    expect_same(rec(k), recorded, {"--code-cache", "8M"});
  });
}

TEST_F(Linux, PanicWithoutARootFileSystemReplays) {
  Process boot(record(rec(), 2, ""));
  ASSERT_TRUE(boot.await("end Kernel panic - not syncing: VFS: Unable to mount root fs", kLong));
  boot.signal(SIGINT);
  const Outcome recorded = boot.finish(kLong);
  EXPECT_EQ(recorded.status, 130) << recorded.describe();
  expect_same(rec(), recorded);
}

/// The console that Linux reads from and prints to is the virtio one, and the serial port leads nowhere.
TEST_F(Linux, SessionOnTheVirtioConsoleReplays) {
  std::vector<std::string> line = record(rec(), 2, "initrd.cpio");
  for (std::string& word : line) {
    if (word == "virt") word = "virt,virtio=pci,aia=aplic-imsic";
    if (word == "console=ttyS0") word = "console=hvc0";
  }
  line.insert(line.end(), {"--serial", "none", "--virtio-console", "stdio"});
  const Outcome recorded = typed_session(line, 11);
  ASSERT_EQ(recorded.status, 0) << recorded.describe() << last_shown(recorded);
  EXPECT_NE(recorded.out.find("init: harts 2"), std::string::npos);
  EXPECT_EQ(recorded.out.find("OpenSBI"), std::string::npos) << "the serial port leads nowhere";
  // A replay shows all consoles.
  const Outcome again = hindcast({"replay", "--summary", rec()});
  EXPECT_NE(again.out.find("OpenSBI"), std::string::npos);
  EXPECT_TRUE(again.out.ends_with(recorded.out)) << again.out;
  EXPECT_EQ(summary(again), summary(recorded));
}

}  // namespace
}  // namespace hindcast::linux_test
