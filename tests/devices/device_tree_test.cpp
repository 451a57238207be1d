#include "targets/loader/device_tree.h"

#include <fmt/format.h>
#include <libfdt.h>

#include <random>

#include "targets/machines/riscv_boards.h"
#include "tests/devices/virt_fixture.h"

namespace hindcast::test {
namespace {

using namespace loader;

DeviceTree source(const std::string& body) { return DeviceTree::from_source("x", "/dts-v1/;\n" + body); }
std::string source_error(const std::string& text) {
  return fatal_message([&] { DeviceTree::from_source("x", text); });
}

DeviceTree virt_tree(unsigned harts) {
  MachineConfig config;
  config.machine = "virt";
  config.smp = harts;
  return machines::riscv_board_tree(config, 0);
}

TEST(DeviceTreeSource, ValuesOfEveryKind) {
  DeviceTree tree = source(R"(
    /memreserve/ 0x1000 0x2000;
    / {
      #address-cells = <1>; // comment
      empty;
      text = "a", "b\x41\n\101"; /* comment */
      cells = <1 0x10 010 'A' (1 + 2 * 3) (1 << 4 | 1) (-1) (2 > 1 ? 5 : 6) (~0 & 0xff) (!0) (7 % 4 - 1)>;
      bytes = [00 ff1a];
      wide = /bits/ 64 <0x123456789abcdef0>;
      narrow = /bits/ 8 <1 2 3>, /bits/ 16 <0x0405>;
      mixed = <1>, "x", [02];
      target = <&dev>;
      where = &dev;
      braces = <&{/bus/dev@10}>;
      bus { #size-cells = <1>; #address-cells = <1>; dev: dev@10 { reg = <0x10 4>; }; };
    };)");
  DtNode& root = tree.root();
  ASSERT_TRUE(root.has("empty"));
  EXPECT_TRUE(root.property("empty")->empty());
  EXPECT_EQ(root.strings("text"), (std::vector<std::string>{"a", "bA\nA"}));
  EXPECT_EQ(root.cells("cells"), (std::vector<u32>{1, 16, 8, 'A', 7, 17, 0xffffffff, 5, 0xff, 1, 2}));
  EXPECT_EQ(*root.property("bytes"), (Bytes{0, 0xff, 0x1a}));
  EXPECT_EQ(root.cells("wide"), (std::vector<u32>{0x12345678, 0x9abcdef0}));
  EXPECT_EQ(*root.property("narrow"), (Bytes{1, 2, 3, 4, 5}));
  EXPECT_EQ(*root.property("mixed"), (Bytes{0, 0, 0, 1, 'x', 0, 2}));
  DtNode* dev = tree.find("/bus/dev@10");
  ASSERT_NE(dev, nullptr);
  EXPECT_EQ(tree.find("/bus/dev"), dev);
  EXPECT_EQ(root.cell("target"), dev->cell("phandle"));
  EXPECT_EQ(root.cell("braces"), dev->cell("phandle"));
  EXPECT_EQ(root.string("where"), "/bus/dev@10");
  EXPECT_EQ(tree.by_phandle(*dev->cell("phandle")), dev);
}

TEST(DeviceTreeSource, OverridesAndDeletions) {
  DeviceTree tree = source(R"(
    / { a: a { x = <1>; y = <2>; gone { z = <&a>; }; }; b { w = <&a>; }; };
    / { a { x = <3>; }; };
    &a { y = "text"; /delete-node/ gone; /delete-property/ x; };
    extra: &{/b} { status = "disabled"; };
    &extra { v = <4>; };)");
  EXPECT_FALSE(tree.find("/a")->has("x"));
  EXPECT_EQ(tree.find("/a")->string("y"), "text");
  EXPECT_EQ(tree.find("/a/gone"), nullptr);
  EXPECT_FALSE(tree.find("/b")->enabled());
  EXPECT_EQ(tree.find("/b")->cell("v"), 4u);
  EXPECT_EQ(tree.find("/b")->cell("w"), tree.find("/a")->cell("phandle"));
}

TEST(DeviceTreeSource, ErrorsNameTheLine) {
  for (const char* text :
       {"", "/ { };", "/dts-v1/;\n/ {", "/dts-v1/;\n/ { a = <&nobody>; };", "/dts-v1/;\n/ { a = <1; };",
        "/dts-v1/;\n/ { a = \"x; };", "/dts-v1/;\n/include/ \"x\"", "/dts-v1/;\n#include <x>",
        "/dts-v1/;\n/ { a = <(1 / 0)>; };", "/dts-v1/;\n/ { a = [0]; };", "/dts-v1/;\n/ { a = <08>; };",
        "/dts-v1/;\n/ { a = <0x1ffffffffffffffff>; };", "/dts-v1/;\n/delete-node/ &{/};",
        "/dts-v1/;\n/ { a = /bits/ 7 <1>; };", "/dts-v1/;\n/* open", "/dts-v1/;",
        "/dts-v1/;\n/memreserve/ 0 1;\n"})
    EXPECT_NE(source_error(text).find("line"), std::string::npos) << text << ": " << source_error(text);
  EXPECT_NE(source_error("/dts-v1/;").find("root node"), std::string::npos) << source_error("/dts-v1/;");
  EXPECT_EQ(source_error("/dts-v1/;\nall: / { };"), "");
  std::string deep = "/dts-v1/;\n/ {";
  for (int i = 0; i < 10'000; ++i) deep += "a {";
  EXPECT_NE(source_error(deep).find("too deeply"), std::string::npos);
  std::string brackets = "/dts-v1/;\n/ { a = <" + std::string(100'000, '(') + "1>; };";
  EXPECT_NE(source_error(brackets).find("too deeply"), std::string::npos);
}

TEST(DeviceTreeSource, WhatWasReplacedOrDeletedIsForgotten) {
  DeviceTree tree = source(R"(
    / { a: a { x = <&nobody>; y = <&nobody>; }; b: b { inner: inner { z = <&nobody>; }; };
        a { x = <1 &c 2>, &c, <&c>; /delete-property/ y; }; c: c { }; };
    /delete-node/ &b;
    / { b { v = <&c>; }; };)");
  EXPECT_EQ(tree.find("/b/inner"), nullptr);
  const u32 c = *tree.find("/c")->cell("phandle");
  const u8 low = static_cast<u8>(c);
  EXPECT_EQ(*tree.find("/a")->property("x"),
            (Bytes{0, 0, 0, 1, 0, 0, 0, low, 0, 0, 0, 2, '/', 'c', 0, 0, 0, 0, low}));
  EXPECT_FALSE(tree.find("/a")->has("y"));
  EXPECT_EQ(tree.find("/b")->cell("v"), c);
  for (const char* label : {"b", "inner"})
    EXPECT_NE(source_error("/dts-v1/; / { b: b { inner: inner { }; }; }; /delete-node/ &b; / { w = <&" +
                           std::string(label) + ">; };")
                  .find("no node is called"),
              std::string::npos)
        << label;
}

TEST(DeviceTreeLimits, NothingTakesLong) {
  auto repeat = [](unsigned count, auto&& one) {
    std::string text;
    for (unsigned i = 0; i < count; ++i) text += one(i);
    return text;
  };
  const std::string begin = "/dts-v1/;\n/ { t: t { }; ";
  EXPECT_NE(source_error(begin + repeat(5000, [](unsigned i) { return fmt::format("p{};", i); }) + "};")
                .find("1024 properties"),
            std::string::npos);
  EXPECT_NE(source_error(begin + repeat(5000, [](unsigned i) { return fmt::format("n{}{{}};", i); }) + "};")
                .find("4096 children"),
            std::string::npos);
  EXPECT_NE(source_error(begin +
                         repeat(40,
                                [&](unsigned k) {
                                  return fmt::format("n{}{{{}}};", k, repeat(2000, [](unsigned i) {
                                                       return fmt::format("n{}{{}};", i);
                                                     }));
                                }) +
                         "};")
                .find("65536 nodes"),
            std::string::npos);
  EXPECT_NE(source_error(begin + std::string(5u << 20, ' ') + "};").find("4194304"), std::string::npos);
  EXPECT_NE(source_error(begin + std::string(300, 'n') + "; };").find("long a name"), std::string::npos);
  // As many references, deletions and replacements as the size allows.
  EXPECT_EQ(source_error(begin + "a = <" + repeat(400'000, [](unsigned) { return "&t "; }) + ">; };"), "");
  EXPECT_EQ(source_error(begin + repeat(100'000, [](unsigned) { return "a = <&t>; "; }) + "};"), "");
  EXPECT_EQ(source_error(
                begin + repeat(30'000, [](unsigned) { return "x { y = <&t>; }; /delete-node/ x; "; }) + "};"),
            "");
  EXPECT_NE(
      source_error(begin + repeat(60, [](unsigned i) { return std::string(250, 'a' + i % 26) + " { "; }) +
                   "deep: d { };" + repeat(60, [](unsigned) { return "};"; }) +
                   " a = " + repeat(10'000, [](unsigned) { return "&deep,"; }) + "<1>; };")
          .find("64 MiB"),
      std::string::npos);
}

TEST(DeviceTreeLimits, BlobsToo) {
  // Long names in the strings block, which each property would have to be read to the end of.
  DeviceTree tree;
  for (unsigned i = 0; i < 1000; ++i) tree.root().set_cells(fmt::format("property-{}", i), {i});
  Bytes blob = tree.to_blob();
  EXPECT_EQ(fatal_message([&] { DeviceTree::from_blob("x", blob); }), "");
  Bytes joined = blob;
  for (std::size_t at = joined.size() - 4000; at + 1 < joined.size(); ++at)
    if (joined[at] == 0) joined[at] = '-';
  EXPECT_NE(fatal_message([&] { DeviceTree::from_blob("x", joined); }).find("damaged"), std::string::npos);
  blob.resize(kLargestTree + 1);
  EXPECT_NE(fatal_message([&] { DeviceTree::from_blob("x", blob); }).find("4194304"), std::string::npos);
}

TEST(DeviceTreeReading, AddressesGoThroughBuses) {
  DeviceTree tree = source(R"(
    / { #address-cells = <2>; #size-cells = <2>;
      bus { #address-cells = <1>; #size-cells = <1>;
        ranges = <0x0 0x1 0x40000000 0x1000 0x8000 0x0 0x80000000 0x10>;
        a { reg = <0x10 0x20>; };
        b { reg = <0x8004 4>; };
        c { reg = <0x2000 4>; };
        d { reg = <0x2000>; };
      };
      closed { #address-cells = <1>; #size-cells = <0>; e { reg = <5>; }; };
    };)");
  EXPECT_EQ(tree.find("/bus/a")->reg()[0].base, 0x140000010u);
  EXPECT_EQ(tree.find("/bus/a")->reg()[0].size, 0x20u);
  EXPECT_EQ(tree.find("/bus/b")->reg()[0].base, 0x80000004u);
  for (const char* path : {"/bus/c", "/bus/d", "/closed/e"})
    EXPECT_NE(fatal_message([&] { tree.find(path)->reg(); }).find(path), std::string::npos) << path;
}

TEST(DeviceTreeReading, Interrupts) {
  DeviceTree tree = source(R"(
    / { interrupt-parent = <&one>;
      one: one { #interrupt-cells = <1>; };
      two: two { #interrupt-cells = <2>; };
      a { interrupts = <5 6>; };
      b { interrupt-parent = <&two>; interrupts = <1 2>; };
      c { interrupts = <9>; interrupts-extended = <&one 3>, <&two 7 8>; };
      d { interrupts-extended = <&two 7>; };
      e { interrupts-extended = <99 7>; };
    };)");
  auto of = [&](const char* path) { return tree.interrupts(*tree.find(path)); };
  ASSERT_EQ(of("/a").size(), 2u);
  EXPECT_EQ(of("/a")[1].cells, std::vector<u32>{6});
  EXPECT_EQ(of("/b")[0].cells, (std::vector<u32>{1, 2}));
  ASSERT_EQ(of("/c").size(), 2u);
  EXPECT_EQ(of("/c")[1].controller, tree.find("/two")->cell("phandle"));
  for (const char* path : {"/d", "/e"}) EXPECT_NE(fatal_message([&] { of(path); }), "") << path;
}

TEST(DeviceTreeBlob, RoundTrip) {
  DeviceTree tree = virt_tree(3);
  tree.reserve(0x1000, 0x2000);
  Bytes blob = tree.to_blob();
  EXPECT_EQ(fdt_check_full(blob.data(), blob.size()), 0);
  DeviceTree again = DeviceTree::from_file("blob", blob);
  EXPECT_EQ(again.to_blob(), blob);
}

TEST(DeviceTreeBlob, SaysWhatTheLibraryWouldHaveWritten) {
  DeviceTree tree = source("/memreserve/ 1 2; / { a = <1>, \"x\"; b { a; c = [01]; d { }; }; e { c; }; };");
  Bytes library(4096);
  void* fdt = library.data();
  fdt_create(fdt, static_cast<int>(library.size()));
  fdt_add_reservemap_entry(fdt, 1, 2);
  fdt_finish_reservemap(fdt);
  auto write = [&](auto& self, const DtNode& node) -> void {
    fdt_begin_node(fdt, node.name().c_str());
    for (const DtProperty& p : node.properties())
      fdt_property(fdt, p.name.c_str(), p.value.data(), static_cast<int>(p.value.size()));
    for (const auto& child : node.children()) self(self, *child);
    fdt_end_node(fdt);
  };
  write(write, tree.root());
  ASSERT_EQ(fdt_finish(fdt), 0);
  library.resize(fdt_totalsize(fdt));
  EXPECT_EQ(tree.to_blob().size(), library.size());
  EXPECT_EQ(DeviceTree::from_blob("library", library).to_blob(), tree.to_blob());
}

TEST(DeviceTreeFuzz, DamagedBlobsNeverDoMoreThanBeRefused) {
  Bytes good = virt_tree(2).to_blob();
  std::mt19937 random(7);
  unsigned refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    Bytes blob = good;
    for (unsigned change = 1 + random() % 3; change != 0; --change) {
      std::size_t at = random() % (random() % 2 == 0 ? blob.size() : std::min<std::size_t>(blob.size(), 64));
      switch (random() % 3) {
        case 0: blob[at] = static_cast<u8>(random()); break;
        case 1: blob[at] ^= static_cast<u8>(1u << random() % 8); break;
        default: blob.resize(std::max<std::size_t>(at, 1));
      }
    }
    if (blob.size() < 4) continue;
    std::string error = fatal_message([&] {
      DeviceTree tree = DeviceTree::from_blob("x", blob);
      tree.to_blob();
      tree.for_each([&](const DtNode& node) {
        fatal_message([&] { node.reg(); });
        fatal_message([&] { tree.interrupts(node); });
        fatal_message([&] { node.compatible_with("y"); });
      });
    });
    if (!error.empty()) ++refused;
  }
  EXPECT_GT(refused, 5'000u);
}

TEST(DeviceTreeFuzz, DamagedSourceNeverDoesMoreThanBeRefused) {
  const std::string good =
      "/dts-v1/;\n/memreserve/ 1 2;\n/ { l: a@1 { x = <1 (2+3) &l>, \"s\\x41\", [00 11]; y = /bits/ 8 <1>; "
      "}; };\n"
      "&l { /delete-property/ y; z = &{/a@1}; };\n/delete-node/ &l;\n";
  std::mt19937 random(11);
  static constexpr char kChars[] = "{}<>[]()&/;:=\"'\\@#,- 019xaf\n";
  unsigned refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text = good;
    for (unsigned change = 1 + random() % 4; change != 0; --change) {
      std::size_t at = random() % text.size();
      char c = kChars[random() % (sizeof kChars - 1)];
      switch (random() % 3) {
        case 0: text[at] = c; break;
        case 1: text.insert(at, 1, c); break;
        default: text.erase(at, 1 + random() % 8);
      }
    }
    if (!source_error(text).empty()) ++refused;
  }
  EXPECT_GT(refused, 5'000u);
}

}  // namespace
}  // namespace hindcast::test
