// The plugins of a run: loads them, hangs their operations on the machine's blocks, and answers what they
// ask.
#pragma once
#include <csetjmp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "engine/machine.h"
#include "plugins/changes.h"
#include "plugins/foresight.h"
#include "plugins/handles.h"
#include "plugins/plugin.h"
#include "replay/observer.h"

namespace hindcast::plugins {

/// What the command supplies.
struct HostSetup {
  std::vector<PluginSpec> plugins;
  /// Where qemu_plugin_outs goes.
  std::function<void(std::string_view)> output;
  /// Called before the process ends for a plugin's fault: what is buffered is written. Must not allocate.
  std::function<void()> flush_output;
  /// The name of the guest's function at an address, empty if there is none.
  std::function<std::string(GuestAddr)> symbol;
};

/// One at a time in a process: the interface's functions have no other way to find it.
class PluginHost final : public Instrumentation, public replay::Observer {
 public:
  /// Loads the shared objects; throws Fatal with one line if one is none.
  explicit PluginHost(HostSetup setup);
  ~PluginHost() override;
  PluginHost(const PluginHost&) = delete;
  PluginHost& operator=(const PluginHost&) = delete;
  /// Null if there is none.
  static PluginHost* current() { return current_; }

  // replay::Observer
  /// Installs the plugins and attaches them where the machine is. Throws Fatal if one refuses.
  void begin(Machine& machine, bool live) override;
  bool ended() const override { return exit_status_.has_value(); }
  std::vector<replay::GuestChange> take_changes() override { return changes_.take(); }
  void change_failed(const std::string& why) override;
  /// The run is over: detaches them, and lets them report.
  void end() override;

  // While the machine stands still, between begin() and end().
  /// Loads and installs another; it sees what is executed from here on, beside others from the next block on.
  /// Throws Fatal, and then nothing has changed.
  const Plugin& load(PluginSpec spec);
  /// It reports, as at the end, and sees nothing more.
  void unload(unsigned number);
  /// Null: there is none.
  const Plugin* numbered(unsigned number) const;

  // Instead of end(), where several processes share an analysis.
  /// Null, or the plugin that cannot take part.
  const Plugin* cannot_share() const;
  /// The part is over: what the plugins have found out, for merge() in another process.
  Bytes save();
  /// Whether another part can begin after that, elsewhere in the recording.
  bool can_begin_again() const;
  /// And what was made for the plugins stays, so that short parts are cheap.
  bool keeps_blocks() const;
  /// The machine may be another one; if it is not, and keeps_blocks(), what was made for the plugins is still
  /// there.
  void begin_again(Machine& machine);
  /// The machine is about to go, perhaps in the middle of a part.
  void leave_machine() {
    if (observing_) stop_observing();
  }
  /// Adds what another process has saved. After begin(); Fatal if it makes no sense.
  void merge(ByteView saved);

  /// One of the plugins has ended the run in another process.
  void set_ended(int status, const std::string& message) {
    exit_status_ = status;
    message_ = message;
  }
  /// Text goes there from now on, but for what plugins say when they are installed.
  void become_part(std::function<void(std::string_view)> output, std::function<void()> flush_output) {
    setup_.output = std::move(output);
    setup_.flush_output = std::move(flush_output);
    part_ = true;
  }

  /// The run is not to go as far as it could.
  void set_limited(bool limited) override { limited_ = limited; }
  bool limited() const { return limited_; }

  /// The exit status with which a plugin has ended the run (125: it has made a mistake, message() says
  /// which).
  std::optional<int> exit_status() const { return exit_status_; }
  const std::string& message() const { return message_; }

  // Instrumentation
  void translated(Vcpu& vcpu, InstrBlock& block) override;
  void discontinuity(Vcpu& vcpu, Discontinuity kind, GuestAddr from, GuestAddr to) override;
  void idle(Vcpu& vcpu) override { for_all(Event::VcpuIdle, vcpu); }
  void resumed(Vcpu& vcpu) override { for_all(Event::VcpuResume, vcpu); }
  bool foresee(const InstrOp& op, unsigned vcpu, u32 access, std::span<const InstrEffect> before,
               InstrForeseen& out) override;
  void forgotten() override;

