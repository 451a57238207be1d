/*
 * The plugin interface of hindcast: binary compatible with QEMU's TCG plugin interface, version 7.
 *
 * A plugin is a shared object that exports `qemu_plugin_version` and `qemu_plugin_install`, and calls the
 * functions declared here, which the hindcast command exports. Plugins that were built for versions 1 to 6
 * load too; what those versions had otherwise is not declared here. Build with
 *
 *     cc -shared -fPIC -fvisibility=hidden $(pkg-config --cflags --libs glib-2.0) plugin.c -o libplugin.so
 *
 * Plugins run on the thread that runs the guest, in a live run as in a replay, and see the same events in the
 * same order each time. Nothing that they do changes the guest.
 *
 * Opaque handles and const strings are valid during the callback that received them unless it says otherwise.
 */
#ifndef HINDCAST_QEMU_PLUGIN_H
#define HINDCAST_QEMU_PLUGIN_H

#include <glib.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QEMU_PLUGIN_EXPORT __attribute__((visibility("default")))
#define QEMU_PLUGIN_LOCAL __attribute__((visibility("hidden")))
#define QEMU_PLUGIN_API

#define QEMU_PLUGIN_VERSION 7

/* ---- What a plugin exports ----------------------------------------------------------------------------- */

/* Names one loaded plugin. */
typedef uint64_t qemu_plugin_id_t;

/* Of the run; valid during qemu_plugin_install only. */
typedef struct qemu_info_t {
  const char* target_name; /* the guest architecture, by QEMU's name of it */
  struct {
    int min, cur; /* interface versions that load here */
  } version;
  bool system_emulation; /* a machine, not a user-mode program */
  union {
    struct {
      int smp_vcpus, max_vcpus; /* with system_emulation */
    } system;
  };
} qemu_info_t;

/* The interface version that the plugin was built for: QEMU_PLUGIN_VERSION. */
extern QEMU_PLUGIN_EXPORT int qemu_plugin_version;

/* Called once. `argv` holds the plugin's options as "name=value" ("name=on" for one without a value) and
 * stays valid. A result other than 0 refuses to load. */
QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc,
                                           char** argv);

/* ---- The run ------------------------------------------------------------------------------------------- */

typedef void (*qemu_plugin_udata_cb_t)(void* userdata);
typedef void (*qemu_plugin_vcpu_simple_cb_t)(unsigned int vcpu_index);
typedef void (*qemu_plugin_vcpu_udata_cb_t)(unsigned int vcpu_index, void* userdata);

/* A vCPU begins, before its first instruction; it will run no further; it waits for something; it goes on. */
void qemu_plugin_register_vcpu_init_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_udata_cb_t cb, void* userdata);
void qemu_plugin_register_vcpu_exit_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_udata_cb_t cb, void* userdata);
void qemu_plugin_register_vcpu_idle_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_udata_cb_t cb, void* userdata);
void qemu_plugin_register_vcpu_resume_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_udata_cb_t cb, void* userdata);

/* The run has ended. Registers cannot be read any more. */
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, qemu_plugin_udata_cb_t cb, void* userdata);
/* All blocks that were announced are forgotten; those that run again are announced again. */
void qemu_plugin_register_flush_cb(qemu_plugin_id_t id, qemu_plugin_udata_cb_t cb, void* userdata);

/* Control goes somewhere without a branch. An interrupt: `from_pc` is what would have been executed next. An
 * exception or a call of the host (semihosting): `from_pc` is the instruction that caused it. `to_pc` is
 * executed next. */
enum qemu_plugin_discon_type {
  QEMU_PLUGIN_DISCON_INTERRUPT = 1,
  QEMU_PLUGIN_DISCON_EXCEPTION = 2,
  QEMU_PLUGIN_DISCON_HOSTCALL = 4,
  QEMU_PLUGIN_DISCON_ALL = -1
};
typedef void (*qemu_plugin_vcpu_discon_cb_t)(unsigned int vcpu_index, enum qemu_plugin_discon_type type,
                                             uint64_t from_pc, uint64_t to_pc, void* userdata);
void qemu_plugin_register_vcpu_discon_cb(qemu_plugin_id_t id, enum qemu_plugin_discon_type type,
                                         qemu_plugin_vcpu_discon_cb_t cb, void* userdata);

