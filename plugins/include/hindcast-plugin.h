/*
 * What hindcast offers plugins beyond QEMU's interface. A plugin that uses it still loads into QEMU: the
 * functions are weak there, so their addresses are null; what it exports for hindcast is not looked at.
 */
#ifndef HINDCAST_PLUGIN_H
#define HINDCAST_PLUGIN_H

#include "qemu-plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The statistics class of the instruction, by the guest architecture's tables ("Load", "Branch", ...). Stays
 * valid. */
__attribute__((weak)) const char* hindcast_insn_class(const struct qemu_plugin_insn* insn);

/* How far behind the beginning of its device an address is (qemu_plugin_hwaddr_is_io()). */
__attribute__((weak)) uint64_t hindcast_hwaddr_offset(const struct qemu_plugin_hwaddr* haddr);

/* What the user's SVD file calls the register at an address ("RCC.CR"), NULL if it names none. Stays valid.
 */
__attribute__((weak)) const char* hindcast_hwaddr_register_name(const struct qemu_plugin_hwaddr* haddr);

/* The classes that hindcast_insn_class() may answer, by number from 0; NULL: there are no more. */
__attribute__((weak)) const char* hindcast_insn_class_name(size_t index);

/* Blocks with the same context, address and first instruction's place in memory (qemu_plugin_insn_haddr) are
 * one: the one's announcement replaces the other's. */
__attribute__((weak)) uint64_t hindcast_tb_context(const struct qemu_plugin_tb* tb);

/* The instructions that the machine has executed since power-on: where it stands. */
__attribute__((weak)) uint64_t hindcast_icount(void);

/* The values of all registers of the vCPU whose callback is running, in the order of
 * qemu_plugin_get_registers(); `room` of them at most are stored. Returns how many there are. Where
 * qemu_plugin_read_register() may be called. */
__attribute__((weak)) size_t hindcast_read_registers(uint64_t* values, size_t room);

/* In the function for the end: whether the run was cut short before its own end, by a limit (analyze --to),
 * by Ctrl-C or by a debugger, or whether the plugin is unloaded before it. */
__attribute__((weak)) bool hindcast_limited(void);

/*
 * A plugin that exports `hindcast_plugin_segments` can take part in `hindcast analyze --jobs N`: processes
 * run parts of a recording at the same time, and one more puts their results together. In a part's process
 * `save` is called after its last instruction, instead of the function registered with
 * qemu_plugin_register_atexit_cb; what the plugin has given to qemu_plugin_outs there is kept. In the last
 * process, which has run nothing, `merge` is called once for each part, in their order, and then the function
 * for the end. The log is the parts' output in order, and what that function writes: it must be what one
 * process running everything would have written.
 */
struct hindcast_plugin_segments {
  int version; /* 3; 2: announce is not there; 1: nor is begin */
  /* Whether the plugin can take part with these options; called before qemu_plugin_install. NULL: with any.
   */
  bool (*possible)(int argc, char** argv);
  /* Appends all that the plugin has found out. */
  void (*save)(GByteArray* out);
  /* Adds what another process has saved. False: the bytes make no sense. */
  bool (*merge)(const uint8_t* data, size_t size);
  /* Called in a part's process when another part begins there, after `save`, elsewhere in the recording: all
   * is to be as it was before the functions registered with qemu_plugin_register_vcpu_init_cb, which are
   * called next. What was registered stays; blocks that are known need not be announced again. Short parts
   * are cheap then, which matters where a plugin writes much. NULL: each part has a process of its own. */
  void (*begin)(void);
  /* With begin: blocks are forgotten between parts, and announced again in each; parts are long. */
  bool announce;
};

#ifdef __cplusplus
}
#endif

#endif
