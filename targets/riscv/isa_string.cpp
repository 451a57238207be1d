#include "targets/riscv/isa_string.h"

#include <fmt/format.h>

#include <cstring>

namespace hindcast::riscv {
namespace {

struct Part {
  const char* text;
  u64 extension;
};

// User mode and PMP are not named: they are privileged features, which the letters do not cover.
constexpr Part kParts[] = {
    {"m", ext::M},
    {"a", ext::A},
    {"f", ext::F},
    {"d", ext::D},
    {"c", ext::C},
    {"h", ext::H},
    {"_zicbom", ext::Zicbom},
    {"_zicbop", ext::Zicbop},
    {"_zicboz", ext::Zicboz},
    {"_zicntr", ext::Zicntr},
    {"_zicond", ext::Zicond},
    {"_zicsr", ext::Zicsr},
    {"_zifencei", ext::Zifencei},
    {"_zihpm", ext::Zihpm},
    {"_zabha", ext::Zabha},
    {"_zacas", ext::Zacas},
    {"_zawrs", ext::Zawrs},
    {"_zfh", ext::Zfh},
    {"_zfhmin", ext::Zfhmin},
    {"_zcb", ext::Zcb},
    {"_zba", ext::Zba},
    {"_zbb", ext::Zbb},
    {"_zbc", ext::Zbc},
    {"_zbkb", ext::Zbkb},
    {"_zbkc", ext::Zbkc},
    {"_zbkx", ext::Zbkx},
    {"_zbs", ext::Zbs},
    {"_zknd", ext::Zknd},
    {"_zkne", ext::Zkne},
    {"_zknh", ext::Zknh},
    {"_zkr", ext::Zkr},
    {"_zksed", ext::Zksed},
    {"_zksh", ext::Zksh},
    {"_zkt", ext::Zkt},
    {"_smaia", ext::Smaia},
    {"_smepmp", ext::Smepmp},
    {"_smstateen", ext::Smstateen},
    {"_ssaia", ext::Ssaia},
    {"_sscofpmf", ext::Sscofpmf},
    {"_sstc", ext::Sstc},
    {"_svade", ext::Svade},
    {"_svadu", ext::Svadu},
    {"_svinval", ext::Svinval},
    {"_svnapot", ext::Svnapot},
    {"_svpbmt", ext::Svpbmt},
};

}  // namespace

std::string isa_string(const Features& features) {
  std::string text = fmt::format("rv{}{}", features.xlen, features.has(ext::E) ? "e" : "i");
  for (const Part& part : kParts)
    if (features.has(part.extension)) text += part.text;
  return text;
}

std::vector<std::string> isa_extensions(const Features& features) {
  std::vector<std::string> names = {features.has(ext::E) ? "e" : "i"};
  for (const Part& part : kParts)
    if (features.has(part.extension)) names.emplace_back(part.text[0] == '_' ? part.text + 1 : part.text);
  return names;
}

std::string mmu_type(const Features& features) {
  if (!features.has(ext::S)) return "riscv,none";
  if (features.xlen == 32) return "riscv,sv32";
  return features.has(ext::Sv57) ? "riscv,sv57" : features.has(ext::Sv48) ? "riscv,sv48" : "riscv,sv39";
}

std::string cpu_of_isa(std::string_view isa, std::string_view mmu) {
  const std::string_view model = isa.substr(0, 4);
  if (model != "rv32" && model != "rv64")
    throw Fatal(fmt::format("riscv,isa: '{}' begins with neither rv32 nor rv64", isa));
  const std::string_view text = isa.substr(4);
  const std::string letters(text.substr(0, text.find('_')));
  const bool general = letters.starts_with('g');  // imafd and what they need
  auto has = [&](const char* part) {
    if (part[0] != '_')
      return letters.find(part) != std::string::npos || (general && std::strchr("mafd", part[0]));
    const std::string whole = std::string(text) + '_', wanted = std::string(part) + '_';
    return whole.find(wanted) != std::string::npos;
  };
  std::string cpu(model);
  const Features usual = parse_cpu(model, 0);
  if (letters.starts_with('e')) cpu += ",e=on";
  for (const Part& part : kParts) {
    // Part of the base, or never mentioned, before they had names of their own.
    constexpr u64 kOlder = ext::Zicsr | ext::Zifencei | ext::Zicntr | ext::Zihpm | ext::Svadu;
    if (part.extension == ext::H && has("_ssaia")) continue;  // not together here
    if ((part.extension & kOlder) != 0 || has(part.text) == usual.has(part.extension)) continue;
    cpu +=
        fmt::format(",{}={}", part.text[0] == '_' ? part.text + 1 : part.text, has(part.text) ? "on" : "off");
  }
  if (mmu == "riscv,none") cpu += ",s=off";
  if (mmu == "riscv,sv39") cpu += ",sv48=off";
  if (mmu == "riscv,sv48") cpu += ",sv57=off";
  return cpu;
}

}  // namespace hindcast::riscv
