// CMSIS-SVD files: names of registers, and what a hostile file may not do.
#include <gtest/gtest.h>

#include <random>

#include "targets/loader/svd.h"

namespace hindcast::test {
namespace {

const std::string kSvd = R"(<?xml version="1.0" encoding="utf-8"?>
<device schemaVersion="1.3">
  <name>TEST</name><size>32</size>
  <peripherals>
    <peripheral derivedFrom="UART0"><name>UART1</name><baseAddress>0x40001000</baseAddress></peripheral>
    <peripheral>
      <name>UART0</name><description>A serial
         port</description><baseAddress>1073741824</baseAddress>
      <registers>
        <register><name>DATA</name><description>what is sent</description>
          <addressOffset>0x0</addressOffset><size>8</size></register>
        <register><name>STATE</name><addressOffset>#100</addressOffset></register>
        <register>
          <dim>3</dim><dimIncrement>4</dimIncrement><name>CH[%s]</name>
          <addressOffset>0x10</addressOffset></register>
        <register>
          <dim>2</dim><dimIncrement>4</dimIncrement><dimIndex>A,B</dimIndex>
          <name>OUT_%s</name><addressOffset>0x20</addressOffset></register>
        <cluster>
          <dim>2</dim><dimIncrement>0x10</dimIncrement><dimIndex>5-6</dimIndex>
          <name>DMA%s</name><addressOffset>0x40</addressOffset>
          <register><name>LEN</name><addressOffset>4</addressOffset><size>16</size></register>
        </cluster>
      </registers>
    </peripheral>
  </peripherals>
</device>
)";

std::shared_ptr<RegisterNames> read(const std::string& text) {
  return loader::read_svd("t.svd", {reinterpret_cast<const u8*>(text.data()), text.size()});
}
std::string error_of(const std::string& text) {
  try {
    read(text);
  } catch (const Fatal& fatal) {
    return fatal.what();
  }
  return "";
}
std::string with(const std::string& old, const std::string& instead) {
  std::string text = kSvd;
  text.replace(text.find(old), old.size(), instead);
  return text;
}

TEST(Svd, NamesRegisters) {
  const auto names = read(kSvd);
  EXPECT_EQ(names->name_at(0x40000000), "UART0.DATA");
  EXPECT_EQ(names->name_at(0x40000001), "");
  EXPECT_EQ(names->name_at(0x40000004), "UART0.STATE");
  EXPECT_EQ(names->name_at(0x40000007), "UART0.STATE");
  EXPECT_EQ(names->name_at(0x40000018), "UART0.CH2");
  EXPECT_EQ(names->name_at(0x40000024), "UART0.OUT_B");
  EXPECT_EQ(names->name_at(0x40000054), "UART0.DMA6.LEN");
  EXPECT_EQ(names->name_at(0x40000056), "");
  EXPECT_EQ(names->name_at(0x40001004), "UART1.STATE");
  EXPECT_EQ(names->name_at(0x3fffffff), "");
  EXPECT_EQ(names->peripherals()[1].description, "A serial port");
}

TEST(Svd, SaysInOneLineWhatIsWrong) {
  EXPECT_EQ(error_of(""), "--svd t.svd: at byte 0: No document element found");
  EXPECT_EQ(error_of("<a/>"), "--svd t.svd: has no <device>: this is no CMSIS-SVD file");
  EXPECT_EQ(error_of("<device/>"), "--svd t.svd: describes no peripherals");
  EXPECT_NE(error_of("<device><peripherals>").find("at byte 2"), std::string::npos);
  EXPECT_NE(error_of(with("1073741824", "0x4g")).find("<baseAddress> is no number: '0x4g' (at byte "),
            std::string::npos);
  EXPECT_NE(error_of(with("<addressOffset>4</addressOffset>", "")).find("<register> has no <addressOffset>"),
            std::string::npos);
  EXPECT_NE(error_of(with("<dim>3</dim>", "<dim>99999999999</dim>")).find("too long"), std::string::npos);
  EXPECT_NE(error_of(with("<size>16</size>", "<size>4096</size>")).find("DMA5.LEN has 4096 bits"),
            std::string::npos);
  EXPECT_NE(error_of(with("<name>DATA</name>", "")).find("a <register> has no name"), std::string::npos);
}

TEST(Svd, DerivationsThatGoRoundEnd) {
  std::string text = R"(<device><peripherals>
    <peripheral derivedFrom="B"><name>A</name><baseAddress>0</baseAddress></peripheral>
    <peripheral derivedFrom="A"><name>B</name><baseAddress>0</baseAddress></peripheral>
    </peripherals></device>)";
  EXPECT_EQ(read(text)->registers().size(), 0u);
}

TEST(Svd, DeepAndManyAreRefused) {
  std::string deep = "<device><peripherals><peripheral><name>P</name><baseAddress>0</baseAddress><registers>";
  for (int i = 0; i < 20; ++i)
    deep += "<cluster><dim>60000</dim><name>c%s</name><addressOffset>0</addressOffset>";
  for (int i = 0; i < 20; ++i) deep += "</cluster>";
  deep += "</registers></peripheral></peripherals></device>";
  EXPECT_NE(error_of(deep).find("nested too deeply"), std::string::npos);
  std::string many = "<device><peripherals><peripheral><name>P</name><baseAddress>0</baseAddress><registers>";
  many += "<cluster><dim>60000</dim><name>c%s</name><addressOffset>0</addressOffset>";
  many += "<register><dim>60000</dim><name>r%s</name><addressOffset>0</addressOffset></register></cluster>";
  many += "</registers></peripheral></peripherals></device>";
  EXPECT_NE(error_of(many).find("too many registers"), std::string::npos);
  // Nothing but clusters, which multiply all the same.
  std::string empty =
      "<device><peripherals><peripheral><name>P</name><baseAddress>0</baseAddress><registers>";
  for (int i = 0; i < 4; ++i)
    empty += "<cluster><dim>65536</dim><name>c%s</name><addressOffset>0</addressOffset>";
  for (int i = 0; i < 4; ++i) empty += "</cluster>";
  empty += "</registers></peripheral></peripherals></device>";
  EXPECT_NE(error_of(empty).find("too many registers and clusters"), std::string::npos);
  std::string nested(4'000'000, '<');
  for (std::size_t i = 1; i < nested.size(); i += 3) nested.replace(i, 2, "a>");
  EXPECT_NE(error_of(nested), "");
}

TEST(Svd, ChangedFilesAreReadOrRefused) {
  std::mt19937_64 random(1);
  unsigned refused = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string text = kSvd;
    for (u64 n = 1 + random() % 6; n != 0; --n) {
      const std::size_t at = random() % text.size();
      switch (random() % 4) {
        case 0: text[at] = static_cast<char>(random()); break;
        case 1: text.erase(at, random() % 40); break;
        case 2: text.insert(at, text.substr(random() % text.size(), random() % 60)); break;
        default: text[at] = "0123456789<>%#[]/-,"[random() % 19]; break;
      }
    }
    const std::string error = error_of(text);
    EXPECT_EQ(error.find('\n'), std::string::npos);
    if (!error.empty()) ++refused;
  }
  EXPECT_GT(refused, 300u);
  EXPECT_LT(refused, 2950u);
}

}  // namespace
}  // namespace hindcast::test
