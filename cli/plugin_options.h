// -p: which plugins, and what the command supplies to them.
#pragma once
#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "cli/status_line.h"
#include "engine/registry.h"
#include "plugins/host.h"

namespace hindcast::cli {

struct PluginText {
  std::vector<std::string> plugins;
  void add_to(CLI::App& command);
  bool empty() const { return specs().empty(); }
  /// The options and, unless there is one, the environment (HINDCAST_PLUGIN, QEMU_PLUGIN).
  std::vector<plugins::PluginSpec> specs() const;
  /// The loaded plugins, which write to the log; null if none was asked for, unless more may come later.
  /// `files`: where the guest's symbols are.
  std::unique_ptr<plugins::PluginHost> host(Log& log, const std::vector<MachineFile>& files,
                                            bool more_later = false) const;
};

/// The files of a recording's machine, with their bytes; none if they cannot be had.
std::vector<MachineFile> recorded_files(const std::string& path);

/// The exit status of a run that plugins watched: `status`, unless one of them ended it. Says why if it made
/// a mistake.
int status_with_plugins(const plugins::PluginHost* host, int status, Log& log);

}  // namespace hindcast::cli
