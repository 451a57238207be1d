// Linux on the controllers of the Advanced Interrupt Architecture, with a disk and entropy on the PCI bus.
#include <fstream>
#include <regex>

#include "tests/linux/session.h"

namespace hindcast::linux_test {
namespace {

struct Board {
  const char* aia;
  unsigned harts;
};

class LinuxAia : public Linux, public testing::WithParamInterface<Board> {
 protected:
  void SetUp() override {
    Linux::SetUp();
    if (!IsSkipped() && !std::filesystem::exists(kFolder + "/initrd-pci.cpio"))
      GTEST_SKIP() << "no initramfs with modules: remove " << kFolder << ", and scripts/riscv-linux";
  }
};

TEST_P(LinuxAia, BootsAndReplays) {
  const auto& [aia, harts] = GetParam();
  const bool messages = std::string(aia) == "aplic-imsic";
  const std::string disk = folder / "disk.img";
  std::ofstream(disk, std::ios::binary) << std::string(1u << 20, 'd');
  std::vector<std::string> line = record(rec(), harts, "initrd-pci.cpio");
  for (std::string& word : line)
    if (word == "virt") word = std::string("virt,virtio=pci,rng=on,aia=") + aia;
  line.insert(line.end(), {"--drive", disk});
  Process boot(line);
  const Outcome recorded = boot.finish(kLong);
  ASSERT_EQ(recorded.status, 0) << recorded.describe();
  const auto shows = [&](const std::string& text) { return recorded.out.find(text) != std::string::npos; };
  EXPECT_TRUE(shows("init: harts " + std::to_string(harts)));
  // Of a mebibyte of "d".
  EXPECT_TRUE(shows("3cc61427921fb0d746017e0b26174cbb97aecfcb973187b01be3b1e376c058a7  -")) << recorded.out;
  EXPECT_TRUE(shows("reboot: Power down"));
  const std::regex queue("PCI-MSIX-0000:00:01.0 +1 Edge +virtio0-req.0");
  EXPECT_EQ(std::regex_search(recorded.out, queue), messages);
  EXPECT_EQ(shows("riscv-imsic: interrupt-controller@28000000: providing IPIs using interrupt 1"), messages);
  EXPECT_EQ(shows("96 interrupts forwarded to MSI base 0x0000000028000000"), messages);
  EXPECT_EQ(shows("96 interrupts directly connected to " + std::to_string(harts) + " CPUs"), !messages);

  std::filesystem::remove(disk);
  expect_same(rec(), recorded);
  ASSERT_EQ(hindcast({"index", "--every", "400000000", rec()}).status, 0);
  expect_same_segments(rec(), {800'000'000}, 6'543'210);
}

INSTANTIATE_TEST_SUITE_P(Boards, LinuxAia,
                         testing::Values(Board{"aplic", 1}, Board{"aplic-imsic", 1}, Board{"aplic-imsic", 4}),
                         [](const auto& info) {
                           const bool messages = std::string(info.param.aia) == "aplic-imsic";
                           return std::string(messages ? "imsic" : "aplic") +
                                  std::to_string(info.param.harts);
                         });

}  // namespace
}  // namespace hindcast::linux_test
