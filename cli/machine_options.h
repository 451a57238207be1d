// The machine options of run and record: what the user wrote, and what it means.
#pragma once
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "engine/registry.h"
#include "replay/host_drives.h"
#include "replay/session.h"

namespace hindcast::cli {

/// How the guest's code is run; for replay too.
struct EngineText {
  std::string engine = "jit", cpu_host, code_cache, chaos_seed;
  void add_to(CLI::App& command);
  EngineOptions options() const;
};

/// Options as text. `config()` and `host()` check them and read the files.
struct MachineText {
  std::string image, machine, cpu, memory, smp, bios, kernel, initrd, append, dtb, board, svd,
      serial = "stdio", virtio_console, semihosting, semihost_root, icount_shift, max_icount, pace, pcap;
  std::vector<std::string> loads, drives, nets, fw_cfg, guest_args;
  EngineText engine;

  void add_to(CLI::App& command);
  MachineConfig config() const;
  replay::HostOptions host() const;
  /// "native", "gdb" or "auto".
  std::string semihosting_target() const;

 private:
  /// Opens the files of --drive, once.
  void open_drives() const;
  mutable std::shared_ptr<replay::HostDrives> host_drives_;
  mutable std::vector<MachineDrive> opened_drives_;
};

/// Options that belong to this command but are not in this version: each is refused with one line that says
/// so.
void add_options_of_later_versions(CLI::App& command, const std::vector<std::string>& names);

}  // namespace hindcast::cli
