#include "targets/machines/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace hindcast::machines {
namespace {

struct Switch {
  std::string_view name, otherwise, word;
  bool BoardOptions::*value;
};
constexpr Switch kSwitches[] = {
    {"rng-seed", "off", "on", &BoardOptions::rng_seed},
    {"rng", "off", "on", &BoardOptions::rng},
    {"virtio", "mmio", "pci", &BoardOptions::pci},
};

}  // namespace

BoardOptions take_options(const MachineConfig& config) {
  BoardOptions options;
  for (const auto& [name, value] : config.machine_options) {
    const auto* row = std::find_if(std::begin(kSwitches), std::end(kSwitches),
                                   [&name = name](const Switch& s) { return s.name == name; });
    if (row == std::end(kSwitches))
      throw Fatal(fmt::format("machine '{}' has no option '{}'", config.machine, name));
    if (value != row->word && value != row->otherwise)
      throw Fatal(fmt::format("{}={}: write {} or {}", name, value, row->word, row->otherwise));
    options.*row->value = value == row->word;
  }
  return options;
}

}  // namespace hindcast::machines
