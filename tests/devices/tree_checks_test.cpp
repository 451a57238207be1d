// Users' boards that cannot be: each is refused with one line that names the node and the property.
#include <fstream>
#include <iterator>
#include <random>

#include "tests/devices/arm_board.h"
#include "tests/devices/virt_fixture.h"

namespace hindcast::test {
namespace {

std::string zephyr_like() {
  std::ifstream in(HINDCAST_SOURCE_DIR "/tests/devices/zephyr_like.dts", std::ios::binary);
  EXPECT_TRUE(in.good());
  return {std::istreambuf_iterator<char>(in), {}};
}

/// zephyr_like.dts with a serial port, and other text in a place of it.
std::string tree_with(const std::string& old_text, const std::string& new_text) {
  std::string text = zephyr_like();
  const std::string soc = "\t\tnvic: interrupt-controller";
  text.insert(text.find(soc),
              "\t\tserial@40002000 { compatible = \"arm,cmsdk-uart\"; reg = <0x40002000 0x1000>; "
              "interrupts = <2 0>; };\n");
  const std::size_t at = text.find(old_text);
  EXPECT_NE(at, std::string::npos) << old_text;
  return text.replace(at, old_text.size(), new_text);
}

class TreeChecks : public VirtTest {
 protected:
  void build_tree(const std::string& text, const std::string& cpu = "") {
    targets::register_all();
    Bytes image(0x102, 0);
    image[3] = 0x20;
    image[4] = 0x01;
    image[5] = 0x81;
    image[0x100] = 0xfe;
    image[0x101] = 0xe7;
    MachineConfig c;
    c.machine = "board";
    c.cpu = cpu;
    c.files.push_back({"board", "board.dts", kNever, Bytes(text.begin(), text.end())});
    c.files.push_back({"load", "program", 0x8000, std::move(image)});
    build(c);
  }
  std::string refused(const std::string& old_text, const std::string& new_text) {
    return fatal_message([&] { build_tree(tree_with(old_text, new_text)); });
  }
};

TEST_F(TreeChecks, NonsenseIsRefusedByName) {
  ASSERT_EQ(refused("interrupts = <2 0>", "interrupts = <239 0>"), "");
  struct Case {
    const char *old_text, *new_text;
    std::initializer_list<const char*> said;
  };
  std::string too_many = "0x20000000 0x10000>; hindcast,mirrors = <";
  for (unsigned i = 0; i < 65; ++i) too_many += std::to_string(0x21000000 + 0x10000 * i) + " ";
  const char* const many = too_many.c_str();
  const Case cases[] = {
      {"interrupts = <2 0>",
       "interrupts = <4000000000 0>",
       {"interrupts of /soc/serial@40002000", "interrupt 4000000000", "0 to 239"}},
      {"interrupts = <2 0>", "interrupts = <240 0>", {"interrupts of /soc/serial@40002000", "240"}},
      {"0x40002000 0x1000", "0x40002000 0x80000000", {"reg of /soc/serial@40002000", "0x80000000 bytes"}},
      {"0x40002000 0x1000", "0x40002000 0", {"reg of /soc/serial@40002000", "0 bytes"}},
      {"0x20000000 0x10000", "0x20000000 0", {"reg of /memory@20000000", "0 bytes"}},
      {"0x8000 0x20000", "0x8000 0", {"reg of /soc/flash-controller@4001e000/flash@8000", "0 bytes"}},
      {"0x20000000 0x10000",
       "0x20000000 0x10000>; hindcast,mirrors = <0x20008000",
       {"reg of /memory@20000000", "overlaps the memory /memory@20000000"}},
      {"0x20000000 0x10000",
       "0x20000000 0x10000>; hindcast,mirrors = <0xffff8000",
       {"reg of /memory@20000000", "beyond"}},
      {"0x20000000 0x10000",
       "0x20000000 0x10000>; hindcast,mirrors = <0x20100008",
       {"ram@20100008", "only whole pages"}},
      {"0x20000000 0x10000",
       "0x20000000 0x10000>; hindcast,mirrors = <0x21000000 0x21000000",
       {"reg of /memory@20000000", "overlaps"}},
      {"0x20000000 0x10000",
       "0x20000000 0x10000 0x20010000 0x1000>; hindcast,mirrors = [00 01]; x = <0",
       {"/memory@20000000", "hindcast,mirrors"}},
      {"0x20000000 0x10000", many, {"hindcast,mirrors of /memory@20000000", "more than 64"}},
      {"0x20000000 0x10000",
       "0x20000000 0x10000 0x20008000 0x10000",
       {"reg of /memory@20000000", "overlaps the memory /memory@20000000"}},
      {"0x20000000 0x10000",
       "0x10000 0x10000",
       {"reg of /memory@20000000", "overlaps the memory /soc/flash-controller@4001e000/flash@8000"}},
      {"0x20000000 0x10000", "0xffffff00 0x1000", {"reg of /memory@20000000", "32 bits"}},
      {"0x20000000 0x10000", "0x20000000 0x10001", {"reg of /memory@20000000", "multiples of 8"}},
      {"test,pwm", "arm,sse-security", {"compatible of /soc/pwm@4001c000", "arm,sse-security", "cortex-m4"}},
      {"arm,v7m-nvic", "test,nvic", {"no node has the compatible of an NVIC"}},
      {"test,pwm",
       "arm,v7m-nvic",
       {"compatible of /soc/pwm@4001c000", "/soc/interrupt-controller@e000e100", "one"}},
      {"arm,cortex-m4f", "arm,cortex-m99", {"compatible of /cpus/cpu@0", "arm,cortex-m99", "arm,cortex-m3"}},
      {"arm,cortex-m4f", "arm,cortex-a53", {"compatible of /cpus/cpu@0", "arm,cortex-a53", "riscv"}},
      {"#interrupt-cells = <2>", "#interrupt-cells = <0>", {"/soc/serial@40002000"}},
  };
  for (const Case& c : cases) {
    const std::string message = refused(c.old_text, c.new_text);
    for (const char* said : c.said)
      EXPECT_NE(message.find(said), std::string::npos) << c.new_text << ": " << message;
  }
  // The bus has addresses of 64 bits, of which the CPU has half.
  std::string wide = tree_with("#size-cells = <1>;\n\tcompatible", "#size-cells = <1>;\n\tcompatible");
  for (const char* line :
       {"\t#address-cells = <1>;\n\t#size-cells = <1>;\n\tcompatible", "reg = <0x20000000"}) {
    const std::size_t at = wide.find(line);
    ASSERT_NE(at, std::string::npos) << line;
    wide.replace(at, std::string(line).size(),
                 line[0] == 'r' ? "reg = <1 0x20000000"
                                : "\t#address-cells = <2>;\n\t#size-cells = <1>;\n\tcompatible");
  }
  const std::string message = fatal_message([&] { build_tree(wide); });
  EXPECT_NE(message.find("reg of /memory@20000000"), std::string::npos) << message;
  EXPECT_NE(message.find("32 bits"), std::string::npos) << message;
}

TEST_F(TreeChecks, NamesOfCpus) {
  const std::pair<const char*, const char*> names[] = {{"arm,cortex-m0+", "cortex-m0plus"},
                                                       {"arm,cortex-m55f", "cortex-m55"},
                                                       {"arm,cortex-m33", "cortex-m33"}};
  for (const auto& [name, cpu] : names) {
    build_tree(tree_with("arm,cortex-m4f", name));
    EXPECT_EQ(built.cpu, cpu);
  }
  build_tree(tree_with("arm,cortex-m4f", "arm,cortex-m99"), "cortex-m7");
  EXPECT_EQ(built.cpu, "cortex-m7");
}

TEST_F(TreeChecks, ASecondCpuIsLeftOut) {
  build_tree(tree_with("cpu@0 {", "cpu@0 {"));
  EXPECT_TRUE(notes.empty()) << notes[0];
  build_tree(
      tree_with(
          "\t\tcpu@0 {",
          "\t\tcpu@1 { device_type = \"cpu\"; compatible = \"arm,cortex-m0\"; reg = <1>; };\n\t\tcpu@0 {"),
      "cortex-m4");
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("/cpus/cpu@0 (arm,cortex-m4f) is left out"), std::string::npos) << notes[0];
}

/// Numbers, words and lines of a tree changed at random: a machine, or one line.
TEST_F(TreeChecks, DamagedBoardsNeverDoMoreThanBeRefused) {
  std::mt19937 random(5);
  const std::string whole = tree_with("cpu@0 {", "cpu@0 {");
  const char* const numbers[] = {"0",          "1",          "0xffffffff", "0x80000000",
                                 "0x7fffffff", "0x20000000", "0x40000000", "0xe000e000",
                                 "255",        "0xfff",      "0x401"};
  unsigned built_some = 0;
  for (int round = 0; round < 300; ++round) {
    std::string text = whole;
    for (unsigned changes = 1 + random() % 3; changes > 0; --changes) {
      std::size_t at = text.find_first_of("0123456789", random() % text.size());
      if (at == std::string::npos) continue;
      if (random() % 4 == 0) {  // a word
        at = random() % text.size();
        text.erase(at, random() % 12);
        continue;
      }
      const std::size_t end = text.find_first_not_of("0123456789abcdefx", at);
      text.replace(at, end - at, numbers[random() % std::size(numbers)]);
    }
    const std::string message = fatal_message([&] {
      build_tree(text);
      machine->run(100);
      ++built_some;
    });
    EXPECT_LT(message.size(), 2000u);
  }
  EXPECT_GT(built_some, 10u);
}

}  // namespace
}  // namespace hindcast::test
