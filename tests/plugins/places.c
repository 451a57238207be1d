// Where accesses go: what is said of the access itself and what a walk of the page tables says must be the
// same.
#include <inttypes.h>
#include <stdio.h>

#include "plugins/include/qemu-plugin.h"

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static uint64_t accesses, elsewhere, devices, different;

static void accessed(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void* data) {
  uint64_t walked = 0;
  const bool mapped = qemu_plugin_translate_vaddr(address, &walked);
  const struct qemu_plugin_hwaddr* where = qemu_plugin_get_hwaddr(info, address);
  ++accesses;
  elsewhere += mapped && walked != address;
  devices += where != NULL && qemu_plugin_hwaddr_is_io(where);
  different += mapped != (where != NULL) || (mapped && qemu_plugin_hwaddr_phys_addr(where) != walked);
}

static void translated(struct qemu_plugin_tb* tb, void* data) {
  for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); ++i)
    qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), accessed, QEMU_PLUGIN_CB_NO_REGS,
                                     QEMU_PLUGIN_MEM_RW, NULL);
}

static void report(void* data) {
  char line[160];
  snprintf(line, sizeof line,
           "accesses %" PRIu64 ", elsewhere %" PRIu64 ", devices %" PRIu64 ", different %" PRIu64 "\n",
           accesses, elsewhere, devices, different);
  qemu_plugin_outs(line);
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc,
                                           char** argv) {
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, NULL);
  qemu_plugin_register_atexit_cb(id, report, NULL);
  return 0;
}
