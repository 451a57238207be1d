// Program images: what a file says must be in memory where, and where to start. Bytes in, description out;
// nothing here touches a machine. Formats: ELF ("System V ABI, gABI" chapter 4 and 5), Intel HEX
// ("Hexadecimal Object File Format Specification", rev. A), UF2 (Microsoft's "USB Flashing Format"), and raw
// bytes.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/types.h"

namespace hindcast::loader {

enum class Format : u8 { Raw, Elf, IntelHex, Uf2 };
const char* to_string(Format format);

/// Bytes for one range of physical memory. `memory_size` >= data.size(); the rest is zeros.
struct Segment {
  GuestAddr address = 0;
  u64 memory_size = 0;
  Bytes data;
  /// Leading bytes that are only the file's own headers and padding, which linkers put into the first
  /// segment: a board without memory there does without them.
  u64 header_bytes = 0;
  /// It is used at another address, to which the program copies it: the zeros are made there, by the program,
  /// and need no memory here.
  bool used_elsewhere = false;
};

struct Symbol {
  std::string name;
  GuestAddr address = 0;
  u64 size = 0;  // 0: unknown
  bool function = false;
};

/// Self-contained: keeps no reference to the bytes that it was parsed from.
struct Image {
  Format format = Format::Raw;
  unsigned elf_machine = 0;   // e_machine; 0 for other formats
  unsigned address_bits = 0;  // ELF: 32 or 64; 0 for other formats
  bool big_endian = false;
  std::optional<GuestAddr> entry;  // none if the format names none
  std::vector<Segment> segments;   // in file order; their file-backed bytes do not overlap
  std::vector<Symbol> symbols;     // functions, objects and untyped labels, by (address, name)

  /// First symbol of that name, or null.
  const Symbol* find_symbol(std::string_view name) const;
  /// The function that contains `address`, or the nearest label before it; null if there is none.
  const Symbol* symbol_at(GuestAddr address) const;
  /// Entry, or the lowest address of any segment for formats that name none.
  GuestAddr start() const;
};

/// e_machine of an ELF header and its class, without looking further; nothing if it is no (complete) ELF
/// header.
struct ElfIdentity {
  unsigned machine = 0;
  unsigned address_bits = 0;
  bool big_endian = false;
};
std::optional<ElfIdentity> identify_elf(ByteView file);

/// "RISC-V", "Arm": what people call an e_machine; "machine 4660" for one without a name here.
std::string elf_machine_name(unsigned machine);

/// The bytes of the ELF file's first section of that type; none if there is none. Throws Fatal as parse_elf
/// does.
ByteView elf_section(const std::string& name, ByteView file, u32 type);

/// Recognises the format by its first bytes. What is none of the others is Raw.
Format detect_format(ByteView file);

/// Parses any format; raw bytes become one segment at `raw_address`. `name` is for messages, and says by its
/// ending (.hex, .elf, .axf, .uf2) what is not to be taken for raw bytes if its beginning is damaged.
/// Throws Fatal with one line for a truncated, damaged or contradictory file.
Image parse_image(const std::string& name, ByteView file, GuestAddr raw_address);
Image parse_raw(ByteView file, GuestAddr address);

// The single formats, as parse_image calls them.
Image parse_elf(const std::string& name, ByteView file);
Image parse_intel_hex(const std::string& name, ByteView file);
Image parse_uf2(const std::string& name, ByteView file);

}  // namespace hindcast::loader
