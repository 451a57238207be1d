#include "targets/riscv/isa_string.h"

#include <fmt/format.h>

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
    {"_zicntr", ext::Zicntr},
    {"_zicond", ext::Zicond},
    {"_zicsr", ext::Zicsr},
    {"_zifencei", ext::Zifencei},
    {"_zihpm", ext::Zihpm},
    {"_zfh", ext::Zfh},
    {"_zfhmin", ext::Zfhmin},
    {"_zcb", ext::Zcb},
    {"_zba", ext::Zba},
    {"_zbb", ext::Zbb},
    {"_zbc", ext::Zbc},
    {"_zbs", ext::Zbs},
};

}  // namespace

std::string isa_string(const Features& features) {
  std::string text = fmt::format("rv{}{}", features.xlen, features.has(ext::E) ? "e" : "i");
  for (const Part& part : kParts)
    if (features.has(part.extension)) text += part.text;
  return text;
}

}  // namespace hindcast::riscv
