// Which board an Arm image without -M is for, and what is said of one that fits none.
#include "targets/machines/arm_images.h"

#include <random>

#include "targets/loader/arm_attributes.h"
#include "targets/loader/image.h"
#include "tests/devices/elf_builder.h"
#include "tests/devices/virt_fixture.h"

namespace hindcast::test {
namespace {

using loader::ArmAttributes;

constexpr u8 kArch = 6, kProfile = 7, kFp = 10, kFpUse = 27;

void word(Bytes& out, u64 value) { append32(out, static_cast<u32>(value)); }

/// A section of attributes: of the CPU's name and of pairs of a tag and a small number.
Bytes attributes(const std::string& cpu, const std::vector<std::pair<u8, u8>>& numbers) {
  Bytes file = {5};
  file.insert(file.end(), cpu.c_str(), cpu.c_str() + cpu.size() + 1);
  for (const auto& [tag, value] : numbers) file.insert(file.end(), {tag, value});
  Bytes out = {'A'};
  word(out, 4 + 6 + 1 + 4 + file.size());
  for (const char c : std::string("aeabi")) out.push_back(static_cast<u8>(c));
  out.insert(out.end(), {0, 1});
  word(out, 1 + 4 + file.size());
  out.insert(out.end(), file.begin(), file.end());
  return out;
}

/// An image with its vector table at `base`, and a section of attributes if there are any.
Bytes image(GuestAddr base, const Bytes& section, u32 stack = 0x20001000, u64 size = 0x200) {
  Bytes code;
  word(code, stack);
  word(code, base + 0x101);
  code.resize(size);
  ElfBuilder elf;
  elf.wide = false;
  elf.machine = 40;
  elf.entry = base + 0x101;
  Bytes out = elf.segment(base, code).build();
  if (section.empty()) return out;
  const std::size_t at = out.size();
  out.insert(out.end(), section.begin(), section.end());
  const std::size_t headers = out.size();
  out.resize(headers + 40);
  word(out, 0), word(out, 0x70000003), word(out, 0), word(out, 0), word(out, at), word(out, section.size());
  word(out, 0), word(out, 0), word(out, 1), word(out, 0);
  for (unsigned i = 0; i < 4; ++i) out[32 + i] = static_cast<u8>(headers >> (8 * i));
  out[48] = 2;
  return out;
}

class ArmImages : public VirtTest {
 protected:
  ArmImages() { targets::register_all(); }
  /// The machine that is built for an image without -M, or the message.
  std::string chosen(const Bytes& file) {
    MachineConfig c;
    c.files.push_back({"kernel", "x.elf", kNever, file});
    const std::string message = fatal_message([&] { build(c); });
    return message.empty() ? built.machine : message;
  }
};

TEST_F(ArmImages, AreRunOnABoardOfTheirArchitecture) {
  EXPECT_EQ(chosen(image(0, {})), "mps2-an385");
  EXPECT_EQ(chosen(image(0, attributes("7-M", {{kArch, 10}, {kProfile, 'M'}}))), "mps2-an385");
  EXPECT_EQ(chosen(image(0, attributes("Cortex-M0", {{kArch, 11}, {kProfile, 'M'}}))), "microbit");
  EXPECT_EQ(chosen(image(0, attributes("6S-M", {{kArch, 12}}), 0x20004000)), "microbit");
  EXPECT_EQ(chosen(image(0, attributes("6S-M", {{kArch, 12}}), 0x20004004)), "mps2-an385") << "its stack";
  EXPECT_EQ(chosen(image(0, attributes("6S-M", {{kArch, 12}}), 0x20001000, 0x50000)), "mps2-an385");
  EXPECT_EQ(chosen(image(0, attributes("7E-M", {{kArch, 13}}))), "mps2-an386");
  EXPECT_EQ(chosen(image(0, attributes("7E-M", {{kArch, 13}, {kFp, 6}, {kFpUse, 1}}))), "mps2-an386");
  EXPECT_EQ(chosen(image(0, attributes("7E-M", {{kArch, 13}, {kFp, 8}}))), "mps2-an500");
  EXPECT_EQ(chosen(image(0x10000000, attributes("8-M.MAIN", {{kArch, 17}}), 0x30001000)), "mps2-an505");
  EXPECT_EQ(chosen(image(0, attributes("8-M.MAIN", {{kArch, 17}}))), "mps3-an547") << "vectors at 0";
  EXPECT_EQ(chosen(image(0, attributes("8.1-M.MAIN", {{kArch, 21}}))), "mps3-an547");
}

TEST_F(ArmImages, ThatFitNoBoardSaySo) {
  std::string message = chosen(image(0x08000000, attributes("Cortex-M4", {{kArch, 13}})));
  EXPECT_EQ(message,
            "'x.elf' is for Armv7E-M (Cortex-M4), at 0x8000000: say which board with -M: netduinoplus2 or "
            "olimex-stm32-h405 would hold it");
  message = chosen(image(0x18000000, attributes("7-M", {{kArch, 10}, {kProfile, 'M'}})));
  EXPECT_NE(message.find("Armv7-M, at 0x18000000"), std::string::npos) << message;
  EXPECT_NE(message.find("--board FILE"), std::string::npos) << message;
  message = chosen(image(0, attributes("Cortex-A9", {{kArch, 10}, {kProfile, 'A'}})));
  EXPECT_NE(message.find("Armv7-A (Cortex-A9)"), std::string::npos) << message;
}

TEST_F(ArmImages, OnTheWrongBoardSayWhichIsRight) {
  MachineConfig c;
  c.machine = "mps2-an385";
  c.files.push_back({"kernel", "x.elf", kNever, image(0x08000000, {})});
  std::string message = fatal_message([&] { build(c); });
  EXPECT_NE(
      message.find("end in no memory at 0x8000000; -M netduinoplus2 or olimex-stm32-h405 would hold it"),
      std::string::npos)
      << message;
  ElfBuilder other;
  c.files[0].data = other.segment(0x80000000, idle_program()).build();
  message = fatal_message([&] { build(c); });
  EXPECT_EQ(message, "'x.elf' is a program for RISC-V, and this board runs Arm; -M virt is for it");
  c.machine = "virt";
  c.files[0].data = image(0, attributes("7E-M", {{kArch, 13}}));
  message = fatal_message([&] { build(c); });
  EXPECT_EQ(message, "'x.elf' is a program for Arm, and this board runs RISC-V; -M mps2-an386 is for it");
}

TEST(ArmAttributes, AreRead) {
  const auto got = loader::read_arm_attributes(
      image(0, attributes("Cortex-M7\x1b[0m", {{kArch, 13}, {kProfile, 'M'}, {kFp, 8}, {9, 2}, {34, 1}})));
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(got->architecture, ArmAttributes::kV7EM);
  EXPECT_EQ(got->profile, 'M');
  EXPECT_EQ(got->cpu, "Cortex-M70m") << "nothing that drives a terminal";
  EXPECT_TRUE(got->double_precision());
  EXPECT_TRUE(got->microcontroller());
  EXPECT_FALSE(loader::read_arm_attributes(image(0, {})).has_value());
  EXPECT_FALSE(loader::read_arm_attributes({}).has_value());
}

/// Bytes of the section, and of the whole file, changed and cut at random: never more than no attributes.
TEST(ArmAttributes, DamagedOnesAreNone) {
  std::mt19937 random(3);
  const Bytes section = attributes("Cortex-M33", {{kArch, 17}, {kProfile, 'M'}, {kFp, 6}, {34, 1}});
  unsigned read = 0;
  for (int round = 0; round < 5000; ++round) {
    Bytes damaged = section;
    for (unsigned n = random() % 4; n > 0; --n)
      damaged[random() % damaged.size()] = static_cast<u8>(random() % 3 == 0 ? 0xff : random());
    if (random() % 3 == 0) damaged.resize(random() % damaged.size());
    Bytes file = image(0, damaged);
    if (random() % 4 == 0) file[random() % file.size()] = static_cast<u8>(random());
    if (random() % 8 == 0) file.resize(random() % file.size());
    const auto got = loader::read_arm_attributes(file);
    if (got) {
      ++read;
      EXPECT_LE(got->cpu.size(), 64u);
      got->architecture_name();
    }
    if (round % 25 != 0) continue;
    machines::board_for_image(file);
    machines::why_no_board("x", file);
  }
  EXPECT_GT(read, 100u);
}

}  // namespace
}  // namespace hindcast::test
