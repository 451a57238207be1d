// Two runs side by side; says where they part. Options: sockpath=PATH (two commands meet there, each of which
// may be live, a replay or an analysis; lockstep/blocks.cpp), or with=RECORDING (one command; the other run
// is that recording; lockstep/pair.cpp). registers (compares all registers too), memory (the addresses and
// values of all accesses too); verbose (with sockpath: every mismatch, not only those next to each other),
// go-on (with a recording: a difference does not end the run).
#include "plugins/bundled/lockstep/lockstep.h"

BUNDLED_PLUGIN

lockstep::Settings lockstep::settings;

extern "C" QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc,
                                                      char** argv) {
  lockstep::Settings& settings = lockstep::settings;
  plugin::Options options;
  options.text("sockpath", settings.socket)
      .text("with", settings.with)
      .flag("verbose", settings.verbose)
      .flag("registers", settings.registers)
      .flag("memory", settings.memory)
      .flag("go-on", settings.go_on)
      .number("peer", settings.peer, 1);
  if (!options.parse(argc, argv)) return -1;
  const bool pair = !settings.with.empty() || settings.peer != 0;
  if (pair && !settings.socket.empty()) return plugin::print("with= and sockpath= exclude each other\n"), -1;
  if (!pair && settings.socket.empty())
    return plugin::print("with=RECORDING or sockpath=PATH is needed\n"), -1;
  return (pair ? lockstep::install_pair : lockstep::install_blocks)(id, info) ? 0 : -1;
}
