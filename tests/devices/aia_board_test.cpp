// -M virt,aia=...: the tree, as QEMU's board of that name describes itself (10.0, `dumpdtb`).
#include "targets/machines/aia.h"

#include "targets/machines/riscv_boards.h"
#include "tests/devices/virt_fixture.h"

namespace hindcast::test {
namespace {

using loader::DeviceTree;
using loader::DtNode;
using machines::Aia;
using Cells = std::vector<u32>;

class AiaBoard : public testing::Test {
 protected:
  explicit AiaBoard() = default;
  void make(Aia aia, const char* cpu = "rv64") {
    MachineConfig config;
    config.machine = "virt";
    config.cpu = cpu;
    config.smp = 2;
    tree = machines::riscv_board_tree(config, 0, aia);
    cpu_made = config.cpu;
  }
  DtNode& node(const char* path) {
    DtNode* found = tree.find(path);
    if (found == nullptr) throw Fatal(std::string("no ") + path);
    return *found;
  }
  u32 phandle(const char* path) { return *node(path).cell("phandle"); }
  u32 hart(const char* cpu) { return *node(cpu).child("interrupt-controller")->cell("phandle"); }
  Cells wires(u32 line) { return {hart("/cpus/cpu@0"), line, hart("/cpus/cpu@1"), line}; }