/* The vCPUs of the run. */
int qemu_plugin_num_vcpus(void);
void qemu_plugin_vcpu_for_each(qemu_plugin_id_t id, qemu_plugin_vcpu_udata_cb_t cb, void* userdata);

/* Removes the plugin, or all its callbacks, after the block that is running; then calls `cb`. Not from
 * qemu_plugin_install. */
void qemu_plugin_uninstall(qemu_plugin_id_t id, qemu_plugin_udata_cb_t cb, void* userdata);
void qemu_plugin_reset(qemu_plugin_id_t id, qemu_plugin_udata_cb_t cb, void* userdata);

/* ---- Scoreboards: memory with one element for each vCPU ------------------------------------------------ */

struct qemu_plugin_scoreboard;
/* A uint64_t inside each element. */
typedef struct {
  struct qemu_plugin_scoreboard* score;
  size_t offset;
} qemu_plugin_u64;

#ifdef __cplusplus
#define qemu_plugin_scoreboard_u64(score) (qemu_plugin_u64{(score), 0})
#define qemu_plugin_scoreboard_u64_in_struct(score, type, member) \
  (qemu_plugin_u64{(score), offsetof(type, member)})
#else
#define qemu_plugin_scoreboard_u64(score) ((qemu_plugin_u64){(score), 0})
#define qemu_plugin_scoreboard_u64_in_struct(score, type, member) \
  ((qemu_plugin_u64){(score), offsetof(type, member)})
#endif

/* Zeroed. Must not be freed while blocks have operations on it. */
struct qemu_plugin_scoreboard* qemu_plugin_scoreboard_new(size_t element_size);
void qemu_plugin_scoreboard_free(struct qemu_plugin_scoreboard* score);
/* A vCPU's element; it does not move. */
void* qemu_plugin_scoreboard_find(struct qemu_plugin_scoreboard* score, unsigned int vcpu_index);
void qemu_plugin_u64_add(qemu_plugin_u64 entry, unsigned int vcpu_index, uint64_t added);
uint64_t qemu_plugin_u64_get(qemu_plugin_u64 entry, unsigned int vcpu_index);
void qemu_plugin_u64_set(qemu_plugin_u64 entry, unsigned int vcpu_index, uint64_t val);
uint64_t qemu_plugin_u64_sum(qemu_plugin_u64 entry);

/* ---- Blocks and instructions --------------------------------------------------------------------------- */

struct qemu_plugin_tb;
struct qemu_plugin_insn;

/* A block of instructions that run one after the other is about to run for the first time, or for the first
 * time since its bytes changed. Here the plugin says what is to happen when it runs. */
typedef void (*qemu_plugin_vcpu_tb_trans_cb_t)(struct qemu_plugin_tb* tb, void* userdata);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_tb_trans_cb_t cb,
                                           void* userdata);

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb* tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb* tb);
struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb* tb, size_t idx);

/* Copies at most `len` bytes of the instruction; returns how many. */
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn* insn, void* dest, size_t len);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn* insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn* insn);
/* The physical address. */
void* qemu_plugin_insn_haddr(const struct qemu_plugin_insn* insn);
/* Its text; to be released with g_free(). */
char* qemu_plugin_insn_disas(const struct qemu_plugin_insn* insn);
/* The function that it is in, by the image's symbols, or NULL. Valid as long as the plugin is. */
const char* qemu_plugin_insn_symbol(const struct qemu_plugin_insn* insn);

/* What a callback does with registers. */
enum qemu_plugin_cb_flags {
  QEMU_PLUGIN_CB_NO_REGS,
  QEMU_PLUGIN_CB_R_REGS,
  QEMU_PLUGIN_CB_RW_REGS,
  QEMU_PLUGIN_CB_RW_REGS_PC,
};
/* Of a counter against a constant, unsigned. */
enum qemu_plugin_cond {
  QEMU_PLUGIN_COND_NEVER,
  QEMU_PLUGIN_COND_ALWAYS,
  QEMU_PLUGIN_COND_EQ,
  QEMU_PLUGIN_COND_NE,
  QEMU_PLUGIN_COND_LT,
  QEMU_PLUGIN_COND_LE,
  QEMU_PLUGIN_COND_GT,
  QEMU_PLUGIN_COND_GE,
};
enum qemu_plugin_op {
  QEMU_PLUGIN_INLINE_ADD_U64,
  QEMU_PLUGIN_INLINE_STORE_U64,
};

