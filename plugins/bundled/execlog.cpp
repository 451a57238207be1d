// A line for each instruction executed:
//
//   vCPU, address, opcode, "text"[, load|store, address, device]...[, register -> value]...
//
// Options: ifilter=TEXT (only instructions whose text begins so; several), afilter=ADDRESS (only at this
// address; several), reg=PATTERN (registers to show when they change, with * and ?; several), rdisas (look at
// registers only after instructions whose text names one, or that ifilter lets through; with filters these
// are logged too).
#include <algorithm>
#include <map>
#include <memory>

#include "plugins/bundled/common.h"

BUNDLED_PLUGIN

namespace {

struct Register {
  qemu_plugin_register* handle;
  std::string name;
  GByteArray* now;
  GByteArray* last;
};

/// Texts are copied this many bytes at a time: most are shorter, and a length that is known costs least.
constexpr std::size_t kCopied = 64;

/// A translated instruction: what its line begins with.
struct Logged {
  std::string text;  // filled up to a multiple of kCopied
  std::size_t size;
  bool look;  // at the registers, after it
};

/// Of one vCPU.
struct Cpu {
  const Logged* runs = nullptr;  // the instruction that runs; nullptr: none is logged
  std::string more;              // of its line
  std::vector<Register> registers;
};

std::vector<std::string> prefixes, patterns;
std::vector<uint64_t> addresses;
bool only_named = false;
std::vector<Cpu> cpus;
std::vector<std::string> names;  // of the registers that are shown
std::map<std::pair<uint64_t, std::string>, std::unique_ptr<Logged>> logged;

// A counter for each vCPU: not 0 when a line waits for its registers.
qemu_plugin_scoreboard* scoreboard;
qemu_plugin_u64 waiting;

std::string buffer;
constexpr std::size_t kBuffer = 64 << 10;

void write_out() {
  if (!buffer.empty()) plugin::print(buffer);
  buffer.clear();
}

/// At least `digits` digits.
void append_hex(std::string& out, uint64_t value, unsigned digits) {
  char text[16];
  unsigned n = 0;
  do {
    text[n++] = "0123456789abcdef"[value & 15];
    value >>= 4;
  } while (value != 0);
  while (n < digits) text[n++] = '0';
  while (n != 0) out += text[--n];
}

void append_changes(Cpu& cpu) {
  for (Register& r : cpu.registers) {
    g_byte_array_set_size(r.now, 0);
    if (!qemu_plugin_read_register(r.handle, r.now)) continue;
    if (r.now->len == r.last->len && std::memcmp(r.now->data, r.last->data, r.now->len) == 0) continue;
    std::swap(r.now, r.last);
    cpu.more += ", " + r.name + " -> 0x";
    for (guint i = r.last->len; i-- > 0;) append_hex(cpu.more, r.last->data[i], 2);
  }
}

void append_line(unsigned vcpu) {
  Cpu& cpu = cpus[vcpu];
  if (vcpu < 10)
    buffer += static_cast<char>('0' + vcpu);
  else
    buffer += std::to_string(vcpu);
  const std::size_t end = buffer.size() + cpu.runs->size;
  for (std::size_t i = 0; i < cpu.runs->size; i += kCopied) buffer.append(cpu.runs->text.data() + i, kCopied);
  buffer.resize(end);
  if (!cpu.more.empty()) buffer += cpu.more;
  buffer += '\n';
  cpu.runs = nullptr;
  cpu.more.clear();
}

void finish_line(unsigned vcpu) {
  Cpu& cpu = cpus[vcpu];
  if (cpu.runs == nullptr) return;
  if (cpu.runs->look) append_changes(cpu);
  append_line(vcpu);
  if (buffer.size() >= kBuffer) write_out();
}

void executed(unsigned vcpu, void* insn) {
  finish_line(vcpu);
  cpus[vcpu].runs = static_cast<const Logged*>(insn);
}

/// After a logged instruction, before one that is not.
void executed_other(unsigned vcpu, void*) {
  finish_line(vcpu);
  qemu_plugin_u64_set(waiting, vcpu, 0);
}

void accessed(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void*) {
  if (cpus[vcpu].runs == nullptr) return;
  std::string& line = cpus[vcpu].more;
  line += qemu_plugin_mem_is_store(info) ? ", store, 0x" : ", load, 0x";
  const qemu_plugin_hwaddr* where = qemu_plugin_get_hwaddr(info, address);
  append_hex(line, where == nullptr ? address : qemu_plugin_hwaddr_phys_addr(where), 8);
  if (where == nullptr) return;
  line += ", ";
  const char* name =
      hindcast_hwaddr_register_name == nullptr ? nullptr : hindcast_hwaddr_register_name(where);
  line += name != nullptr ? name : qemu_plugin_hwaddr_device_name(where);
}

bool names_register(const std::string& text) {
  for (const std::string& name : names) {
    for (std::size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + 1)) {
      const auto part = [&](std::size_t i) {
        return i < text.size() && (std::isalnum(static_cast<unsigned char>(text[i])) != 0 || text[i] == '_');
      };
      if ((at == 0 || !part(at - 1)) && !part(at + name.size())) return true;
    }
  }
  return false;
}

bool begins_as_asked(const std::string& text) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& prefix) { return text.rfind(prefix, 0) == 0; });
}

