// A trace of calls that uftrace reads: `uftrace replay -d uftrace.data`, `uftrace report`, and its other
// views. Options: dir=PATH (uftrace.data), trace-privilege-level (a track for each privilege level of a vCPU
// instead of one).
//
// Calls and returns are told by the instructions that end blocks, a return by where it leads. Interrupts and
// exceptions are calls of their handlers. The time is one nanosecond for each instruction of the vCPU, so
// that every run and replay writes the same. Functions' names come from the guest's symbols.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>

#include "plugins/bundled/common.h"

BUNDLED_PLUGIN

namespace {

enum class End { Other, Call, Return, TrapReturn };
struct Block {
  uint64_t pc, after;
  End end;
};
struct Frame {
  uint64_t function, back_at;
  bool trap;
};

/// One record of the file.
struct Record {
  uint64_t time, data;
};
enum class Kind : uint64_t { Entry, Exit };

constexpr std::size_t kKept = 1 << 16;   // records
constexpr std::size_t kMaxDepth = 1000;  // a record has ten bits for it

struct Track {
  unsigned id;
  std::string name;
  std::FILE* file;
  std::vector<Record> kept;

  void flush() {
    if (!kept.empty() && std::fwrite(kept.data(), sizeof(Record), kept.size(), file) != kept.size())
      failed = true;
    kept.clear();
  }
  /// `depth`: 1 for the outermost function, which the file calls 0.
  void add(uint64_t time, Kind kind, std::size_t depth, uint64_t function) {
    constexpr uint64_t kMagic = 5;
    if (depth > kMaxDepth) return;
    kept.push_back({time, static_cast<uint64_t>(kind) | kMagic << 3 | (depth - 1) << 6 | function << 16});
    if (kept.size() >= kKept) flush();
  }
  bool failed = false;
};

struct Cpu {
  std::vector<Frame> stack;
  const Block* last = nullptr;
  Track* track = nullptr;
  qemu_plugin_register* level = nullptr;
  bool level_changed = true;
};

constexpr unsigned kIdsPerCpu = 100;
std::string folder = "uftrace.data";
bool by_level = false;
std::vector<Cpu> cpus;
std::map<unsigned, std::unique_ptr<Track>> tracks;
std::map<uint64_t, std::string> functions;  // entered, by address
std::map<uint64_t, const char*> symbols;    // of blocks' beginnings
qemu_plugin_scoreboard* scoreboard;
qemu_plugin_u64 executed;
GByteArray* bytes;

[[noreturn]] void stop(const std::string& path) {
  plugin::print(plugin::format("uftrace: %s cannot be written: %s\n", path.c_str(), std::strerror(errno)));
  std::exit(1);
}

std::FILE* create(const std::string& name) {
  std::FILE* file = std::fopen((folder + "/" + name).c_str(), "wbe");
  if (file == nullptr) stop(folder + "/" + name);
  return file;
}

void write_file(const std::string& name, const std::string& data) {
  std::FILE* file = create(name);
  const bool written = std::fwrite(data.data(), 1, data.size(), file) == data.size();
  if (std::fclose(file) != 0 || !written) stop(folder + "/" + name);
}

Track& track_of(unsigned vcpu, uint64_t level) {
  const unsigned id = (vcpu + 1) * kIdsPerCpu + static_cast<unsigned>(level % kIdsPerCpu);
  auto& slot = tracks[id];
  if (!slot) {
    const std::string name =
        by_level ? plugin::format("cpu%u level%" PRIu64, vcpu, level) : plugin::format("cpu%u", vcpu);
    slot.reset(new Track{id, name, create(plugin::format("%u.dat", id)), {}});
  }
  return *slot;
}

uint64_t level_of(const Cpu& cpu) {
  g_byte_array_set_size(bytes, 0);
  return qemu_plugin_read_register(cpu.level, bytes) && bytes->len != 0 ? bytes->data[0] : 0;
}

void enter(Cpu& cpu, uint64_t time, const Frame& frame) {
  cpu.stack.push_back(frame);
  cpu.track->add(time, Kind::Entry, cpu.stack.size(), frame.function);
  auto& name = functions[frame.function];
  if (auto known = symbols.find(frame.function);
      name.empty() && known != symbols.end() && known->second != nullptr)
    name = known->second;
}

void leave(Cpu& cpu, uint64_t time) {
  cpu.track->add(time, Kind::Exit, cpu.stack.size(), cpu.stack.back().function);
  cpu.stack.pop_back();
}

/// Leaves functions up to the last one that fits; none if none does.
template <typename Fits>
void leave_to(Cpu& cpu, uint64_t time, Fits fits) {
  const auto found = std::find_if(cpu.stack.rbegin(), cpu.stack.rend(), fits);
  if (found == cpu.stack.rend()) return;
  for (auto count = found - cpu.stack.rbegin() + 1; count != 0; --count) leave(cpu, time);
}

/// The stack moves to the track of the level that the vCPU has now.
void follow_level(Cpu& cpu, unsigned vcpu, uint64_t time) {
  Track& now = track_of(vcpu, by_level ? level_of(cpu) : 0);
  cpu.level_changed = false;
  if (cpu.track == &now) return;
  for (std::size_t depth = cpu.stack.size(); cpu.track != nullptr && depth != 0; --depth)
    cpu.track->add(time, Kind::Exit, depth, cpu.stack[depth - 1].function);
  cpu.track = &now;
  for (std::size_t depth = 1; depth <= cpu.stack.size(); ++depth)
    cpu.track->add(time, Kind::Entry, depth, cpu.stack[depth - 1].function);
}

void arrived(unsigned vcpu, void* data) {
  const auto* block = static_cast<const Block*>(data);
  Cpu& cpu = cpus[vcpu];
  const uint64_t time = qemu_plugin_u64_get(executed, vcpu);
  const Block* last = std::exchange(cpu.last, block);
  if (last != nullptr && last->end == End::TrapReturn) {
    leave_to(cpu, time, [](const Frame& f) { return f.trap; });
    cpu.level_changed = true;
  }
  if (cpu.level_changed) follow_level(cpu, vcpu, time);
  if (cpu.stack.empty())
    enter(cpu, time, {block->pc, 0, false});
  else if (last != nullptr && last->end == End::Call && block->pc != last->after)
    enter(cpu, time, {block->pc, last->after, false});
  else if (last != nullptr && last->end == End::Return)
    leave_to(cpu, time, [&](const Frame& f) { return f.back_at == block->pc; });
}

void trapped(unsigned vcpu, qemu_plugin_discon_type type, uint64_t from, uint64_t to, void*) {
  Cpu& cpu = cpus[vcpu];
  if (type == QEMU_PLUGIN_DISCON_HOSTCALL || cpu.track == nullptr) return;
  const uint64_t time = qemu_plugin_u64_get(executed, vcpu);
  cpu.last = nullptr;
  follow_level(cpu, vcpu, time);
  enter(cpu, time, {to, from, true});
}

End end_of(const std::string& text) {
  const std::string word = text.substr(0, text.find_first_of(" \t"));
  const auto is = [&](std::initializer_list<const char*> words) {
    return std::any_of(words.begin(), words.end(), [&](const char* w) { return word == w; });
  };
  if (is({"jal", "jalr", "c.jal", "c.jalr", "call", "bl", "blx"})) return End::Call;
  if (is({"mret", "sret", "uret", "dret", "eret", "rfe", "iret"})) return End::TrapReturn;
  if (is({"ret", "jr", "c.jr", "bx", "pop", "pop.w", "ldm", "ldm.w", "ldmia", "ldmia.w", "ldr", "ldr.w",
          "mov"}))
    return End::Return;
  return End::Other;
}

void translated(qemu_plugin_tb* tb, void*) {
  const std::size_t n = qemu_plugin_tb_n_insns(tb);
  const qemu_plugin_insn* last = qemu_plugin_tb_get_insn(tb, n - 1);
  const uint64_t pc = qemu_plugin_tb_vaddr(tb);
  symbols[pc] = qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(tb, 0));
  // For good: a vCPU may be in one that is announced again.
  auto* block = new Block{pc, qemu_plugin_insn_vaddr(last) + qemu_plugin_insn_size(last),
                          end_of(plugin::text_of(last))};
  qemu_plugin_register_vcpu_tb_exec_cb(tb, arrived, by_level ? QEMU_PLUGIN_CB_R_REGS : QEMU_PLUGIN_CB_NO_REGS,
                                       block);
  qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, executed, n);
}