/* Each time when the block begins, or before each attempt to execute the instruction: a call, a call if the
 * condition holds, an operation on a counter. In the order in which they were registered; the block's before
 * its instructions'. Operations and conditions are part of the translated code and cost next to nothing. */
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb* tb, qemu_plugin_vcpu_udata_cb_t cb,
                                          enum qemu_plugin_cb_flags flags, void* userdata);
void qemu_plugin_register_vcpu_tb_exec_cond_cb(struct qemu_plugin_tb* tb, qemu_plugin_vcpu_udata_cb_t cb,
                                               enum qemu_plugin_cb_flags flags, enum qemu_plugin_cond cond,
                                               qemu_plugin_u64 entry, uint64_t imm, void* userdata);
void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(struct qemu_plugin_tb* tb, enum qemu_plugin_op op,
                                                       qemu_plugin_u64 entry, uint64_t imm);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn* insn, qemu_plugin_vcpu_udata_cb_t cb,
                                            enum qemu_plugin_cb_flags flags, void* userdata);
void qemu_plugin_register_vcpu_insn_exec_cond_cb(struct qemu_plugin_insn* insn,
                                                 qemu_plugin_vcpu_udata_cb_t cb,
                                                 enum qemu_plugin_cb_flags flags, enum qemu_plugin_cond cond,
                                                 qemu_plugin_u64 entry, uint64_t imm, void* userdata);
void qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(struct qemu_plugin_insn* insn,
                                                         enum qemu_plugin_op op, qemu_plugin_u64 entry,
                                                         uint64_t imm);

/* ---- Data accesses ------------------------------------------------------------------------------------- */

typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_hwaddr;

enum qemu_plugin_mem_rw {
  QEMU_PLUGIN_MEM_R = 1,
  QEMU_PLUGIN_MEM_W,
  QEMU_PLUGIN_MEM_RW,
};
enum qemu_plugin_mem_value_type {
  QEMU_PLUGIN_MEM_VALUE_U8,
  QEMU_PLUGIN_MEM_VALUE_U16,
  QEMU_PLUGIN_MEM_VALUE_U32,
  QEMU_PLUGIN_MEM_VALUE_U64,
  QEMU_PLUGIN_MEM_VALUE_U128,
};
/* In the host's byte order. */
typedef struct {
  enum qemu_plugin_mem_value_type type;
  union {
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    struct {
      uint64_t low, high;
    } u128;
  } data;
} qemu_plugin_mem_value;

/* After each access that the instruction has made; not for one that faulted. */
typedef void (*qemu_plugin_vcpu_mem_cb_t)(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr,
                                          void* userdata);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn* insn, qemu_plugin_vcpu_mem_cb_t cb,
                                      enum qemu_plugin_cb_flags flags, enum qemu_plugin_mem_rw rw,
                                      void* userdata);
void qemu_plugin_register_vcpu_mem_inline_per_vcpu(struct qemu_plugin_insn* insn, enum qemu_plugin_mem_rw rw,
                                                   enum qemu_plugin_op op, qemu_plugin_u64 entry,
                                                   uint64_t imm);

/* The access has 1 << shift bytes. */
unsigned int qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t info);
bool qemu_plugin_mem_is_sign_extended(qemu_plugin_meminfo_t info);
bool qemu_plugin_mem_is_big_endian(qemu_plugin_meminfo_t info);
bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t info);
/* What was read or written. */
qemu_plugin_mem_value qemu_plugin_mem_get_value(qemu_plugin_meminfo_t info);

/* Where the access went; NULL if that is not known. The name is the device's, or "RAM", and stays valid. */
struct qemu_plugin_hwaddr* qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t info, uint64_t vaddr);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr* haddr);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr* haddr);
const char* qemu_plugin_hwaddr_device_name(const struct qemu_plugin_hwaddr* haddr);

/* ---- Reading the guest --------------------------------------------------------------------------------- */

struct qemu_plugin_register;
typedef struct {
  struct qemu_plugin_register* handle;
  const char* name;
  const char* feature; /* gdb's, or NULL */
  bool is_readonly;
} qemu_plugin_reg_descriptor;

