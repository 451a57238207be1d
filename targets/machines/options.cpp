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
    {"console", "off", "on", &BoardOptions::console},
    {"virtio", "mmio", "pci", &BoardOptions::pci},
};

struct AiaWord {
  std::string_view word;
  Aia aia;
};
constexpr AiaWord kAiaWords[] = {
    {"none", Aia::None}, {"aplic", Aia::Aplic}, {"aplic-imsic", Aia::AplicImsic}};

Aia aia_of(std::string_view value) {
  for (const AiaWord& row : kAiaWords)
    if (row.word == value) return row.aia;
  throw Fatal(fmt::format("aia={}: write none, aplic or aplic-imsic", value));
}

}  // namespace

BoardOptions take_options(const MachineConfig& config) {
  BoardOptions options;
  for (const auto& [name, value] : config.machine_options) {
    if (name == "aia") {
      options.aia = aia_of(value);
      continue;
    }
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
