// A plugin that does one thing wrong: BAD is its number.
#include <pthread.h>
#include <unistd.h>

#include "plugins/include/hindcast-plugin.h"
#include "plugins/include/qemu-plugin.h"

#define NO_VERSION 1
#define UNKNOWN_VERSION 2
#define NO_INSTALL 3
#define UNKNOWN_FUNCTION 4
#define REFUSES 5
#define WRITES_NOWHERE 6
#define ABORTS 7
#define COUNTS_NOWHERE 8
#define ASKS_BEYOND 9
#define RECURSES 10
#define GIVES_UP 11
#define INSTALL_IS_DATA 12
#define ENDS_ITS_THREAD 13
#define ENDS_THE_PROCESS 14
#define MERGES_NOTHING 15

#if BAD != NO_VERSION
QEMU_PLUGIN_EXPORT int qemu_plugin_version = BAD == UNKNOWN_VERSION ? 99 : QEMU_PLUGIN_VERSION;
#endif

#if BAD == UNKNOWN_FUNCTION
void qemu_plugin_of_the_future(void);
#endif

static struct qemu_plugin_scoreboard* scoreboard;

#if BAD == RECURSES
static int recurse(volatile int* before) {
  volatile int here[1024];
  here[0] = *before + 1;
  return recurse(here) + here[0];
}
#endif

static void executed(unsigned vcpu, void* data) {
#if BAD == WRITES_NOWHERE
  *(volatile int*)data = 1;
#elif BAD == ABORTS
  g_assert_not_reached();
#elif BAD == RECURSES
  volatile int deep = 0;
  recurse(&deep);
#elif BAD == GIVES_UP
  g_error("out of ideas");
#elif BAD == ENDS_ITS_THREAD
  pthread_exit(NULL);
#elif BAD == ENDS_THE_PROCESS
  _exit(7);
#endif
}

static void translated(struct qemu_plugin_tb* tb, void* data) {
#if BAD == UNKNOWN_FUNCTION
  qemu_plugin_of_the_future();
#elif BAD == COUNTS_NOWHERE
  qemu_plugin_u64 counter = qemu_plugin_scoreboard_u64(scoreboard);
  counter.offset = 4096;
  qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, counter, 1);
#elif BAD == ASKS_BEYOND
  qemu_plugin_tb_get_insn(tb, 1000);
#endif
  qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, QEMU_PLUGIN_CB_NO_REGS, NULL);
}

#if BAD == MERGES_NOTHING
QEMU_PLUGIN_EXPORT const struct hindcast_plugin_segments hindcast_plugin_segments = {2,    NULL, NULL,
                                                                                     NULL, NULL, false};
#endif

#if BAD == INSTALL_IS_DATA
QEMU_PLUGIN_EXPORT int data __asm__("qemu_plugin_install") = 5;
#define qemu_plugin_install qemu_plugin_begin
#elif BAD == NO_INSTALL
#define qemu_plugin_install qemu_plugin_begin
#endif
QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc,
                                           char** argv) {
  scoreboard = qemu_plugin_scoreboard_new(8);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, NULL);
  return BAD == REFUSES ? 3 : 0;
}
