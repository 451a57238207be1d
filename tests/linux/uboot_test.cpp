// Debian's U-Boot in supervisor mode under OpenSBI (package u-boot-qemu): a session with a disk and a
// network, replayed without either. Debian's has no command `rng` and no `wget`.
#include <filesystem>
#include <regex>

#include "tests/linux/session.h"

namespace hindcast::linux_test {
namespace {

const std::string kUBoot = "/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin";

class UBoot : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    for (const std::string& file : {kUBoot, kFirmware})
      if (!std::filesystem::exists(file)) GTEST_SKIP() << "no " << file << ": scripts/setup oracles";
  }
  TempFolder folder;
};

TEST_P(UBoot, SessionWithADiskAndANetworkReplays) {
  const std::string disk = folder / "disk.img", rec = folder / "rec";
  std::string sectors;
  for (unsigned i = 0; i < 2048; ++i) sectors += std::string(511, static_cast<char>('a' + i % 26)) + "\n";
  cli_test::write_file(disk, sectors);
  std::filesystem::create_directory(folder / "tftp");
  cli_test::write_file(folder / "tftp/sectors", sectors);
  const bool pci = std::string(GetParam()) == "pci";
  Session session(
      {"record", "-o", rec, "--summary", "-M", "virt,rng=on,virtio=" + std::string(GetParam()), "-m", "256M",
       "--bios", kFirmware, "--kernel", kUBoot, "--drive", disk, "--net", "user,tftp=" + folder / "tftp"},
      "=> ", pci ? 21 : 22);
  session.await("Hit any key");
  session.type("\n");
  session.await("=> ");
  if (pci) session.line("pci enum; virtio scan");
  for (const char* line : {"virtio info", "virtio read 84000000 0 800", "md.b 84000200 10",
                           "setenv autoload no; dhcp", "ping 10.0.2.2", "tftpboot 85000000 sectors",
                           "cmp.b 84000000 85000000 100000", "crc32 84000000 100000"})
    session.line(line);
  const Outcome recorded = session.finish("poweroff");
  ASSERT_EQ(recorded.status, 0) << recorded.describe() << last_shown(recorded);
  for (const char* pattern : {"Type: Hard Disk\r\n +Capacity: 1.0 MB = 0.0 GB \\(2048 x 512\\)",
                              "2048 blocks read: OK", "84000200: 62 62 62 62 .*bbbbbbbbbbbbbbbb",
                              "DHCP client bound to address 10.0.2.15", "host 10.0.2.2 is alive",
                              "Bytes transferred = 1048576", "Total of 1048576 byte\\(s\\) were the same"})
    EXPECT_TRUE(std::regex_search(recorded.out, std::regex(pattern))) << pattern << recorded.out;

  std::filesystem::remove(disk);
  std::filesystem::remove_all(folder / "tftp");
  expect_same(rec, recorded);
  expect_same(rec, recorded, {"--code-cache", "1M"});
  ASSERT_EQ(hindcast({"index", "--every", "20000000", rec}).status, 0);
  expect_same_segments(rec, {20'000'000, 60'000'000}, 2'345'678);
}

INSTANTIATE_TEST_SUITE_P(Buses, UBoot, testing::Values("mmio", "pci"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace hindcast::linux_test
