#include <random>

#include "targets/loader/image.h"
#include "tests/devices/elf_builder.h"
#include "tests/devices/virt_fixture.h"

namespace hindcast::test {
namespace {

using namespace loader;

Bytes text(std::string_view s) { return Bytes(s.begin(), s.end()); }

Image parse(const Bytes& file) { return parse_image("x", file, 0x80000000); }
std::string error_of(const Bytes& file) {
  return fatal_message([&] { parse(file); });
}

ElfBuilder example(bool wide, bool big) {
  ElfBuilder elf;
  elf.wide = wide;
  elf.big = big;
  elf.entry = 0x80000010;
  elf.segment(0x80000000, Bytes(64, 0xaa), 128).segment(0x80001000, Bytes(16, 0xbb));
  elf.symbols = {{"main", 0x80000020, 16}, {"tohost", 0x80001000, 8, 0x11}, {"_start", 0x80000000, 32}};
  return elf;
}

TEST(Elf, BothClassesAndByteOrders) {
  for (bool wide : {false, true}) {
    for (bool big : {false, true}) {
      Image image = parse(example(wide, big).build());
      EXPECT_EQ(image.format, Format::Elf);
      EXPECT_EQ(image.elf_machine, 243u);
      EXPECT_EQ(image.address_bits, wide ? 64u : 32u);
      EXPECT_EQ(image.big_endian, big);
      EXPECT_EQ(image.entry, 0x80000010u);
      ASSERT_EQ(image.segments.size(), 2u);
      EXPECT_EQ(image.segments[0].address, 0x80000000u);
      EXPECT_EQ(image.segments[0].data, Bytes(64, 0xaa));
      EXPECT_EQ(image.segments[0].memory_size, 128u);
      EXPECT_EQ(image.segments[1].data, Bytes(16, 0xbb));
      ASSERT_EQ(image.symbols.size(), 3u);
      EXPECT_EQ(image.symbols[0].name, "_start");
      ASSERT_NE(image.find_symbol("tohost"), nullptr);
      EXPECT_EQ(image.find_symbol("tohost")->address, 0x80001000u);
      EXPECT_FALSE(image.find_symbol("tohost")->function);
      EXPECT_EQ(image.find_symbol("nothing"), nullptr);
      EXPECT_EQ(image.symbol_at(0x8000002f)->name, "main");
      EXPECT_EQ(image.symbol_at(0x7fffffff), nullptr);
      EXPECT_TRUE(image.symbol_at(0x80000020)->function);
    }
  }
}

TEST(Elf, ManySymbolTablesThatAreOneAreRefused) {
  // A megabyte could otherwise ask for 10^9 symbols.
  ElfBuilder elf = example(true, false);
  for (unsigned i = 0; i < 500; ++i) elf.symbols.push_back({"", 0x80000000 + i, 4});
  Bytes file = elf.build();
  u64 at = 0;
  for (unsigned i = 0; i < 8; ++i) at |= u64{file[40 + i]} << (8 * i);
  constexpr unsigned kHeader = 64, kTables = 500;
  const Bytes headers(file.begin() + static_cast<std::ptrdiff_t>(at), file.end());
  ASSERT_EQ(headers.size(), 3 * kHeader);
  file.resize(at);
  auto append = [&](unsigned n) {
    file.insert(file.end(), headers.begin() + n * kHeader, headers.begin() + (n + 1) * kHeader);
  };
  append(0);
  append(2);
  for (unsigned i = 0; i < kTables; ++i) {
    append(1);
    file[file.size() - kHeader + 40] = 1;  // where the names are now
  }
  file[60] = static_cast<u8>(kTables + 2);
  file[61] = static_cast<u8>((kTables + 2) >> 8);
  EXPECT_NE(error_of(file).find("share bytes"), std::string::npos) << error_of(file);
}

/// Makes the `count` symbols that follow those of the example have the first one's name.
void share_first_name(Bytes& file, std::size_t count) {
  u64 sections = 0;
  for (unsigned i = 0; i < 8; ++i) sections |= u64{file[40 + i]} << (8 * i);
  u64 table = 0;
  for (unsigned i = 0; i < 8; ++i) table |= u64{file[sections + 64 + 24 + i]} << (8 * i);
  const std::size_t first = 4;  // entry 0, and those of the example
  for (std::size_t i = first + 1; i < first + count; ++i)
    std::copy_n(file.begin() + static_cast<std::ptrdiff_t>(table + 24 * first), 4,
                file.begin() + static_cast<std::ptrdiff_t>(table + 24 * i));
}

TEST(Elf, NamesThatHaveNoEndAreNotReadAgainAndAgain) {
  ElfBuilder elf = example(true, false);
  for (unsigned i = 0; i < 2000; ++i) elf.symbols.push_back({"l" + std::string(i == 0 ? 4000 : 0, 'x'), 8});
  Bytes file = elf.build();
  EXPECT_EQ(error_of(file), "");
  // All of them have the long name, which is longer than a name may be.
  share_first_name(file, 2000);
  EXPECT_NE(error_of(file).find("longer than the file"), std::string::npos) << error_of(file);
}

TEST(Elf, AnyNumberOfMarksMayShareALongName) {
  ElfBuilder elf = example(true, false);
  for (unsigned i = 0; i < 2000; ++i) elf.symbols.push_back({"$" + std::string(i == 0 ? 300 : 0, 'x'), 8});
  Bytes file = elf.build();
  share_first_name(file, 2000);
  EXPECT_EQ(error_of(file), "");
}

TEST(Elf, IdentityNeedsNoMore) {
  Bytes file = example(true, false).build();
  auto id = identify_elf(ByteView(file).first(20));
  ASSERT_TRUE(id.has_value());
  EXPECT_EQ(id->machine, 243u);
  EXPECT_FALSE(identify_elf(ByteView(file).first(19)).has_value());
  file[4] = 3;
  EXPECT_FALSE(identify_elf(file).has_value());
}

TEST(Elf, EveryTruncationIsOneLine) {
  for (bool wide : {false, true}) {
    Bytes file = example(wide, false).build();
    for (std::size_t size = 4; size < file.size(); ++size)
      EXPECT_NE(error_of(Bytes(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size))), "") << size;
  }
}

TEST(Elf, ContradictionsAreRefused) {
  auto refused = [](ElfBuilder elf, const char* why) {
    EXPECT_NE(error_of(elf.build()).find(why), std::string::npos) << error_of(elf.build());
  };
  ElfBuilder elf;
  refused(elf, "no program headers");
  elf.segment(0x1000, Bytes(16));
  elf.segments[0].memory_size = 8;
  refused(elf, "more bytes in the file");
  elf.segments[0].memory_size = ~u64{0};
  refused(elf, "beyond the end of the address space");
  elf.segments[0].memory_size = 16;
  elf.segment(0x100f, Bytes(16));
  refused(elf, "overlap");
  elf.segments[1].address = 0x1010;
  EXPECT_EQ(error_of(elf.build()), "");
  elf.type = 1;
  refused(elf, "object file");
  elf.type = 4;
  refused(elf, "type (4)");
  elf = {};
  elf.segment(0x1000, Bytes(16));
  elf.segments[0].type = 6;
  refused(elf, "nothing to load");
  elf = {};
  elf.wide = false;
  elf.segment(0xfffffff0, Bytes(16));
  EXPECT_EQ(error_of(elf.build()), "");
  elf.segments[0].memory_size = 17;
  refused(elf, "beyond the end of the address space");
}

TEST(Elf, SegmentsThatShareFileBytesCannotMultiplyThem) {
  ElfBuilder elf;
  for (u64 i = 0; i < 100; ++i) elf.segment(0x1000 * i, i == 0 ? Bytes(4096) : Bytes());
  Bytes file = elf.build();
  for (u64 i = 1; i < 100; ++i) {  // all point at the first one's bytes
    std::copy_n(file.begin() + 64 + 8, 8, file.begin() + static_cast<std::ptrdiff_t>(64 + 56 * i + 8));
    std::copy_n(file.begin() + 64 + 32, 16, file.begin() + static_cast<std::ptrdiff_t>(64 + 56 * i + 32));
  }
  EXPECT_NE(error_of(file).find("share bytes"), std::string::npos);
}

TEST(IntelHex, RecordsOfEveryType) {
  Image image =
      parse(text(":0200000480007A\r\n:0400000001020304F2\r\n:02000400AABB95\r\n\r\n"
                 ":020000021000EC\r\n:01000000CC33\r\n:040000058000001067\r\n:00000001FF\r\n"));
  EXPECT_EQ(image.format, Format::IntelHex);
  ASSERT_EQ(image.segments.size(), 2u);
  EXPECT_EQ(image.segments[0].address, 0x80000000u);
  EXPECT_EQ(image.segments[0].data, (Bytes{1, 2, 3, 4, 0xaa, 0xbb}));
  EXPECT_EQ(image.segments[1].address, 0x10000u);
  EXPECT_EQ(image.entry, 0x80000010u);
}

TEST(IntelHex, DamageIsRefusedWithItsLine) {
  const char* good = ":0400000001020304F2\n";
  EXPECT_NE(error_of(text(std::string(good) + ":0400000001020304F3\n")).find("line 2: wrong checksum"),
            std::string::npos);
  EXPECT_NE(error_of(text(good)).find("no end record"), std::string::npos);
  EXPECT_NE(error_of(text(std::string(good) + "rubbish\n")).find("line 2"), std::string::npos);
  EXPECT_NE(error_of(text(":00000001FF\n")).find("loads nothing"), std::string::npos);
  EXPECT_NE(error_of(text(std::string(good) + ":0000000AF6\n")).find("unknown record type"),
            std::string::npos);
}

/// What its name says it is, where its beginning does not.
TEST(Names, ADamagedBeginningDoesNotMakeRawBytes) {
  for (const char* name : {"a.hex", "b.IHX", "c.elf", "d.axf", "e.uf2", "dir.bin/f.hex"})
    for (const Bytes& damaged : {text(":zz00000001020304F2\n"), text("\n"), Bytes(600, 7)})
      EXPECT_THROW((void)parse_image(name, damaged, 0), Fatal) << name;
  for (const char* name : {"a.bin", "hex", "dir.hex/a", "a.hex.bin"})
    EXPECT_EQ(parse_image(name, text("\n"), 16).segments.at(0).address, 16u) << name;
}

Bytes uf2_block(u32 address, u32 size, u32 flags, u8 fill) {
  Bytes block;
  for (u32 word : {0x0a324655u, 0x9e5d5157u, flags, address, size, 0u, 1u, 0u}) append32(block, word);
  block.resize(508, fill);
  append32(block, 0x0ab16f30);
  return block;
}

TEST(Uf2, BlocksJoinAndOthersAreSkipped) {
  Bytes file;
  for (const Bytes& block : {uf2_block(0x2000, 256, 0, 1), uf2_block(0x2100, 256, 0, 2),
                             uf2_block(0, 256, 1, 9), uf2_block(0x8000, 4, 0x2000, 3)})
    file.insert(file.end(), block.begin(), block.end());
  Image image = parse(file);
  EXPECT_EQ(image.format, Format::Uf2);
  ASSERT_EQ(image.segments.size(), 2u);
  EXPECT_EQ(image.segments[0].memory_size, 512u);
  EXPECT_EQ(image.segments[0].data[256], 2);
  EXPECT_EQ(image.segments[1].data, Bytes(4, 3));
  EXPECT_EQ(image.start(), 0x2000u);
  file.pop_back();
  EXPECT_NE(error_of(file).find("cut short"), std::string::npos);
  file.push_back(0);
  EXPECT_NE(error_of(file).find("damaged"), std::string::npos);
  EXPECT_NE(error_of(uf2_block(0, 477, 0, 0)).find("477"), std::string::npos);
  Bytes first_of_three = uf2_block(0x2000, 256, 0, 1);
  first_of_three[24] = 3;
  EXPECT_NE(error_of(first_of_three).find("of its 3 blocks"), std::string::npos);
  EXPECT_NE(error_of(uf2_block(0xffffffff, 2, 0, 0)).find("4 GiB"), std::string::npos);
}

TEST(Raw, EverythingElse) {
  EXPECT_EQ(parse(text("MZ")).start(), 0x80000000u);
  EXPECT_NE(error_of({}), "");
  EXPECT_EQ(parse(text(":hello, this is no record")).format, Format::Raw);
}

/// Damages files in ways that meet the parsers' fields and expects a parse or a one-line Fatal, nothing else.
TEST(LoaderFuzz, DamagedFilesNeverDoMoreThanBeRefused) {
  std::mt19937 random(20240607);
  std::vector<Bytes> seeds;
  for (bool wide : {false, true})
    for (bool big : {false, true}) seeds.push_back(example(wide, big).build());
  seeds.push_back(text(":02000004800X07A\n:0400000001020304F2\n:00000001FF\n"));
  seeds.push_back(text(":0200000480007A\n:0400000001020304F2\n:040000058000001067\n:00000001FF\n"));
  seeds.push_back(uf2_block(0x1000, 256, 0, 7));
  static constexpr u64 kNasty[] = {0,          1,          0x7f,       0x80,    0xff,        0xffff,
                                   0x7fffffff, 0x80000000, 0xffffffff, ~u64{0}, u64{1} << 63};
  unsigned accepted = 0, refused = 0;
  for (int round = 0; round < 60'000; ++round) {
    Bytes file = seeds[random() % seeds.size()];
    for (unsigned change = 1 + random() % 3; change != 0; --change) {
      std::size_t at = random() % file.size();
      switch (random() % 4) {
        case 0: file[at] = static_cast<u8>(random()); break;
        case 1: file[at] ^= static_cast<u8>(1u << random() % 8); break;
        case 2: file.resize(1 + at); break;
        default: {
          u64 value = kNasty[random() % std::size(kNasty)] + random() % 3 - 1;
          for (std::size_t i = 0; i < 8 && at + i < file.size(); ++i)
            file[at + i] = static_cast<u8>(value >> (8 * i));
        }
      }
    }
    (error_of(file).empty() ? accepted : refused)++;
  }
  EXPECT_GT(accepted, 1000u);
  EXPECT_GT(refused, 10'000u);
}

}  // namespace
}  // namespace hindcast::test
