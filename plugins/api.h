// Shared by the files that implement the interface's functions.
#pragma once
#include "plugins/host.h"
#include "plugins/include/qemu-plugin.h"

namespace hindcast::plugins {

/// The host. Its absence is an error in our own code: plugins are loaded by it.
PluginHost& host_of(const char* what);

/// Calls fn(row, number) for the registers that plugins see, in their order: each piece of state once, and no
/// counters, so that who prints what has changed prints no more than that.
template <typename Fn>
void each_register(PluginHost& host, Fn fn) {
  const Architecture& arch = host.machine().arch();
  const auto rows = arch.registers();
  for (unsigned i = 0; i < rows.size(); ++i)
    if (rows[i].gdb_feature != nullptr && rows[i].offset < arch.state_bytes()) fn(rows[i], i);
}

/// Of the vCPU whose callback is running: the value, or the one that it is about to get. The machine is
/// settled.
inline u64 register_value(PluginHost& host, unsigned number) {
  const auto soon = host.changes().of_register(host.vcpu().index(), number);
  return soon ? *soon : host.machine().arch().read_register(host.vcpu(), number);
}

}  // namespace hindcast::plugins
