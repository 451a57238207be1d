// Two commands side by side: each tells the other over a socket where every block begins, and says where they
// part. The first to come creates the socket.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <deque>

#include "plugins/bundled/lockstep/lockstep.h"

namespace lockstep {
namespace {

/// What is sent at each block; both ends are the same build.
struct State {
  uint64_t pc, insns, registers, memory;
};
/// What is sent first: that this is lockstep, and what it compares.
struct Greeting {
  char name[16] = "hindcast step 1";
  uint64_t registers, memory;
};
struct Block {
  uint64_t pc, insns;
};
struct Executed {
  const Block* block;
  uint64_t insns;  // so far, this block included
};

constexpr std::size_t kShown = 5;
constexpr int kAttempts = 200;
constexpr useconds_t kPauseUs = 10'000;
const std::string& path = settings.socket;
const bool &verbose = settings.verbose, &with_registers = settings.registers, &with_memory = settings.memory;
qemu_plugin_id_t own_id;
int connection = -1;
bool created = false, over = false;
uint64_t insns = 0, blocks = 0, memory = 0;
std::deque<Executed> history;  // the last first
std::vector<qemu_plugin_register*> registers;
GByteArray* bytes;
uint64_t divergences = 0, last_divergence = 0, last_distance = 0;

void hang_up() {
  over = true;
  if (connection >= 0) close(connection);
  connection = -1;
  if (created) unlink(path.c_str());
  created = false;
}

void give_up(const std::string& why) {
  plugin::print(why + '\n');
  hang_up();
  qemu_plugin_uninstall(own_id, nullptr, nullptr);
}

/// All of `size` bytes, to or from the other. Empty, or what is wrong.
template <typename Fn>
const char* transfer(Fn fn, std::size_t size, const char* problem, const char* less) {
  for (std::size_t done = 0; done < size;) {
    const ssize_t n = fn(done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? problem : less;
    done += static_cast<std::size_t>(n);
  }
  return nullptr;
}

/// Ours goes to the other, its own comes here. Empty, or what is wrong.
template <typename T>
const char* exchange(const T& us, T& them) {
  const char* problem = transfer(
      [&](std::size_t at, std::size_t n) {
        return send(connection, reinterpret_cast<const char*>(&us) + at, n, MSG_NOSIGNAL);
      },
      sizeof us, "problem writing to socket", "wrote less than expected to socket");
  if (problem != nullptr) return problem;
  return transfer(
      [&](std::size_t at, std::size_t n) { return read(connection, reinterpret_cast<char*>(&them) + at, n); },
      sizeof them, "problem reading from socket", "read less than expected");
}

uint64_t hash_registers() {
  uint64_t hash = 0;
  for (qemu_plugin_register* r : registers) {
    g_byte_array_set_size(bytes, 0);
    if (!qemu_plugin_read_register(r, bytes)) continue;
    for (guint i = 0; i < bytes->len; ++i) hash = mixed(hash, bytes->data[i]);
  }
  return hash;
}

void report(const State& us, const State& them) {
  const uint64_t distance = divergences == 0 ? 0 : blocks - last_divergence;
  const bool lost = us.pc == them.pc || (distance == 1 && last_distance == 1);
  ++divergences;
  last_divergence = blocks;
  last_distance = distance;
  if (verbose || distance == 1 || lost)
    plugin::print(plugin::format("@ 0x%016" PRIx64 " (%" PRIu64 ") vs 0x%016" PRIx64 " (%" PRIu64
                                 ") (%" PRIu64 "/%" PRIu64 " since last)\n",
                                 us.pc, us.insns, them.pc, them.insns, divergences, distance));
  if (!lost) return;
  std::string out = "Δ too high, we have diverged, previous insns\n";
  if (us.pc == them.pc)
    out = plugin::format("%s differ, we have diverged, previous insns\n",
                         us.registers != them.registers ? "registers" : "memory accesses");
  for (const Executed& e : history)
    out += plugin::format("  previously @ 0x%016" PRIx64 "/%" PRIu64 " (%" PRIu64 " insns)\n", e.block->pc,
                          e.block->insns, e.insns);
  plugin::print(out);
  give_up("giving up");
}

void executed(unsigned, void* data) {
  if (over) return;
  const auto* block = static_cast<const Block*>(data);
  State us{block->pc, insns, with_registers ? hash_registers() : 0, memory}, them{};
  if (const char* problem = exchange(us, them); problem != nullptr) return give_up(problem);
  if (us.pc != them.pc || (with_registers && us.registers != them.registers) ||
      (with_memory && us.memory != them.memory))
    report(us, them);
  insns += block->insns;
  ++blocks;
  history.push_front({block, insns});
  if (history.size() > kShown) history.pop_back();
}

void accessed(unsigned, qemu_plugin_meminfo_t info, uint64_t address, void*) {
  const qemu_plugin_mem_value value = qemu_plugin_mem_get_value(info);
  memory = mixed(mixed(memory, address), value.data.u64);
}

void translated(qemu_plugin_tb* tb, void*) {
  // For good: the history points to it.
  auto* block = new Block{qemu_plugin_tb_vaddr(tb), qemu_plugin_tb_n_insns(tb)};
  qemu_plugin_register_vcpu_tb_exec_cb(
      tb, executed, with_registers ? QEMU_PLUGIN_CB_R_REGS : QEMU_PLUGIN_CB_NO_REGS, block);
  for (std::size_t i = 0; with_memory && i < block->insns; ++i)
    qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), accessed, QEMU_PLUGIN_CB_NO_REGS,
                                     QEMU_PLUGIN_MEM_RW, nullptr);
}

void begin(unsigned vcpu, void*) {
  if (vcpu != 0) return;
  GArray* all = qemu_plugin_get_registers();
  for (guint i = 0; i < all->len; ++i)
    registers.push_back(g_array_index(all, qemu_plugin_reg_descriptor, i).handle);
  g_array_free(all, TRUE);
}

void finish(void*) {
  if (over) return;
  plugin::print(plugin::format("No divergence :-)\nExecuted %" PRIu64 "/%" PRIu64
                               " blocks\nExecuted ~%" PRIu64 " instructions\n",
                               blocks, blocks, insns));
  hang_up();
}

/// Connects to the other, or waits for it. False after a line.
bool connect_to_other() {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const auto fail = [&](const char* what) {
    plugin::print(plugin::format("%s %s: %s\n", what, path.c_str(), std::strerror(errno)));
    return false;
  };
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return plugin::print("sockpath=PATH is needed, of at most 107 characters\n"), false;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const auto* where = reinterpret_cast<const sockaddr*>(&address);
  // Both may come at the same moment: then one finds the name taken, and perhaps nobody listening yet.
  for (int attempt = 0; attempt < kAttempts; ++attempt, usleep(kPauseUs)) {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return fail("no socket for");
    if (connect(fd, where, sizeof address) == 0) return connection = fd, true;
    if (errno == ENOENT && bind(fd, where, sizeof address) == 0) {
      created = true;
      if (listen(fd, 1) == 0) connection = accept4(fd, nullptr, nullptr, SOCK_CLOEXEC);
      close(fd);
      if (connection >= 0) return true;
      const int problem = errno;
      hang_up();
      errno = problem;
      return fail("nobody connects to");
    }
    close(fd);
    if (errno != ECONNREFUSED && errno != EADDRINUSE && errno != ENOENT) return fail("cannot use");
  }
  plugin::print(plugin::format(
      "nobody answers at %s: if no command waits there (one was killed?), remove that socket\n",
      path.c_str()));
  return false;
}

/// Whether the other is lockstep too, and compares the same. False after a line.
bool greet() {
  Greeting us, them;
  us.registers = with_registers;
  us.memory = with_memory;
  const char* problem = exchange(us, them);
  if (problem == nullptr && std::memcmp(us.name, them.name, sizeof us.name) != 0)
    problem = "what answers is no lockstep of this build";
  else if (problem == nullptr && (us.registers != them.registers || us.memory != them.memory))
    problem = "the other compares something else: give both the same options";
  if (problem == nullptr) return true;
  plugin::print(plugin::format("%s: %s\n", path.c_str(), problem));
  hang_up();
  return false;
}

}  // namespace

bool install_blocks(qemu_plugin_id_t id, const qemu_info_t* info) {
  own_id = id;
  if (info->system_emulation && info->system.smp_vcpus > 1)
    plugin::print("lockstep: the vCPUs are compared in their order\n");
  if (!connect_to_other() || !greet()) return false;
  bytes = g_byte_array_new();
  if (with_registers) qemu_plugin_register_vcpu_init_cb(id, begin, nullptr);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, nullptr);
  qemu_plugin_register_atexit_cb(id, finish, nullptr);
  return true;
}

}  // namespace lockstep
