#include "targets/machines/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace hindcast::machines {
namespace {

struct Switch {
  std::string_view name;
  bool BoardOptions::*value;
};
constexpr Switch kSwitches[] = {
    {"rng-seed", &BoardOptions::rng_seed},
    {"rng", &BoardOptions::rng},
};

}  // namespace

BoardOptions take_options(const MachineConfig& config) {
  BoardOptions options;
  for (const auto& [name, value] : config.machine_options) {
    const auto* row = std::find_if(std::begin(kSwitches), std::end(kSwitches),
                                   [&name = name](const Switch& s) { return s.name == name; });
    if (row == std::end(kSwitches))
      throw Fatal(fmt::format("machine '{}' has no option '{}'", config.machine, name));
    if (value != "on" && value != "off") throw Fatal(fmt::format("{}={}: write on or off", name, value));
    options.*row->value = value == "on";
  }
  return options;
}

}  // namespace hindcast::machines
