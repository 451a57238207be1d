// One command over two runs: this one, and a recording that an `analyze` of its own runs from the same icount
// on. Both send the other, in chunks, what each instruction did in short, and find out the same; then the
// other run tells what it knows of the instructions before the difference, and this one reports.
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "plugins/bundled/lockstep/lockstep.h"

extern char** environ;

namespace lockstep {
namespace {

constexpr std::size_t kChunk = 1024;  // instructions; sent at once, which a socket's buffer has room for
constexpr std::size_t kContext = 5;   // shown before the difference
constexpr std::size_t kKept = kChunk + kContext + 1;
constexpr uint64_t kMaxDetails = 16 << 20;
constexpr int kSame = 0, kDiffers = 1, kUnknown = 125;
constexpr int kPeerFd = 3;

/// Both sides send this first.
struct Hello {
  std::array<char, 32> target{};
  uint64_t registers = 0, vcpus = 0, options = 0;
  bool operator==(const Hello&) const = default;
};
/// What an instruction did, in short.
struct Record {
  uint64_t pc, vcpu, registers, memory;
  bool operator==(const Record&) const = default;
};
struct Header {
  uint64_t count, last;  // records that follow; nothing runs behind them
};

struct Insn {
  uint64_t pc;
  std::string text;
  const char* symbol;
};
struct Access {
  uint64_t address, value, bytes;
  bool store;
};
/// An instruction that may yet be asked for.
struct Kept {
  const Insn* insn = nullptr;
  uint64_t vcpu = 0, icount = 0, memory = 0;
  std::vector<uint64_t> registers;  // before it
  std::vector<Access> accesses;
};
/// The same, of either side, for the report.
struct Shown {
  uint64_t pc = 0, vcpu = 0, icount = 0;
  std::string text, symbol;
  std::vector<uint64_t> registers;
  std::vector<Access> accesses;
  std::string line() const {
    const std::string name = symbol.empty() ? "" : " <" + symbol + ">";
    return plugin::format("0x%016" PRIx64 "%s, \"%s\"\n", pc, name.c_str(), text.c_str());
  }
};

qemu_plugin_id_t own_id;
int connection = -1;
pid_t child = -1;
int child_errors = -1;  // a file in memory: what the other run has said
bool over = false, running = false;
uint64_t done = 0;   // instructions compared
uint64_t count = 0;  // and those of the chunk at hand
std::array<Record, kChunk> chunk, theirs;
std::vector<Kept> kept(kKept);
std::vector<std::string> names;  // of the registers

// ---- The other side

template <typename Fn>
bool transfer(Fn fn, std::size_t size) {
  for (std::size_t at = 0; at < size;) {
    const ssize_t n = fn(at, size - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += static_cast<std::size_t>(n);
  }
  return true;
}
bool give(const void* data, std::size_t size) {
  return transfer(
      [&](std::size_t at, std::size_t n) {
        return send(connection, static_cast<const char*>(data) + at, n, MSG_NOSIGNAL);
      },
      size);
}
bool take(void* data, std::size_t size) {
  return transfer(
      [&](std::size_t at, std::size_t n) { return read(connection, static_cast<char*>(data) + at, n); },
      size);
}

/// The last line that the other run has written, without its prefix; it has ended. `failed`: it could not go
/// on, its recording is damaged.
std::string last_words(bool* failed = nullptr) {
  if (connection >= 0) close(connection);
  connection = -1;
  int status = 0;
  if (child > 0) waitpid(child, &status, 0);
  child = -1;
  if (failed != nullptr) *failed = WIFEXITED(status) == 0 || WEXITSTATUS(status) == kUnknown;
  std::string text(1 << 16, '\0');
  const ssize_t n = child_errors < 0 ? 0 : pread(child_errors, text.data(), text.size(), 0);
  if (child_errors >= 0) close(child_errors);
  child_errors = -1;
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  text.erase(0, text.rfind('\n') + 1);
  constexpr const char* kPrefix = "hindcast: ";
  return text.compare(0, std::strlen(kPrefix), kPrefix) == 0 ? text.substr(std::strlen(kPrefix)) : text;
}

/// Ends the comparison, and the run, unless it is to go on.
void end(int status) {
  over = true;
  const std::string said = last_words();
  if (!said.empty()) plugin::print("lockstep: " + settings.with + ": " + said + '\n');
  if (settings.peer != 0) std::exit(kSame);  // the other has found the same
  if (!settings.go_on) std::exit(status);
  qemu_plugin_uninstall(own_id, nullptr, nullptr);
}

void lost() {
  over = true;
  const std::string said = last_words();
  if (settings.peer != 0) std::exit(kSame);
  plugin::print("lockstep: " + settings.with + ": " + (said.empty() ? "the run of it has gone" : said) +
                '\n');
  std::exit(kUnknown);
}

bool start_other(uint64_t icount) {
  std::array<int, 2> sockets;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) != 0) return false;
  connection = sockets[0];
  child_errors = memfd_create("lockstep", MFD_CLOEXEC);
  std::array<std::string, 7> words = {"hindcast",
                                      "analyze",
                                      settings.with,
                                      "--from",
                                      std::to_string(icount),
                                      "-p",
                                      std::string("lockstep,peer=") + std::to_string(kPeerFd) +
                                          (settings.registers ? ",registers=on" : "") +
                                          (settings.memory ? ",memory=on" : "")};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", 0, 0);
  posix_spawn_file_actions_adddup2(&actions, child_errors, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, child_errors, STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&actions, sockets[1], kPeerFd);
  // Ctrl-C is for this run, which ends in order and so ends the other; not for a group that both are in.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);
  const int problem = posix_spawn(&child, "/proc/self/exe", &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(sockets[1]);
  if (problem != 0) child = -1;
  return child_errors >= 0 && problem == 0;
}

// ---- What is known of an instruction

void add(plugin::Saved& out, const Kept& k) {
  out.number(k.insn->pc).number(k.vcpu).number(k.icount).text(k.insn->text);
  out.text(k.insn->symbol == nullptr ? "" : k.insn->symbol).number(k.registers.size());
  for (uint64_t value : k.registers) out.number(value);
  out.number(k.accesses.size());
  for (const Access& a : k.accesses) out.number(a.address).number(a.value).number(a.bytes).number(a.store);
}

/// Of instruction `at` and those before it.
GByteArray* details(uint64_t at) {
  GByteArray* bytes = g_byte_array_new();
  plugin::Saved out(bytes);
  for (uint64_t i = at - std::min<uint64_t>(at, kContext); i <= at; ++i) add(out, kept[i % kKept]);
  return bytes;
}

std::vector<Shown> parse(const uint8_t* data, std::size_t size) {
  std::vector<Shown> out;
  plugin::Loaded in(data, size);
  while (in.ok() && !in.done()) {
    Shown& s = out.emplace_back();
    s.pc = in.number();
    s.vcpu = in.number();
    s.icount = in.number();
    s.text = in.text();
    s.symbol = in.text();
    for (uint64_t n = in.number(); in.ok() && n != 0; --n) s.registers.push_back(in.number());
    for (uint64_t n = in.number(); in.ok() && n != 0; --n) {
      Access& a = s.accesses.emplace_back();
      a.address = in.number();
      a.value = in.number();
      a.bytes = in.number();
      a.store = in.number() != 0;
    }
  }
  if (!in.ok()) out.clear();
  return out;
}

// ---- The report

std::string accesses_of(const char* side, const Shown& s) {
  std::string out;
  for (const Access& a : s.accesses)
    out += plugin::format("  %-6s %s of %" PRIu64 " byte%s at 0x%016" PRIx64 ": 0x%" PRIx64 "\n", side,
                          a.store ? "store" : "load", a.bytes, a.bytes == 1 ? "" : "s", a.address, a.value);
  return out.empty() ? plugin::format("  %-6s none\n", side) : out;
}

std::string report(uint64_t at, const Record& us, const Record& them, const std::vector<Shown>& ours,
                   const std::vector<Shown>& others) {
  const Shown &a = ours.back(), &b = others.back();
  const char* reason = "its memory accesses differ";
  if (us.vcpu != them.vcpu)
    reason = "different vCPUs run";
  else if (us.pc != them.pc)
    reason = "they go on at different addresses";
  else if (us.registers != them.registers)
    reason = "registers differ before it";
  std::string out = plugin::format("lockstep: the runs part at icount %" PRIu64 ", after %" PRIu64
                                   " instructions in common: %s\n",
                                   a.icount, at, reason);
  for (std::size_t i = 0; i + 1 < ours.size(); ++i) out += "         " + ours[i].line();
  out += "  this   " + a.line() + "  other  " + b.line();
  if (a.vcpu != b.vcpu)
    out += plugin::format("vCPU:\n  this   %" PRIu64 "\n  other  %" PRIu64 "\n", a.vcpu, b.vcpu);
  if (us.registers != them.registers) {
    out += "registers before it:\n";
    for (std::size_t i = 0; i < names.size() && i < std::min(a.registers.size(), b.registers.size()); ++i)
      if (a.registers[i] != b.registers[i])
        out += plugin::format("  %-10s this 0x%016" PRIx64 "  other 0x%016" PRIx64 "\n", names[i].c_str(),
                              a.registers[i], b.registers[i]);
  }
  if (us.memory != them.memory)
    out += "memory accesses:\n" + accesses_of("this", a) + accesses_of("other", b);
  return out;
}

/// The chunk's record `i` differs.
void part(std::size_t i) {
  const uint64_t at = done + i;
  GByteArray* own = details(at);
  if (settings.peer != 0) {
    const uint64_t size = own->len;
    if (give(&size, sizeof size)) give(own->data, size);
    return end(kDiffers);
  }
  uint64_t size = 0;
  if (!take(&size, sizeof size) || size > kMaxDetails) return lost();
  std::vector<uint8_t> bytes(size);
  if (!take(bytes.data(), size)) return lost();
  const std::vector<Shown> ours = parse(own->data, own->len), others = parse(bytes.data(), size);
  g_byte_array_free(own, TRUE);
  if (ours.empty() || others.empty()) return lost();
  plugin::print(report(at, chunk[i], theirs[i], ours, others));
  end(kDiffers);
}

/// Tells the other what was done since the last time, and compares. `last`: nothing comes behind it here.
void exchange(bool last) {
  const Header mine{count, last};
  Header other{};
  if (!give(&mine, sizeof mine) || !give(chunk.data(), count * sizeof(Record)) ||
      !take(&other, sizeof other) || other.count > kChunk ||
      !take(theirs.data(), other.count * sizeof(Record)))
    return lost();
  const uint64_t both = std::min(count, other.count);
  for (std::size_t i = 0; i < both; ++i)
    if (chunk[i] != theirs[i]) return part(i);
  done += both;
  count = 0;
  if (!last && !other.last) return;
  const bool same = mine.count == other.count && last && other.last;
  const bool cut = last && !same && hindcast_limited() && both == mine.count;
  over = true;
  bool failed = false;
  const std::string said = last_words(&failed);
  if (settings.peer != 0) {
    if (!same) std::exit(kSame);  // the other says so
    return;
  }
  if (same || cut)
    plugin::print(plugin::format("No divergence :-)\nExecuted %" PRIu64 " instructions\n", done));
  else if (!failed)
    plugin::print(plugin::format("lockstep: the same %" PRIu64 " instructions, then %s ends\n", done,
                                 both == mine.count && last ? "this run" : settings.with.c_str()));
  if (!said.empty()) plugin::print("lockstep: " + settings.with + ": " + said + '\n');
  if (failed && !cut) std::exit(kUnknown);
  if (!same && !cut) end(kDiffers);
}

// ---- This side

/// The instruction at hand is over.
void complete() {
  const Kept& k = kept[(done + count) % kKept];
  uint64_t registers = 0;
  for (uint64_t value : k.registers) registers = mixed(registers, value);
  chunk[count++] = {k.insn->pc, k.vcpu, registers, k.memory};
  running = false;
}

void executed(unsigned vcpu, void* data) {
  if (over) return;
  if (running) complete();
  if (count == kChunk) exchange(false);
  if (over) return;
  Kept& k = kept[(done + count) % kKept];
  k.insn = static_cast<const Insn*>(data);
  k.vcpu = vcpu;
  k.icount = hindcast_icount();
  k.memory = 0;
  k.accesses.clear();
  if (settings.registers) {
    k.registers.resize(names.size());
    hindcast_read_registers(k.registers.data(), k.registers.size());
  }
  running = true;
}

void accessed(unsigned, qemu_plugin_meminfo_t info, uint64_t address, void*) {
  if (over || !running) return;
  Kept& k = kept[(done + count) % kKept];
  const Access a{address, qemu_plugin_mem_get_value(info).data.u64,
                 uint64_t{1} << qemu_plugin_mem_size_shift(info), qemu_plugin_mem_is_store(info)};
  k.memory = mixed(mixed(mixed(k.memory, a.address), a.value), a.bytes * 2 + (a.store ? 1 : 0));
  k.accesses.push_back(a);
}

void translated(qemu_plugin_tb* tb, void*) {
  for (std::size_t i = 0; i < qemu_plugin_tb_n_insns(tb); ++i) {
    qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(tb, i);
    // For good: what is kept points to it.
    auto* known =
        new Insn{qemu_plugin_insn_vaddr(insn), plugin::text_of(insn), qemu_plugin_insn_symbol(insn)};
    qemu_plugin_register_vcpu_insn_exec_cb(insn, executed, QEMU_PLUGIN_CB_R_REGS, known);
    if (settings.memory)
      qemu_plugin_register_vcpu_mem_cb(insn, accessed, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, nullptr);
  }
}

void begin(unsigned vcpu, void*) {
  if (vcpu != 0) return;
  GArray* all = qemu_plugin_get_registers();
  for (guint i = 0; i < all->len; ++i)
    names.emplace_back(g_array_index(all, qemu_plugin_reg_descriptor, i).name);
  g_array_free(all, TRUE);
}

void finish(void*) {
  if (over) return;
  if (running) complete();
  exchange(true);
}

}  // namespace

bool install_pair(qemu_plugin_id_t id, const qemu_info_t* info) {
  if (hindcast_icount == nullptr || hindcast_read_registers == nullptr || hindcast_limited == nullptr)
    return plugin::print("with= needs hindcast\n"), false;
  own_id = id;
  if (settings.peer != 0) {
    connection = static_cast<int>(settings.peer);
  } else if (!start_other(hindcast_icount())) {
    return plugin::print("the run of " + settings.with + " cannot be started\n"), false;
  }
  Hello mine, other;
  g_strlcpy(mine.target.data(), info->target_name, mine.target.size());
  mine.registers = hindcast_read_registers(nullptr, 0);
  mine.vcpus = info->system_emulation ? static_cast<uint64_t>(info->system.smp_vcpus) : 1;
  mine.options = (settings.registers ? 1 : 0) + (settings.memory ? 2 : 0);
  if (!give(&mine, sizeof mine) || !take(&other, sizeof other)) {
    const std::string said = last_words();
    return plugin::print(settings.with + ": " + (said.empty() ? "the run of it has gone" : said) + '\n'),
           false;
  }
  if (mine != other)
    return plugin::print(settings.with + ": another architecture, or another number of vCPUs\n"), false;
  qemu_plugin_register_vcpu_init_cb(id, begin, nullptr);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, nullptr);
  qemu_plugin_register_atexit_cb(id, finish, nullptr);
  return true;
}

}  // namespace lockstep
