#include "engine/registry.h"

namespace hindcast {

Registry& Registry::instance() {
  static Registry registry;
  return registry;
}

std::unique_ptr<Machine> Registry::build(MachineConfig& config, const EngineOptions& engine,
                                         InputPort& port) const {
  std::string known;
  for (const MachineKind& kind : kinds_) known += (known.empty() ? "" : ", ") + kind.name;

  const MachineKind* chosen = nullptr;
  if (!config.machine.empty()) {
    for (const MachineKind& kind : kinds_)
      if (kind.name == config.machine) chosen = &kind;
    if (chosen == nullptr) throw Fatal("no machine is called '" + config.machine + "'; known are: " + known);
  } else {
    // Any file may tell: firmware is often raw bytes while the kernel beside it is not.
    const MachineFile* first = nullptr;
    for (const char* role : {"bios", "kernel", "image", "load"})
      for (const MachineFile& file : config.files) {
        if (file.role != role) continue;
        if (first == nullptr) first = &file;
        for (const MachineKind& kind : kinds_)
          if (chosen == nullptr && kind.claims(file.data)) chosen = &kind;
      }
    if (first == nullptr) throw Fatal("nothing to run: name an image");
    if (chosen == nullptr) {
      for (const MachineFile& file : config.files)
        for (const Explanation explanation : explanations_)
          if (const std::string why = explanation(file.name, file.data); !why.empty()) throw Fatal(why);
      throw Fatal("'" + first->name +
                  "' does not say which machine it is for; choose one with -M (known are: " + known + ")");
    }
  }
  config.machine = chosen->name;
  return chosen->build(config, engine, port);
}

}  // namespace hindcast
