// The interface's functions: the run, and miscellaneous. Where versions differ, the plugin's version decides;
// arguments that an older version does not pass are not looked at.
#include <dlfcn.h>
#include <glib.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "plugins/api.h"

using hindcast::plugins::Callback;
using hindcast::plugins::Event;
using hindcast::plugins::host_of;
using hindcast::plugins::Plugin;
using hindcast::plugins::PluginHost;

namespace {

/// User data counts for callbacks whose versions have it.
void set(qemu_plugin_id_t id, Event event, const void* fn, void* data) {
  PluginHost& host = host_of("a registration");
  if (Plugin* plugin = host.find(id)) plugin->set(event, {const_cast<void*>(fn), data});
}

template <typename Fn>
const void* address(Fn* fn) {
  return reinterpret_cast<const void*>(fn);
}

}  // namespace

extern "C" {

void qemu_plugin_register_vcpu_init_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_udata_cb_t cb, void* userdata) {
  set(id, Event::VcpuInit, address(cb), userdata);
}
void qemu_plugin_register_vcpu_exit_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_udata_cb_t cb, void* userdata) {
  set(id, Event::VcpuExit, address(cb), userdata);
}
void qemu_plugin_register_vcpu_idle_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_udata_cb_t cb, void* userdata) {
  set(id, Event::VcpuIdle, address(cb), userdata);
}
void qemu_plugin_register_vcpu_resume_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_udata_cb_t cb,
                                         void* userdata) {
  set(id, Event::VcpuResume, address(cb), userdata);
}
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, qemu_plugin_udata_cb_t cb, void* userdata) {
  set(id, Event::AtExit, address(cb), userdata);
}
void qemu_plugin_register_flush_cb(qemu_plugin_id_t id, qemu_plugin_udata_cb_t cb, void* userdata) {
  set(id, Event::Flush, address(cb), userdata);
}
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_tb_trans_cb_t cb,
                                           void* userdata) {
  set(id, Event::TbTrans, address(cb), userdata);
}
void qemu_plugin_register_vcpu_discon_cb(qemu_plugin_id_t id, enum qemu_plugin_discon_type type,
                                         qemu_plugin_vcpu_discon_cb_t cb, void* userdata) {
  if (Plugin* plugin = host_of("a registration").find(id)) plugin->discon_types = static_cast<int>(type);
  set(id, Event::Discon, address(cb), userdata);
}
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_syscall_cb_t cb,
                                          void* userdata) {
  set(id, Event::Syscall, address(cb), userdata);
}
void qemu_plugin_register_vcpu_syscall_filter_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_syscall_filter_cb_t cb,
                                                 void* userdata) {
  set(id, Event::SyscallFilter, address(cb), userdata);
}
void qemu_plugin_register_vcpu_syscall_ret_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_syscall_ret_cb_t cb,
                                              void* userdata) {
  set(id, Event::SyscallReturn, address(cb), userdata);
}

void qemu_plugin_uninstall(qemu_plugin_id_t id, qemu_plugin_udata_cb_t cb, void* userdata) {
  PluginHost& host = host_of("qemu_plugin_uninstall");
  if (Plugin* plugin = host.find(id)) host.remove(*plugin, {const_cast<void*>(address(cb)), userdata}, true);
}
void qemu_plugin_reset(qemu_plugin_id_t id, qemu_plugin_udata_cb_t cb, void* userdata) {
  PluginHost& host = host_of("qemu_plugin_reset");
  if (Plugin* plugin = host.find(id)) host.remove(*plugin, {const_cast<void*>(address(cb)), userdata}, false);
}

int qemu_plugin_num_vcpus(void) { return static_cast<int>(host_of("qemu_plugin_num_vcpus").vcpu_count()); }
int qemu_plugin_n_vcpus(void) { return qemu_plugin_num_vcpus(); }      // version 1
int qemu_plugin_n_max_vcpus(void) { return qemu_plugin_num_vcpus(); }  // version 1

void qemu_plugin_vcpu_for_each(qemu_plugin_id_t id, qemu_plugin_vcpu_udata_cb_t cb, void* userdata) {
  PluginHost& host = host_of("qemu_plugin_vcpu_for_each");
  const Plugin* plugin = host.find(id);
  const Callback callback{const_cast<void*>(address(cb)), userdata};
  for (unsigned i = 0; plugin != nullptr && i < host.vcpu_count(); ++i) plugin->call_vcpu(callback, i);
}

void qemu_plugin_outs(const char* string) {
  if (PluginHost* host = PluginHost::current(); host != nullptr && string != nullptr) host->output(string);
}

bool qemu_plugin_bool_parse(const char* name, const char* val, bool* ret) {
  if (name == nullptr || val == nullptr) return false;
  for (const char* yes : {"on", "yes", "true", "y"})
    if (std::strcmp(val, yes) == 0) return *ret = true, true;
  for (const char* no : {"off", "no", "false", "n"})
    if (std::strcmp(val, no) == 0) return *ret = false, true;
  return false;
}

// A machine runs no binary of its own.
const char* qemu_plugin_path_to_binary(void) { return nullptr; }
uint64_t qemu_plugin_start_code(void) { return 0; }
uint64_t qemu_plugin_end_code(void) { return 0; }
uint64_t qemu_plugin_entry_code(void) { return 0; }

/// A plugin that ends the process this way ends the run instead: the recording is closed, the others report.
/// Everybody else means the C library's.
[[noreturn]] void exit(int status) {
  PluginHost* const host = PluginHost::current();
  if (host != nullptr && host->on_machine_thread() && host->in_plugin()) host->leave(status);
  using Exit = void (*)(int);
  static const Exit real = reinterpret_cast<Exit>(::dlsym(RTLD_NEXT, "exit"));
  real(status);
  __builtin_unreachable();
}

namespace {
/// Whether a plugin's own code is what has called, in place of the machine.
bool called_by_plugin(const void* return_address) {
  PluginHost* const host = PluginHost::current();
  return host != nullptr && host->on_machine_thread() && host->in_plugin() &&
         host->owner(return_address) != nullptr;
}

/// Not by the C library's function, which these replace: a handler of signals may be what asks for it.
[[noreturn]] void end_process(int status) {
  ::syscall(SYS_exit_group, status);
  __builtin_unreachable();
}
}  // namespace

/// Likewise.
[[noreturn]] void _exit(int status) {
  if (called_by_plugin(__builtin_return_address(0))) PluginHost::current()->leave(status);
  end_process(status);
}
[[noreturn]] void _Exit(int status) {
  if (called_by_plugin(__builtin_return_address(0))) PluginHost::current()->leave(status);
  end_process(status);
}

/// The machine's thread is not the plugin's to end: nobody would run the guest any more.
[[noreturn]] void pthread_exit(void* value) {
  const void* const caller = __builtin_return_address(0);
  if (called_by_plugin(caller)) {
    PluginHost* const host = PluginHost::current();
    host->fail(host->owner(caller), "ends the thread that runs the machine (pthread_exit)");
  }
  using Exit = void (*)(void*);
  static const Exit real = reinterpret_cast<Exit>(::dlsym(RTLD_NEXT, "pthread_exit"));
  real(value);
  __builtin_unreachable();
}

}  // extern "C"
