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
    {"h", ext::H, ext::S, false},
    {"sv48", ext::Sv48, ext::S, true},
    {"sv57", ext::Sv57, ext::Sv48, true},
    {"svade", ext::Svade, ext::S, false},
    {"svadu", ext::Svadu, ext::S, true},
    {"sstc", ext::Sstc, ext::S | ext::Zicntr, true},
    {"svinval", ext::Svinval, ext::S, false},
    {"svnapot", ext::Svnapot, ext::S, false},
    {"svpbmt", ext::Svpbmt, ext::S, false},
    {"zawrs", ext::Zawrs, ext::A, true},
    {"zicbom", ext::Zicbom, ext::Zicsr, true},
    {"zicbop", ext::Zicbop, 0, true},
    {"zicboz", ext::Zicboz, ext::Zicsr, true},
    {"zacas", ext::Zacas, ext::A, false},
    {"zabha", ext::Zabha, ext::A, false},
    {"smaia", ext::Smaia, ext::Zicsr, false},
    {"ssaia", ext::Ssaia, ext::S | ext::Smaia, false},
    {"smepmp", ext::Smepmp, ext::Pmp, false},
    {"sscofpmf", ext::Sscofpmf, ext::Zihpm, false},
    {"smstateen", ext::Smstateen, ext::U, false},
    {"zbkb", ext::Zbkb, 0, false},
    {"zbkc", ext::Zbkc, 0, false},
    {"zbkx", ext::Zbkx, 0, false},
    {"zknd", ext::Zknd, 0, false},
    {"zkne", ext::Zkne, 0, false},
    {"zknh", ext::Zknh, 0, false},
    {"zkr", ext::Zkr, ext::Zicsr, false},
    {"zksed", ext::Zksed, 0, false},
    {"zksh", ext::Zksh, 0, false},
    {"zkt", ext::Zkt, 0, false},
};

constexpr u64 kRv64Only = ext::Svnapot | ext::Svpbmt;

/// Names for several features at once.
struct Bundle {
  const char* name;
  u64 bits;
};
constexpr u64 kZkn = ext::Zbkb | ext::Zbkc | ext::Zbkx | ext::Zkne | ext::Zknd | ext::Zknh;
constexpr Bundle kBundles[] = {
    {"zkn", kZkn},
    {"zks", ext::Zbkb | ext::Zbkc | ext::Zbkx | ext::Zksed | ext::Zksh},
    {"zk", kZkn | ext::Zkr | ext::Zkt},
};

struct Shared {
  u64 bit, any_of;
};
constexpr Shared kShared[] = {
    {ext::ZbbZbkb, ext::Zbb | ext::Zbkb},
    {ext::ZbcZbkc, ext::Zbc | ext::Zbkc},
    {ext::ZkndZkne, ext::Zknd | ext::Zkne},
    {ext::Mseccfg, ext::Smepmp | ext::Zkr},
};

/// The bits that a name stands for; 0: there is no such feature.
u64 bits_of(std::string_view name) {
  for (const Feature& f : kFeatures)
    if (f.name == name) return f.bit;
  for (const Bundle& b : kBundles)
    if (b.name == name) return b.bits;
  return 0;
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

/// All that there is and that does not take anything away. Linux reads seed before it can handle an
/// exception, and firmware that does not know Zkr makes that one: so it is left to be asked for. The
/// hypervisor extension takes Ssaia away.
u64 everything(unsigned xlen) {
  u64 set = ext::I;
  for (const Feature& f : kFeatures) set |= f.bit;
  return set & ~(ext::E | ext::H | ext::Svade | ext::Zkr | (xlen == 32 ? kRv64Only : 0));
}

struct Model {
  const char* name;
  unsigned xlen;  // 0: the image's
  bool everything;
};
constexpr Model kModels[] = {{"rv32", 32, false}, {"rv64", 64, false}, {"max32", 32, true}, {"max", 0, true}};

void take_model(Features& cpu, std::string_view name, unsigned default_xlen) {
  for (const Model& model : kModels) {
    if (model.name != name) continue;
    if (model.xlen != 0) cpu.xlen = model.xlen;
    if (default_xlen != 0 && cpu.xlen != default_xlen)
      throw Fatal(fmt::format("CPU {} cannot run a {}-bit image", name, default_xlen));
    if (model.everything) cpu.extensions = everything(cpu.xlen);
    return;
  }
  throw Fatal(fmt::format("unknown RISC-V CPU '{}': known are rv32, rv64, max and max32", name));
}

/// Switches off what misses its base; Fatal where the user asked for it. Bases stand before what builds on
/// them in the chains above, but not in the table, hence the repetition until nothing changes.
void settle(Features& cpu, u64 asked_for) {
  if (const u64 wide = asked_for & cpu.extensions & kRv64Only; wide != 0 && cpu.xlen == 32)
    throw Fatal(fmt::format("CPU feature {}=on needs rv64", feature_of(wide & -wide).name));
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
  if (cpu.has(ext::H)) {
    if (cpu.has(ext::E)) throw Fatal("CPU feature h=on needs e=off");
    if ((asked_for & ext::Ssaia) != 0) throw Fatal("CPU feature h=on needs ssaia=off");
    cpu.extensions &= ~ext::Ssaia;
  }
  for (const Shared& shared : kShared)
    if ((cpu.extensions & shared.any_of) != 0) cpu.extensions |= shared.bit;
}

}  // namespace

std::string known_features() {
  std::string list;
  for (const Feature& f : kFeatures) {
    if (!list.empty()) list += ", ";
    list += f.name;
  }
  for (const Bundle& b : kBundles) list += std::string(", ") + b.name;
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
      take_model(cpu, item, default_xlen);
    } else {
      const std::string_view name = item.substr(0, equals);
      const u64 bits = bits_of(name);
      if (bits == 0)
        throw Fatal(fmt::format("unknown RISC-V CPU feature '{}': known are {}", name, known_features()));
      const std::string_view value = equals == std::string_view::npos ? "" : item.substr(equals + 1);
      if (value != "on" && value != "off") {
        throw Fatal(fmt::format("CPU feature '{}': write {}=on or {}=off", item, name, name));
      }
      if (value == "on") {
        cpu.extensions |= bits;
        asked_for |= bits;
      } else {
        cpu.extensions &= ~bits;
        asked_for &= ~bits;
      }
    }
    first = false;
  }
  settle(cpu, asked_for);
  return cpu;
}

}  // namespace hindcast::riscv
