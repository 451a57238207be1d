// Counts instructions, can share an analysis and begin again, and ends the run at END instructions and at
// twice as many; `possible=crash` and `possible=exit` go wrong before that, `wrong` asks for nonsense at END.
#include <stdlib.h>
#include <string.h>

#include "plugins/include/hindcast-plugin.h"
#include "plugins/include/qemu-plugin.h"

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static uint64_t executed_here, executed_before;
static bool wrong;

static void executed(unsigned vcpu, void* data) {
  ++executed_here;
  if (hindcast_icount() >= 2 * END) exit(8);
  if (hindcast_icount() >= END && wrong) qemu_plugin_set_pc(0);  // not from here
  if (hindcast_icount() >= END) exit(7);
}

static void translated(struct qemu_plugin_tb* tb, void* data) {
  for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); ++i)
    qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_tb_get_insn(tb, i), executed, QEMU_PLUGIN_CB_NO_REGS,
                                           NULL);
}

static void report(void* data) {
  char* text = g_strdup_printf("%" PRIu64 " executed\n", executed_before + executed_here);
  qemu_plugin_outs(text);
  g_free(text);
}

static bool possible(int argc, char** argv) {
  for (int i = 0; i < argc; ++i) {
    if (strcmp(argv[i], "possible=exit") == 0) exit(3);
    if (strcmp(argv[i], "possible=crash") == 0) *(volatile int*)8 = 1;
  }
  return true;
}
static void save(GByteArray* out) {
  g_byte_array_append(out, (const guint8*)&executed_here, sizeof executed_here);
}
static bool merge(const uint8_t* data, size_t size) {
  uint64_t more = 0;
  if (size != sizeof more) return false;
  memcpy(&more, data, sizeof more);
  executed_before += more;
  return true;
}
static void begin(void) { executed_here = 0; }

QEMU_PLUGIN_EXPORT const struct hindcast_plugin_segments hindcast_plugin_segments = {3,     possible, save,
                                                                                     merge, begin,    false};

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc,
                                           char** argv) {
  wrong = argc != 0 && strcmp(argv[0], "wrong=on") == 0;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, NULL);
  qemu_plugin_register_atexit_cb(id, report, NULL);
  return 0;
}
