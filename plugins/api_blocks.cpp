// The interface's functions: blocks and instructions, what happens when they run, scoreboards.
#include <fmt/format.h>
#include <glib.h>

#include <algorithm>
#include <cstring>

#include "plugins/api.h"
#include "plugins/include/hindcast-plugin.h"

namespace hindcast::plugins {
namespace {

/// The block's description is complete only while it is announced; nonsense ends the run with a line.
InstrBlock& block_of(const qemu_plugin_tb* tb, const char* what) {
  if (tb == nullptr) host_of(what).fail(nullptr, fmt::format("calls {} without a block", what));
  return *tb->block;
}

InstrInsn& insn_of(const qemu_plugin_insn* insn, const char* what) {
  if (insn == nullptr) host_of(what).fail(nullptr, fmt::format("calls {} without an instruction", what));
  return insn->tb->block->insns[insn->index];
}

InstrCounter counter_of(const Plugin* plugin, qemu_plugin_u64 entry) {
  PluginHost& host = host_of("a counter");
  if (!host.is_scoreboard(entry.score, entry.offset))
    host.fail(plugin, "uses a counter that is in none of its scoreboards");
  return {entry.score->data + entry.offset, entry.score->element_size};
}

InstrOp call_op(Plugin* plugin, qemu_plugin_vcpu_udata_cb_t cb, int flags, void* data) {
  return host_of("a registration").call_op(*plugin, flags, cb, nullptr, data);
}

void add_conditional(std::vector<InstrOp>& ops, Plugin* plugin, qemu_plugin_vcpu_udata_cb_t cb, int flags,
                     enum qemu_plugin_cond cond, qemu_plugin_u64 entry, u64 imm, void* data) {
  if (cond == QEMU_PLUGIN_COND_NEVER || cb == nullptr) return;
  InstrOp op = call_op(plugin, cb, flags, data);
  using When = InstrOp::When;
  switch (cond) {
    case QEMU_PLUGIN_COND_EQ: op.when = When::Equal; break;
    case QEMU_PLUGIN_COND_NE: op.when = When::NotEqual; break;
    case QEMU_PLUGIN_COND_LT: op.when = When::Below; break;
    case QEMU_PLUGIN_COND_LE: op.when = When::NotAbove; break;
    case QEMU_PLUGIN_COND_GT: op.when = When::Above; break;
    case QEMU_PLUGIN_COND_GE: op.when = When::NotBelow; break;
    default: op.when = When::Always; break;
  }
  if (op.when != When::Always) {
    op.counter = counter_of(plugin, entry);
    op.imm = imm;
  }
  ops.push_back(op);
}

InstrOp counter_op(enum qemu_plugin_op op, InstrCounter counter, u64 imm) {
  InstrOp out;
  out.kind = op == QEMU_PLUGIN_INLINE_STORE_U64 ? InstrOp::Kind::Store : InstrOp::Kind::Add;
  out.counter = counter;
  out.imm = imm;
  return out;
}

/// Version 1: one counter for all vCPUs, anywhere.
InstrCounter plain_counter(const Plugin* plugin, void* at) {
  if (at == nullptr) host_of("a counter").fail(plugin, "has an inline operation on no counter");
  return {static_cast<u8*>(at), 0};
}

InstrOp for_access(InstrOp op, enum qemu_plugin_mem_rw rw) {
  op.on_load = (rw & QEMU_PLUGIN_MEM_R) != 0;
  op.on_store = (rw & QEMU_PLUGIN_MEM_W) != 0;
  return op;
}

u64 load(const u8* at) {
  u64 value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
void store(u8* at, u64 value) { std::memcpy(at, &value, sizeof value); }

u8* element(qemu_plugin_u64 entry, unsigned vcpu, const char* what) {
  PluginHost& host = host_of(what);
  if (entry.score == nullptr || vcpu >= host.vcpu_count())
    host.fail(nullptr, fmt::format("calls {} for vCPU {} of a scoreboard that has {}", what, vcpu,
                                   entry.score == nullptr ? 0 : host.vcpu_count()));
  return entry.score->data + vcpu * entry.score->element_size + entry.offset;
}

}  // namespace

PluginHost& host_of(const char* what) {
  PluginHost* const host = PluginHost::current();
  if (host == nullptr) throw Fatal(std::string("internal error: ") + what + " without plugins");
  return *host;
}

}  // namespace hindcast::plugins

using namespace hindcast::plugins;
using hindcast::InstrBlock;
using hindcast::InstrInsn;
using hindcast::InstrOp;

extern "C" {

// ---- blocks ----

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb* tb) {
  return block_of(tb, "qemu_plugin_tb_n_insns").insns.size();
}
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb* tb) {
  return block_of(tb, "qemu_plugin_tb_vaddr").pc;
}
struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb* tb, size_t idx) {
  const InstrBlock& block = block_of(tb, "qemu_plugin_tb_get_insn");
  if (idx >= block.insns.size())
    host_of("").fail(tb->plugin,
                     fmt::format("asks for instruction {} of a block that has {}", idx, block.insns.size()));
  return const_cast<struct qemu_plugin_insn*>(&tb->insns[idx]);
}

