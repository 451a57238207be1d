// ELF32 and ELF64 of either byte order. Every offset and count in the file is taken as hostile: it is
// compared with the file's size before it is used, in 64-bit arithmetic that cannot wrap.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "targets/loader/image.h"

namespace hindcast::loader {
namespace {

constexpr unsigned kTypeExec = 2, kTypeDyn = 3;
constexpr u32 kSegmentLoad = 1;
constexpr u32 kSectionSymbols = 2;
constexpr u32 kManyProgramHeaders = 0xffff;  // PN_XNUM: the real number is in section header 0
constexpr std::size_t kLongestName =
    4096;  // longer ones are dropped: a hostile table could make them quadratic

/// Reads fields of one file by its class and byte order.
class Reader {
 public:
  Reader(const std::string& name, ByteView file, bool wide, bool big)
      : name_(name), file_(file), wide_(wide), big_(big) {}

  bool wide() const { return wide_; }
  u64 size() const { return file_.size(); }
  ByteView bytes(u64 offset, u64 size, const std::string& what) const {
    if (offset > file_.size() || size > file_.size() - offset)
      fail(fmt::format(
          "{} (0x{:x} bytes at offset 0x{:x}) reaches beyond the end of the file, which has 0x{:x} bytes;"
          " is it cut short?",
          what, size, offset, file_.size()));
    return file_.subspan(offset, size);
  }
  u64 get(ByteView from, std::size_t offset, unsigned size) const {
    u64 value = 0;
    for (unsigned i = 0; i < size; ++i) {
      unsigned byte = big_ ? size - 1 - i : i;
      value |= u64{from[offset + byte]} << (8 * i);
    }
    return value;
  }
  u32 half(ByteView from, std::size_t offset) const { return static_cast<u32>(get(from, offset, 2)); }
  u32 word(ByteView from, std::size_t offset) const { return static_cast<u32>(get(from, offset, 4)); }
  /// An address, offset or size: 4 or 8 bytes by class, at the class's own offset.
  u64 native(ByteView from, std::size_t offset32, std::size_t offset64) const {
    return wide_ ? get(from, offset64, 8) : get(from, offset32, 4);
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw Fatal(fmt::format("ELF file '{}': {}", name_, what));
  }

 private:
  const std::string& name_;
  ByteView file_;
  bool wide_, big_;
};

struct Section {
  u32 type = 0;
  u64 offset = 0, size = 0, entry_size = 0;
  u32 link = 0, info = 0;
};

struct SectionTable {
  u64 offset = 0, count = 0;
  u32 entry_size = 0;

