// The memory protection unit reprogrammed under code that runs: what was translated or looked up before holds
// from the next instruction on no longer, whoever writes the registers.
#include <gtest/gtest.h>

#include <random>

#include "engine/archive.h"
#include "tests/arm/test_machine.h"

namespace hindcast::test {
namespace {

using namespace arm;

constexpr u32 kShcsr = 0xe000ed24, kCfsr = 0xe000ed28, kMmfar = 0xe000ed34, kMpuCtrl = 0xe000ed94,
              kMpuRnr = 0xe000ed98, kMpuRbar = 0xe000ed9c, kMpuRasr = 0xe000eda0;
constexpr u32 kAllFaults = 15 << 16;
constexpr u32 kEnable = 1, kHfnmiena = 2, kPrivdefena = 4;
constexpr u32 kBoth = 3 << 24, kPrivilegedOnly = 1 << 24, kReadOnly = 6 << 24, kXn = 1 << 28;
constexpr u16 kNop = 0xbf00, kStore = 0x6001, kLoad = 0x6814,
              kSpin = 0xe7fe;  // str r1, [r0]; ldr r4, [r2]; b .
constexpr u32 size_of(unsigned bits) { return (bits - 1) << 1 | 1; }

class Mpu : public ::testing::TestWithParam<bool> {
 protected:
  Mpu() { m.system(kShcsr, kAllFaults); }
  void region(u32 n, u32 base, u32 rasr) {
    m.system(kMpuRnr, n);
    m.system(kMpuRbar, base);
    m.system(kMpuRasr, rasr);
  }
  void go(GuestAddr at, u64 attempts) {
    m.state().pc = at;
    m.run(attempts);
  }
  TestMachine m{"cortex-m3", GetParam()};
};

TEST_P(Mpu, CodeThatForbidsItselfEndsAtOnce) {
  region(0, 0x1000, kBoth | kXn | size_of(12));
  m.put(kCode, {kStore, kNop, kNop, kSpin});
  m.r(0) = kMpuCtrl;
  for (int i = 0; i < 3; ++i) {
    m.r(1) = 0;
    go(kCode, 10);
    ASSERT_EQ(m.state().ipsr, 0u);
    ASSERT_EQ(m.pc(), kCode + 6);
  }
  m.r(1) = kEnable | kPrivdefena;
  go(kCode, 10);
  EXPECT_EQ(m.state().ipsr, 4u);
  EXPECT_EQ(m.word(m.r(13) + 24), kCode + 2) << "the next instruction";
  EXPECT_EQ(m.system(kCfsr), cfsr::kIaccViol);
}

TEST_P(Mpu, TheDefaultMapGoesWithItsBit) {
  region(0, kData, kBoth | size_of(16));
  region(1, 0x2000, kBoth | size_of(12));  // handlers
  m.put(kCode, {kStore, kNop, kNop, kSpin});
  m.r(0) = kMpuCtrl;
  m.system(kMpuCtrl, kEnable | kPrivdefena);
  m.r(1) = kEnable | kPrivdefena;
  for (int i = 0; i < 3; ++i) go(kCode, 10);
  ASSERT_EQ(m.state().ipsr, 0u);
  m.r(1) = kEnable;
  go(kCode, 10);
  EXPECT_EQ(m.state().ipsr, 4u);
  EXPECT_EQ(m.word(m.r(13) + 24), kCode + 2);
}

TEST_P(Mpu, HandlersOfNegativePriorityAreCheckedWhereTheBitSaysSo) {
  region(0, kData, size_of(12));  // nobody's
  m.system(kMpuCtrl, kEnable | kPrivdefena);
  m.put(kCode, {kLoad, kStore, kLoad, kSpin});
  m.r(0) = kMpuCtrl;
  m.r(2) = kData;
  m.state().bank().faultmask = 1;
  m.r(1) = kEnable | kPrivdefena;
  for (int i = 0; i < 3; ++i) go(kCode, 10);
  ASSERT_EQ(m.state().lockup, 0u);
  ASSERT_EQ(m.pc(), kCode + 6);
  m.r(1) = kEnable | kPrivdefena | kHfnmiena;
  go(kCode, 10);
  EXPECT_EQ(m.state().lockup, 1u);
  EXPECT_EQ(m.system(kMmfar), kData);
}

TEST_P(Mpu, PrivilegeDecides) {
  region(0, kData, kPrivilegedOnly | size_of(12));
  region(1, 0, kBoth | size_of(16));
  region(2, kStackTop - 0x1000, kBoth | size_of(12));
  m.system(kMpuCtrl, kEnable | kPrivdefena);
  m.put(kCode, {kLoad, 0xf381, 0x8814, kLoad, kSpin});  // msr control, r1
  m.r(2) = kData;
  m.r(1) = 0;
  for (int i = 0; i < 3; ++i) go(kCode, 10);
  ASSERT_EQ(m.state().ipsr, 0u);
  m.r(1) = 1;
  go(kCode, 3);
  EXPECT_EQ(m.state().ipsr, 4u);
  EXPECT_EQ(m.system(kMmfar), kData);
  // Back in the handler everything is as before.
  m.r(2) = kData;
  go(kCode, 1);
  EXPECT_EQ(m.pc(), kCode + 2u);
}

TEST_P(Mpu, PriorityDecides) {
  region(0, kData, kPrivilegedOnly | size_of(12));
  region(1, 0, kBoth | size_of(16));
  region(2, kStackTop - 0x1000, kBoth | size_of(12));
  m.system(kMpuCtrl, kEnable | kPrivdefena);
  m.put(kCode, {kLoad, 0xe7fd});  // 1: ldr r4, [r2]; b 1b
  m.r(2) = kData;
  m.state().bank().control = 1;
  m.state().bank().faultmask = 1;  // not checked, but for the private peripherals
  go(kCode, 300);
  ASSERT_EQ(m.state().lockup, 0u);
  m.state().bank().faultmask = 0;
  m.run(10);
  EXPECT_EQ(m.state().ipsr, 4u);
  EXPECT_EQ(m.system(kMmfar), kData);
}

TEST_P(Mpu, WritesFromOutsideCountFromTheNextInstruction) {
  region(0, kData, kBoth | size_of(12));
  m.system(kMpuCtrl, kEnable | kPrivdefena);
  m.put(kCode, {kLoad, 0x6014, 0xe7fc});  // 1: ldr r4, [r2]; str r4, [r2]; b 1b
  m.r(2) = kData + 8;
  go(kCode, 3000);
  ASSERT_EQ(m.state().ipsr, 0u);
  ASSERT_EQ(m.pc(), kCode);
  m.system(kMpuRasr, kReadOnly | size_of(12));
  m.run(2);
  EXPECT_EQ(m.state().ipsr, 4u);
  EXPECT_EQ(m.system(kMmfar), kData + 8);
}

TEST_P(Mpu, RegionsSayNothingWhileItIsOff) {
  m.put(kCode, {kLoad, 0x6014, 0xe7fc});
  m.r(2) = kData + 8;
  go(kCode, 300);
  region(0, kData, kReadOnly | size_of(12));
  m.run(300);
  ASSERT_EQ(m.state().ipsr, 0u);
  m.system(kMpuCtrl, kEnable | kPrivdefena);
  m.run(2);
  EXPECT_EQ(m.state().ipsr, 4u);
}

TEST_P(Mpu, AStateThatIsLoadedHasItsOwnRights) {
  constexpr u32 kOther = kCode + 0x800;
  m.put(kCode, {kLoad, 0x6014, 0xe7fc});
  m.put(kOther, {0x3501, 0xe7fd});  // 1: adds r5, #1; b 1b
  region(0, kData, kReadOnly | size_of(12));
  region(1, kOther, kBoth | size_of(8));
  m.system(kMpuCtrl, kEnable | kPrivdefena);
  m.r(2) = kData + 8;
  m.state().pc = kCode;
  SaveArchive save;
  m.machine.state(save);
  const Bytes saved = save.take();
  region(0, kData, kBoth | size_of(12));
  region(1, kOther, kBoth | kXn | size_of(8));
  go(kCode, 300);
  ASSERT_EQ(m.state().ipsr, 0u);
  LoadArchive load(saved);
  m.machine.state(load);
  m.run(2);
  EXPECT_EQ(m.state().ipsr, 4u);
  EXPECT_EQ(m.system(kMmfar), kData + 8);
  LoadArchive again(saved);
  m.machine.state(again);
  go(kOther, 300);
  ASSERT_EQ(m.r(5), 150u);
  m.system(kMpuRnr, 1);
  m.system(kMpuRasr, kBoth | kXn | size_of(8));
  go(kOther, 1);
  EXPECT_EQ(m.state().ipsr, 4u);
  EXPECT_EQ(m.system(kCfsr) & cfsr::kIaccViol, cfsr::kIaccViol);
}

/// Layouts that come back find their translations; what one may execute another may not, also where no code
/// had been when they were first met.
TEST_P(Mpu, LayoutsThatTakeTurnsKeepTheirRights) {
  constexpr u32 kOther = kData + 0x100;
  for (const bool privileged : {true, false}) {
    m.machine.reset();
    m.system(kShcsr, kAllFaults);
    m.put(kCode, {0x4798, kSpin});    // blx r3
    m.put(kOther, {0x3501, 0x4770});  // adds r5, #1; bx lr
    const u32 closed = (privileged ? kBoth | kXn : kPrivilegedOnly) | size_of(12);
    region(2, kStackTop - 0x1000, kBoth | size_of(12));
    region(1, 0, kBoth | size_of(16));
    region(0, kData, closed);
    m.system(kMpuCtrl, kEnable | kPrivdefena);
    m.state().bank().control = privileged ? 0 : 1;
    m.r(3) = kCode + 3;  // what is called first spins
    go(kCode, 10);
    for (u32 i = 1; i <= 5; ++i) {
      m.system(kMpuRasr, kBoth | size_of(12));
      m.r(3) = kOther | 1;
      go(kCode, 10);
      ASSERT_EQ(m.state().ipsr, 0u);
      ASSERT_EQ(m.r(5), i);
      m.system(kMpuRasr, closed);
      go(kCode, 10);
      ASSERT_EQ(m.state().ipsr, 4u);
      ASSERT_EQ(m.r(5), i);
      m.state().ipsr = 0;
      m.state().active = {};
      update_exceptions(m.state());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, Mpu, ::testing::Values(false, true),
                         [](const auto& info) { return info.param ? "jit" : "interpreter"; });

// ---- at random
// -----------------------------------------------------------------------------------------------------

/// Where code and data are: in two memories, also around the borders of small regions.
constexpr u32 kPlaces[] = {0x1000, 0x10e0, 0x1ff8, 0x5000, 0x20000000, 0x200000f8, 0x20001800};
constexpr u32 kRights[] = {0, 1, 2, 3, 3, 3, 5, 6};

class Random {
 public:
  explicit Random(u32 seed) : engine_(seed) {}
  u32 below(u32 n) { return engine_() % n; }
  template <typename T, std::size_t n>
  T of(const T (&list)[n]) {
    return list[below(n)];
  }
  u32 base() { return (of(kPlaces) & ~31u) + below(3) * 32; }
  /// A register of the unit and a value for it, such that much is allowed; out of a few that come again and
  /// again, so that layouts do.
  std::pair<u32, u32> write(bool v8) {
    if (below(200) == 0) pool_.clear();
    if (pool_.size() < 10) pool_.push_back(any_write(v8));
    return pool_[below(static_cast<u32>(pool_.size()))];
  }

 private:
  std::pair<u32, u32> any_write(bool v8) {
    switch (below(8)) {
      case 0: return {kMpuCtrl, below(4) == 0 ? below(8) : below(8) | kEnable | kPrivdefena};
      case 1:
      case 2: return {kMpuRnr, below(6)};
      case 3:
      case 4: return {kMpuRbar, v8 ? base() | below(8) : base()};
      default: break;
    }
    const u32 on = below(8) != 0 ? 1 : 0;
    if (v8) return {kMpuRasr, ((base() + (32u << below(9))) & ~31u) | on};
    const u32 bits = below(4) == 0 ? 28 + below(5) : 5 + below(9), without = below(3) == 0 ? below(256) : 0;
    return {kMpuRasr, of(kRights) << 24 | below(2) << 28 | without << 8 | (bits - 1) << 1 | on};
  }

  std::vector<std::pair<u32, u32>> pool_;
  std::mt19937 engine_;
};

void prepare(TestMachine& m) {
  m.machine.reset();
  m.system(kShcsr, kAllFaults);
  // str r1, [r0]; ldr r4, [r2]; str r4, [r6]; adds r5, #1; bx r3
  for (const u32 at : kPlaces) m.put(at, {kStore, kLoad, 0x6034, 0x3501, 0x4718});
}

/// Out of whatever handler it is in; from lockup only by a reset.
void recover(TestMachine& m) {
  ArmState& s = m.state();
  if (s.lockup != 0) return prepare(m);
  s.ipsr = 0;
  s.active = s.pending = {};
  s.r[kSp] = kStackTop;
  update_exceptions(s);
}

Bytes state_of(TestMachine& m) {
  SaveArchive ar;
  m.machine.state(ar);
  Bytes all = ar.take();
  for (const auto& ram : m.machine.memory().ram_blocks())
    all.insert(all.end(), ram->host, ram->host + ram->size);
  return all;
}

class RandomMpu : public ::testing::TestWithParam<const char*> {};

/// Whatever the registers hold: from translations and known pages comes what comes without any.
TEST_P(RandomMpu, NothingIsLeftOfFormerRights) {
  const bool v8 = std::string_view(GetParam()) == "cortex-m33";
  TestMachine tested(GetParam(), true), interpreted(GetParam()), reference(GetParam());
  TestMachine* const all[] = {&tested, &interpreted, &reference};
  for (TestMachine* m : all) prepare(*m);
  Random random(5);
  unsigned faults = 0;
  for (int step = 0; step < 4000; ++step) {
    const auto [reg, value] = random.write(v8);
    const bool from_outside = random.below(3) == 0;
    const u32 at = random.of(kPlaces), next = random.of(kPlaces) | 1, attempts = 1 + random.below(16);
    const u32 load = random.base() + 4 * random.below(16), store = random.base() + 512 + 4 * random.below(16);
    const u32 unprivileged = random.below(4) == 0 ? 1 : 0, masked = random.below(4) == 0 ? 1 : 0;
    for (TestMachine* m : all) {
      if (from_outside) m->system(reg, value);
      m->r(0) = from_outside ? kMpuRnr : reg;
      m->r(1) = from_outside ? m->system(kMpuRnr) : value;
      m->r(2) = load;
      m->r(3) = next;
      m->r(6) = store;
      m->state().bank().control = unprivileged;
      m->state().bank().faultmask = masked;
      m->state().pc = at;
      if (m != &reference) {
        m->run(attempts);
        continue;
      }
      for (u32 k = 0; k < attempts; ++k) {
        m->machine.flush_translations();
        if (m->run(1) != StopReason::Limit) break;
      }
    }
    const Bytes expected = state_of(reference);
    ASSERT_EQ(state_of(tested), expected) << "step " << step;
    ASSERT_EQ(state_of(interpreted), expected) << "step " << step;
    faults += reference.state().ipsr != 0 || reference.state().lockup != 0 ? 1 : 0;
    for (TestMachine* m : all)
      if (m->state().ipsr != 0 || m->state().lockup != 0) recover(*m);
  }
  EXPECT_GT(faults, 400u);
  EXPECT_LT(faults, 3600u);
}

INSTANTIATE_TEST_SUITE_P(Cpus, RandomMpu, ::testing::Values("cortex-m3", "cortex-m33"),
                         [](const auto& info) { return std::string(info.param).substr(7); });

}  // namespace
}  // namespace hindcast::test
