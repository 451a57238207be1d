#include "targets/devices/model_registry.h"
#include "targets/machines/board.h"
#include "tests/devices/elf_builder.h"
#include "tests/devices/virt_fixture.h"

namespace hindcast::test {
namespace {

class Virt : public VirtTest {
 protected:
  std::string error(MachineConfig c) {
    return fatal_message([&] { build(c); });
  }
  void run(Icount count) { machine->run(machine->icount() + count); }
  loader::DeviceTree guest_tree() {
    GuestAddr at = read(0x1020, 8);
    u8 header[8];
    EXPECT_TRUE(machine->memory().host_read(at, header, sizeof header));
    Bytes blob(u32{header[4]} << 24 | u32{header[5]} << 16 | u32{header[6]} << 8 | header[7]);
    EXPECT_TRUE(machine->memory().host_read(at, blob.data(), blob.size()));
    return loader::DeviceTree::from_blob("guest", blob);
  }
};

TEST_F(Virt, ResetVectorHandsOverWhatSoftwareExpects) {
  MachineConfig c = config();
  c.smp = 2;
  c.memory_bytes = 128u << 20;
  build(c);
  // The words that QEMU 7.2 has there, for the same start address and place of the tree.
  const u32 expected[] = {0x00000297, 0x02828613, 0xf1402573, 0x0202b583, 0x0182b283, 0x00028067, 0x80000000,
                          0,          0x87e00000, 0,          0x4942534f, 0,          2,          0};
  for (u64 i = 0; i < std::size(expected); ++i) EXPECT_EQ(read(0x1000 + 4 * i), expected[i]) << i;
  run(6);
  EXPECT_EQ(reg("pc", 0), kRam);
  EXPECT_EQ(reg("a0", 0), 0u);
  EXPECT_EQ(reg("a1", 0), 0x87e00000u);
  EXPECT_EQ(reg("a2", 0), 0x1028u);
  run(100'000);
  EXPECT_EQ(reg("pc", 1), kRam);
  EXPECT_EQ(reg("a0", 1), 1u);
}

TEST_F(Virt, TreeFollowsTheConfiguration) {
  MachineConfig c = config();
  c.smp = 4;
  c.memory_bytes = 32u << 20;
  c.append = "console=ttyS0";
  c.files.push_back({"initrd", "initrd", kNever, Bytes(5000, 0x77)});
  build(c);
  loader::DeviceTree tree = guest_tree();
  EXPECT_EQ(tree.find("/memory")->reg()[0].size, 32u << 20);
  EXPECT_NE(tree.find("/cpus/cpu@3"), nullptr);
  EXPECT_EQ(tree.find("/cpus/cpu@4"), nullptr);
  EXPECT_EQ(tree.find("/cpus/cpu@0")->string("riscv,isa").substr(0, 10), "rv64imafdc");
  EXPECT_EQ(tree.interrupts(*tree.find("/soc/clint")).size(), 8u);
  EXPECT_EQ(tree.interrupts(*tree.find("/soc/plic")).size(), 8u);
  for (u32 hart = 0; hart < 4; ++hart) {
    const loader::DtNode* cpu = tree.find("/cpus/cpu@" + std::to_string(hart));
    const u32 intc = *cpu->child("interrupt-controller")->cell("phandle");
    EXPECT_EQ(cpu->cell("reg"), hart);
    EXPECT_EQ(tree.find("/cpus/cpu-map/cluster0/core" + std::to_string(hart))->cell("cpu"),
              cpu->cell("phandle"));
    const auto plic = tree.interrupts(*tree.find("/soc/plic"));
    for (u32 i : {0u, 1u}) {
      EXPECT_EQ(plic[2 * hart + i].controller, intc);
      EXPECT_EQ(plic[2 * hart + i].cells, std::vector<u32>{i == 0 ? 11u : 9u});
    }
  }
  EXPECT_EQ(tree.find("/chosen")->string("bootargs"), "console=ttyS0");
  u32 start = tree.find("/chosen")->cells("linux,initrd-start")[1];
  EXPECT_EQ(tree.find("/chosen")->cells("linux,initrd-end")[1], start + 5000);
  EXPECT_EQ(read(start + 4999, 1), 0x77u);
  EXPECT_EQ(built.machine, "virt");
  EXPECT_EQ(built.cpu, "rv64");
}

TEST_F(Virt, DefaultsAreFilledIn) {
  MachineConfig c = config(ElfBuilder().segment(kRam, idle_program()).build());
  c.machine.clear();
  c.memory_bytes = 0;
  build(c);
  EXPECT_EQ(built.machine, "virt");
  EXPECT_EQ(built.memory_bytes, 128u << 20);
}

TEST_F(Virt, AnyFileMayNameTheMachine) {
  MachineConfig c = config(ElfBuilder().segment(kRam + 0x200000, idle_program()).build());
  c.machine.clear();
  c.files.push_back({"bios", "raw", kNever, idle_program()});
  build(c);
  EXPECT_EQ(built.machine, "virt");
}

TEST_F(Virt, ElfClassChoosesTheCpu) {
  ElfBuilder elf;
  elf.wide = false;
  elf.segment(kRam, idle_program());
  build(config(elf.build()));
  EXPECT_STREQ(machine->arch().name(), "riscv32");
  EXPECT_EQ(read(0x100c), 0x0202a583u);
  run(10);
  EXPECT_EQ(reg("pc"), kRam);
  MachineConfig c = config(elf.build());
  c.cpu = "rv64";
  EXPECT_NE(error(c), "");
}

TEST_F(Virt, BareElfStartsAtItsEntry) {
  ElfBuilder elf;
  elf.entry = kRam + 0x10000;
  elf.segment(elf.entry, idle_program());
  build(config(elf.build()));
  run(20);
  EXPECT_EQ(reg("pc"), elf.entry);
}

TEST_F(Virt, FileHeadersInFrontOfMemoryAreLeftOut) {
  // Linkers give a program at the start of memory a first segment that begins with the file's headers, below
  // it.
  ElfBuilder elf;
  Bytes data(0x1000);
  append32(data, 0x0000006f);
  elf.segment(kRam, data);
  Bytes file = elf.build();
  const u64 headers = 64 + 56, size = headers + data.size(), address = kRam - 0x1000 - headers;
  auto patch = [&](std::size_t at, u64 value) {
    for (unsigned i = 0; i < 8; ++i) file[64 + at + i] = static_cast<u8>(value >> (8 * i));
  };
  patch(8, 0);
  patch(24, address);
  patch(32, size);
  patch(40, size);
  build(config(file));
  EXPECT_EQ(read(kRam), 0x6fu);
  file[headers + 4] = 1;  // program bytes below memory are an error
  EXPECT_NE(error(config(file)).find("does not fit"), std::string::npos);
}

TEST_F(Virt, FirmwareThenKernel) {
  MachineConfig c = config(Bytes(100, 0x11));
  c.files.push_back({"bios", "firmware", kNever, idle_program()});
  build(c);
  EXPECT_EQ(read(0x1018, 8), kRam);
  EXPECT_EQ(read(kRam), 0x6fu);
  EXPECT_EQ(read(kRam + 0x200000, 1), 0x11u);
  EXPECT_EQ(read(0x1038, 8), kRam + 0x200000);  // fw_dynamic_info's next address
}

TEST_F(Virt, LoadedBytesStartWithoutAnImage) {
  MachineConfig c = config();
  c.files.clear();
  c.files.push_back({"load", "flash", kFlash, idle_program()});
  build(c);
  run(20);
  EXPECT_EQ(reg("pc"), kFlash);
  c.files.push_back({"load", "ram", kRam, idle_program()});
  build(c);
  run(20);
  EXPECT_EQ(reg("pc"), kRam);
}

TEST_F(Virt, ResetLoadsAgainWhatTheGuestOverwrote) {
  ElfBuilder elf;
  elf.segment(kRam, idle_program(), 0x3000);
  MachineConfig c = config(elf.build());
  c.files.push_back({"load", "in flash", kFlash, Bytes(8, 0xff)});
  build(c);
  write(kRam, 0);
  write(kRam + 0x2000, 0x55);
  write(kRam + 0x100000, 0x66);
  write(kFlash, 0x40);
  write(kFlash, 0);
  write(kFlash, 0xff);
  machine->reset();
  EXPECT_EQ(read(kRam), 0x6fu);
  EXPECT_EQ(read(kRam + 0x2000), 0u) << "the image's zeros";
  EXPECT_EQ(read(kRam + 0x100000), 0x66u) << "memory outside the image is not touched";
  EXPECT_EQ(read(kFlash), 0u) << "flash keeps what was programmed";
}

TEST_F(Virt, UsersTreeIsHandedOver) {
  MachineConfig c = config();
  c.append = "hello";
  std::string text = "/dts-v1/; / { mine; };";
  c.files.push_back({"dtb", "mine.dts", kNever, Bytes(text.begin(), text.end())});
  build(c);
  EXPECT_TRUE(guest_tree().root().has("mine"));
  EXPECT_EQ(guest_tree().find("/chosen")->string("bootargs"), "hello");
  EXPECT_FALSE(guest_tree().find("/chosen")->has("rng-seed"));
  EXPECT_EQ(port.answers[InputKind::Entropy], 0u);
  c.files.back().data = Bytes{0xd0, 0x0d, 0xfe, 0xed, 1};
  EXPECT_NE(error(c).find("mine.dts"), std::string::npos);
}

TEST_F(Virt, TheTreesSeedComesThroughTheDoor) {
  auto seed = [&] {
    const loader::DeviceTree tree = guest_tree();
    const Bytes* value = tree.find("/chosen")->property("rng-seed");
    return value == nullptr ? Bytes() : *value;
  };
  auto drawn = [](unsigned n) {
    Bytes bytes;
    for (unsigned i = 0; i < 32; ++i) bytes.push_back(static_cast<u8>(16 * n + i));
    return bytes;
  };
  MachineConfig c = config();
  c.append = "console=ttyS0";
  build(c);  // two runs that nobody disturbs shall be the same run
  EXPECT_TRUE(seed().empty());
  c.machine_options["rng-seed"] = "on";
  build(c);
  EXPECT_EQ(port.answers[InputKind::Entropy], 1u);
  EXPECT_EQ(seed(), drawn(1));
  EXPECT_EQ(guest_tree().find("/chosen")->string("bootargs"), "console=ttyS0");
  write(read(0x1020, 8), 0);
  machine->reset();
  EXPECT_EQ(port.answers[InputKind::Entropy], 2u);
  EXPECT_EQ(seed(), drawn(2));
  for (const char* option : {"on", "off"}) {
    c.machine_options["rng-seed"] = option;
    build(c);
    EXPECT_EQ(seed().empty(), option == std::string("off"));
  }
  EXPECT_EQ(port.answers[InputKind::Entropy], 3u);
  c.machine_options["rng-seed"] = "maybe";
  EXPECT_NE(error(c).find("on or off"), std::string::npos);
}

TEST_F(Virt, WhatDescribesTheBoardToUsIsNotShown) {
  build();
  guest_tree().for_each([](const loader::DtNode& node) {
    EXPECT_FALSE(node.string("compatible").starts_with("hindcast,")) << node.path();
    for (const loader::DtProperty& property : node.properties())
      EXPECT_FALSE(property.name.starts_with("hindcast,")) << node.path() << ": " << property.name;
  });
}

TEST_F(Virt, SmallMemories) {
  MachineConfig c = config();
  c.memory_bytes = 16u << 10;
  build(c);
  EXPECT_EQ(read(0x1020, 8) % 4096, 0u);
  EXPECT_EQ(guest_tree().find("/memory")->reg()[0].size, 16u << 10);
  c.memory_bytes = 4096;
  c.files[0].data.resize(4096);
  EXPECT_NE(error(c).find("device tree"), std::string::npos);
}

TEST_F(Virt, WhatMakesNoSenseIsOneLine) {
  MachineConfig c = config();
  c.smp = 9;
  EXPECT_NE(error(c).find("1 to 8 CPUs"), std::string::npos);
  c = config();
  c.smp = 0;
  EXPECT_NE(error(c), "");
  c = config();
  c.memory_bytes = 1'000'001;
  EXPECT_NE(error(c).find("4 KiB"), std::string::npos);
  c = config();
  c.memory_bytes = u64{1} << 45;
  EXPECT_NE(error(c), "");
  c = config();
  c.machine_options["color"] = "red";
  EXPECT_NE(error(c).find("color"), std::string::npos);
  c = config();
  c.cpu = "z80";
  EXPECT_NE(error(c).find("z80"), std::string::npos);
  c = config();
  c.machine = "toaster";
  EXPECT_NE(error(c).find("virt"), std::string::npos);
  c = config();
  c.machine.clear();
  EXPECT_NE(error(c).find("-M"), std::string::npos);
  c = config();
  c.files.clear();
  EXPECT_NE(error(c), "");
  c = config(ElfBuilder().segment(0x40000000, Bytes(8)).build());
  EXPECT_NE(error(c).find("0x40000000"), std::string::npos);
  c = config(ElfBuilder().segment(kRam, Bytes(8), u64{1} << 50).build());
  EXPECT_NE(error(c).find("does not fit"), std::string::npos);
  c = config();
  c.files.push_back({"load", "other", kRam + 2, Bytes(8)});
  EXPECT_NE(error(c).find("overlap"), std::string::npos);
  c = config();
  c.files.push_back({"load", "far", ~u64{0} - 3, Bytes(8)});
  EXPECT_NE(error(c), "");
  c = config();
  c.files.push_back({"initrd", "big", kNever, Bytes(8u << 20)});
  EXPECT_NE(error(c).find("-m"), std::string::npos);
  ElfBuilder arm;
  arm.machine = 40;
  arm.wide = false;
  c = config(arm.segment(kRam, Bytes(8)).build());
  EXPECT_NE(error(c).find("Arm"), std::string::npos);
}

TEST_F(Virt, EqualConfigurationsBuildEqualMachines) {
  MachineConfig c = config();
  c.smp = 2;
  build(c);
  Bytes first = save();
  std::unique_ptr<Machine> kept = std::move(machine);
  build(c);
  EXPECT_EQ(save(), first);
}

// ---- HTIF

class HtifTest : public VirtTest {
 protected:
  static constexpr GuestAddr kTohost = kRam + 0x1000, kFromhost = kRam + 0x1040;
  void SetUp() override {
    ElfBuilder elf;
    elf.segment(kRam, Bytes(0x3000, 0x13));
    elf.symbols = {{"tohost", kTohost, 8, 0x11}, {"fromhost", kFromhost, 8, 0x11}};
    build(config(elf.build()));
  }
};

TEST_F(HtifTest, PageIsMemoryToTheGuestAndHoldsTheImage) {
  EXPECT_EQ(read(kRam + 0xffc, 8), 0x1313131313131313u);
  EXPECT_EQ(read(kRam + 0x1ff8, 8), 0x1313131313131313u);
  EXPECT_EQ(read(kRam + 0x2000), 0x13131313u);
  write(kRam + 0x1100, 0x12345678);
  EXPECT_EQ(read(kRam + 0x1101, 1), 0x56u);
  expect_state_survives([&] { write(kRam + 0x1100, 1); });
  machine->reset();
  EXPECT_EQ(read(kRam + 0x1100), 0x13131313u);
}

TEST_F(HtifTest, ExitCodes) {
  write(kTohost, 0);
  write(kTohost + 4, 0);
  EXPECT_FALSE(machine->exited());
  write(kTohost, 7 << 1 | 1);
  EXPECT_TRUE(machine->exited());
  EXPECT_EQ(machine->exit_code(), 7);
}

TEST_F(HtifTest, PassIsZero) {
  write(kTohost, 1, 8);
  EXPECT_TRUE(machine->exited());
  EXPECT_EQ(machine->exit_code(), 0);
}

TEST_F(HtifTest, ConsoleAndSystemCalls) {
  write(kTohost, u64{1} << 56 | u64{1} << 48 | 'A', 8);
  EXPECT_EQ(port.outputs[0], "A");
  EXPECT_EQ(read(kFromhost, 8), u64{1} << 56 | u64{1} << 48);
  const GuestAddr block = kRam + 0x2000, text = kRam + 0x1ffc;  // crosses from the page into RAM
  auto call = [&](u64 number, u64 a, u64 b, u64 c) {
    u64 words[8] = {number, a, b, c};
    machine->memory().host_write(block, words, sizeof words);
    write(kTohost, block, 8);
    return read(block, 8);
  };
  for (u64 i = 0; i < 4; ++i) write(text + i, 'w' + i, 1);
  EXPECT_EQ(call(64, 1, text, 5), 5u);
  EXPECT_EQ(port.outputs[0].substr(0, 5), "Awxyz");
  EXPECT_EQ(read(kFromhost, 8), 1u);
  EXPECT_EQ(read(kTohost, 8), 0u);
  EXPECT_EQ(static_cast<i64>(call(64, 1, 0x100, 5)), -14);
  EXPECT_EQ(static_cast<i64>(call(64, 9, text, 5)), -9);
  EXPECT_EQ(static_cast<i64>(call(1234, 0, 0, 0)), -38);
  EXPECT_LE(call(64, 1, kRam + (8u << 20) - 16, ~u64{0}), 16u);
  write(kTohost, 0x40, 8);  // no block there: nothing happens
  call(93, 5, 0, 0);
  EXPECT_EQ(machine->exit_code(), 5);
}

// ---- other boards

class Board : public VirtTest {
 protected:
  std::string error_of(const std::string& nodes) {
    build();
    Machine other(machine->arch(), {}, 56);
    other.set_port(&port);
    return fatal_message([&] {
      loader::DeviceTree tree = loader::DeviceTree::from_source(
          "board",
          "/dts-v1/; / { #address-cells = <2>; #size-cells = <2>; cpus { #address-cells = <1>; #size-cells = "
          "<0>;"
          "timebase-frequency = <10000000>; cpu@0 { device_type = \"cpu\"; reg = <0>; cpu0: ic {"
          "interrupt-controller; #interrupt-cells = <1>; }; }; };" +
              nodes + "};");
      machines::add_memory(other, tree, {});
      machines::add_devices(other, tree, {}, 56);
    });
  }
  static constexpr const char* kMemory =
      "memory@0 { device_type = \"memory\"; reg = <0 0x1000 0 0x10000>; };";
};

TEST_F(Board, AnyTreeOfKnownModelsBuilds) {
  EXPECT_EQ(error_of(std::string(kMemory) + R"(
    serial@20000 { compatible = "vendor,uart", "ns16550"; reg = <0 0x20000 0 0x100>; reg-shift = <2>;
                   interrupts-extended = <&pic 1>; clock-frequency = <24000000>; };
    off@21000 { compatible = "ns16550"; reg = <0 0x20000 0 0x100>; status = "disabled"; };
    unknown@22000 { compatible = "vendor,thing"; reg = <0 0x20000 0 0x100>; interrupts-extended = <&pic 2>; };
    pic: plic@1000000 { compatible = "riscv,plic0"; reg = <0 0x1000000 0 0x400000>; riscv,ndev = <4>;
                        #interrupt-cells = <1>; interrupts-extended = <&cpu0 11>, <&cpu0 0xffffffff>; };)"),
            "");
  EXPECT_EQ(port.sinks.count(0), 1u);
}

TEST_F(Board, HostileTreesAreOneLine) {
  const std::string uart = "serial@20000 { compatible = \"ns16550\"; reg = <0 0x20000 0 0x100>; ";
  auto refused = [&](const std::string& nodes, const char* why) {
    std::string error = error_of(nodes);
    EXPECT_NE(error.find(why), std::string::npos) << nodes << ": " << error;
  };
  refused("", "no memory");
  refused("memory@0 { device_type = \"memory\"; reg = <0 0x1000 0 0x14>; };", "multiples of 8");
  refused("memory@0 { device_type = \"memory\"; reg = <0xffffffff 0xfffff000 0 0x2000>; };", "does not fit");
  refused(kMemory + std::string(kMemory).replace(7, 1, "1"), "overlaps");
  refused(kMemory + uart + "reg = <0 0x20000 0 4>; };", "register range");
  refused(kMemory + uart + "reg = <0 0x2000 0 0x100>; };", "overlaps");
  refused(kMemory + uart + "reg = <0 0x20000>; };", "number of cells");
  refused(kMemory + uart + "reg-shift = <40>; };", "reg-shift");
  refused(kMemory + uart + "clock-frequency = <0>; };", "clock-frequency");
  refused(kMemory + uart + "interrupts-extended = <77 1>; };", "does not exist");
  refused(kMemory + uart + "interrupts-extended = <&cpu0 64>; };", "line 64");
  const std::string plic =
      "compatible = \"riscv,plic0\"; reg = <0 0x1000000 0 0x400000>; #interrupt-cells = <1>; ";
  refused(kMemory + ("a: a { " + plic + "riscv,ndev = <4>; interrupts-extended = <&b 1>; }; b: b { ") + plic +
              "riscv,ndev = <4>; interrupts-extended = <&a 1>; };",
          "circle");
  refused(kMemory + ("a { " + plic) + "riscv,ndev = <5000>; };", "riscv,ndev");
  refused(kMemory + std::string("c { compatible = \"riscv,clint0\"; reg = <0 0x2000000 0 0x10000>; "
                                "interrupts-extended = <&cpu0 3>; };"),
          "each hart");
  for (const char* bad : {"bank-width = <3>;", "bank-width = <4>; reg = <0 0x20000000 0 0x1000>;",
                          "bank-width = <4>; reg = <0 0x20000000 0 0xc0000>;",
                          "bank-width = <4>; reg = <0 0x20010000 0 0x100000>;"})
    refused(kMemory +
                ("f { compatible = \"cfi-flash\"; reg = <0 0x20000000 0 0x100000>; " + std::string(bad)) +
                " };",
            "flash0");
}

}  // namespace
}  // namespace hindcast::test