/* The registers, as an array of descriptors that the caller frees; handles and strings stay valid. */
GArray* qemu_plugin_get_registers(void);
/* Appends the register's bytes, in the guest's byte order. */
bool qemu_plugin_read_register(struct qemu_plugin_register* handle, GByteArray* buf);

enum qemu_plugin_hwaddr_operation_result {
  QEMU_PLUGIN_HWADDR_OPERATION_OK,
  QEMU_PLUGIN_HWADDR_OPERATION_ERROR,
  QEMU_PLUGIN_HWADDR_OPERATION_DEVICE_ERROR,
  QEMU_PLUGIN_HWADDR_OPERATION_ACCESS_DENIED,
  QEMU_PLUGIN_HWADDR_OPERATION_INVALID_ADDRESS,
  QEMU_PLUGIN_HWADDR_OPERATION_INVALID_ADDRESS_SPACE,
};
/* `data` gets exactly `len` bytes. Memory only: devices are never read, since that could change the guest. */
bool qemu_plugin_read_memory_vaddr(uint64_t addr, GByteArray* data, size_t len);
enum qemu_plugin_hwaddr_operation_result qemu_plugin_read_memory_hwaddr(uint64_t addr, GByteArray* data,
                                                                        size_t len);
bool qemu_plugin_translate_vaddr(uint64_t vaddr, uint64_t* hwaddr);

/* ---- Changing the guest: in live runs, recorded; refused in a replay ------- */

/* Made between two instructions: before the one whose callback asks, or after the one whose access is looked
 * at. Registers and the pc need callbacks with QEMU_PLUGIN_CB_RW_REGS or ..._RW_REGS_PC; set_pc ends the
 * callback. */
bool qemu_plugin_write_register(struct qemu_plugin_register* handle, GByteArray* buf);
__attribute__((__noreturn__)) void qemu_plugin_set_pc(uint64_t vaddr);
bool qemu_plugin_write_memory_vaddr(uint64_t addr, GByteArray* data);
enum qemu_plugin_hwaddr_operation_result qemu_plugin_write_memory_hwaddr(uint64_t addr, GByteArray* data);
/* One plugin can hold the handle. update_ns: virtual time jumps forward to `time` at the next instruction;
 * it goes on with the instructions from there. */
const void* qemu_plugin_request_time_control(void);
void qemu_plugin_update_ns(const void* handle, int64_t time);

/* ---- System calls of user mode ------------------------------------------------------------------------- */

typedef void (*qemu_plugin_vcpu_syscall_cb_t)(unsigned int vcpu_index, int64_t num, uint64_t a1, uint64_t a2,
                                              uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7,
                                              uint64_t a8, void* userdata);
typedef bool (*qemu_plugin_vcpu_syscall_filter_cb_t)(unsigned int vcpu_index, int64_t num, uint64_t a1,
                                                     uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5,
                                                     uint64_t a6, uint64_t a7, uint64_t a8, uint64_t* sysret,
                                                     void* userdata);
typedef void (*qemu_plugin_vcpu_syscall_ret_cb_t)(unsigned int vcpu_index, int64_t num, int64_t ret,
                                                  void* userdata);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_syscall_cb_t cb,
                                          void* userdata);
void qemu_plugin_register_vcpu_syscall_filter_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_syscall_filter_cb_t cb,
                                                 void* userdata);
void qemu_plugin_register_vcpu_syscall_ret_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_syscall_ret_cb_t cb,
                                              void* userdata);

/* ---- Miscellaneous ------------------------------------------------------------------------------------- */

/* Text for the log (-D FILE, or standard error). */
void qemu_plugin_outs(const char* string);
/* on, yes, true, off, no, false. False: `val` is none of them. */
bool qemu_plugin_bool_parse(const char* name, const char* val, bool* ret);
/* The program of a user-mode run (to be released with g_free()), and where its code is. A machine has none:
 * NULL, 0. */
const char* qemu_plugin_path_to_binary(void);
uint64_t qemu_plugin_start_code(void);
uint64_t qemu_plugin_end_code(void);
uint64_t qemu_plugin_entry_code(void);

#ifdef __cplusplus
}
#endif

#endif
