// Large writes from the host's side, which go past the mapping of the memory.
#include <random>

#include "tests/engine/guest.h"

namespace hindcast::test {
namespace {

constexpr const char* kOdd = R"(/dts-v1/;
/ {
  #address-cells = <1>; #size-cells = <1>;
  memory@80000000 { device_type = "memory"; reg = <0x80000000 0x10000 0x80010400 0x40000>; };
  cpus {
    #address-cells = <1>; #size-cells = <0>; timebase-frequency = <1000000>;
    cpu@0 { device_type = "cpu"; reg = <0>; compatible = "riscv"; riscv,isa = "rv64imac"; };
  };
};)";

TEST(HostWrite, LargeOnesLandWhereSmallOnesWould) {
  for (const bool odd : {false, true}) {
    Guest guest(
        {.image = Bytes(64), .cpu = odd ? "" : "rv64", .memory = odd ? 0 : 1u << 20, .tree = odd ? kOdd : ""},
        {});
    AddressSpace& memory = guest.machine().memory();
    const GuestAddr base = odd ? 0x80010400 : kRam;
    std::mt19937_64 random(7);
    Bytes expected(0x40000);
    ASSERT_TRUE(memory.host_read(base, expected.data(), expected.size()));
    for (const u64 size : {65535, 65536, 65537, 200'000}) {
      for (const u64 offset : {0, 1, 4096, 12345}) {
        Bytes data(size);
        for (u8& byte : data) byte = static_cast<u8>(random());
        ASSERT_TRUE(memory.host_write(base + offset, data.data(), data.size()));
        std::copy(data.begin(), data.end(), expected.begin() + static_cast<std::ptrdiff_t>(offset));
        Bytes found(expected.size());
        ASSERT_TRUE(memory.host_read(base, found.data(), found.size()));
        EXPECT_TRUE(found == expected) << size << " bytes at " << offset;
      }
    }
    EXPECT_FALSE(memory.host_write(base + 1, Bytes(odd ? 0x40000 : 1 << 20).data(), odd ? 0x40000 : 1 << 20));
  }
}

}  // namespace
}  // namespace hindcast::test
