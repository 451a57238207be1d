/* A plugin that changes the guest: `do` says what, `at` the instruction, `count` at which of its executions,
 * `to` and `value` where and what. `every=N` instead: all sorts of changes, at every Nth instruction and
 * access, `to` being memory that nobody uses. */
#include "plugins/include/hindcast-plugin.h"
#include "plugins/include/qemu-plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static const char *what = "", *name = "a0";
static uint64_t at, count = 1, to, value, every, executed, accessed;
static const void* time_control;

static void say(const char* text) {
  char line[200];
  snprintf(line, sizeof line, "changes: %s\n", text);
  qemu_plugin_outs(line);
}

static struct qemu_plugin_register* find(const char* wanted) {
  GArray* all = qemu_plugin_get_registers();
  struct qemu_plugin_register* found = NULL;
  for (guint i = 0; i < all->len; ++i) {
    qemu_plugin_reg_descriptor* row = &g_array_index(all, qemu_plugin_reg_descriptor, i);
    if (strcmp(row->name, wanted) == 0) found = row->handle;
  }
  g_array_free(all, TRUE);
  return found;
}

/* All registers at once show the same. */
static bool reads_so(const struct qemu_plugin_register* handle, const GByteArray* wanted) {
  uint64_t values[256];
  GArray* all = qemu_plugin_get_registers();
  bool same = hindcast_read_registers(values, 256) == all->len && all->len <= 256;
  for (guint i = 0; same && i < all->len; ++i)
    if (g_array_index(all, qemu_plugin_reg_descriptor, i).handle == handle)
      same = memcmp(&values[i], wanted->data, wanted->len) == 0;
  g_array_free(all, TRUE);
  return same;
}

static void write_register(void) {
  GByteArray* old = g_byte_array_new();
  GByteArray* now = g_byte_array_new();
  struct qemu_plugin_register* handle = find(name);
  qemu_plugin_read_register(handle, old);
  uint64_t bytes = value;
  memcpy(old->data, &bytes, old->len < 8 ? old->len : 8);
  const bool done = qemu_plugin_write_register(handle, old);
  qemu_plugin_read_register(handle, now);
  if (!done)
    say("register refused");
  else if (now->len != old->len || memcmp(now->data, old->data, now->len) != 0)
    say("register reads otherwise");
  else if (!reads_so(handle, old))
    say("registers read otherwise");
  g_byte_array_free(old, TRUE);
  g_byte_array_free(now, TRUE);
}

static void write_memory(bool physical, uint64_t where, guint size) {
  GByteArray* bytes = g_byte_array_new();
  GByteArray* now = g_byte_array_new();
  uint64_t pattern = value;
  for (guint i = 0; i < size; ++i) g_byte_array_append(bytes, (const guint8*)&pattern + i % 8, 1);
  const bool done = physical
                        ? qemu_plugin_write_memory_hwaddr(where, bytes) == QEMU_PLUGIN_HWADDR_OPERATION_OK
                        : qemu_plugin_write_memory_vaddr(where, bytes);
  const bool read = physical
                        ? qemu_plugin_read_memory_hwaddr(where, now, size) == QEMU_PLUGIN_HWADDR_OPERATION_OK
                        : qemu_plugin_read_memory_vaddr(where, now, size);
  if (!done)
    say("memory refused");
  else if (!read || memcmp(now->data, bytes->data, size) != 0)
    say("memory reads otherwise");
  g_byte_array_free(bytes, TRUE);
  g_byte_array_free(now, TRUE);
}

static void change(void) {
  if (strstr(what, "register") != NULL) write_register();
  if (strstr(what, "memory") != NULL) write_memory(false, to, 1);
  if (strstr(what, "physical") != NULL) write_memory(true, to, 1);
  if (strstr(what, "large") != NULL) write_memory(false, to, 5 << 20);
  if (strstr(what, "time") != NULL) qemu_plugin_update_ns(time_control, (int64_t)value);
  if (strstr(what, "foreign") != NULL) qemu_plugin_update_ns(&value, (int64_t)value);
  if (strstr(what, "pc") != NULL) qemu_plugin_set_pc(to);
}

