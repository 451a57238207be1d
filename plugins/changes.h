// What plugins want to change in the guest. A change is not made where a plugin asks for it, in the middle of
// the run loop, but at the next place between two instructions that has a name in a recording; until then it
// is kept here, and what the plugin reads shows it already.
#pragma once
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "plugins/plugin.h"
#include "replay/observer.h"

namespace hindcast::plugins {

class PluginHost;

/// What a callback may change, by what it was registered for. Each includes those before it.
enum class Permission : u8 { None, Memory, Registers, Pc };

/// A callback that may change the guest, as the engine calls it.
struct ChangingCallback {
  PluginHost* host = nullptr;
  Plugin* plugin = nullptr;
  Permission permission = Permission::None;
  InstrOp::ExecFn exec = nullptr;
  InstrOp::AccessFn access = nullptr;
  void* data = nullptr;
  bool operator<(const ChangingCallback& other) const { return key() < other.key(); }

 private:
  std::tuple<Plugin*, Permission, u64, u64, void*> key() const {
    return {plugin, permission, reinterpret_cast<u64>(exec), reinterpret_cast<u64>(access), data};
  }
};

class Changes {
 public:
  void write_register(unsigned vcpu, unsigned row, u64 value);
  void write_memory(GuestAddr physical, ByteView data);
  /// Virtual time jumps forward to `when`; nothing if it is there already.
  void move_time(VirtualNs when);

  /// What the register will be.
  std::optional<u64> of_register(unsigned vcpu, unsigned row) const;
  /// Puts what will be written over what was read at this address.
  void overlay(GuestAddr physical, u8* data, std::size_t size) const;

  /// In the order in which they were asked for; from then on there are none.
  std::vector<replay::GuestChange> take() { return std::exchange(changes_, {}); }
  void clear() { changes_.clear(); }

 private:
  std::vector<replay::GuestChange> changes_;
};

}  // namespace hindcast::plugins
