// The firmware configuration device.
#include "targets/devices/fw_cfg.h"

#include "tests/devices/virt_fixture.h"

namespace hindcast::test {
namespace {

constexpr GuestAddr kFwCfg = 0x10100000, kControl = kRam + 0x100000, kBuffer = kRam + 0x101000;

class FwCfgTest : public VirtTest {
 protected:
  void SetUp() override {
    MachineConfig c = config();
    c.smp = 3;
    c.files.push_back({"fw-cfg", "opt/b", kNever, Bytes{'h', 'e', 'l', 'l', 'o'}});
    c.files.push_back({"fw-cfg", "opt/a", kNever, Bytes(5000, 0x77)});
    build(c);
  }
  void select(u16 key) { write(kFwCfg + 8, static_cast<u16>(key << 8 | key >> 8), 2); }
  Bytes take(std::size_t size) {
    Bytes out;
    while (out.size() < size) out.push_back(static_cast<u8>(read(kFwCfg, 1)));
    return out;
  }
  /// Returns the control word that the device leaves.
  u32 dma(u32 control, u32 size, GuestAddr address) {
    write(kControl, __builtin_bswap32(control));
    write(kControl + 4, __builtin_bswap32(size));
    write(kControl + 8, __builtin_bswap64(address), 8);
    write(kFwCfg + 16, __builtin_bswap64(kControl), 8);
    return __builtin_bswap32(static_cast<u32>(read(kControl)));
  }
  Bytes fetch(std::size_t size) {
    Bytes out(size);
    EXPECT_TRUE(machine->memory().host_read(kBuffer, out.data(), size));
    return out;
  }
};

TEST_F(FwCfgTest, Items) {
  EXPECT_EQ(take(5), (Bytes{'Q', 'E', 'M', 'U', 0}));  // selected at reset
  select(1);
  EXPECT_EQ(read(kFwCfg), 3u);
  select(5);
  EXPECT_EQ(read(kFwCfg, 2), 3u);
  select(0x4444);
  EXPECT_EQ(read(kFwCfg, 8), 0u);
  select(0);
  EXPECT_EQ(read(kFwCfg, 8), 0x554d4551u);
  EXPECT_EQ(read(kFwCfg + 16, 8), __builtin_bswap64(0x51454d5520434647));
  EXPECT_EQ(read(kFwCfg + 20), __builtin_bswap32(0x20434647));
}

TEST_F(FwCfgTest, TheDirectory) {
  select(0x19);
  const Bytes directory = take(4 + 2 * 64);
  EXPECT_EQ(directory[3], 2);
  EXPECT_EQ(Bytes(directory.begin() + 4, directory.begin() + 12), (Bytes{0, 0, 0x13, 0x88, 0, 0x21, 0, 0}));
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(&directory[12])), "opt/a");
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(&directory[76])), "opt/b");
  select(0x20);
  EXPECT_EQ(take(6), (Bytes{'h', 'e', 'l', 'l', 'o', 0}));
}

TEST_F(FwCfgTest, Dma) {
  EXPECT_EQ(dma(0x20u << 16 | 8 | 2, 4, kBuffer), 0u);
  EXPECT_EQ(fetch(4), (Bytes{'h', 'e', 'l', 'l'}));
  EXPECT_EQ(dma(2, 3, kBuffer), 0u);
  EXPECT_EQ(fetch(3), (Bytes{'o', 0, 0}));
  EXPECT_EQ(dma(0x20u << 16 | 8 | 4, 2, 0), 0u);
  EXPECT_EQ(dma(2, 2, kBuffer), 0u);
  EXPECT_EQ(fetch(2), (Bytes{'l', 'l'}));
  EXPECT_EQ(dma(0x20u << 16 | 8 | 16, 2, kBuffer), 1u);  // writing
  EXPECT_EQ(dma(0x20u << 16 | 8 | 2, 5, kFlash), 1u);    // into what is no RAM
  EXPECT_EQ(dma(2, ~0u, kBuffer), 1u);
  EXPECT_EQ(dma(4, ~0u, 0), 0u);
  write(kFwCfg + 16, 0);  // the address in two halves; there is nothing at 0
  write(kFwCfg + 20, 0);
  write(kControl, __builtin_bswap32(0x21u << 16 | 8 | 2));
  write(kControl + 4, __builtin_bswap32(1));
  write(kControl + 8, __builtin_bswap64(kBuffer), 8);
  write(kFwCfg + 16, 0);
  write(kFwCfg + 20, __builtin_bswap32(static_cast<u32>(kControl)));
  EXPECT_EQ(read(kControl), 0u);
}

TEST_F(FwCfgTest, StateAndNames) {
  select(0x21);
  take(3);
  expect_state_survives([&] { select(0); });
  for (const std::string& name : {std::string(), std::string(56, 'x'), std::string("opt/a")}) {
    MachineConfig c = config();
    c.files.push_back({"fw-cfg", "opt/a", kNever, {}});
    c.files.push_back({"fw-cfg", name, kNever, {}});
    EXPECT_NE(fatal_message([&] { build(c); }).find("--fw-cfg"), std::string::npos);
  }
}

}  // namespace
}  // namespace hindcast::test
