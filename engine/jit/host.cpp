#include "engine/jit/host.h"

#include <sys/auxv.h>

#include <string>

namespace hindcast::jit {

HostFeatures detect_host(const std::vector<std::string>& off) {
  HostFeatures f;
#if defined(__x86_64__)
  __builtin_cpu_init();
  f.usable = true;
  f.avx = __builtin_cpu_supports("avx");
  f.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
  f.bmi1 = __builtin_cpu_supports("bmi");
  f.bmi2 = __builtin_cpu_supports("bmi2");
  f.fma = __builtin_cpu_supports("fma");
  f.lzcnt = f.bmi1 && __builtin_cpu_supports("avx2");  // every CPU with AVX2 has LZCNT
  f.popcnt = __builtin_cpu_supports("popcnt");
  constexpr unsigned long kHwcap2FsGsBase = 2;
  f.fsgsbase = (::getauxval(AT_HWCAP2) & kHwcap2FsGsBase) != 0;
#endif
  struct Name {
    const char* name;
    bool HostFeatures::*flag;
  };
  static constexpr Name kNames[] = {{"avx", &HostFeatures::avx},       {"avx512", &HostFeatures::avx512},
                                    {"bmi1", &HostFeatures::bmi1},     {"bmi2", &HostFeatures::bmi2},
                                    {"fma", &HostFeatures::fma},       {"lzcnt", &HostFeatures::lzcnt},
                                    {"popcnt", &HostFeatures::popcnt}, {"fsgsbase", &HostFeatures::fsgsbase}};
  for (const std::string& name : off) {
    bool known = false;
    for (const Name& n : kNames)
      if (name == n.name) {
        f.*n.flag = false;
        known = true;
      }
    if (!known)
      throw Fatal("no host feature '" + name + "'; known: avx avx512 bmi1 bmi2 fma fsgsbase lzcnt popcnt");
  }
  if (!f.avx) f.avx512 = f.fma = false;  // the floating-point emitter is VEX-encoded throughout
  return f;
}

}  // namespace hindcast::jit