void translated(qemu_plugin_tb* tb, void*) {
  const std::size_t n = qemu_plugin_tb_n_insns(tb);
  const bool all = prefixes.empty() && addresses.empty();
  for (std::size_t i = 0; i < n; ++i) {
    qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(tb, i);
    const uint64_t address = qemu_plugin_insn_vaddr(insn);
    const std::string text = plugin::text_of(insn);
    const bool asked = begins_as_asked(text), named = only_named && names_register(text);
    if (!all && !asked && !named &&
        std::find(addresses.begin(), addresses.end(), address) == addresses.end()) {
      if (!patterns.empty())
        qemu_plugin_register_vcpu_insn_exec_cond_cb(insn, executed_other, QEMU_PLUGIN_CB_R_REGS,
                                                    QEMU_PLUGIN_COND_NE, waiting, 0, nullptr);
      continue;
    }
    const bool look = !patterns.empty() && (!only_named || asked || named);
    uint64_t opcode = 0;
    qemu_plugin_insn_data(insn, &opcode, sizeof opcode);
    const std::string line =
        plugin::format(", 0x%" PRIx64 ", 0x%" PRIx64 ", \"%s\"", address, opcode, text.c_str());
    auto& slot = logged[{address, line}];
    if (!slot) {
      slot.reset(new Logged{line, line.size(), look});
      slot->text.resize((line.size() + kCopied - 1) / kCopied * kCopied);
    }
    qemu_plugin_register_vcpu_insn_exec_cb(
        insn, executed, patterns.empty() ? QEMU_PLUGIN_CB_NO_REGS : QEMU_PLUGIN_CB_R_REGS, slot.get());
    if (!all && !patterns.empty())
      qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, QEMU_PLUGIN_INLINE_STORE_U64, waiting, 1);
    qemu_plugin_register_vcpu_mem_cb(insn, accessed, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, nullptr);
  }
}

void begin(unsigned vcpu, void*) {
  if (cpus.size() <= vcpu) cpus.resize(vcpu + 1);
  GArray* array = qemu_plugin_get_registers();
  for (guint i = 0; i < array->len; ++i) {
    const auto& descriptor = g_array_index(array, qemu_plugin_reg_descriptor, i);
    if (std::none_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
          return g_pattern_match_simple(pattern.c_str(), descriptor.name) != FALSE;
        }))
      continue;
    Register r{descriptor.handle, descriptor.name, g_byte_array_new(), g_byte_array_new()};
    qemu_plugin_read_register(r.handle, r.last);
    cpus[vcpu].registers.push_back(r);
    if (std::find(names.begin(), names.end(), r.name) == names.end()) names.push_back(r.name);
  }
  g_array_free(array, TRUE);
}

/// Each names a register. QEMU knows its registers only later.
bool patterns_match() {
  if (hindcast_icount == nullptr) return true;
  GArray* array = qemu_plugin_get_registers();
  std::string unmatched;
  for (const std::string& pattern : patterns) {
    bool any = false;
    for (guint i = 0; i < array->len; ++i)
      any |= g_pattern_match_simple(pattern.c_str(),
                                    g_array_index(array, qemu_plugin_reg_descriptor, i).name) != FALSE;
    if (!any) unmatched = pattern;
  }
  g_array_free(array, TRUE);
  if (!unmatched.empty())
    plugin::print(plugin::format("reg=%s: there is no such register\n", unmatched.c_str()));
  return unmatched.empty();
}

void finish(void*) {
  for (unsigned vcpu = 0; vcpu < cpus.size(); ++vcpu)
    if (cpus[vcpu].runs != nullptr) append_line(vcpu);
  write_out();
}

bool parse_address(const char* text) {
  return plugin::Options::parse_whole(text, 16, addresses.emplace_back());
}

/// A register's last value is known at a part's beginning if it was looked at after every instruction.
bool possible(int argc, char** argv) {
  const auto has = [&](const char* name) { return plugin::has_option(argc, argv, name); };
  return !has("reg") || !(has("ifilter") || has("afilter") || has("rdisas"));
}

/// The text of the parts is all there is.
void save(GByteArray*) { finish(nullptr); }
bool merge(const uint8_t*, size_t) { return true; }

/// What registers held when the last part ended is no longer what they held last.
void begin_part() {
  for (Cpu& cpu : cpus) {
    for (const Register& r : cpu.registers) {
      g_byte_array_unref(r.now);
      g_byte_array_unref(r.last);
    }
    cpu.registers.clear();
  }
}

}  // namespace

extern "C" QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t*, int argc,
                                                      char** argv) {
  plugin::Options options;
  options.add("ifilter", [](const char* text) { return prefixes.emplace_back(text), *text != '\0'; });
  options.add("afilter", parse_address).flag("rdisas", only_named);
  options.add("reg", [](const char* text) { return patterns.emplace_back(text), *text != '\0'; });
  if (!options.parse(argc, argv) || !patterns_match()) return -1;
  scoreboard = qemu_plugin_scoreboard_new(sizeof(uint64_t));
  waiting = qemu_plugin_scoreboard_u64(scoreboard);
  qemu_plugin_register_vcpu_init_cb(id, begin, nullptr);
  qemu_plugin_register_vcpu_exit_cb(
      id,
      [](unsigned vcpu, void*) {
        finish_line(vcpu);
        write_out();  // before other plugins report
      },
      nullptr);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, nullptr);
  qemu_plugin_register_atexit_cb(id, finish, nullptr);
  return 0;
}

SEGMENTS_AGAIN(possible, save, merge, begin_part)
