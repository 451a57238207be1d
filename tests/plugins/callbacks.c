// Callbacks picked at random (seed=N) from a menu of small ones that share a few variables: what they leave
// tells whether each did, in its place, what its code says. flavour: which kinds there are besides the
// simple ones, a sum of 1 (calls that are always made), 2 (conditional ones), 4 (of accesses, with the
// address), 8 (of instructions).
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "plugins/include/qemu-plugin.h"

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

#define ALONE __attribute__((noinline, noclone))
typedef uint64_t __attribute__((may_alias, aligned(1))) anywhere;

// Volatile: each access is made, in its size.
static volatile struct {
  uint8_t b;
  uint16_t h;
  uint32_t w;
  uint64_t q;
} v;
static volatile uint64_t total, last, hash = 1;
static volatile struct { uint64_t first, second; } two;
static volatile union {
  uint32_t w[4];
  uint8_t b[16];
} shared;
static volatile uint64_t* page;  // may only be read, but for moments
static struct qemu_plugin_scoreboard* board;
static qemu_plugin_u64 counter;
static unsigned flavour;
static uint64_t state;

#define CALLBACK(name) static void name(unsigned vcpu, void* data)

#define OF_SIZE(field, type, value)                        \
  CALLBACK(set_##field) { v.field = (type)(value); }       \
  CALLBACK(set_small_##field) { v.field = 5; }             \
  CALLBACK(add_##field) { v.field += 3; }                  \
  CALLBACK(subtract_##field) { v.field -= 7; }             \
  CALLBACK(read_##field) { total += v.field; }             \
  CALLBACK(both_##field) {                                 \
    v.field = (type)(value);                               \
    total += v.field;                                      \
  }                                                        \
  static ALONE void bump_##field(type* at) { *at += 77; }  \
  static ALONE void drop_##field(type* at) { *at -= 200; } \
  CALLBACK(bumped_##field) {                               \
    bump_##field((type*)&v.field);                         \
    total += v.field;                                      \
  }                                                        \
  CALLBACK(dropped_##field) {                              \
    drop_##field((type*)&v.field);                         \
    total += v.field;                                      \
  }                                                        \
  CALLBACK(bounded_##field) {                              \
    if (v.field < 100) v.field += 9;                       \
  }                                                        \
  CALLBACK(copied_##field) { v.field = (type)shared.w[1]; }
OF_SIZE(b, uint8_t, 200)
OF_SIZE(h, uint16_t, 0xfffe)
OF_SIZE(w, uint32_t, 0xfffffffdu)
OF_SIZE(q, uint64_t, -4)

static ALONE void fill(char* at) {
  *(anywhere*)at = 1;
  *(anywhere*)(at + 4) = 2;
}
CALLBACK(overlaps) {
  char room[16];
  fill(room);
  total += *(anywhere*)room;
}
CALLBACK(pushes) {
#ifdef __x86_64__
  uint64_t value;
  __asm__ volatile("lea -128(%%rsp), %%rsp\n\tpush $-2\n\tpop %0\n\tlea 128(%%rsp), %%rsp" : "=r"(value));
  total += value;
#endif
}
CALLBACK(counts_two) {
  two.first++;
  two.second += 2;
}
CALLBACK(differs) {
  if (last != (uint64_t)(uintptr_t)data) total += 1000;
  last = (uint64_t)(uintptr_t)data;
}
CALLBACK(low_word) { shared.w[0]++; }
CALLBACK(high_word) { shared.w[1] += 3; }
CALLBACK(middle) { ++*(anywhere*)(shared.b + 2); }
CALLBACK(double_word) { total += *(anywhere*)(uintptr_t)shared.b; }
CALLBACK(one_byte) { shared.b[5] += 1; }
CALLBACK(from_page) { total += *page; }
CALLBACK(board_adds) { qemu_plugin_u64_add(counter, vcpu, 5); }
CALLBACK(board_sets) { qemu_plugin_u64_set(counter, vcpu, 1); }
CALLBACK(board_read) { total += qemu_plugin_u64_get(counter, vcpu); }

static const qemu_plugin_vcpu_udata_cb_t simple[] = {
#define NAMES(field)                                                                                         \
  set_##field, set_small_##field, add_##field, subtract_##field, read_##field, both_##field, bumped_##field, \
      dropped_##field, bounded_##field, copied_##field
    NAMES(b),  NAMES(h), NAMES(w),    NAMES(q), overlaps,  pushes,     counts_two, differs,   low_word,
    high_word, middle,   double_word, one_byte, from_page, board_adds, board_sets, board_read};

static void mix(uint64_t value) { hash = (hash ^ value) * 0x100000001b3u; }
static void look(void) {
  mix(v.b + 3 * v.h + 5 * v.w + 7 * v.q);
  mix(total + 3 * last + 5 * two.first + 7 * two.second);
  mix(shared.w[0] + ((uint64_t)shared.w[1] << 32) + shared.w[2]);
  mix(qemu_plugin_u64_sum(counter));
}
// These must be made: they call what is not theirs.
CALLBACK(made) {
  look();
  v.q = 7;
  v.w = getenv("HINDCAST_NO_SUCH_NAME") ? 1 : 9;
  v.b += 1;
}
CALLBACK(made_when) {
  v.q = 11;
  v.h = 12;
  qemu_plugin_u64_set(counter, vcpu, 0);
}
static void accessed_at(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void* data) {
  v.q = address & 0xff;
}
static void accessed(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void* data) { v.w += 1; }

static unsigned any(unsigned below) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (unsigned)(state >> 33) % below;
}
static qemu_plugin_vcpu_udata_cb_t pick(void) {
  return (flavour & 1) != 0 && any(8) == 0 ? made : simple[any(sizeof simple / sizeof *simple)];
}
static void change_page(void) {
  mprotect((void*)page, 4096, PROT_READ | PROT_WRITE);
  *page += 1;
  mprotect((void*)page, 4096, PROT_READ);
}

static void translated(struct qemu_plugin_tb* tb, void* unused) {
  if (any(5) == 0) change_page();
  if (any(3) == 0)
    qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, counter, 1);
  for (unsigned k = any(6); k != 0; --k) {
    void* const data = (void*)(uintptr_t)(1 + any(3));
    if ((flavour & 2) != 0 && any(6) == 0)
      qemu_plugin_register_vcpu_tb_exec_cond_cb(tb, made_when, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_COND_GT,
                                                counter, any(10), data);
    qemu_plugin_register_vcpu_tb_exec_cb(tb, pick(), QEMU_PLUGIN_CB_NO_REGS, data);
  }
  for (size_t k = 0; k < qemu_plugin_tb_n_insns(tb); ++k) {
    struct qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(tb, k);
    if ((flavour & 8) != 0 && any(2) == 0)
      qemu_plugin_register_vcpu_insn_exec_cb(insn, pick(), QEMU_PLUGIN_CB_NO_REGS, (void*)(uintptr_t)(k & 1));
    if (any(3) == 0)
      qemu_plugin_register_vcpu_mem_cb(insn, (flavour & 4) != 0 && any(2) == 0 ? accessed_at : accessed,
                                       QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
  }
}
static void discontinuity(unsigned vcpu, enum qemu_plugin_discon_type type, uint64_t from, uint64_t to,
                          void* data) {
  look();
  change_page();
}
static void at_exit(void* unused) {
  char text[400];
  snprintf(text, sizeof text,
           "b %u h %u w %" PRIu32 " q %" PRIu64 " total %" PRIu64 " last %" PRIu64 " two %" PRIu64 " %" PRIu64
           " shared %" PRIx32 " %" PRIx32 " %" PRIx32 " board %" PRIu64 " hash %" PRIx64 "\n",
           v.b, v.h, v.w, v.q, total, last, two.first, two.second, shared.w[0], shared.w[1], shared.w[2],
           qemu_plugin_u64_sum(counter), hash);
  qemu_plugin_outs(text);
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc,
                                           char** argv) {
  for (int k = 0; k < argc; ++k) {
    if (strncmp(argv[k], "seed=", 5) == 0) state = strtoull(argv[k] + 5, NULL, 10);
    if (strncmp(argv[k], "flavour=", 8) == 0) flavour = (unsigned)atoi(argv[k] + 8);
  }
  board = qemu_plugin_scoreboard_new(sizeof(uint64_t));
  counter = qemu_plugin_scoreboard_u64(board);
  page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  qemu_plugin_register_vcpu_discon_cb(id, QEMU_PLUGIN_DISCON_ALL, discontinuity, NULL);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, NULL);
  qemu_plugin_register_atexit_cb(id, at_exit, NULL);
  return 0;
}