void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb* tb, qemu_plugin_vcpu_udata_cb_t cb,
                                          enum qemu_plugin_cb_flags flags, void* userdata) {
  if (cb != nullptr) block_of(tb, __func__).entry.push_back(call_op(tb->plugin, cb, flags, userdata));
}
void qemu_plugin_register_vcpu_tb_exec_cond_cb(struct qemu_plugin_tb* tb, qemu_plugin_vcpu_udata_cb_t cb,
                                               enum qemu_plugin_cb_flags flags, enum qemu_plugin_cond cond,
                                               qemu_plugin_u64 entry, uint64_t imm, void* userdata) {
  add_conditional(block_of(tb, __func__).entry, tb->plugin, cb, flags, cond, entry, imm, userdata);
}
void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(struct qemu_plugin_tb* tb, enum qemu_plugin_op op,
                                                       qemu_plugin_u64 entry, uint64_t imm) {
  block_of(tb, __func__).entry.push_back(counter_op(op, counter_of(tb->plugin, entry), imm));
}
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb* tb, enum qemu_plugin_op op, void* ptr,
                                              uint64_t imm) {
  block_of(tb, __func__).entry.push_back(counter_op(op, plain_counter(tb->plugin, ptr), imm));
}

// ---- instructions ----

/// Up to version 2 it takes the instruction only, and returns where the bytes are.
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn* insn, void* dest, size_t len) {
  const InstrInsn& i = insn_of(insn, __func__);
  if (insn->tb->plugin->version() < 3) return reinterpret_cast<size_t>(i.bytes.data());
  const size_t n = std::min<size_t>(len, i.length);
  std::memcpy(dest, i.bytes.data(), n);
  return n;
}
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn* insn) { return insn_of(insn, __func__).length; }
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn* insn) { return insn_of(insn, __func__).pc; }
void* qemu_plugin_insn_haddr(const struct qemu_plugin_insn* insn) {
  return reinterpret_cast<void*>(insn_of(insn, __func__).physical);
}
char* qemu_plugin_insn_disas(const struct qemu_plugin_insn* insn) {
  const InstrInsn& i = insn_of(insn, __func__);
  std::string text;
  insn->tb->vcpu->arch().disassemble(i.pc, {i.bytes.data(), i.length}, text);
  return g_strdup(text.c_str());
}
const char* qemu_plugin_insn_symbol(const struct qemu_plugin_insn* insn) {
  return host_of(__func__).symbol(insn_of(insn, __func__).pc);
}

uint64_t hindcast_tb_context(const struct qemu_plugin_tb* tb) { return block_of(tb, __func__).context; }

const char* hindcast_insn_class(const struct qemu_plugin_insn* insn) {
  const InstrInsn& i = insn_of(insn, __func__);
  return insn->tb->vcpu->arch().insn_class({i.bytes.data(), i.length});
}