  Section get(const Reader& in, u64 index) const {
    ByteView h =
        in.bytes(offset + index * entry_size, in.wide() ? 64 : 40, fmt::format("section header {}", index));
    Section s;
    s.type = in.word(h, 4);
    s.offset = in.native(h, 16, 24);
    s.size = in.native(h, 20, 32);
    s.link = in.wide() ? in.word(h, 40) : in.word(h, 24);
    s.info = in.wide() ? in.word(h, 44) : in.word(h, 28);
    s.entry_size = in.native(h, 36, 56);
    return s;
  }
};

SectionTable find_sections(const Reader& in, ByteView header) {
  SectionTable table;
  table.offset = in.native(header, 32, 40);
  table.entry_size = in.half(header, in.wide() ? 58 : 46);
  table.count = in.half(header, in.wide() ? 60 : 48);
  if (table.offset == 0) return {};
  if (table.entry_size < (in.wide() ? 64u : 40u)) {
    if (table.count == 0) return {};
    in.fail(fmt::format("section headers of {} bytes are too small for its class", table.entry_size));
  }
  if (table.count == 0) table.count = table.get(in, 0).size;  // more than 0xfeff sections
  if (table.count > in.size() / table.entry_size)
    in.fail(fmt::format("{} section headers do not fit in the file; is it cut short?", table.count));
  in.bytes(table.offset, table.count * table.entry_size, "the section header table");
  return table;
}

void check_overlaps(const Reader& in, const std::vector<Segment>& segments) {
  std::vector<const Segment*> sorted;
  for (const Segment& s : segments)
    if (!s.data.empty()) sorted.push_back(&s);
  std::sort(sorted.begin(), sorted.end(), [](auto* a, auto* b) { return a->address < b->address; });
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    const Segment &a = *sorted[i - 1], &b = *sorted[i];
    if (b.address - a.address < a.data.size())
      in.fail(fmt::format("its segments at 0x{:x} and 0x{:x} overlap", a.address, b.address));
  }
}

/// How far the file's headers (their last byte is before `headers_end`) and the zeros after them reach into a
/// segment that begins with them.
u64 header_bytes(ByteView data, u64 headers_end) {
  u64 end = std::min<u64>(headers_end, data.size());
  while (end < data.size() && data[end] == 0) ++end;
  return end;
}

void read_segments(const Reader& in, ByteView header, const SectionTable& sections, Image& image) {
  u64 offset = in.native(header, 28, 32);
  u64 entry_size = in.half(header, in.wide() ? 54 : 42);
  u64 count = in.half(header, in.wide() ? 56 : 44);
  if (count == kManyProgramHeaders && sections.count != 0) count = sections.get(in, 0).info;
  if (count == 0 || offset == 0) in.fail("it has no program headers: link it into an executable first");
  if (entry_size < (in.wide() ? 56u : 32u))
    in.fail(fmt::format("program headers of {} bytes are too small for its class", entry_size));
  if (count > in.size() / entry_size)
    in.fail(fmt::format("{} program headers do not fit in the file; is it cut short?", count));
  ByteView table = in.bytes(offset, count * entry_size, "the program header table");
  u64 total = 0;
  for (u64 i = 0; i < count; ++i) {
    ByteView h = table.subspan(i * entry_size, entry_size);
    if (in.word(h, 0) != kSegmentLoad) continue;
    u64 file_offset = in.native(h, 4, 8), address = in.native(h, 12, 24);
    u64 file_size = in.native(h, 16, 32), memory_size = in.native(h, 20, 40);
    if (memory_size == 0 && file_size == 0) continue;
    if (file_size > memory_size)
      in.fail(fmt::format("segment {} has more bytes in the file (0x{:x}) than in memory (0x{:x})", i,
                          file_size, memory_size));
    u64 last = address + (memory_size - 1);
    if (last < address || (!in.wide() && last > 0xffffffff))
      in.fail(fmt::format("segment {} (0x{:x} bytes at 0x{:x}) reaches beyond the end of the address space",
                          i, memory_size, address));
    ByteView data = in.bytes(file_offset, file_size, fmt::format("segment {}", i));
    // Overlapping file ranges would let a small file demand any amount of host memory.
    total += file_size;
    if (total > in.size()) in.fail("its segments share bytes of the file");
    Segment segment{address, memory_size, Bytes(data.begin(), data.end()), 0, in.native(h, 8, 16) != address};
    if (file_offset == 0)
      segment.header_bytes = header_bytes(data, std::max<u64>(offset + count * entry_size, 64));
    image.segments.push_back(std::move(segment));
  }
  if (image.segments.empty()) in.fail("it has nothing to load (no PT_LOAD segment)");
  check_overlaps(in, image.segments);
}

/// `looked_at` grows by the bytes that had to be looked at.
std::string symbol_name(ByteView strings, u64 offset, u64& looked_at) {
  if (offset >= strings.size()) return {};
  std::size_t limit = std::min<std::size_t>(strings.size() - offset, kLongestName);
  const char* begin = reinterpret_cast<const char*>(strings.data() + offset);
  // "$x" and the like mark kinds of contents, not places that anybody would name. There may be very many, and
  // on RISC-V they all share a name that says every extension.
  if (*begin == '$') return {};
  const char* end = static_cast<const char*>(std::memchr(begin, 0, limit));
  looked_at += end == nullptr ? limit : static_cast<u64>(end - begin);
  return end == nullptr ? std::string() : std::string(begin, end);
}

void read_symbols(const Reader& in, const SectionTable& sections, Image& image) {
  u64 name_bytes = 0, table_bytes = 0;
  for (u64 i = 0; i < sections.count; ++i) {
    Section table = sections.get(in, i);
    if (table.type != kSectionSymbols) continue;
    u64 entry = in.wide() ? 24 : 16;
    if (table.entry_size != entry || table.link >= sections.count) in.fail("its symbol table is damaged");
    ByteView symbols = in.bytes(table.offset, table.size, "the symbol table");
    table_bytes += symbols.size();
    if (table_bytes > in.size()) in.fail("its symbol tables share bytes of the file");
    Section string_section = sections.get(in, table.link);
    ByteView strings = in.bytes(string_section.offset, string_section.size, "the symbol names");
    for (u64 at = 0; at + entry <= symbols.size(); at += entry) {
      ByteView s = symbols.subspan(at, entry);
      u8 info = s[in.wide() ? 4 : 12];
      unsigned type = info & 15, section = in.half(s, in.wide() ? 6 : 14);
      if (type > 2 || section == 0) continue;  // NOTYPE, OBJECT, FUNC that are defined here
      std::string name = symbol_name(strings, in.word(s, 0), name_bytes);
      if (name_bytes > in.size()) in.fail("its symbol names are longer than the file");
      if (name.empty()) continue;
      image.symbols.push_back({std::move(name), in.native(s, 4, 8), in.native(s, 8, 16), type == 2});
    }
  }
  std::sort(image.symbols.begin(), image.symbols.end(), [](const Symbol& a, const Symbol& b) {
    return std::tie(a.address, a.name, a.size) < std::tie(b.address, b.name, b.size);
  });
}

}  // namespace

