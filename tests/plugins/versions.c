// One plugin for every version of the interface, VERSION, from its own declarations of what that version has.
// Counts blocks, instructions and accesses, sums the instructions' bytes and the registers' at each block,
// and prints it all in one line: the same line whatever the version, but for its number.
#include <glib.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
typedef uint64_t id_type;
struct tb;
struct insn;
struct board;
struct handle;
typedef struct {
  struct board* board;
  size_t offset;
} counter_type;

EXPORT int qemu_plugin_version = VERSION;
void qemu_plugin_outs(const char* text);
size_t qemu_plugin_tb_n_insns(const struct tb* tb);
uint64_t qemu_plugin_tb_vaddr(const struct tb* tb);
struct insn* qemu_plugin_tb_get_insn(const struct tb* tb, size_t index);
size_t qemu_plugin_insn_size(const struct insn* insn);
void qemu_plugin_register_vcpu_tb_exec_cb(struct tb* tb, void (*cb)(unsigned, void*), int flags, void* data);
void qemu_plugin_register_vcpu_mem_cb(struct insn* insn, void (*cb)(unsigned, uint32_t, uint64_t, void*),
                                      int flags, int rw, void* data);

static uint64_t blocks, bytes, accesses;

#if VERSION >= 7
void qemu_plugin_register_vcpu_init_cb(id_type id, void (*cb)(unsigned, void*), void* data);
void qemu_plugin_register_vcpu_tb_trans_cb(id_type id, void (*cb)(struct tb*, void*), void* data);
void qemu_plugin_register_atexit_cb(id_type id, void (*cb)(void*), void* data);
#else
void qemu_plugin_register_vcpu_init_cb(id_type id, void (*cb)(id_type, unsigned));
void qemu_plugin_register_vcpu_tb_trans_cb(id_type id, void (*cb)(id_type, struct tb*));
void qemu_plugin_register_atexit_cb(id_type id, void (*cb)(id_type, void*), void* data);
#endif

#if VERSION >= 2
static struct board* board;
static uint64_t registers;
struct board* qemu_plugin_scoreboard_new(size_t size);
uint64_t qemu_plugin_u64_sum(counter_type counter);
void qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(struct insn* insn, int op, counter_type counter,
                                                         uint64_t imm);
GArray* qemu_plugin_get_registers(void);
struct descriptor {
  struct handle* handle;
  const char* name;
  const char* feature;
#if VERSION >= 6
  bool is_readonly;
#endif
};
#if VERSION >= 6
bool qemu_plugin_read_register(struct handle* handle, GByteArray* to);
static bool good(bool result) { return result; }
#else
int qemu_plugin_read_register(struct handle* handle, GByteArray* to);
static bool good(int result) { return result > 1; }
#endif
static struct handle* stack_pointer;
static GByteArray* buffer;
#else
static uint64_t insns;
void qemu_plugin_register_vcpu_insn_exec_inline(struct insn* insn, int op, void* at, uint64_t imm);
int qemu_plugin_n_vcpus(void);
#endif

#if VERSION >= 3
size_t qemu_plugin_insn_data(const struct insn* insn, void* to, size_t size);
#else
const void* qemu_plugin_insn_data(const struct insn* insn);
#endif

static id_type own_id;

static void check(bool right, const char* what) {
  if (right) return;
  fprintf(stderr, "version %d: %s\n", VERSION, what);
  *(volatile int*)0 = 0;
}

static void accessed(unsigned vcpu, uint32_t info, uint64_t address, void* data) {
  check(vcpu == 0 && data == &accesses, "an access's arguments");
  accesses += 1 + (address & 7);
}

static void executed(unsigned vcpu, void* data) {
  check(vcpu == 0 && data == &blocks, "a block's arguments");
  ++blocks;
#if VERSION >= 2
  g_byte_array_set_size(buffer, 0);
  check(good(qemu_plugin_read_register(stack_pointer, buffer)), "what reading a register returns");
  check(buffer->len == 8, "a register's size");
  uint64_t value;
  memcpy(&value, buffer->data, sizeof value);
  registers = registers * 31 + value;
#endif
}

#if VERSION >= 7
static void translated(struct tb* tb, void* data) {
  check(data == &blocks, "the user data of an announcement");
#else
static void translated(id_type id, struct tb* tb) {
  check(id == own_id, "the id of an announcement");
#endif
  qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, 1, &blocks);
  for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); ++i) {
    struct insn* insn = qemu_plugin_tb_get_insn(tb, i);
    uint32_t code = 0;
    const size_t size = qemu_plugin_insn_size(insn);
#if VERSION >= 3
    check(qemu_plugin_insn_data(insn, &code, sizeof code) == size, "how many bytes are copied");
#else
    memcpy(&code, qemu_plugin_insn_data(insn), size);
#endif
    bytes = bytes * 31 + code;
    qemu_plugin_register_vcpu_mem_cb(insn, accessed, 0, 3, &accesses);
#if VERSION >= 2
    qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, 0, (counter_type){board, 8}, 1);
#else
    qemu_plugin_register_vcpu_insn_exec_inline(insn, 0, &insns, 1);
#endif
  }
}

#if VERSION >= 7
static void started(unsigned vcpu, void* data) {
  check(data == &blocks, "the user data of a vCPU's beginning");
#else
static void started(id_type id, unsigned vcpu) {
  check(id == own_id, "the id of a vCPU's beginning");
#endif
  check(vcpu == 0, "the vCPU that begins");
#if VERSION >= 2
  GArray* all = qemu_plugin_get_registers();
  for (guint i = 0; i < all->len; ++i) {
    const struct descriptor* d = &g_array_index(all, struct descriptor, i);
#if VERSION >= 6
    check(d->is_readonly == (strcmp(d->name, "zero") == 0 || strcmp(d->name, "pc") == 0),
          "which registers cannot be written");
#endif
    if (strcmp(d->name, "sp") == 0) stack_pointer = d->handle;
  }
  g_array_free(all, TRUE);
  check(stack_pointer != NULL, "the registers' names");
#else
  check(qemu_plugin_n_vcpus() == 1, "the number of vCPUs");
#endif
}

#if VERSION >= 7
static void finished(void* data) {
#else
static void finished(id_type id, void* data) {
  check(id == own_id, "the id at the end");
#endif
  check(data == &bytes, "the user data at the end");
#if VERSION >= 2
  const uint64_t insns = qemu_plugin_u64_sum((counter_type){board, 8});
#endif
  char line[200];
  snprintf(line, sizeof line, "version %d: %" PRIu64 " blocks %" PRIu64 " insns %" PRIx64 " %" PRIx64,
           VERSION, blocks, insns, bytes, accesses);
  qemu_plugin_outs(line);
#if VERSION >= 2
  snprintf(line, sizeof line, " %" PRIx64, registers);
  qemu_plugin_outs(line);
#endif
  qemu_plugin_outs("\n");
}

EXPORT int qemu_plugin_install(id_type id, const void* info, int argc, char** argv) {
  own_id = id;
#if VERSION >= 2
  board = qemu_plugin_scoreboard_new(16);
  buffer = g_byte_array_new();
#endif
#if VERSION >= 7
  qemu_plugin_register_vcpu_init_cb(id, started, &blocks);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, &blocks);
#else
  qemu_plugin_register_vcpu_init_cb(id, started);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
#endif
  qemu_plugin_register_atexit_cb(id, finished, &bytes);
  return 0;
}
