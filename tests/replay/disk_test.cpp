// A drive's bytes come through the door: recorded as they are read, replayed without the drive, from any
// checkpoint, also one in the middle of a request.
#include <algorithm>

#include "replay/checkpoint.h"
#include "replay/navigator.h"
#include "tests/replay/world.h"

namespace hindcast::replay::test {
namespace {

using A = Assembler;
constexpr u32 kRounds = 40;
constexpr u64 kDriveBytes = 128 * 512;

/// Brings the first virtio disk up and makes kRounds requests of two sectors, reading and writing in turn;
/// what is written is the sum of what was read and of how often it looked whether a request was done.
Bytes disk_program() {
  A a;
  auto set = [&](i32 offset, u32 value) {
    a.lui(A::t0, (value + 0x800) >> 12);
    a.addi(A::t0, A::t0, static_cast<i32>(value << 20) >> 20);
    a.sw(A::t0, offset, A::s0);
  };
  auto at = [&](A::Reg reg, u32 pages) {
    a.lui(reg, pages);
    a.add(reg, reg, A::s1);
  };
  a.lui(A::s0, 0x10001);
  a.lui(A::s1, 0x802);  // 0x80200000, in two steps because lui extends the sign
  a.slli(A::s1, A::s1, 8);
  for (auto [offset, value] : {std::pair<i32, u32>{0x70, 0},
                               {0x70, 3},
                               {0x24, 1},
                               {0x20, 1},
                               {0x70, 11},
                               {0x38, 8},
                               {0x80, 0x80200000},
                               {0x90, 0x80201000},
                               {0xa0, 0x80202000},
                               {0x44, 1},
                               {0x70, 15}})
    set(offset, value);
  at(A::a5, 1);  // available ring
  at(A::a4, 2);  // used ring
  at(A::a2, 3);  // header
  at(A::a3, 4);  // data
  at(A::t1, 5);  // status
  a.sd(A::a2, 0, A::s1);
  a.sd(A::a3, 16, A::s1);
  a.sd(A::t1, 32, A::s1);
  auto word = [&](i32 offset, u32 high, i32 low) {
    a.lui(A::t0, high);
    a.addi(A::t0, A::t0, low);
    a.sw(A::t0, offset, A::s1);
  };
  word(8, 0, 16);
  word(12, 0x10, 1);  // next is 1
  word(24, 0, 1024);
  word(40, 0, 1);
  word(44, 0, 2);

  const A::Label again = a.label(), wait = a.label(), stay = a.label();
  a.bind(again);
  a.andi(A::t0, A::a0, 1);
  a.sw(A::t0, 0, A::a2);
  a.slli(A::t1, A::a0, 3);
  a.xor_(A::t1, A::t1, A::a0);
  a.andi(A::t1, A::t1, 63);
  a.sd(A::t1, 8, A::a2);
  a.lui(A::t2, 0x20);  // next is 2; for the device to write, unless it reads
  a.addi(A::t2, A::t2, 3);
  a.slli(A::t0, A::t0, 1);
  a.xor_(A::t2, A::t2, A::t0);
  a.sw(A::t2, 28, A::s1);
  a.sd(A::a1, 0, A::a3);
  a.addi(A::a0, A::a0, 1);
  a.slli(A::t0, A::a0, 16);
  a.sw(A::t0, 0, A::a5);
  a.sw(A::zero, 0x50, A::s0);
  a.bind(wait);
  a.addi(A::sp, A::sp, 1);
  a.lwu(A::t0, 0, A::a4);
  a.srli(A::t0, A::t0, 16);
  a.bne(A::t0, A::a0, wait);
  a.ld(A::t1, 0, A::a3);
  a.add(A::a1, A::a1, A::t1);
  a.add(A::a1, A::a1, A::sp);
  a.addi(A::t0, A::zero, kRounds);
  a.bltu(A::a0, A::t0, again);
  a.lui(A::s0, 0x100);
  a.lui(A::t0, 5);
  a.addi(A::t0, A::t0, 0x555);
  a.sw(A::t0, 0, A::s0);
  a.bind(stay);
  a.j(stay);
  return a.take();
}

MachineConfig disk_config() {
  MachineConfig config = machine_of(disk_program());
  config.drives.push_back({"disk.img", kDriveBytes, false, false});
  return config;
}

/// A host whose drive is made up, and which counts how often it was asked.
HostOptions host_with_drive(unsigned& asked, bool broken = false) {
  HostOptions host = host_with(std::make_shared<TypingConsole>("", 1));
  host.services[InputKind::Disk] = make_service(
      [&asked, broken](ByteView request) {
        ++asked;
        Bytes reply(broken ? 0 : request[13] | request[14] << 8 | request[15] << 16);
        for (std::size_t i = 0; i < reply.size(); ++i) reply[i] = static_cast<u8>(i * 7 + request[6] * 13);
        return reply;
      },
      [](ByteView) { return false; });
  return host;
}

RunResult record_disk(const std::string& path, unsigned& asked, bool broken = false) {
  RecordOptions options;
  options.path = path;
  options.hash_grid = 1 << 14;
  options.checkpoints = RecordOptions::Checkpoints::Every;
  options.checkpoint_every = 7001;
  return record(disk_config(), host_with_drive(asked, broken), options);
}

TEST(Disk, ReplaysWithoutTheDrive) {
  TempFolder folder;
  unsigned asked = 0;
  const RunResult recorded = record_disk(folder / "rec", asked);
  ASSERT_EQ(recorded.kind, StopKind::GuestExit);
  EXPECT_GT(recorded.icount, Icount{kRounds} * 12'000) << "requests take virtual time";
  const auto events = events_of(folder / "rec");
  const auto reads = std::count_if(events.begin(), events.end(), [](const storage::EventRecord& event) {
    return event.kind == static_cast<u8>(InputKind::Disk);
  });
  EXPECT_EQ(reads, asked);
  EXPECT_LE(asked, kDriveBytes / 4096);
  EXPECT_GT(asked, 4u);
  for (const bool jit : {true, false}) {
    ReplayOptions options;
    options.engine.jit = jit;
    EXPECT_EQ(replay_of(folder / "rec", options).result.state_root, recorded.state_root);
    for (Icount from = 5000; from < recorded.icount; from += 50'000) {
      options.from_checkpoint = from;
      EXPECT_EQ(replay_of(folder / "rec", options).result.state_root, recorded.state_root) << from;
    }
  }
}

TEST(Disk, WhatIsOnItIsPartOfTheState) {
  TempFolder folder;
  unsigned asked = 0;
  const RunResult good = record_disk(folder / "good", asked),
                  broken = record_disk(folder / "broken", asked, true);
  EXPECT_NE(good.state_root, broken.state_root);
  EXPECT_EQ(replay_of(folder / "broken").result.state_root, broken.state_root);
}

TEST(Disk, TheNavigatorGoesBackInTheMiddleOfARequest) {
  TempFolder folder;
  unsigned asked = 0;
  const RunResult recorded = record_disk(folder / "rec", asked);
  const auto navigator = Navigator::open(folder / "rec", {});
  auto content = [&] {
    SaveArchive ar;
    navigator->machine().state(ar);
    Bytes out = ar.take();
    for (const RamBlock* block : navigator->machine().memory().saved_blocks())
      if (block->size <= 8u << 20) out.insert(out.end(), block->host, block->host + block->size);
    return out;
  };
  std::vector<std::pair<Icount, Bytes>> seen;
  for (Icount at = 100'000; at < recorded.icount; at += 60'013) {
    navigator->seek(at);
    seen.emplace_back(at, content());
  }
  std::reverse(seen.begin(), seen.end());
  for (const auto& [at, bytes] : seen) {
    navigator->seek(at + 1);
    navigator->seek(at);
    EXPECT_EQ(content(), bytes) << at;
  }
}

TEST(Disk, ARecordingNeverChangesADrive) {
  TempFolder folder;
  unsigned asked = 0;
  MachineConfig config = disk_config();
  config.drives[0].write_through = true;
  RecordOptions options;
  options.path = folder / "rec";
  EXPECT_THROW(record(config, host_with_drive(asked), options), Fatal);
  EXPECT_FALSE(std::filesystem::exists(folder / "rec"));
}

}  // namespace
}  // namespace hindcast::replay::test