  // For the interface's functions, on the machine's thread.
  Machine& machine() { return *machine_; }
  bool attached() const { return machine_ != nullptr; }
  unsigned vcpu_count() const { return vcpu_count_; }
  /// The vCPU whose callback is running.
  Vcpu& vcpu() { return vcpu_ != nullptr ? *vcpu_ : machine_->current(); }
  Plugin* find(u64 id);
  /// Whose code the address is in, or null.
  Plugin* owner(const void* code) const;
  /// Whose code the address is in; else the one that is being called, else the only one.
  Plugin* caller(const void* return_address);
  const std::vector<std::unique_ptr<Plugin>>& plugins() const { return plugins_; }
  /// Ends the run with this status, from inside a plugin's function.
  [[noreturn]] void leave(int status);
  /// Likewise because the plugin has asked for nonsense.
  [[noreturn]] void fail(const Plugin* plugin, const std::string& what);
  void output(std::string_view text);

  // Changes of the guest.
  /// What a callback of the plugin becomes, registered with these flags (qemu_plugin_cb_flags); either
  /// function may be null.
  InstrOp call_op(Plugin& plugin, int flags, InstrOp::ExecFn exec, InstrOp::AccessFn access, void* data);
  /// Whether the callback that is running may change that; if not, a line has said why.
  bool may_change(Permission what, Plugin* plugin);
  /// For those who may: it is asked for, and made at the next place between two instructions.
  Changes& change();
  const Changes& changes() const { return changes_; }
  /// The callback that is running ends here, and the vCPU goes on there.
  [[noreturn]] void set_pc(GuestAddr pc);
  bool may_set_pc() const { return live_ && observing_ && permission_ == Permission::Pc; }
  bool live() const { return live_; }
  template <typename... Args>
  void call_changing(const ChangingCallback& callback, void (*fn)(Args...), Args... args) {
    call(*callback.plugin, &machine_->current(), callback.permission, [&] { fn(args...); });
  }

  void flush_output() { setup_.flush_output(); }
  /// Stays valid; null for an address without a name.
  const char* symbol(GuestAddr address);
  const char* intern(const std::string& text) { return strings_.insert(text).first->c_str(); }
  void remove(Plugin& plugin, Callback done, bool for_good);
  qemu_plugin_scoreboard* new_scoreboard(std::size_t element_size);
  void free_scoreboard(qemu_plugin_scoreboard* scoreboard);
  bool is_scoreboard(const qemu_plugin_scoreboard* scoreboard, std::size_t offset) const;
  /// One plugin may move virtual time. True if nobody else holds that.
  bool take_time_control() { return !std::exchange(time_controlled_, true); }
  /// Whether one of the plugins' functions is running.
  bool in_plugin() const { return leave_ != nullptr || observing_; }
  bool on_machine_thread() const { return std::this_thread::get_id() == thread_; }

 private:
  /// Calls into the plugin; leave() comes back from there.
  template <typename Fn>
  void call(Plugin& plugin, Vcpu* vcpu, Permission permission, Fn fn);
  void for_all(Event event, Vcpu& vcpu);
  Foresight::Interface interface();
  void install(Plugin& plugin);
  /// Fatal if it has ended the command, or asked for nonsense, while it was loaded.
  void refuse_ended(const Plugin& plugin);
  void observe();
  void stop_observing();
  void announce_begin();
  void announce_end();

  static PluginHost* current_;
  HostSetup setup_;
  std::vector<std::unique_ptr<Plugin>> plugins_;
  std::vector<std::unique_ptr<Plugin>> unloaded_;  // their code stays
  unsigned made_ = 0;
  Machine* machine_ = nullptr;
  unsigned vcpu_count_ = 1;
  std::thread::id thread_;
  Plugin* running_ = nullptr;
  Vcpu* vcpu_ = nullptr;
  std::jmp_buf* leave_ = nullptr;
  bool begun_ = false;
  Icount begun_at_ = 0;
  bool observing_ = false;
  bool time_controlled_ = false;
  bool limited_ = false;
  bool part_ = false;
  bool live_ = false;
  Permission permission_ = Permission::None;  // of the callback that is running
  Changes changes_;
  std::set<ChangingCallback> changing_;
  std::set<std::string> refused_;  // what has been said
  std::optional<int> exit_status_;
  std::string message_;
  std::string* said_ = nullptr;  // while a plugin is installed: what it writes, kept until it is known to run
  struct Removal {
    Plugin* plugin;
    Callback done;
    bool for_good;
  };
  std::vector<Removal> removals_;
  Foresight foresight_;
  std::set<std::string> strings_;
  std::map<GuestAddr, const char*> symbols_;
  std::map<const qemu_plugin_scoreboard*, std::unique_ptr<qemu_plugin_scoreboard>> scoreboards_;
};

}  // namespace hindcast::plugins
