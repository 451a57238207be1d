#include "plugins/host.h"

#include <fmt/format.h>
#include <glib.h>

#include <algorithm>
#include <cstring>
#include <exception>

#include "plugins/crash.h"
#include "plugins/include/hindcast-plugin.h"
#include "plugins/include/qemu-plugin.h"

namespace hindcast::plugins {

PluginHost* PluginHost::current_ = nullptr;

PluginHost::PluginHost(HostSetup setup)
    : setup_(std::move(setup)),
      thread_(std::this_thread::get_id()),
      foresight_([this](const void* address) { return owner(address) != nullptr; }, interface()) {
  for (const PluginSpec& spec : setup_.plugins) plugins_.push_back(std::make_unique<Plugin>(spec, ++made_));
  current_ = this;
  watch_for_crashes();
  try {
    for (const auto& plugin : plugins_) {
      call(*plugin, nullptr, Permission::None, [&] { plugin->ask_segments(); });
      refuse_ended(*plugin);
    }
  } catch (...) {
    current_ = nullptr;
    throw;
  }
}

PluginHost::~PluginHost() {
  if (observing_) machine_->observe(nullptr);
  if (current_ == this) current_ = nullptr;
}

Plugin* PluginHost::find(u64 id) {
  for (const auto& plugin : plugins_)
    if (plugin->id() == id) return plugin.get();
  return nullptr;
}

Plugin* PluginHost::owner(const void* code) const {
  for (const auto& plugin : plugins_)
    if (plugin->contains(code)) return plugin.get();
  return nullptr;
}

Plugin* PluginHost::caller(const void* return_address) {
  if (Plugin* const plugin = owner(return_address)) return plugin;
  if (running_ != nullptr) return running_;
  return plugins_.empty() ? nullptr : plugins_.front().get();
}

// ---- calling
// -----------------------------------------------------------------------------------------------------

namespace {
/// How a callback that does not return comes back.
constexpr int kLeft = 1, kSetPc = 2;
}  // namespace

template <typename Fn>
void PluginHost::call(Plugin& plugin, Vcpu* vcpu, Permission permission, Fn fn) {
  struct Restore {
    PluginHost& self;
    std::jmp_buf* leave;
    Plugin* running;
    Vcpu* vcpu;
    Permission permission;
    ~Restore() {
      self.leave_ = leave;
      self.running_ = running;
      self.vcpu_ = vcpu;
      self.permission_ = permission;
    }
  } restore{*this, leave_, running_, vcpu_, permission_};
  std::jmp_buf here;
  leave_ = &here;
  running_ = &plugin;
  vcpu_ = vcpu;
  permission_ = permission;
  const int how = _setjmp(here);
  if (how == 0)
    fn();
  else if (how == kLeft && observing_)
    machine_->stop_observed();
}

void PluginHost::leave(int status) {
  if (!exit_status_) exit_status_ = status & 0xff;
  if (leave_ != nullptr) std::longjmp(*leave_, kLeft);
  machine_->leave_callback();
}

void PluginHost::fail(const Plugin* plugin, const std::string& what) {
  if (message_.empty())
    message_ = fmt::format("plugin '{}' {}", plugin == nullptr ? "?" : plugin->name(), what);
  leave(125);
}

void PluginHost::for_all(Event event, Vcpu& vcpu) {
  for (const auto& plugin : plugins_)
    if (plugin->has(event) && !ended())
      call(*plugin, &vcpu, Permission::Pc, [&] { plugin->call_vcpu(event, vcpu.index()); });
}

// ---- beginning and end
// -------------------------------------------------------------------------------------------

void PluginHost::output(std::string_view text) {
  if (said_ != nullptr)
    *said_ += text;
  else
    setup_.output(text);
}

void PluginHost::refuse_ended(const Plugin& plugin) {
  if (!message_.empty()) throw Fatal(std::exchange(message_, {}));
  if (ended())
    throw Fatal(fmt::format("plugin '{}' ended the command while it was loaded, with status {}",
                            plugin.name(), *exit_status_));
}

void PluginHost::install(Plugin& plugin) {
  const RunFacts facts{machine_->arch().name(), vcpu_count_};
  int result = 0;
  std::string said;
  said_ = &said;
  call(plugin, &machine_->vcpu(0), Permission::None, [&] { result = plugin.install(facts); });
  said_ = nullptr;
  refuse_ended(plugin);
  if (result == 0) {
    if (!said.empty() && !part_) setup_.output(said);
    return;
  }
  // What it has said last is its reason.
  while (!said.empty() && said.back() == '\n') said.pop_back();
  const std::string reason = said.substr(said.rfind('\n') + 1);
  if (!reason.empty()) throw Fatal(fmt::format("plugin '{}' refuses to run: {}", plugin.name(), reason));
  throw Fatal(fmt::format("plugin '{}' refuses to run: its installation returned {}; are its options right?",
                          plugin.name(), result));
}

void PluginHost::observe() {
  if (plugins_.empty() || observing_) return;
  machine_->observe(this);
  observing_ = true;
}

void PluginHost::begin(Machine& machine, bool live) {
  machine_ = &machine;
  live_ = live;
  vcpu_count_ = machine.vcpu_count();
  for (const auto& plugin : plugins_) install(*plugin);
  begun_ = true;
  begun_at_ = machine.icount();
  observe();
  announce_begin();
}

void PluginHost::announce_begin() {
  for (unsigned i = 0; i < vcpu_count_; ++i) for_all(Event::VcpuInit, machine_->vcpu(i));
}

/// What they wanted to change and was not yet: nobody would ask for it again, but the next plugin's changes
/// would bring it along.
void PluginHost::stop_observing() {
  observing_ = false;
  machine_->observe(nullptr);
  changes_.clear();
}

/// The last that the plugins see of the machine.
void PluginHost::announce_end() {
  for (unsigned i = 0; i < vcpu_count_; ++i)
    for (const auto& plugin : plugins_)
      if (plugin->has(Event::VcpuExit))
        call(*plugin, &machine_->vcpu(i), Permission::None, [&] { plugin->call_vcpu(Event::VcpuExit, i); });
}

void PluginHost::end() {
  if (observing_) {
    announce_end();
    stop_observing();
    // A run that has failed before it began is nothing to report on.
    const bool nothing = std::uncaught_exceptions() != 0 && machine_->icount() == begun_at_;
    for (const auto& plugin : plugins_)
      if (!nothing)
        call(*plugin, nullptr, Permission::None, [&] { plugin->call_simple(plugin->get(Event::AtExit)); });
  }
  begun_ = false;
}

const Plugin* PluginHost::numbered(unsigned number) const {
  for (const auto& plugin : plugins_)
    if (plugin->number() == number) return plugin.get();
  return nullptr;
}

const Plugin& PluginHost::load(PluginSpec spec) {
  if (!begun_) throw Fatal("the run has ended; there is nothing to watch");
  if (ended()) throw Fatal("a plugin has ended the run");
  plugins_.push_back(std::make_unique<Plugin>(std::move(spec), made_ + 1));
  Plugin& plugin = *plugins_.back();
  try {
    install(plugin);
  } catch (const Fatal&) {
    exit_status_.reset();
    unloaded_.push_back(std::move(plugins_.back()));
    plugins_.pop_back();
    throw;
  }
  ++made_;
  if (observing_) machine_->forget_observed();  // blocks that others know are announced to it too
  observe();
  for (unsigned i = 0; i < vcpu_count_; ++i)
    if (plugin.has(Event::VcpuInit))
      call(plugin, &machine_->vcpu(i), Permission::Pc, [&] { plugin.call_vcpu(Event::VcpuInit, i); });
  return plugin;
}

void PluginHost::unload(unsigned number) {
  const auto it = std::find_if(plugins_.begin(), plugins_.end(),
                               [number](const auto& plugin) { return plugin->number() == number; });
  if (it == plugins_.end() || !observing_) return;
  Plugin& plugin = **it;
  for (unsigned i = 0; i < vcpu_count_; ++i)
    call(plugin, &machine_->vcpu(i), Permission::None, [&] { plugin.call_vcpu(Event::VcpuExit, i); });
  const bool limited = std::exchange(limited_, true);
  call(plugin, nullptr, Permission::None, [&] { plugin.call_simple(plugin.get(Event::AtExit)); });
  limited_ = limited;
  plugin.forget_callbacks();
  machine_->forget_operations(&plugin);
  unloaded_.push_back(std::move(*it));
  plugins_.erase(it);
  if (!plugins_.empty()) return;
  stop_observing();
}

// ---- analyses in parts
// -------------------------------------------------------------------------------------------

const Plugin* PluginHost::cannot_share() const {
  for (const auto& plugin : plugins_)
    if (plugin->segments() == nullptr) return plugin.get();
  return nullptr;
}

bool PluginHost::can_begin_again() const {
  return std::all_of(plugins_.begin(), plugins_.end(),
                     [](const auto& plugin) { return plugin->can_begin_again(); });
}

bool PluginHost::keeps_blocks() const {
  return can_begin_again() && std::none_of(plugins_.begin(), plugins_.end(),
                                           [](const auto& plugin) { return plugin->wants_blocks_again(); });
}

void PluginHost::begin_again(Machine& machine) {
  machine_ = &machine;
  for (const auto& plugin : plugins_)
    call(*plugin, nullptr, Permission::None, [&] { plugin->begin_again(); });
  begun_at_ = machine.icount();
  observe();
  announce_begin();
}

Bytes PluginHost::save() {
  announce_end();
  if (keeps_blocks()) {
    machine_->pause_observer();
    observing_ = false;
    changes_.clear();
  } else {
    stop_observing();
  }
  Bytes out;
  for (const auto& plugin : plugins_) {
    GByteArray* data = g_byte_array_new();
    call(*plugin, nullptr, Permission::None, [&] { plugin->segments()->save(data); });
    const u64 size = data->len;
    const u8* const header = reinterpret_cast<const u8*>(&size);
    out.insert(out.end(), header, header + sizeof size);
    out.insert(out.end(), data->data, data->data + size);
    g_byte_array_free(data, TRUE);
  }
  return out;
}

void PluginHost::merge(ByteView saved) {
  for (const auto& plugin : plugins_) {
    u64 size = 0;
    bool merged = saved.size() >= sizeof size;
    if (merged) std::memcpy(&size, saved.data(), sizeof size);
    merged = merged && size <= saved.size() - sizeof size;
    if (merged) {
      saved = saved.subspan(sizeof size);
      call(*plugin, nullptr, Permission::None,
           [&] { merged = plugin->segments()->merge(saved.data(), size); });
      saved = saved.subspan(size);
    }
    if (!merged) throw Fatal(fmt::format("plugin '{}' cannot put its parts together", plugin->name()));
  }
}

// ---- events
// ------------------------------------------------------------------------------------------------------

namespace {
/// The operations that were added last are this plugin's.
void own(InstrBlock& block, const Plugin* plugin) {
  const auto mark = [plugin](std::vector<InstrOp>& ops) {
    for (auto it = ops.rbegin(); it != ops.rend() && it->owner == nullptr; ++it) it->owner = plugin;
  };
  mark(block.entry);
  for (InstrInsn& insn : block.insns) {
    mark(insn.exec);
    mark(insn.access);
  }
}
}  // namespace

void PluginHost::translated(Vcpu& vcpu, InstrBlock& block) {
  for (const auto& plugin : plugins_) {
    if (!plugin->has(Event::TbTrans) || ended()) continue;
    qemu_plugin_tb tb{plugin.get(), &vcpu, &block, {}};
    for (u32 i = 0; i < block.insns.size(); ++i) tb.insns.push_back({&tb, i});
    call(*plugin, &vcpu, Permission::Memory, [&] { plugin->call_translated(&tb); });
    own(block, plugin.get());
  }
}

/// What callbacks count with.
Foresight::Interface PluginHost::interface() {
  using Does = Foresight::Known::Does;
  auto entry = [this](const std::array<u64, 4>& arguments) -> std::optional<u64> {
    const auto* const board = reinterpret_cast<const qemu_plugin_scoreboard*>(arguments[0]);
    const unsigned vcpu = static_cast<unsigned>(arguments[2]);
    if (!is_scoreboard(board, arguments[1]) || vcpu >= vcpu_count_) return std::nullopt;
    return reinterpret_cast<u64>(board->data) + vcpu * board->element_size + arguments[1];
  };
  auto element = [this](const std::array<u64, 4>& arguments) -> std::optional<u64> {
    const auto* const board = reinterpret_cast<const qemu_plugin_scoreboard*>(arguments[0]);
    const unsigned vcpu = static_cast<unsigned>(arguments[1]);
    if (!is_scoreboard(board, 0) || vcpu >= vcpu_count_) return std::nullopt;
    return reinterpret_cast<u64>(board->data) + vcpu * board->element_size;
  };
  return {{reinterpret_cast<const void*>(&qemu_plugin_u64_add), {Does::Adds, 4, entry}},
          {reinterpret_cast<const void*>(&qemu_plugin_u64_get), {Does::Returns, 3, entry}},
          {reinterpret_cast<const void*>(&qemu_plugin_u64_set), {Does::Sets, 4, entry}},
          {reinterpret_cast<const void*>(&qemu_plugin_scoreboard_find), {Does::ReturnsAddress, 2, element}}};
}

bool PluginHost::foresee(const InstrOp& op, unsigned vcpu, u32 access, std::span<const InstrEffect> before,
                         InstrForeseen& out) {
  const u64 data = reinterpret_cast<u64>(op.data);
  if (op.access == nullptr)
    return foresight_.foresee(reinterpret_cast<const void*>(op.exec), {vcpu, data}, before, out);
  return foresight_.foresee(reinterpret_cast<const void*>(op.access), {vcpu, access, std::nullopt, data},
                            before, out);
}

void PluginHost::discontinuity(Vcpu& vcpu, Discontinuity kind, GuestAddr from, GuestAddr to) {
  const int type = 1 << static_cast<int>(kind);
  for (const auto& plugin : plugins_)
    if (plugin->has(Event::Discon) && !ended())
      call(*plugin, &vcpu, Permission::Pc, [&] { plugin->call_discon(vcpu.index(), type, from, to); });
}

void PluginHost::remove(Plugin& plugin, Callback done, bool for_good) {
  removals_.push_back({&plugin, done, for_good});
  machine_->forget_observed();
}

void PluginHost::forgotten() {
  for (const Removal& removal : std::exchange(removals_, {})) {
    removal.plugin->forget_callbacks();
    call(*removal.plugin, &machine_->current(), Permission::Memory,
         [&] { removal.plugin->call_simple(removal.done); });
    if (removal.for_good) removal.plugin->forget_callbacks();
  }
  for (const auto& plugin : plugins_)
    if (plugin->has(Event::Flush))
      call(*plugin, nullptr, Permission::Memory, [&] { plugin->call_simple(plugin->get(Event::Flush)); });
}

// ---- changes of the guest
// -----------------------------------------------------------------------------------------

InstrOp PluginHost::call_op(Plugin& plugin, int flags, InstrOp::ExecFn exec, InstrOp::AccessFn access,
                            void* data) {
  InstrOp op;
  op.kind = InstrOp::Kind::Call;
  op.exec = exec;
  op.access = access;
  op.data = data;
  Permission permission = plugin.changes_memory() ? Permission::Memory : Permission::None;
  if (plugin.changes_registers() && flags >= QEMU_PLUGIN_CB_RW_REGS)
    permission = flags == QEMU_PLUGIN_CB_RW_REGS ? Permission::Registers : Permission::Pc;
  if (permission == Permission::None) return op;
  ChangingCallback made;
  made.host = this;
  made.plugin = &plugin;
  made.permission = permission;
  made.exec = exec;
  made.access = access;
  made.data = data;
  op.data = const_cast<ChangingCallback*>(&*changing_.insert(made).first);
  op.changes = true;
  if (exec != nullptr)
    op.exec = [](unsigned vcpu, void* what) {
      const auto& callback = *static_cast<const ChangingCallback*>(what);
      callback.host->call_changing<unsigned, void*>(callback, callback.exec, vcpu, callback.data);
    };
  if (access != nullptr)
    op.access = [](unsigned vcpu, u32 word, u64 address, void* what) {
      const auto& callback = *static_cast<const ChangingCallback*>(what);
      callback.host->call_changing<unsigned, u32, u64, void*>(callback, callback.access, vcpu, word, address,
                                                              callback.data);
    };
  return op;
}

bool PluginHost::may_change(Permission what, Plugin* plugin) {
  if (live_ && observing_ && permission_ >= what && on_machine_thread()) return true;
  std::string why;
  if (!live_)
    why = "may not change the guest in a replay: what it writes is left out, what was recorded is replayed";
  else if (what == Permission::Registers && observing_)
    why = "writes a register in a callback that was not registered with QEMU_PLUGIN_CB_RW_REGS: left out";
  else
    why = "may not change the guest here: what it writes is left out";
  const std::string line = fmt::format("plugin '{}' {}\n", plugin == nullptr ? "?" : plugin->name(), why);
  if (refused_.insert(line).second) output(line);
  return false;
}

Changes& PluginHost::change() {
  machine_->request_change();
  return changes_;
}

void PluginHost::set_pc(GuestAddr pc) {
  change().write_register(vcpu().index(), machine_->arch().pc_register(), pc);
  std::longjmp(*leave_, kSetPc);
}

void PluginHost::change_failed(const std::string& why) {
  const std::string line = fmt::format("a change that a plugin asked for was not made: {}\n", why);
  if (refused_.insert(line).second) output(line);
}

// ---- what they ask for
// --------------------------------------------------------------------------------------------

const char* PluginHost::symbol(GuestAddr address) {
  const auto [it, inserted] = symbols_.try_emplace(address, nullptr);
  if (inserted && setup_.symbol) {
    const std::string name = setup_.symbol(address);
    if (!name.empty()) it->second = intern(name);
  }
  return it->second;
}

qemu_plugin_scoreboard* PluginHost::new_scoreboard(std::size_t element_size) {
  auto made = std::make_unique<qemu_plugin_scoreboard>();
  made->element_size = element_size;
  made->memory = std::make_unique<LowMemory>(element_size * vcpu_count_);
  made->data = made->memory->data();
  qemu_plugin_scoreboard* const scoreboard = made.get();
  scoreboards_[scoreboard] = std::move(made);
  return scoreboard;
}

void PluginHost::free_scoreboard(qemu_plugin_scoreboard* scoreboard) { scoreboards_.erase(scoreboard); }

bool PluginHost::is_scoreboard(const qemu_plugin_scoreboard* scoreboard, std::size_t offset) const {
  return scoreboards_.contains(scoreboard) && offset + sizeof(u64) <= scoreboard->element_size &&
         offset + 8 > offset;
}

}  // namespace hindcast::plugins
