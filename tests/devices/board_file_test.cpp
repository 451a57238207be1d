// A board that is not compiled in: small_board.dts, as the user names it with --board.
#include "targets/riscv/isa_string.h"
#include "tests/devices/elf_builder.h"
#include "tests/devices/virt_fixture.h"

namespace hindcast::test {
namespace {

constexpr GuestAddr kSmallRam = 0x40000000, kGpio = 0x10012000, kSmallUart = 0x10010000;

class BoardFile : public VirtTest {
 protected:
  MachineConfig board(Bytes image = idle_program()) {
    MachineConfig c = config(std::move(image));
    c.machine = "board";
    c.memory_bytes = 0;
    c.files.push_back({"board", "small_board.dts", kNever, small_board()});
    return c;
  }
  std::string error(MachineConfig c) {
    return fatal_message([&] { build(c); });
  }
};

TEST_F(BoardFile, IsWhatTheTreeSays) {
  Bytes program;
  // Hart 0 prints its number and the digit for hart 1 waits: mhartid + '0' to the serial port; then it stays.
  for (u32 insn : {0xf1402573u, 0x03050513u, 0x100105b7u, 0x00a5a023u, 0x0000006fu}) append32(program, insn);
  MachineConfig c = board(program);
  build(c);
  EXPECT_EQ(built.cpu,
            riscv::parse_cpu("rv32,f=off,d=off,zba=off,zbb=off,zbc=off,zbs=off,zicond=off,zcb=off,sstc=off,"
                             "zawrs=off,zicbom=off,zicbop=off,zicboz=off",
                             0)
                .description());
  EXPECT_EQ(built.smp, 2u);
  EXPECT_EQ(built.memory_bytes, 0x40000u);
  ASSERT_EQ(machine->vcpu_count(), 2u);
  EXPECT_EQ(reg("pc", 1), kSmallRam);
  machine->run(machine->icount() + 200'000);
  EXPECT_EQ(port.outputs[0], "01");
  EXPECT_EQ(read(0x200bff8, 8), machine->clock().now() / 1000);
  // Nothing of virt is there.
  u64 value = 0;
  for (GuestAddr at : {kRam, kFinisher, kPlic, GuestAddr{0x1000}})
    EXPECT_FALSE(machine->memory().read(at, 4, &value)) << std::hex << at;
  // What was filled in builds the same machine again: a replay has no more than the configuration.
  const Bytes state = save();
  MachineConfig again = built;
  build(again);
  machine->run(200'000);
  EXPECT_EQ(save(), state);
}

TEST_F(BoardFile, DevicesWithoutAModelAreStubs) {
  targets::register_all();
  std::vector<std::string> notes;
  EngineOptions engine;
  engine.jit = false;
  engine.note = [&](const std::string& line) { notes.push_back(line); };
  MachineConfig c = board();
  machine = Registry::instance().build(c, engine, port);
  for (int i = 0; i < 3; ++i) {
    write(kGpio + 8, 0x55);
    EXPECT_EQ(read(kGpio + 8), 0u);
  }
  EXPECT_EQ(read(kGpio + 0x1000, 1), 0u) << "the bus master of the sensor";
  ASSERT_EQ(notes.size(), 3u);
  EXPECT_NE(notes[0].find("/soc/gpio@10012000 (test,gpio): no model; the guest writes 0x55"),
            std::string::npos);
  EXPECT_NE(notes[1].find("reads 0 (4 bytes at 0x10012008"), std::string::npos) << notes[1];
  EXPECT_NE(notes[2].find("i2c"), std::string::npos);
  for (u64 offset = 0; offset < 0x1000; offset += 4) read(kGpio + offset);
  EXPECT_LT(notes.size(), 300u);
}

TEST_F(BoardFile, ConfigurationAndBoardMustAgree) {
  MachineConfig c = board();
  c.smp = 3;
  EXPECT_NE(error(c).find("has 2 CPUs, not 3"), std::string::npos) << error(c);
  c = board();
  c.memory_bytes = 1u << 20;
  EXPECT_EQ(error(c), "");
  EXPECT_EQ(read(kSmallRam + 0xffffc), 0u);
  c = board();
  c.files.pop_back();
  EXPECT_NE(error(c).find("--board"), std::string::npos) << error(c);
  c = board(ElfBuilder().segment(kSmallRam, idle_program()).build());
  EXPECT_NE(error(c).find("64-bit image"), std::string::npos) << error(c);
  c = board();
  c.files.back().data = Bytes{'x'};
  EXPECT_NE(error(c).find("small_board.dts"), std::string::npos) << error(c);
  for (auto [from, to] : std::initializer_list<std::pair<std::string, std::string>>{
           {"rv32imac", "arm"}, {"device_type = \"memory\"", "x"}, {"device_type = \"cpu\"", "x"}}) {
    std::string text;
    for (u8 byte : small_board()) text += static_cast<char>(byte);
    for (std::size_t at; (at = text.find(from)) != std::string::npos;) text.replace(at, from.size(), to);
    c = board();
    c.files.back().data = Bytes(text.begin(), text.end());
    EXPECT_NE(error(c), "") << from;
  }
}

TEST_F(BoardFile, TextsOfExtensionsNameCpus) {
  auto cpu = [](const char* isa) { return riscv::parse_cpu(riscv::cpu_of_isa(isa), 0); };
  EXPECT_EQ(riscv::isa_string(cpu("rv64gc")), "rv64imafdc_zicntr_zicsr_zifencei_zihpm_svadu");
  EXPECT_EQ(riscv::isa_string(cpu("rv32emc_zba_zbs")), "rv32emc_zicntr_zicsr_zifencei_zihpm_zba_zbs_svadu");
  EXPECT_EQ(riscv::isa_string(cpu("rv64imafdcvh_zbb_sstc")),
            "rv64imafdch_zicntr_zicsr_zifencei_zihpm_zbb_sstc_svadu");
  for (const char* text : {"rv64", "rv32"}) {
    const riscv::Features all = riscv::parse_cpu(text, 0);
    EXPECT_EQ(cpu(riscv::isa_string(all).c_str()).description(), all.description());
  }
  for (const char* bad : {"", "rv", "rv128i", "armv7"}) EXPECT_THROW(cpu(bad), Fatal) << bad;
}

}  // namespace
}  // namespace hindcast::test