void begin(unsigned vcpu, void*) {
  if (cpus.size() <= vcpu) cpus.resize(vcpu + 1);
  if (!by_level) return;
  GArray* all = qemu_plugin_get_registers();
  for (guint i = 0; i < all->len; ++i) {
    const auto& descriptor = g_array_index(all, qemu_plugin_reg_descriptor, i);
    if (std::strcmp(descriptor.name, "priv") == 0) cpus[vcpu].level = descriptor.handle;
  }
  g_array_free(all, TRUE);
  if (cpus[vcpu].level == nullptr) {
    plugin::print(
        "uftrace: this guest's privilege level is in no register; leave trace-privilege-level out\n");
    std::exit(1);
  }
}

void write_info() {
  // Magic, version 4, 40 bytes of header, little endian, 64 bit; then features, which lines follow, the
  // deepest stack.
  std::string info = "Ftrace!";
  info += '\0';
  for (const auto& [value, size] : std::initializer_list<std::pair<uint64_t, unsigned>>{
           {4, 4}, {40, 2}, {1, 1}, {2, 1}, {0x1263, 8}, {0x7bff, 8}, {1024, 2}, {0, 6}})
    for (unsigned i = 0; i < size; ++i) info += static_cast<char>(value >> (8 * i));
  std::string ids, task;
  for (const auto& [id, track] : tracks) {
    ids += (ids.empty() ? "" : ",") + std::to_string(id);
    task +=
        plugin::format("SESS timestamp=0.0 pid=%u sid=0 exename=\"%s\"\nTASK timestamp=0.0 tid=%u pid=%u\n",
                       id, track->name.c_str(), id, id);
  }
  info +=
      "exename:guest\nbuild_id:0000000000000000000000000000000000000000\nexit_status:0\ncmdline:guest\n"
      "cpuinfo:lines=2\ncpuinfo:nr_cpus=1\ncpuinfo:desc=guest\nmeminfo:0\nosinfo:lines=3\nosinfo:kernel=\n"
      "osinfo:hostname=\nosinfo:distro=\ntaskinfo:lines=2\n";
  info += plugin::format("taskinfo:nr_tid=%zu\ntaskinfo:tids=%s\n", tracks.size(), ids.c_str());
  info +=
      "usageinfo:lines=6\nusageinfo:systime=0\nusageinfo:usrtime=0\nusageinfo:ctxsw=0 / "
      "0\nusageinfo:maxrss=0\n"
      "usageinfo:pagefault=0 / 0\nusageinfo:iops=0 / 0\nloadinfo:0\nrecord_date:\nelapsed_time:0\n"
      "pattern_type:regex\nuftrace_version:\nutc_offset:0\n";
  write_file("info", info);
  write_file("task.txt", task);
}

