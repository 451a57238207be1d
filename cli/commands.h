// The commands. Each registers its options, and runs when it was the one named; the result is the exit
// status.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace hindcast::cli {

inline constexpr int kStatusDamaged = 1;
inline constexpr int kStatusFailed = 125;

/// One command: what to do once the arguments are parsed.
struct Command {
  CLI::App* app = nullptr;
  bool takes_guest_args = false;
  /// `guest_args`: what followed "--".
  std::function<int(const std::vector<std::string>& guest_args)> run;
};

// What executes a guest (commands_run.cpp).
Command add_run(CLI::App& app);
Command add_record(CLI::App& app);
Command add_replay(CLI::App& app);
// What reports (commands_report.cpp).
Command add_info(CLI::App& app);
Command add_events(CLI::App& app);
Command add_verify(CLI::App& app);
Command add_list(CLI::App& app);
// Plugins over a recording (commands_analyze.cpp).
Command add_analyze(CLI::App& app);
// Where runs part (commands_compare.cpp).
Command add_compare(CLI::App& app);
Command add_index(CLI::App& app);
Command add_state(CLI::App& app);
// Recordings as files (commands_transfer.cpp).
Command add_export(CLI::App& app);
Command add_import(CLI::App& app);
// gdb (commands_debug.cpp).
Command add_debug(CLI::App& app);

}  // namespace hindcast::cli
