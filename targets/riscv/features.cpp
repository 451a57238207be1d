#include "targets/riscv/features.h"

#include <fmt/format.h>

namespace hindcast::riscv {
namespace {

struct Feature {
  const char* name;
  u64 bit;
  u64 needs;  // what it builds on
  bool by_default;
};

constexpr Feature kFeatures[] = {
    {"e", ext::E, 0, false},
    {"m", ext::M, 0, true},
    {"a", ext::A, 0, true},
    {"f", ext::F, ext::Zicsr, true},
    {"d", ext::D, ext::F, true},
    {"c", ext::C, 0, true},
    {"u", ext::U, ext::Zicsr, true},
    {"s", ext::S, ext::U, true},
    {"zicsr", ext::Zicsr, 0, true},
    {"zifencei", ext::Zifencei, 0, true},
    {"zicntr", ext::Zicntr, ext::Zicsr, true},
    {"zihpm", ext::Zihpm, ext::Zicntr, true},
    {"zba", ext::Zba, 0, true},
    {"zbb", ext::Zbb, 0, true},
    {"zbc", ext::Zbc, 0, true},
    {"zbs", ext::Zbs, 0, true},
    {"zicond", ext::Zicond, 0, true},
    {"zcb", ext::Zcb, ext::C, true},
    {"zfhmin", ext::Zfhmin, ext::F, true},
    {"zfh", ext::Zfh, ext::Zfhmin, true},
    {"pmp", ext::Pmp, ext::Zicsr, true},
    {"sv48", ext::Sv48, ext::S, true},
    {"sv57", ext::Sv57, ext::Sv48, true},
    {"svade", ext::Svade, ext::S, false},
    {"svadu", ext::Svadu, ext::S, true},
};

const Feature* find(std::string_view name) {
  for (const Feature& f : kFeatures) {
    if (f.name == name) return &f;
  }
  return nullptr;
}

const Feature& feature_of(u64 bit) {
  const Feature* f = kFeatures;
  while (f->bit != bit) ++f;
  return *f;
}

u64 defaults() {
  u64 set = ext::I;
  for (const Feature& f : kFeatures) {
    if (f.by_default) set |= f.bit;
  }
  return set;
}

/// Switches off what misses its base; Fatal where the user asked for it. Bases stand before what builds on
/// them in the chains above, but not in the table, hence the repetition until nothing changes.
void settle(Features& cpu, u64 asked_for) {
  for (bool changed = true; changed;) {
    changed = false;
    for (const Feature& f : kFeatures) {
      const u64 missing = f.needs & ~cpu.extensions;
      if ((cpu.extensions & f.bit) == 0 || missing == 0) continue;
      if ((asked_for & f.bit) != 0) {
        throw Fatal(
            fmt::format("CPU feature {}=on needs {}=on", f.name, feature_of(missing & -missing).name));
      }
      cpu.extensions &= ~f.bit;
      changed = true;
    }
  }
}

}  // namespace

std::string known_features() {
  std::string list;
  for (const Feature& f : kFeatures) {
    if (!list.empty()) list += ", ";
    list += f.name;
  }
  return list;
}

std::string Features::description() const {
  std::string text = fmt::format("rv{}", xlen);
  for (const Feature& f : kFeatures) {
    const bool on = has(f.bit);
    if (on != f.by_default) text += fmt::format(",{}={}", f.name, on ? "on" : "off");
  }
  return text;
}

Features parse_cpu(std::string_view text, unsigned default_xlen) {
  Features cpu;
  cpu.xlen = default_xlen == 0 ? 64 : default_xlen;
  cpu.extensions = defaults();
  u64 asked_for = 0;
  bool first = true;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view item = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    const std::size_t equals = item.find('=');
    if (first && equals == std::string_view::npos) {
      if (item != "rv32" && item != "rv64") {
        throw Fatal(fmt::format("unknown RISC-V CPU '{}': known are rv32 and rv64", item));
      }
      cpu.xlen = item == "rv32" ? 32 : 64;
      if (default_xlen != 0 && cpu.xlen != default_xlen) {
        throw Fatal(fmt::format("CPU {} cannot run a {}-bit image", item, default_xlen));
      }
    } else {
      const Feature* f = find(item.substr(0, equals));
      if (f == nullptr) {
        throw Fatal(fmt::format("unknown RISC-V CPU feature '{}': known are {}", item.substr(0, equals),
                                known_features()));
      }
      const std::string_view value = equals == std::string_view::npos ? "" : item.substr(equals + 1);
      if (value != "on" && value != "off") {
        throw Fatal(fmt::format("CPU feature '{}': write {}=on or {}=off", item, f->name, f->name));
      }
      if (value == "on") {
        cpu.extensions |= f->bit;
        asked_for |= f->bit;
      } else {
        cpu.extensions &= ~f->bit;
        asked_for &= ~f->bit;
      }
    }
    first = false;
  }
  settle(cpu, asked_for);
  return cpu;
}

}  // namespace hindcast::riscv
