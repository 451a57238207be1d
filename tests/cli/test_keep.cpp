// record --keep: the flight recorder, as the command has it.
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <thread>

#include "tests/cli/guest.h"
#include "tests/cli/process.h"

namespace hindcast::cli_test {
namespace {

namespace fs = std::filesystem;

std::uint64_t folder_bytes(const std::string& path) {
  std::uint64_t total = 0;
  for (const auto& entry : fs::directory_iterator(path)) total += entry.file_size();
  return total;
}

TEST(Keep, TheLastPartIsARecording) {
  TempFolder folder;
  write_file(folder / "guest.elf", counter_program(3000, 100));
  const std::string rec = folder / "rec";
  Outcome out =
      hindcast({"record", "-o", rec, "--keep", "1M", "--checkpoints", "every=2000", folder / "guest.elf"});
  EXPECT_EQ(out.status, 5) << out.describe();
  EXPECT_EQ(out.out, counter_text(3000));
  EXPECT_LE(folder_bytes(rec), 1u << 20);
  out = hindcast({"info", rec});
  EXPECT_NE(out.out.find("(begins at "), std::string::npos) << out.out;
  EXPECT_EQ(hindcast({"verify", rec}).status, 0);
  out = hindcast({"replay", rec});
  EXPECT_EQ(out.status, 5) << out.describe();
  EXPECT_FALSE(out.out.empty());
  EXPECT_TRUE(counter_text(3000).ends_with(out.out));
  EXPECT_EQ(hindcast({"compare", rec, rec}).status, 0);
  EXPECT_EQ(hindcast({"index", rec, "--every", "5000"}).status, 0);
  EXPECT_EQ(hindcast({"verify", rec}).status, 0);
  EXPECT_EQ(hindcast({"export", rec, folder / "file"}).status, 0);
}

TEST(Keep, KilledAtAnyMomentItIsWhole) {
  TempFolder folder;
  write_file(folder / "guest.elf", counter_program(0, 50));
  std::atomic<unsigned> forgot = 0;
  in_parallel(20, [&](unsigned round) {
    const std::string rec = folder / ("rec" + std::to_string(round));
    Process process(
        {"record", "-o", rec, "--keep", "1M", "--checkpoints", "every=1500", folder / "guest.elf"});
    process.await("\n");
    std::this_thread::sleep_for(std::chrono::milliseconds(round * round * 3));
    process.signal(SIGKILL);
    const std::string shown = process.finish().out;
    EXPECT_LE(folder_bytes(rec), 1u << 20);
    const Outcome verified = hindcast({"verify", rec});
    EXPECT_EQ(verified.status, 0) << verified.describe();
    const Outcome out = hindcast({"replay", rec});
    EXPECT_EQ(out.status, 124) << out.describe();
    EXPECT_NE(out.err.find("cut short at icount"), std::string::npos) << out.err;
    if (hindcast({"info", rec}).out.find("(begins at ") == std::string::npos) {
      EXPECT_EQ(out.out.substr(0, shown.size()), shown);
      return;
    }
    // The beginning is forgotten, but not the end of what was shown.
    ++forgot;
    const std::size_t end = shown.rfind('\n'), begin = shown.rfind('\n', end - 1);
    EXPECT_NE(out.out.find(shown.substr(begin, end - begin)), std::string::npos);
  });
  EXPECT_GE(forgot, 5u);
}

/// Sleeps from tick to tick, ten of them a second; at every 64th it takes a byte from the serial port, if
/// there is one, and writes it back.
std::string sleeper_program(int ticks) {
  using A = Assembler;
  A a;
  a.li(A::s2, ticks);
  a.li(A::s3, 0x10000000);  // the UART
  a.li(A::t3, 0x2004000);   // mtimecmp
  a.li(A::t4, 0);
  a.li(A::t5, 1'000'000);
  a.li(A::t0, 0x80);
  a.word(0x3042a073);  // csrs mie, t0: the timer
  const unsigned loop = a.here();
  a.add(A::t4, A::t4, A::t5);
  a.sd(A::t4, A::t3, 0);
  a.word(0x10500073);  // wfi
  a.sd(A::t4, A::s1, 0);
  a.andi(A::t0, A::s2, 63);
  const unsigned skip = a.bne_later(A::t0, A::zero);
  a.lbu(A::t0, A::s3, 5);
  a.andi(A::t0, A::t0, 1);
  const unsigned none = a.beq_later(A::t0, A::zero);
  a.lbu(A::t0, A::s3, 0);
  a.sb(A::t0, A::s3, 0);
  a.bind(skip);
  a.bind(none);
  a.addi(A::s2, A::s2, -1);
  a.bne(A::s2, A::zero, loop);
  a.li(A::t2, 4);
  a.exit(A::t2);
  return a.elf();
}

TEST(Keep, ADayWithInputPassesInSecondsAndWithinItsBound) {
  constexpr int kTicks = 24 * 36'000;
  TempFolder folder;
  write_file(folder / "guest.elf", sleeper_program(kTicks));
  std::string keys;
  for (int i = 0; i < 20'000; ++i) keys += static_cast<char>('a' + i % 26);
  write_file(folder / "keys", keys);
  SpawnOptions streams;
  streams.input_file = folder / "keys";
  const std::string rec = folder / "rec";
  Process process({"record", "-o", rec, "--keep", "1M", "--checkpoints", "every=4000", folder / "guest.elf"},
                  streams);
  const Outcome out = process.finish();
  EXPECT_EQ(out.status, 4) << out.describe();
  EXPECT_GE(out.out.size(), kTicks / 64 - 20u);
  EXPECT_TRUE(keys.starts_with(out.out));
  EXPECT_LE(folder_bytes(rec), 1u << 20);
  EXPECT_NE(hindcast({"info", rec}).out.find("(begins at "), std::string::npos);
  const Outcome replayed = hindcast({"replay", rec});
  EXPECT_EQ(replayed.status, 4) << replayed.describe();
  EXPECT_TRUE(out.out.ends_with(replayed.out));
  EXPECT_LT(replayed.out.size(), out.out.size() / 2);
}

TEST(Keep, WhatItMeansIsClear) {
  TempFolder folder;
  write_file(folder / "guest.elf", exit_program(3));
  for (const char* keep : {"256M", "1G", "5min", "30s", "2h", "1d", "500ms", "1MiB"}) {
    const Outcome out =
        hindcast({"record", "--force", "-o", folder / "rec", "--keep", keep, folder / "guest.elf"});
    EXPECT_EQ(out.status, 3) << keep << out.describe();
  }
  for (const char* keep : {"5m", "7", "0M", "10K", "x", "5 min", "-1M", "0s", "99999999999d", ""}) {
    const Outcome out =
        hindcast({"record", "-o", folder / "no", std::string("--keep=") + keep, folder / "guest.elf"});
    EXPECT_EQ(out.status, 125) << keep << out.describe();
    EXPECT_TRUE(out.one_line()) << out.err;
    EXPECT_NE(out.err.find("--keep"), std::string::npos) << out.err;
    EXPECT_FALSE(fs::exists(folder / "no"));
  }
  const Outcome out = hindcast(
      {"record", "-o", folder / "no", "--keep", "1M", "--checkpoints", "none", folder / "guest.elf"});
  EXPECT_EQ(out.status, 125);
  EXPECT_NE(out.err.find("--keep needs checkpoints"), std::string::npos) << out.err;
}

}  // namespace
}  // namespace hindcast::cli_test
