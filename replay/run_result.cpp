#include "replay/run_result.h"

#include <fmt/format.h>

#include "engine/machine.h"

namespace hindcast::replay {

std::string why_for_ever(Machine& machine) {
  if (!machine.stuck())
    return fmt::format("the guest {} at icount {}, and no input can come",
                       machine.arch().why_halted(machine.vcpu(0)), machine.icount());
  return fmt::format("the guest raises the same exception for ever at pc {:#x}, from icount {} on",
                     machine.vcpu(0).pc(), machine.icount());
}

}  // namespace hindcast::replay
