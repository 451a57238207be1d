// Linux boots, takes typed commands and panics; each recording replays to the byte and to the state hash.
#include <signal.h>

#include <algorithm>
#include <iterator>
#include <random>
#include <thread>

#include "tests/linux/linux.h"

namespace hindcast::linux_test {
namespace {

/// Where the console stood, for a session that did not come to its end.
std::string last_shown(const Outcome& outcome) {
  return "\nlast on the console: " +
         outcome.out.substr(outcome.out.size() - std::min<std::size_t>(outcome.out.size(), 300));
}

/// The recording at `rec`, whose recorder ended as `recorded`, again.
void expect_same(const std::string& rec, const Outcome& recorded, const std::vector<std::string>& more = {}) {
  std::vector<std::string> line = {"replay", "--summary", rec};
  line.insert(line.end(), more.begin(), more.end());
  const Outcome again = hindcast(line);
  EXPECT_EQ(again.out, recorded.out);
  EXPECT_EQ(summary(again), summary(recorded));
}

TEST_F(Linux, BootsOnTwoHarts) {
  Process boot(record(rec(), 2, "initrd-off.cpio"));
  const Outcome recorded = boot.finish(kLong);
  ASSERT_EQ(recorded.status, 0) << recorded.describe();
  EXPECT_NE(recorded.out.find("smp: Brought up 1 node, 2 CPUs"), std::string::npos);
  EXPECT_NE(recorded.out.find("init: harts 2"), std::string::npos);
  EXPECT_NE(recorded.out.find("  /bin/busybox"), std::string::npos);
  EXPECT_NE(recorded.out.find("reboot: Power down"), std::string::npos);
  expect_same(rec(), recorded);

  // Segments: translated, in the interpreter, and with caches dropped and tiers changed at random.
  ASSERT_EQ(hindcast({"index", "--every", "150000000", rec()}).status, 0);
  for (const std::string from : {"150000000", "600000000", "1200000000"}) {
    const std::string until = std::to_string(std::stoull(from) + 12'345'678);
    std::vector<std::string> line = {"replay", "--quiet", "--summary", "--from-checkpoint",
                                     from,     "--until", until,       rec()};
    const Outcome translated = hindcast(line);
    EXPECT_EQ(translated.status, 124) << translated.describe();
    for (const char* how : {"--engine=interp", "--chaos-seed=7"}) {
      line.push_back(how);
      EXPECT_EQ(summary(hindcast(line)), summary(translated)) << how << " from " << from;
      line.pop_back();
    }
  }
}

/// A session in the shell of the machine that `arguments` start, its keys typed one by one at moments drawn
/// from `seed`.
Outcome typed_session(const std::vector<std::string>& arguments, unsigned seed) {
  const std::string lines[] = {"nproc; uname -s", "seq 1 2000 | sha256sum",
                               "for i in 1 2 3; do sleep 0.1; done & ps | wc -l; wait",
                               "dd if=/bin/busybox bs=64k 2>/dev/null | sha256sum"};
  std::minstd_rand moments(seed);
  cli_test::SpawnOptions options;
  options.input = cli_test::Stream::Pipe;
  Process shell(arguments, options);
  // The shell drops what was typed before its prompt.
  bool shown = shell.await("~ # ", kLong);
  for (unsigned number = 1; shown && number <= std::size(lines); ++number) {
    const std::string mark = "mark-" + std::to_string(number);
    for (char key : lines[number - 1] + "; echo m''" + mark.substr(1) + "\n") {
      shell.write(std::string(1, key));
      std::this_thread::sleep_for(Milliseconds(moments() % 8));
    }
    shown = shell.await(mark + "\r\n~ # ", kLong);
  }
  if (!shown) shell.signal(SIGKILL);
  shell.write("poweroff -f\n");
  return shell.finish(kLong);
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

}  // namespace
}  // namespace hindcast::linux_test
