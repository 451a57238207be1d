#include "targets/devices/aplic.h"

#include <array>

#include "targets/devices/imsic.h"
#include "tests/devices/virt_fixture.h"

namespace hindcast::test {
namespace {

constexpr GuestAddr kRoot = 0xc000000, kChild = 0xd000000;
constexpr u32 kDelegated = 0x400, kDetached = 1, kRising = 4, kFalling = 5, kHigh = 6, kLow = 7;
constexpr u64 kControls = 0x4000;
constexpr unsigned kMachineLine = 11, kSupervisorLine = 9;

/// The virt board's APLIC, whose sources 40 to 60 nothing is connected to.
class Aplic : public VirtTest {
 protected:
  void build_with(const char* aia, unsigned harts = 2) {
    MachineConfig c = config();
    c.machine_options["aia"] = aia;
    c.smp = harts;
    build(c);
    for (const auto& device : machine->devices())
      if (auto* aplic = dynamic_cast<devices::Aplic*>(device.get())) wires = aplic;
    ASSERT_NE(wires, nullptr);
  }
  void wire(unsigned source, bool level) { wires->set_irq(source, level); }
  u64 source(unsigned n) { return 4 * n; }
  u64 target(unsigned n) { return 0x3000 + 4 * n; }
  u64 control(unsigned hart, u64 offset) { return kControls + 32 * hart + offset; }
  /// Source `n` in `mode`, enabled, for `hart` with `priority`.
  void set_up(GuestAddr domain, unsigned n, u32 mode, u32 hart = 0, u32 low = 1) {
    write(domain + source(n), mode);
    write(domain + target(n), hart << 18 | low);
    write(domain + 0x1edc, n);
  }
  void delegate(unsigned n) { write(kRoot + source(n), kDelegated); }
  void deliver(GuestAddr domain) {
    write(domain, 0x100);
    for (unsigned hart : {0u, 1u}) write(domain + control(hart, 0), 1);
  }
  bool pending(GuestAddr domain, unsigned n) {
    return (read(domain + 0x1c00 + n / 32 * 4) >> (n % 32) & 1) != 0;
  }

