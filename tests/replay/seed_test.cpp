// The random seed of the device tree comes through the door like all other input: recorded, replayed,
// compared.
#include <fmt/format.h>

#include <algorithm>

#include "replay/compare.h"
#include "replay/navigator.h"
#include "tests/replay/world.h"

namespace hindcast::replay::test {
namespace {

using A = Assembler;

/// Adds up the device tree's words, at a1, into memory, `rounds` times with a reset in between (by the test
/// finisher, which the count in memory survives); then ends with exit code 3.
Bytes tree_reader(u32 rounds) {
  A a;
  const A::Label sum = a.label(), again = a.label(), stay = a.label();
  a.lui(A::s0, 0x100);  // finisher
  a.lui(A::s1, 0x801);  // 0x80100000, in two steps because lui extends the sign
  a.slli(A::s1, A::s1, 8);
  a.addi(A::t0, A::a1, 0);
  a.lui(A::a2, 1);
  a.add(A::a2, A::a1, A::a2);
  a.ld(A::t1, 8, A::s1);
  a.bind(sum);
  a.ld(A::t2, 0, A::t0);
  a.add(A::t1, A::t1, A::t2);
  a.addi(A::t0, A::t0, 8);
  a.bltu(A::t0, A::a2, sum);
  a.sd(A::t1, 8, A::s1);
  a.ld(A::a3, 0, A::s1);
  a.addi(A::a3, A::a3, 1);
  a.sd(A::a3, 0, A::s1);
  a.addi(A::a4, A::zero, static_cast<i32>(rounds));
  a.bltu(A::a3, A::a4, again);
  a.lui(A::t0, 0x33);
  a.addi(A::t0, A::t0, 0x333);
  a.sw(A::t0, 0, A::s0);
  a.j(stay);
  a.bind(again);
  a.lui(A::t0, 7);
  a.addi(A::t0, A::t0, 0x777);
  a.sw(A::t0, 0, A::s0);
  a.bind(stay);
  a.j(stay);
  return a.take();
}

std::shared_ptr<TypingConsole> silent() { return std::make_shared<TypingConsole>("", 1); }

MachineConfig seeded(u32 rounds) {
  MachineConfig config = machine_of(tree_reader(rounds));
  config.machine_options["rng-seed"] = "on";
  return config;
}

std::vector<Bytes> seeds_of(const std::string& path) {
  std::vector<Bytes> seeds;
  for (const storage::EventRecord& event : events_of(path))
    if (event.kind == static_cast<u8>(InputKind::Entropy))
      seeds.emplace_back(event.payload.begin() + 4, event.payload.end());
  return seeds;
}

TEST(Seed, IsRecordedAtPowerOnAndAtEachReset) {
  TempFolder folder;
  const RunResult recorded = record_to(folder / "rec", seeded(3), silent());
  EXPECT_EQ(recorded.kind, StopKind::GuestExit);
  EXPECT_EQ(recorded.status(), 3);
  const std::vector<Bytes> seeds = seeds_of(folder / "rec");
  ASSERT_EQ(seeds.size(), 3u);
  for (const Bytes& seed : seeds) EXPECT_EQ(seed.size(), 32u);
  EXPECT_NE(seeds[0], seeds[1]);
  for (bool jit : {true, false}) {
    ReplayOptions options;
    options.engine.jit = jit;
    const Replayed replayed = replay_of(folder / "rec", options);
    EXPECT_EQ(replayed.result.state_root, recorded.state_root);
    EXPECT_EQ(replayed.result.icount, recorded.icount);
  }
  EXPECT_TRUE(verify(folder / "rec", [](const std::string& line) { ADD_FAILURE() << line; }));
}

TEST(Seed, ReplaysFromCheckpointsAndSeeks) {
  TempFolder folder;
  RecordOptions options;
  options.checkpoints = RecordOptions::Checkpoints::Every;
  options.checkpoint_every = 2000;
  const RunResult recorded = record_to(folder / "rec", seeded(4), silent(), options);
  const auto checkpoints = storage::Reader::open(folder / "rec")->checkpoints();
  ASSERT_GE(checkpoints.size(), 3u);
  for (const auto& checkpoint : checkpoints) {
    ReplayOptions from;
    from.from_checkpoint = checkpoint.icount;
    EXPECT_EQ(replay_of(folder / "rec", from).result.state_root, recorded.state_root) << checkpoint.icount;
  }
  auto navigator = Navigator::open(folder / "rec", {}, false);
  for (Icount at : {recorded.icount, Icount{5}, recorded.icount / 2, Icount{0}, recorded.icount}) {
    navigator->seek(at);
    EXPECT_EQ(navigator->position(), at);
  }
}

TEST(Seed, IsDrawnOnlyWhenAskedFor) {
  TempFolder folder;
  for (const char* name : {"a", "b"}) record_to(folder / name, machine_of(tree_reader(1)), silent());
  EXPECT_TRUE(seeds_of(folder / "a").empty());
  EXPECT_EQ(compare(folder / "a", folder / "b", {}).verdict, CompareReport::Verdict::Same);
  for (const char* name : {"c", "d"}) record_to(folder / name, seeded(1), silent());
  const CompareReport report = compare(folder / "c", folder / "d", {});
  EXPECT_EQ(report.verdict, CompareReport::Verdict::Differ);
  EXPECT_TRUE(report.from_start);
  EXPECT_LE(report.words.size(), 5u);
}

}  // namespace
}  // namespace hindcast::replay::test