void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn* insn, qemu_plugin_vcpu_udata_cb_t cb,
                                            enum qemu_plugin_cb_flags flags, void* userdata) {
  if (cb != nullptr) insn_of(insn, __func__).exec.push_back(call_op(insn->tb->plugin, cb, flags, userdata));
}
void qemu_plugin_register_vcpu_insn_exec_cond_cb(struct qemu_plugin_insn* insn,
                                                 qemu_plugin_vcpu_udata_cb_t cb,
                                                 enum qemu_plugin_cb_flags flags, enum qemu_plugin_cond cond,
                                                 qemu_plugin_u64 entry, uint64_t imm, void* userdata) {
  add_conditional(insn_of(insn, __func__).exec, insn->tb->plugin, cb, flags, cond, entry, imm, userdata);
}
void qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(struct qemu_plugin_insn* insn,
                                                         enum qemu_plugin_op op, qemu_plugin_u64 entry,
                                                         uint64_t imm) {
  insn_of(insn, __func__).exec.push_back(counter_op(op, counter_of(insn->tb->plugin, entry), imm));
}
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn* insn, enum qemu_plugin_op op,
                                                void* ptr, uint64_t imm) {
  insn_of(insn, __func__).exec.push_back(counter_op(op, plain_counter(insn->tb->plugin, ptr), imm));
}

// ---- accesses ----

void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn* insn, qemu_plugin_vcpu_mem_cb_t cb,
                                      enum qemu_plugin_cb_flags flags, enum qemu_plugin_mem_rw rw,
                                      void* userdata) {
  if (cb == nullptr) return;
  InstrOp op = host_of(__func__).call_op(*insn->tb->plugin, flags, nullptr, cb, userdata);
  // The first version that can ask for it.
  op.wants_value = insn_of(insn, __func__).length != 0 && insn->tb->plugin->version() >= 4;
  insn_of(insn, __func__).access.push_back(for_access(op, rw));
}
void qemu_plugin_register_vcpu_mem_inline_per_vcpu(struct qemu_plugin_insn* insn, enum qemu_plugin_mem_rw rw,
                                                   enum qemu_plugin_op op, qemu_plugin_u64 entry,
                                                   uint64_t imm) {
  insn_of(insn, __func__)
      .access.push_back(for_access(counter_op(op, counter_of(insn->tb->plugin, entry), imm), rw));
}
void qemu_plugin_register_vcpu_mem_inline(struct qemu_plugin_insn* insn, enum qemu_plugin_mem_rw rw,
                                          enum qemu_plugin_op op, void* ptr, uint64_t imm) {
  insn_of(insn, __func__)
      .access.push_back(for_access(counter_op(op, plain_counter(insn->tb->plugin, ptr), imm), rw));
}

// ---- scoreboards ----

struct qemu_plugin_scoreboard* qemu_plugin_scoreboard_new(size_t element_size) {
  constexpr size_t kLargest = size_t{1} << 28;
  PluginHost& host = host_of(__func__);
  if (element_size == 0 || element_size > kLargest)
    host.fail(host.caller(__builtin_return_address(0)),
              fmt::format("asks for a scoreboard with elements of {} bytes", element_size));
  return host.new_scoreboard(element_size);
}
void qemu_plugin_scoreboard_free(struct qemu_plugin_scoreboard* score) {
  host_of(__func__).free_scoreboard(score);
}
void* qemu_plugin_scoreboard_find(struct qemu_plugin_scoreboard* score, unsigned int vcpu_index) {
  return score->data + vcpu_index * score->element_size;
}
void qemu_plugin_u64_add(qemu_plugin_u64 entry, unsigned int vcpu_index, uint64_t added) {
  hindcast::u8* const at = element(entry, vcpu_index, __func__);
  store(at, load(at) + added);
}
uint64_t qemu_plugin_u64_get(qemu_plugin_u64 entry, unsigned int vcpu_index) {
  return load(element(entry, vcpu_index, __func__));
}
void qemu_plugin_u64_set(qemu_plugin_u64 entry, unsigned int vcpu_index, uint64_t val) {
  store(element(entry, vcpu_index, __func__), val);
}
uint64_t qemu_plugin_u64_sum(qemu_plugin_u64 entry) {
  uint64_t sum = 0;
  for (unsigned i = 0; i < host_of(__func__).vcpu_count(); ++i) sum += load(element(entry, i, __func__));
  return sum;
}

}  // extern "C"