  devices::Aplic* wires = nullptr;
};

TEST_F(Aplic, ADomainIsQuietUntilEverythingIsOn) {
  build_with("aplic");
  EXPECT_EQ(read(kRoot), 0x80000000u);
  EXPECT_EQ(read(kRoot + source(40)), 0u);
  wire(40, true);
  write(kRoot + 0x1edc, 40);
  EXPECT_EQ(read(kRoot + 0x1e04), 0u) << "an inactive source has no enable bit";
  write(kRoot + source(40), kHigh);
  EXPECT_TRUE(pending(kRoot, 40));
  EXPECT_EQ(read(kRoot + target(40)), 1u) << "a priority is never 0";
  write(kRoot + 0x1edc, 40);
  EXPECT_EQ(read(kRoot + control(0, 0x18)), 40u << 16 | 1);
  EXPECT_FALSE(line(kMachineLine));
  write(kRoot, 0xffffffff);
  EXPECT_EQ(read(kRoot), 0x80000100u);
  EXPECT_FALSE(line(kMachineLine));
  write(kRoot + control(0, 0), 1);
  EXPECT_TRUE(line(kMachineLine));
  EXPECT_FALSE(line(kMachineLine, 1));
  write(kRoot + 0x1fdc, 40);
  EXPECT_FALSE(line(kMachineLine));
}

TEST_F(Aplic, SourceModes) {
  build_with("aplic");
  deliver(kRoot);
  struct {
    u32 mode;
    bool level, edge, inverted;
  } const rows[] = {{kRising, false, true, false},
                    {kFalling, false, true, true},
                    {kHigh, true, false, false},
                    {kLow, true, false, true}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.mode);
    const bool off = row.inverted;
    wire(41, off);
    set_up(kRoot, 41, row.mode);
    EXPECT_EQ(read(kRoot + source(41)), row.mode);
    EXPECT_FALSE(pending(kRoot, 41));
    EXPECT_EQ(read(kRoot + 0x1d04), 0u);
    write(kRoot + 0x1cdc, 41);
    EXPECT_EQ(pending(kRoot, 41), row.edge) << "by software";
    write(kRoot + 0x1ddc, 41);
    EXPECT_FALSE(pending(kRoot, 41));
    wire(41, !off);
    EXPECT_TRUE(pending(kRoot, 41));
    EXPECT_EQ(read(kRoot + 0x1d04), 1u << 9) << "the input, rectified";
    EXPECT_TRUE(line(kMachineLine));
    EXPECT_EQ(read(kRoot + control(0, 0x1c)), 41u << 16 | 1);
    EXPECT_EQ(pending(kRoot, 41), row.level) << "claimed";
    wire(41, off);
    EXPECT_FALSE(pending(kRoot, 41));
    EXPECT_FALSE(line(kMachineLine));
    write(kRoot + source(41), 0);
  }
  write(kRoot + source(41), kDetached);
  wire(41, true);
  EXPECT_FALSE(pending(kRoot, 41));
  write(kRoot + 0x1c04, 1u << 9);
  EXPECT_TRUE(pending(kRoot, 41));
  write(kRoot + 0x1d04, 1u << 9);
  EXPECT_FALSE(pending(kRoot, 41));
  write(kRoot + source(41), 2);
  EXPECT_EQ(read(kRoot + source(41)), 0u) << "reserved";
}

TEST_F(Aplic, DelegatedSourcesAreTheChilds) {
  build_with("aplic");
  write(kChild + source(42), kHigh);
  EXPECT_EQ(read(kChild + source(42)), 0u) << "not delegated yet";
  delegate(42);
  EXPECT_EQ(read(kRoot + source(42)), kDelegated);
  EXPECT_EQ(read(kChild + source(42)), 0u);
  write(kRoot + source(43), kDelegated | 1);
  EXPECT_EQ(read(kRoot + source(43)), 0u) << "no such child";
  set_up(kChild, 42, kHigh, 1, 3);
  deliver(kChild);
  wire(42, true);
  EXPECT_FALSE(pending(kRoot, 42));
  EXPECT_TRUE(line(kSupervisorLine, 1));
  EXPECT_FALSE(line(kSupervisorLine, 0));
  EXPECT_FALSE(line(kMachineLine, 1));
  EXPECT_EQ(read(kChild + control(1, 0x1c)), 42u << 16 | 3);
  write(kChild + source(42), kDelegated);
  EXPECT_EQ(read(kChild + source(42)), 0u) << "a leaf delegates nothing";
  set_up(kChild, 42, kHigh, 1, 3);
  write(kRoot + source(42), kHigh);
  EXPECT_EQ(read(kChild + source(42)), 0u) << "taken back";
  EXPECT_FALSE(line(kSupervisorLine, 1));
  EXPECT_TRUE(pending(kRoot, 42));
}

TEST_F(Aplic, PriorityThresholdAndForce) {
  build_with("aplic");
  deliver(kRoot);
  for (const auto& [n, priority] : {std::pair{50u, 5u}, {51u, 3u}, {52u, 3u}}) {
    set_up(kRoot, n, kRising, 0, priority);
    wire(n, true);
  }
  const GuestAddr top = kRoot + control(0, 0x18), claim = kRoot + control(0, 0x1c),
                  threshold = kRoot + control(0, 8), force = kRoot + control(0, 4);
  EXPECT_EQ(read(top), 51u << 16 | 3);
  write(threshold, 3);
  EXPECT_EQ(read(top), 0u);
  EXPECT_FALSE(line(kMachineLine));
  write(force, 1);
  EXPECT_TRUE(line(kMachineLine)) << "spurious";
  EXPECT_EQ(read(claim), 0u);
  EXPECT_EQ(read(force), 0u);
  EXPECT_FALSE(line(kMachineLine));
  write(threshold, 0);
  for (unsigned n : {51u, 52u, 50u}) EXPECT_EQ(read(claim) >> 16, n);
  EXPECT_EQ(read(claim), 0u);
  EXPECT_FALSE(line(kMachineLine));
  write(kRoot + target(50), 5u << 18 | 9);
  EXPECT_EQ(read(kRoot + target(50)), 5u << 18 | 9) << "a hart that there is not";
  write(kRoot + 0x1cdc, 50);
  EXPECT_TRUE(pending(kRoot, 50));
}

TEST_F(Aplic, OnlyWordsOfWhatIsThere) {
  build_with("aplic");
  delegate(40);
  EXPECT_EQ(read(kRoot + source(40), 2), 0u);
  EXPECT_EQ(read(kRoot + source(40), 8), 0u);
  write(kRoot + source(40), 0, 2);
  EXPECT_EQ(read(kRoot + source(40)), kDelegated);
  for (unsigned n : {0u, 97u, 1023u}) {
    write(kRoot + source(n) + (n == 0 ? 0x1000 : 0), kHigh);
    if (n != 0) {
      EXPECT_EQ(read(kRoot + source(n)), 0u);
      write(kRoot + 0x1cdc, n);
      write(kRoot + target(n), ~u32{0});
      EXPECT_EQ(read(kRoot + target(n)), 0u);
    }
  }
  write(kRoot + 0x1cdc, ~u32{0});
  write(kRoot + 0x2000, 0x80000001);
  EXPECT_EQ(read(kRoot + 0x1bc0), 0u) << "no MSIs";
  EXPECT_EQ(read(kRoot + control(2, 0)), 0u) << "no third hart";
  write(kRoot + control(7, 0), 1);
}

TEST_F(Aplic, MessagesGoToTheFiles) {
  build_with("aplic-imsic");
  EXPECT_EQ(read(kRoot), 0x80000004u) << "MSIs only";
  EXPECT_EQ(read(kRoot + control(0, 0)), 0u);
  // One bit of hart number; supervisor files are a page each.
  write(kRoot + 0x1bc0, 0x24000);
  write(kRoot + 0x1bc4, 1u << 12);
  write(kRoot + 0x1bc8, 0x28000);
  write(kRoot + 0x1bcc, 0);
  delegate(44);
  set_up(kChild, 44, kHigh, 1, 77);
  wire(44, true);
  EXPECT_TRUE(pending(kChild, 44));
  write(kChild, 0x100);
  EXPECT_FALSE(pending(kChild, 44)) << "sent, and forgotten";
  auto* files = machine->extension<devices::Imsic>(devices::Imsic::kSupervisorFiles);
  ASSERT_NE(files, nullptr);
  const auto arrived = [&](unsigned hart, unsigned id) {
    const bool set = (files->read(hart, 0x80 + id / 32, 32) >> (id % 32) & 1) != 0;
    files->write(hart, 0x80 + id / 32, 32, 0);
    return set;
  };
  EXPECT_TRUE(arrived(1, 77));
  write(kChild + 0x1cdc, 44);
  EXPECT_TRUE(arrived(1, 77)) << "the wire is still high";
  wire(44, false);
  write(kChild + 0x1cdc, 44);
  EXPECT_FALSE(arrived(1, 77));
  write(kChild + 0x3000, 33);
  EXPECT_TRUE(arrived(0, 33)) << "genmsi";
  EXPECT_EQ(read(kChild + 0x3000), 33u) << "never busy";
  EXPECT_EQ(read(kChild + 0x1bc0), 0u);
  write(kRoot + 0x1bc4, 0x80001000);
  write(kRoot + 0x1bc0, 1);
  write(kRoot + 0x1bc8, 1);
  EXPECT_EQ(read(kRoot + 0x1bc0), 0x24000u) << "locked";
  EXPECT_EQ(read(kRoot + 0x1bc8), 0x28000u);
}

TEST_F(Aplic, MessagesToNobodyAreLost) {
  build_with("aplic-imsic");
  write(kRoot + 0x1bc0, kRoot >> 12);  // the APLIC itself
  set_up(kRoot, 45, kDetached, 0, 45);
  write(kRoot, 0x100);
  write(kRoot + 0x2000, 45);
  EXPECT_FALSE(pending(kRoot, 45));
  write(kRoot + 0x1bc0, (kRam + 0x100000) >> 12);
  write(kRoot + 0x2004, 45u << 24);
  EXPECT_EQ(read(kRam + 0x100000), 45u) << "memory takes it";
}

TEST_F(Aplic, StateSurvives) {
  for (const char* aia : {"aplic", "aplic-imsic"}) {
    build_with(aia);
    delegate(42);
    set_up(kChild, 42, kRising, 1, 3);
    if (aia == std::string("aplic")) write(kChild + control(1, 8), 2);
    wire(42, true);
    expect_state_survives([&] {
      write(kChild + 0x1fdc, 42);
      write(kChild + 0x1ddc, 42);
      write(kChild + target(42), 1);
      write(kChild + control(1, 8), 1);
      write(kChild + source(42), 0);
      write(kRoot + source(42), 0);
      write(kChild, 0x100);
      write(kRoot + 0x1bc0, 5);
    });
    EXPECT_EQ(read(kRoot + source(42)), kDelegated);
    EXPECT_EQ(read(kChild + source(42)), kRising);
    EXPECT_EQ(read(kChild + target(42)), 1u << 18 | 3);
    EXPECT_EQ(read(kChild + 0x1e04), 1u << 10);
    EXPECT_TRUE(pending(kChild, 42));
    EXPECT_EQ(read(kChild + 0x1d04), 1u << 10) << "the wire";
    EXPECT_EQ(read(kChild) & 0x100, 0u);
    EXPECT_EQ(read(kRoot + 0x1bc0), 0u);
    EXPECT_EQ(read(kChild + control(1, 8)), aia == std::string("aplic") ? 2u : 0u);
  }
}

}  // namespace
}  // namespace hindcast::test
