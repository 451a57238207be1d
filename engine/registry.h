// How parts find targets without naming them: targets register machine kinds; replay/ and cli/ build by
// configuration.
#pragma once
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "engine/machine.h"

namespace hindcast {

/// One file that a machine needs, by bytes: a recording carries these, so nothing is read from the host
/// again.
struct MachineFile {
  std::string role;      // "kernel", "bios", "initrd", "dtb", "load"
  std::string name;      // as the user wrote it (for messages only)
  u64 address = kNever;  // role "load"
  Bytes data;
};

/// A drive of the board. Its bytes are asked for through the input port (InputKind::Disk) as the guest reads
/// them.
struct MachineDrive {
  std::string name;  // as the user wrote it (for messages only)
  u64 bytes = 0;     // whole sectors of 512
  bool read_only = false;
  bool write_through = false;  // only in runs that keep nothing
};

/// A network adapter of the board whose cable is plugged in.
struct NetworkAdapter {
  std::array<u8, 6> mac{};
};

/// Everything that determines a machine. Saved in the recording; equal configurations build equal machines.
struct MachineConfig {
  std::string machine;  // "virt"; empty: from the image
  std::map<std::string, std::string> machine_options;
  std::string cpu;       // "rv64", "rv64,v=off"; empty: the board's default or from the image
  u64 memory_bytes = 0;  // 0: the board's default
  unsigned smp = 1;
  unsigned icount_shift = 3;
  std::string append;                   // kernel command line
  std::vector<std::string> guest_args;  // image name first
  bool semihosting = false;
  /// Of the board's network adapters, in tree order, the first ones; the others have no cable.
  std::vector<NetworkAdapter> networks;
  std::vector<MachineFile> files;
  std::vector<MachineDrive> drives;
};

struct MachineKind {
  std::string name, description, target;
  /// Builds into `machine`. Throws Fatal for configurations that make no sense. Fills in defaults in `config`
  /// (memory size, cpu) so that the recording holds what was really built.
  std::unique_ptr<Machine> (*build)(MachineConfig& config, const EngineOptions& engine, InputPort& port);
  /// Whether an image without --machine is for this kind (looks at the ELF header).
  std::function<bool(ByteView image)> claims;
};

/// Why no machine claims an image, as one line that says what to do; empty if the target has nothing to say.
using Explanation = std::string (*)(const std::string& name, ByteView image);

/// One list for the process; filled by the targets' registration functions, which cli/ calls.
class Registry {
 public:
  static Registry& instance();
  void add(MachineKind kind) { kinds_.push_back(std::move(kind)); }
  void add_cpu(std::string target, std::string name, std::string description) {
    cpus_.push_back({std::move(target), std::move(name), std::move(description)});
  }
  void add_device(std::string name, std::string description) {
    devices_.push_back({std::move(name), std::move(description)});
  }
  void add_explanation(Explanation explanation) { explanations_.push_back(explanation); }
  const std::vector<MachineKind>& machines() const { return kinds_; }
  struct Cpu {
    std::string target, name, description;
  };
  const std::vector<Cpu>& cpus() const { return cpus_; }
  struct DeviceModel {
    std::string name, description;
  };
  const std::vector<DeviceModel>& devices() const { return devices_; }
  /// Resolves config.machine (or the image) to a kind and builds it. Fatal with the known names if there is
  /// none.
  std::unique_ptr<Machine> build(MachineConfig& config, const EngineOptions& engine, InputPort& port) const;

 private:
  std::vector<MachineKind> kinds_;
  std::vector<Explanation> explanations_;
  std::vector<Cpu> cpus_;
  std::vector<DeviceModel> devices_;
};

}  // namespace hindcast
