// What the interface's opaque handles are.
#pragma once
#include <memory>
#include <vector>

#include "engine/instrument.h"
#include "engine/vcpu.h"
#include "plugins/plugin.h"

struct qemu_plugin_insn {
  qemu_plugin_tb* tb;
  hindcast::u32 index;
};

/// One plugin's view of a block that is being announced.
struct qemu_plugin_tb {
  hindcast::plugins::Plugin* plugin;
  hindcast::Vcpu* vcpu;
  hindcast::InstrBlock* block;
  std::vector<qemu_plugin_insn> insns;
};

struct qemu_plugin_scoreboard {
  hindcast::u8* data;
  std::size_t element_size;
  std::unique_ptr<hindcast::LowMemory> memory;
};

struct qemu_plugin_hwaddr {
  bool io;
  hindcast::GuestAddr physical;
  hindcast::GuestAddr base;  // of the device or RAM
  const char* name;
};