void finish(void*) {
  for (std::size_t vcpu = 0; vcpu < cpus.size(); ++vcpu)
    while (!cpus[vcpu].stack.empty())
      leave(cpus[vcpu], qemu_plugin_u64_get(executed, static_cast<unsigned>(vcpu)));
  for (auto& [id, track] : tracks) {
    track->flush();
    if (std::fclose(track->file) != 0 || track->failed) plugin::print("uftrace: a track is not complete\n");
  }
  write_info();
  // The stack at the very top, so that no address is taken for the kernel's.
  write_file("sid-0.map",
             "000000000000-fffffffff000 r-xp 00000000 00:00 0 guest\nffffffffffff-ffffffffffff rw-p 00000000 "
             "00:00 0 [stack]\n");
  std::string table;
  for (const auto& [address, name] : functions)
    table += plugin::format("%016" PRIx64 " T %s\n", address,
                            name.empty() ? plugin::format("0x%" PRIx64, address).c_str() : name.c_str());
  // The reader takes a symbol's end from the next one.
  constexpr uint64_t kLastSize = 4096;
  if (!functions.empty())
    table += plugin::format("%016" PRIx64 " ? __sym_end\n", functions.rbegin()->first + kLastSize);
  write_file("guest.sym", table);
}

}  // namespace

extern "C" QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t*, int argc,
                                                      char** argv) {
  if (!plugin::Options().text("dir", folder).flag("trace-privilege-level", by_level).parse(argc, argv))
    return -1;
  if (mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST)
    return plugin::print(plugin::format("%s cannot be made: %s\n", folder.c_str(), std::strerror(errno))), -1;
  if (!plugin::can_write(folder + "/info")) return -1;
  bytes = g_byte_array_new();
  scoreboard = qemu_plugin_scoreboard_new(sizeof(uint64_t));
  executed = qemu_plugin_scoreboard_u64(scoreboard);
  qemu_plugin_register_vcpu_init_cb(id, begin, nullptr);
  qemu_plugin_register_vcpu_discon_cb(id, QEMU_PLUGIN_DISCON_ALL, trapped, nullptr);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, nullptr);
  qemu_plugin_register_atexit_cb(id, finish, nullptr);
  return 0;
}
