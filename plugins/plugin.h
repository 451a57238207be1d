// One loaded plugin, and how each version of the interface calls it.
#pragma once
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "engine/instrument.h"
#include "plugins/spec.h"

struct qemu_plugin_tb;
struct hindcast_plugin_segments;

namespace hindcast::plugins {

/// Interface versions that load.
inline constexpr int kMinVersion = 1, kMaxVersion = 7;

enum class Event : u8 {
  VcpuInit,
  VcpuExit,
  VcpuIdle,
  VcpuResume,
  TbTrans,
  Flush,
  AtExit,
  Discon,
  Syscall,
  SyscallFilter,
  SyscallReturn,
  Count,
};

/// A registered function; of which type, the event and the plugin's version say.
struct Callback {
  void* fn = nullptr;
  void* data = nullptr;
};

/// What the plugin is told about the run.
struct RunFacts {
  std::string target;
  unsigned vcpus = 1;
};

class Plugin {
 public:
  /// Opens the shared object and checks what it exports; runs only its constructors. Throws Fatal with one
  /// line. The plugin stays in the process for good: threads or exit functions of its own may need it.
  Plugin(PluginSpec spec, unsigned number);
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;

  const std::string& name() const { return spec_.name; }
  /// As the user wrote it.
  std::string text() const;
  /// For the user: 1 is the first that was loaded.
  unsigned number() const { return number_; }
  u64 id() const { return id_; }
  int version() const { return version_; }
  /// Whether the address is in the plugin's code.
  bool contains(const void* address) const;
  /// Whether it can call functions that change the guest: registers and the pc; memory and time.
  bool changes_registers() const { return changes_registers_; }
  bool changes_memory() const { return changes_memory_; }

  /// qemu_plugin_install. Its result.
  int install(const RunFacts& facts);

  /// The last function registered for an event counts; null: none.
  void set(Event event, Callback callback) { callbacks_[static_cast<std::size_t>(event)] = callback; }
  const Callback& get(Event event) const { return callbacks_[static_cast<std::size_t>(event)]; }
  bool has(Event event) const { return get(event).fn != nullptr; }
  void forget_callbacks() { callbacks_ = {}; }
  int discon_types = 0;  // for which Discon is wanted

  /// What it exports for analyses in parts (hindcast-plugin.h); null: it cannot take part with its options.
  const hindcast_plugin_segments* segments() const { return segments_; }
  /// Asks the plugin whether it can share an analysis with these options; if not, it has no segments().
  void ask_segments();
  /// Whether it can run several parts in one process, one after the other.
  bool can_begin_again() const;
  void begin_again() const;
  /// If it can: blocks are to be announced again in each part.
  bool wants_blocks_again() const;

  // Calls, if there is a function.
  void call_vcpu(Event event, unsigned vcpu) const { call_vcpu(get(event), vcpu); }
  void call_vcpu(const Callback& callback, unsigned vcpu) const;
  void call_simple(const Callback& callback) const;
  void call_translated(qemu_plugin_tb* tb) const;
  void call_discon(unsigned vcpu, int type, u64 from, u64 to) const;

 private:
  void find_code();
  void find_changes();

  PluginSpec spec_;
  unsigned number_;
  u64 id_;
  int version_ = 0;
  void* handle_ = nullptr;
  void* install_ = nullptr;
  const hindcast_plugin_segments* segments_ = nullptr;
  struct Range {
    u64 begin, end;
  };
  std::vector<Range> code_;
  bool changes_registers_ = false, changes_memory_ = false;
  std::vector<char*> argv_;
  std::array<Callback, static_cast<std::size_t>(Event::Count)> callbacks_;
};

}  // namespace hindcast::plugins
