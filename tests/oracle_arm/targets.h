// The models that programs are made for, each with a board that QEMU has too.
#pragma once
#include <stdexcept>
#include <string>

#include "tests/oracle_arm/program.h"

namespace hindcast::oracle_arm {

inline constexpr Target kTargets[] = {
    {"cortex-m0", "mps2-an385", 0x21000000, false},  // QEMU's board has an M3: not for comparing with it
    {"cortex-m3", "mps2-an385", 0x21000000, false},
    {"cortex-m4", "mps2-an386", 0x21000000, true},
    {"cortex-m7", "mps2-an500", 0x60000000, true},
    {"cortex-m23", "mps2-an505", 0x80000000, false, 0x10000000, 0x38000000},  // an M33 there
    {"cortex-m33", "mps2-an505", 0x80000000, true, 0x10000000, 0x38000000},
    {"cortex-m55", "mps3-an547", 0x60000000, true, 0, 0x20000000, 0x0e000000, "2G"},
};

inline const Target& target_named(const std::string& cpu) {
  for (const Target& t : kTargets)
    if (cpu == t.cpu) return t;
  throw std::runtime_error("no programs are made for '" + cpu + "'");
}

}  // namespace hindcast::oracle_arm