std::optional<ElfIdentity> identify_elf(ByteView file) {
  if (file.size() < 20 || std::memcmp(file.data(),
                                      "\x7f"
                                      "ELF",
                                      4) != 0)
    return std::nullopt;
  if (file[4] < 1 || file[4] > 2 || file[5] < 1 || file[5] > 2) return std::nullopt;
  ElfIdentity id;
  id.address_bits = file[4] == 2 ? 64 : 32;
  id.big_endian = file[5] == 2;
  id.machine = id.big_endian ? u32{file[18]} << 8 | file[19] : u32{file[19]} << 8 | file[18];
  return id;
}

std::string elf_machine_name(unsigned machine) {
  struct Name {
    unsigned machine;
    const char* name;
  };
  constexpr Name kNames[] = {{2, "SPARC"},        {3, "x86"},        {4, "m68k"},      {8, "MIPS"},
                             {20, "PowerPC"},     {21, "PowerPC64"}, {22, "S/390"},    {40, "Arm"},
                             {42, "SuperH"},      {62, "x86-64"},    {83, "AVR"},      {92, "OpenRISC"},
                             {94, "Xtensa"},      {105, "MSP430"},   {113, "Nios II"}, {183, "AArch64"},
                             {189, "MicroBlaze"}, {195, "ARC"},      {243, "RISC-V"},  {258, "LoongArch"}};
  for (const Name& n : kNames)
    if (n.machine == machine) return n.name;
  return fmt::format("machine {}", machine);
}

ByteView elf_section(const std::string& name, ByteView file, u32 type) {
  const std::optional<ElfIdentity> id = identify_elf(file);
  if (!id) return {};
  const Reader in(name, file, id->address_bits == 64, id->big_endian);
  const SectionTable sections = find_sections(in, in.bytes(0, in.wide() ? 64 : 52, "the file header"));
  for (u64 i = 0; i < sections.count; ++i) {
    const Section section = sections.get(in, i);
    if (section.type == type) return in.bytes(section.offset, section.size, fmt::format("section {}", i));
  }
  return {};
}

Image parse_elf(const std::string& name, ByteView file) {
  std::optional<ElfIdentity> id = identify_elf(file);
  if (!id) throw Fatal(fmt::format("ELF file '{}': its header is damaged or cut short", name));
  Reader in(name, file, id->address_bits == 64, id->big_endian);
  ByteView header = in.bytes(0, in.wide() ? 64 : 52, "the file header");
  unsigned type = in.half(header, 16);
  if (type != kTypeExec && type != kTypeDyn)
    in.fail(type == 1 ? "it is an object file: link it into an executable first"
                      : fmt::format("its type ({}) is not that of an executable", type));
  Image image;
  image.format = Format::Elf;
  image.elf_machine = id->machine;
  image.address_bits = id->address_bits;
  image.big_endian = id->big_endian;
  image.entry = in.native(header, 24, 24);
  SectionTable sections = find_sections(in, header);
  read_segments(in, header, sections, image);
  read_symbols(in, sections, image);
  return image;
}

}  // namespace hindcast::loader