  DeviceTree tree;
  std::string cpu_made;
  static constexpr const char* kRoot = "/soc/interrupt-controller@c000000";
  static constexpr const char* kChild = "/soc/interrupt-controller@d000000";
  static constexpr const char* kMachineFiles = "/soc/interrupt-controller@24000000";
  static constexpr const char* kSupervisorFiles = "/soc/interrupt-controller@28000000";
};

TEST_F(AiaBoard, DirectDelivery) {
  make(Aia::Aplic);
  EXPECT_EQ(tree.find("/soc/plic@c000000"), nullptr);
  const u32 child = phandle(kChild);
  EXPECT_EQ(node(kRoot).strings("compatible"), (std::vector<std::string>{"qemu,aplic", "riscv,aplic"}));
  EXPECT_EQ(node(kRoot).cells("reg"), (Cells{0, 0xc000000, 0, 0x8000}));
  EXPECT_EQ(node(kChild).cells("reg"), (Cells{0, 0xd000000, 0, 0x8000}));
  for (const char* path : {kRoot, kChild}) {
    EXPECT_EQ(node(path).cells("riscv,num-sources"), Cells{0x60});
    EXPECT_EQ(node(path).cells("#interrupt-cells"), Cells{2});
    EXPECT_EQ(node(path).cells("#address-cells"), Cells{0});
    EXPECT_TRUE(node(path).has("interrupt-controller"));
    EXPECT_FALSE(node(path).has("msi-parent"));
  }
  EXPECT_EQ(node(kRoot).cells("interrupts-extended"), wires(11));
  EXPECT_EQ(node(kChild).cells("interrupts-extended"), wires(9));
  EXPECT_EQ(node(kRoot).cells("riscv,children"), Cells{child});
  EXPECT_EQ(node(kRoot).cells("riscv,delegation"), (Cells{child, 1, 0x60}));
  EXPECT_EQ(node(kRoot).cells("riscv,delegate"), (Cells{child, 1, 0x60}));
  EXPECT_EQ(node("/soc/serial@10000000").cells("interrupts"), (Cells{10, 4}));
  EXPECT_EQ(node("/soc/serial@10000000").cell("interrupt-parent"), child);
  EXPECT_EQ(node("/soc/rtc@101000").cells("interrupts"), (Cells{11, 4}));
  EXPECT_EQ(node("/soc/virtio_mmio@10008000").cells("interrupts"), (Cells{8, 4}));
  const Cells map = node("/soc/pci@30000000").cells("interrupt-map");
  ASSERT_EQ(map.size(), 16u * 7);
  EXPECT_EQ(Cells(map.end() - 7, map.end()), (Cells{0x1800, 0, 0, 4, child, 34, 4}));
  EXPECT_FALSE(node("/soc/pci@30000000").has("msi-parent"));
  EXPECT_EQ(cpu_made, "rv64") << "no CSRs without interrupt files";
}

TEST_F(AiaBoard, Messages) {
  make(Aia::AplicImsic);
  for (const auto& [path, base, line] :
       {std::tuple{kMachineFiles, 0x24000000u, 11u}, {kSupervisorFiles, 0x28000000u, 9u}}) {
    EXPECT_EQ(node(path).strings("compatible"), (std::vector<std::string>{"qemu,imsics", "riscv,imsics"}));
    EXPECT_EQ(node(path).cells("reg"), (Cells{0, base, 0, 0x2000}));
    EXPECT_EQ(node(path).cells("interrupts-extended"), wires(line));
    EXPECT_EQ(node(path).cells("riscv,num-ids"), Cells{255});
    EXPECT_EQ(node(path).cells("#interrupt-cells"), Cells{0});
    EXPECT_TRUE(node(path).has("interrupt-controller"));
    EXPECT_TRUE(node(path).has("msi-controller"));
  }
  EXPECT_EQ(node(kRoot).cell("msi-parent"), phandle(kMachineFiles));
  EXPECT_EQ(node(kChild).cell("msi-parent"), phandle(kSupervisorFiles));
  EXPECT_EQ(node("/soc/pci@30000000").cell("msi-parent"), phandle(kSupervisorFiles));
  EXPECT_FALSE(node(kRoot).has("interrupts-extended"));
  const std::string isa = node("/cpus/cpu@1").string("riscv,isa");
  EXPECT_NE(isa.find("_smaia_"), std::string::npos) << isa;
  EXPECT_NE(isa.find("_ssaia_"), std::string::npos) << isa;
  EXPECT_EQ(cpu_made, "rv64,smaia=on,ssaia=on");
}

TEST_F(AiaBoard, OnlyWhereItCanBe) {
  EXPECT_NE(fatal_message([&] { make(Aia::Aplic, "rv64,s=off"); }).find("supervisor mode"),
            std::string::npos);
  MachineConfig config;
  config.machine = "board";
  config.files.push_back({"board", "small_board.dts", kNever, small_board()});
  EXPECT_NE(fatal_message([&] { machines::riscv_board_tree(config, 0, Aia::Aplic); }).find("-M aia="),
            std::string::npos);
}

TEST_F(VirtTest, AiaIsOneOfThreeWords) {
  MachineConfig c = config();
  c.machine_options["aia"] = "on";
  EXPECT_EQ(fatal_message([&] { build(c); }), "aia=on: write none, aplic or aplic-imsic");
  c.machine_options["aia"] = "none";
  build(c);
  EXPECT_EQ(source_level(kUartSource), false);
}

/// Domains whose nodes name each other, themselves, or nobody.
TEST_F(VirtTest, DomainsInACircle) {
  std::string text = R"(/dts-v1/; / { #address-cells = <1>; #size-cells = <1>; compatible = "x";
    memory@80000000 { device_type = "memory"; reg = <0x80000000 0x100000>; };
    cpus { #address-cells = <1>; #size-cells = <0>; timebase-frequency = <10000000>;
      cpu@0 { device_type = "cpu"; reg = <0>; riscv,isa = "rv64imac"; compatible = "riscv";
        h: interrupt-controller {
          #interrupt-cells = <1>; interrupt-controller; compatible = "riscv,cpu-intc"; }; }; };
    a: a@1000000 { compatible = "riscv,aplic"; reg = <0x1000000 0x8000>; interrupt-controller;
      #interrupt-cells = <2>; riscv,num-sources = <10>; interrupts-extended = <&h 11>;
      riscv,children = <&b &a 99>; };
    b: b@2000000 { compatible = "riscv,aplic"; reg = <0x2000000 0x8000>; interrupt-controller;
      #interrupt-cells = <2>; riscv,num-sources = <5>; interrupts-extended = <&h 9>;
      riscv,children = <&a &b>; };
    };)";
  MachineConfig c = config();
  c.machine = "board";
  c.memory_bytes = 0;
  c.files.push_back({"board", "b.dts", kNever, Bytes(text.begin(), text.end())});
  build(c);
  for (u32 index : {0u, 1u, 2u, 3u})
    for (GuestAddr at : {0x1000000u, 0x2000000u})
      for (unsigned source : {3u, 7u}) write(at + 4 * source, 0x400 | index);
  write(0x1000000 + 4 * 7, 0x400);
  write(0x1000000 + 4 * 7, 6);
  EXPECT_EQ(read(0x1000000 + 4 * 7), 6u);
  EXPECT_EQ(read(0x2000000 + 4 * 7), 0u);
}

}  // namespace
}  // namespace hindcast::test
