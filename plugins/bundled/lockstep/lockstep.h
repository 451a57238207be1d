// The two forms of lockstep: two commands that meet at a socket, and one command over two runs.
#pragma once
#include "plugins/bundled/common.h"

namespace lockstep {

struct Settings {
  std::string socket;      // where the two commands meet
  std::string with;        // the other run, a recording
  uint64_t peer = 0;       // the descriptor of the command that compares with this one; 0: none
  bool verbose = false;    // of blocks.cpp: every mismatch, not only those next to each other
  bool registers = false;  // compares all registers
  bool memory = false;     // compares the addresses and values of all accesses
  bool go_on = false;      // of pair.cpp: the run goes on behind a difference
};
extern Settings settings;

/// Block by block. False after a line that says what is wrong.
bool install_blocks(qemu_plugin_id_t id, const qemu_info_t* info);
/// Instruction by instruction, with `with` or `peer`. False likewise.
bool install_pair(qemu_plugin_id_t id, const qemu_info_t* info);

inline uint64_t mixed(uint64_t hash, uint64_t value) {
  return (hash ^ value) * 0x9e3779b97f4a7c15 ^ hash >> 29;
}

}  // namespace lockstep
