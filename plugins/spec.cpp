#include "plugins/spec.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace hindcast::plugins {
namespace {

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  while (true) {
    const std::size_t comma = text.find(',', at);
    parts.push_back(text.substr(at, comma - at));
    if (comma == std::string::npos) return parts;
    at = comma + 1;
  }
}

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

std::string known_names() {
  std::string names;
  for (const BundledPlugin& plugin : bundled_plugins())
    names += (names.empty() ? "" : ", ") + std::string(plugin.name);
  return names;
}

}  // namespace

std::string bundled_folder() {
  std::array<char, 4096> buffer;
  const ssize_t n = ::readlink("/proc/self/exe", buffer.data(), buffer.size());
  if (n <= 0 || n == static_cast<ssize_t>(buffer.size()))
    throw Fatal("cannot tell where the command is installed (/proc/self/exe); name the plugin by its path");
  return folder_of(folder_of(std::string(buffer.data(), static_cast<std::size_t>(n)))) +
         "/lib/hindcast/plugins";
}

PluginSpec parse_plugin(const std::string& text) {
  std::vector<std::string> parts = split(text);
  PluginSpec spec;
  if (parts[0].starts_with("file=")) parts[0] = parts[0].substr(5);
  spec.name = parts[0];
  if (spec.name.empty())
    throw Fatal(fmt::format("plugin '{}': a name or a path is needed before the options", text));
  if (spec.name.find('/') != std::string::npos || spec.name.ends_with(".so")) {
    spec.path = spec.name.find('/') == std::string::npos ? "./" + spec.name : spec.name;
    if (::access(spec.path.c_str(), R_OK) != 0)
      throw Fatal(fmt::format("plugin '{}': there is no such file, or it cannot be read", spec.name));
  } else {
    const auto& known = bundled_plugins();
    const bool bundled = std::any_of(known.begin(), known.end(),
                                     [&](const BundledPlugin& plugin) { return spec.name == plugin.name; });
    spec.path = bundled_folder() + "/lib" + spec.name + ".so";
    if (!bundled)
      throw Fatal(fmt::format("plugin '{}' is none of the bundled ones ({}); others are named by a path",
                              spec.name, known_names()));
    if (::access(spec.path.c_str(), R_OK) != 0)
      throw Fatal(
          fmt::format("plugin '{}': {} is missing; is the installation complete?", spec.name, spec.path));
  }
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const std::string& option = parts[i];
    if (option.empty()) continue;
    const std::size_t equals = option.find('=');
    if (equals == 0) throw Fatal(fmt::format("plugin '{}': the option '{}' has no name", spec.name, option));
    spec.options.push_back(equals == std::string::npos ? option + "=on" : option);
  }
  return spec;
}

const std::vector<BundledPlugin>& bundled_plugins() {
  static const std::vector<BundledPlugin> list = {
#define PLUGIN(name, description) {#name, description},
#include "plugins/bundled/plugins.inc"
#undef PLUGIN
  };
  return list;
}

}  // namespace hindcast::plugins
