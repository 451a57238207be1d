// Makes small ELF files of either class and byte order for the loader's tests.
#pragma once
#include <string>
#include <vector>

#include "engine/types.h"

namespace hindcast::test {

struct ElfBuilder {
  bool wide = true, big = false;
  unsigned machine = 243, type = 2;
  u64 entry = 0x80000000;

  struct Segment {
    u64 address;
    Bytes data;
    u64 memory_size;
    u32 type = 1;
  };
  struct Symbol {
    std::string name;
    u64 value, size = 0;
    u8 info = 0x12;  // global function
  };
  std::vector<Segment> segments;
  std::vector<Symbol> symbols;

  ElfBuilder& segment(u64 address, Bytes data, u64 memory_size = 0) {
    if (memory_size < data.size()) memory_size = data.size();
    segments.push_back({address, std::move(data), memory_size});
    return *this;
  }

  Bytes build() const {
    Bytes out;
    const std::size_t header = wide ? 64 : 52, entry_size = wide ? 56 : 32, section_size = wide ? 64 : 40;
    std::size_t data_at = header + segments.size() * entry_size;
    std::size_t symbols_at = data_at;
    for (const Segment& s : segments) symbols_at += s.data.size();
    Bytes names(1), table(wide ? 24 : 16);
    for (const Symbol& s : symbols) {
      u32 name = static_cast<u32>(names.size());
      names.insert(names.end(), s.name.c_str(), s.name.c_str() + s.name.size() + 1);
      put(table, name, 4);
      if (wide) {
        table.push_back(s.info), table.push_back(0);
        put(table, 1, 2), put(table, s.value, 8), put(table, s.size, 8);
      } else {
        put(table, s.value, 4), put(table, s.size, 4);
        table.push_back(s.info), table.push_back(0);
        put(table, 1, 2);
      }
    }
    const std::size_t names_at = symbols_at + table.size(), sections_at = names_at + names.size();
    for (char c : std::string("\x7f"
                              "ELF"))
      out.push_back(static_cast<u8>(c));
    out.push_back(wide ? 2 : 1), out.push_back(big ? 2 : 1), out.push_back(1);
    out.resize(16);
    const unsigned native = wide ? 8 : 4;
    put(out, type, 2), put(out, machine, 2), put(out, 1, 4), put(out, entry, native),
        put(out, header, native);
    put(out, symbols.empty() ? 0 : sections_at, native), put(out, 0, 4), put(out, header, 2),
        put(out, entry_size, 2);
    put(out, segments.size(), 2), put(out, section_size, 2), put(out, symbols.empty() ? 0 : 3, 2),
        put(out, 0, 2);
    for (const Segment& s : segments) {
      put(out, s.type, 4);
      if (wide) put(out, 7, 4);
      put(out, data_at, native), put(out, s.address, native), put(out, s.address, native);
      put(out, s.data.size(), native), put(out, s.memory_size, native);
      if (!wide) put(out, 7, 4);
      put(out, 1, native);
      data_at += s.data.size();
    }
    for (const Segment& s : segments) out.insert(out.end(), s.data.begin(), s.data.end());
    if (symbols.empty()) return out;
    out.insert(out.end(), table.begin(), table.end());
    out.insert(out.end(), names.begin(), names.end());
    section(out, 0, 0, 0, 0, 0);
    section(out, 2, symbols_at, table.size(), 2, wide ? 24 : 16);
    section(out, 3, names_at, names.size(), 0, 0);
    return out;
  }

  /// Appends a number in the file's byte order.
  void put(Bytes& out, u64 value, unsigned size) const {
    for (unsigned i = 0; i < size; ++i)
      out.push_back(static_cast<u8>(value >> (8 * (big ? size - 1 - i : i))));
  }

 private:
  void section(Bytes& out, u32 type, u64 offset, u64 size, u32 link, u64 entry_size) const {
    const unsigned native = wide ? 8 : 4;
    put(out, 0, 4), put(out, type, 4), put(out, 0, native), put(out, 0, native), put(out, offset, native);
    put(out, size, native), put(out, link, 4), put(out, 0, 4), put(out, 1, native),
        put(out, entry_size, native);
  }
};

}  // namespace hindcast::test