static void before(unsigned vcpu, void* data) {
  (void)vcpu;
  (void)data;
  if (++executed == count) change();
}

static void after(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void* data) {
  (void)info;
  (void)address;
  before(vcpu, data);
}

static void storm_before(unsigned vcpu, void* data) {
  (void)vcpu;
  if (++executed % every != 0) return;
  value = executed;
  switch (executed / every % 3) {
    case 0: write_memory(false, to, 8); break;
    case 1: qemu_plugin_update_ns(time_control, (int64_t)(executed * 20)); break;
    default: qemu_plugin_set_pc((uint64_t)(uintptr_t)data); break; /* where it is already */
  }
}

static void storm_after(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void* data) {
  (void)vcpu;
  (void)info;
  (void)address;
  (void)data;
  if (++accessed % every != 0) return;
  value = ~accessed;
  write_memory(false, to + 8, 16);
  qemu_plugin_update_ns(time_control, (int64_t)(accessed * 30));
}

static void storm_event(unsigned vcpu, void* data) {
  (void)vcpu;
  (void)data;
  ++value;
  write_memory(false, to + 32, 8);
}

static void translated(struct qemu_plugin_tb* tb, void* data) {
  const enum qemu_plugin_cb_flags flags = strstr(what, "unasked") != NULL ? QEMU_PLUGIN_CB_R_REGS
                                          : strstr(what, "nopc") != NULL  ? QEMU_PLUGIN_CB_RW_REGS
                                                                          : QEMU_PLUGIN_CB_RW_REGS_PC;
  (void)data;
  for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); ++i) {
    struct qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(tb, i);
    const uint64_t pc = qemu_plugin_insn_vaddr(insn);
    if (every != 0) {
      qemu_plugin_register_vcpu_insn_exec_cb(insn, storm_before, flags, (void*)(uintptr_t)pc);
      qemu_plugin_register_vcpu_mem_cb(insn, storm_after, flags, QEMU_PLUGIN_MEM_RW, NULL);
    } else if (pc == at && strstr(what, "access") != NULL) {
      qemu_plugin_register_vcpu_mem_cb(insn, after, flags, QEMU_PLUGIN_MEM_RW, NULL);
    } else if (pc == at) {
      qemu_plugin_register_vcpu_insn_exec_cb(insn, before, flags, NULL);
    }
  }
}

static void at_start(unsigned vcpu, void* data) {
  (void)vcpu;
  (void)data;
  change();
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc,
                                           char** argv) {
  (void)info;
  for (int i = 0; i < argc; ++i) {
    const char* text = strchr(argv[i], '=') + 1;
    if (strncmp(argv[i], "do=", 3) == 0) what = strdup(text);
    if (strncmp(argv[i], "name=", 5) == 0) name = strdup(text);
    if (strncmp(argv[i], "at=", 3) == 0) at = strtoull(text, NULL, 0);
    if (strncmp(argv[i], "count=", 6) == 0) count = strtoull(text, NULL, 0);
    if (strncmp(argv[i], "to=", 3) == 0) to = strtoull(text, NULL, 0);
    if (strncmp(argv[i], "value=", 6) == 0) value = strtoull(text, NULL, 0);
    if (strncmp(argv[i], "every=", 6) == 0) every = strtoull(text, NULL, 0);
  }
  time_control = qemu_plugin_request_time_control();
  if (strstr(what, "install") != NULL) change();
  if (strstr(what, "start") != NULL)
    qemu_plugin_register_vcpu_init_cb(id, at_start, NULL);
  else
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated, NULL);
  if (every != 0) {
    qemu_plugin_register_vcpu_idle_cb(id, storm_event, NULL);
    qemu_plugin_register_vcpu_resume_cb(id, storm_event, NULL);
  }
  return 0;
}
