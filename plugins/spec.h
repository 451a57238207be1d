// What the user wrote after -p: which plugin, with which options.
#pragma once
#include <string>
#include <vector>

#include "engine/types.h"

namespace hindcast::plugins {

struct PluginSpec {
  std::string name;                  // as messages name it
  std::string path;                  // of the shared object
  std::vector<std::string> options;  // "name=value"
};

/// NAME_OR_PATH[,k=v...], or file=PATH[,k=v...]. A name without '/' and ".so" is a bundled plugin's. Throws
/// Fatal with one line if there is none of that name, or the text makes no sense.
PluginSpec parse_plugin(const std::string& text);

struct BundledPlugin {
  const char* name;
  const char* description;
};
/// In alphabetical order.
const std::vector<BundledPlugin>& bundled_plugins();
/// The folder of the bundled plugins: beside the running command.
std::string bundled_folder();

}  // namespace hindcast::plugins
