// Counts instructions by class. Options: inline (counters instead of callbacks), verbose (classes without
// hits too), count=CLASS (every instruction of the class by itself; several), count=!CLASS (not at all),
// count=all.
#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "plugins/bundled/common.h"

BUNDLED_PLUGIN

namespace {

struct Counter {
  uint64_t called = 0;
  qemu_plugin_u64 counted{};
  uint64_t value() const { return called + (counted.score != nullptr ? qemu_plugin_u64_sum(counted) : 0); }
};
enum class How { Together, Individually, Not };
struct Class {
  std::string name;
  How how = How::Together;
  Counter counter;
};
struct Individual {
  const Class* of;
  uint64_t opcode;
  std::string text;
  Counter counter;
};

bool use_inline = false, verbose = false;
bool all_individually = false;
std::map<std::string, How> wanted;  // by the class's short name
std::map<std::string, std::unique_ptr<Class>> classes;
std::map<std::pair<uint64_t, std::string>, std::unique_ptr<Individual>> individuals;

constexpr std::size_t kPerScoreboard = 1024;
qemu_plugin_scoreboard* scoreboard;
std::size_t used = kPerScoreboard;

void prepare(Counter& counter) {
  if (!use_inline || counter.counted.score != nullptr) return;
  if (used == kPerScoreboard) {
    scoreboard = qemu_plugin_scoreboard_new(kPerScoreboard * sizeof(uint64_t));
    used = 0;
  }
  counter.counted = {scoreboard, used++ * sizeof(uint64_t)};
}

/// As it is written after count=: small letters, nothing else.
std::string short_name(const std::string& name) {
  std::string out;
  for (char c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

Class& class_named(const std::string& name) {
  auto& slot = classes[name];
  if (!slot) {
    slot = std::make_unique<Class>();
    slot->name = name;
    if (all_individually) slot->how = How::Individually;
    if (auto it = wanted.find(short_name(slot->name)); it != wanted.end()) slot->how = it->second;
    prepare(slot->counter);
  }
  return *slot;
}

Class& class_of(const qemu_plugin_insn* insn) {
  const char* name = hindcast_insn_class != nullptr ? hindcast_insn_class(insn) : nullptr;
  return class_named(name == nullptr ? "Unclassified" : name);
}

Individual& individual(uint64_t opcode, const std::string& text, const Class& of) {
  auto& slot = individuals[{opcode, text}];
  if (!slot) {
    slot.reset(new Individual{&of, opcode, text, {}});
    prepare(slot->counter);
  }
  return *slot;
}

Individual& individual_of(const qemu_plugin_insn* insn, const Class& of) {
  uint64_t opcode = 0;
  qemu_plugin_insn_data(insn, &opcode, sizeof opcode);
  return individual(opcode, plugin::text_of(insn), of);
}

void executed(unsigned, void* counter) { ++static_cast<Counter*>(counter)->called; }

void translated(qemu_plugin_tb* tb, void*) {
  const std::size_t n = qemu_plugin_tb_n_insns(tb);
  for (std::size_t i = 0; i < n; ++i) {
    qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(tb, i);
    Class& of = class_of(insn);
    if (of.how == How::Not) continue;
    Counter& counter = of.how == How::Together ? of.counter : individual_of(insn, of).counter;
    if (use_inline)
      qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, QEMU_PLUGIN_INLINE_ADD_U64, counter.counted,
                                                          1);
    else
      qemu_plugin_register_vcpu_insn_exec_cb(insn, executed, QEMU_PLUGIN_CB_NO_REGS, &counter);
  }
}

void report(void*) {
  std::string out = "Instruction Classes:\n";
  for (const auto& [name, of] : classes) {
    const uint64_t hits = of->counter.value();
    if (of->how == How::Individually)
      out += plugin::format("Class: %-24s\tcounted individually\n", name.c_str());
    else if (of->how == How::Not)
      out += plugin::format("Class: %-24s\tnot counted\n", name.c_str());
    else if (hits != 0 || verbose)
      out += plugin::format("Class: %-24s\t(%" PRIu64 " hits)\n", name.c_str(), hits);
  }
  std::vector<const Individual*> sorted;
  for (const auto& [key, one] : individuals)
    if (one->counter.value() != 0) sorted.push_back(one.get());
  std::stable_sort(sorted.begin(), sorted.end(), [](const Individual* a, const Individual* b) {
    return a->counter.value() > b->counter.value();
  });
  if (!sorted.empty()) out += "Individual Instructions:\n";
  for (const Individual* one : sorted)
    out += plugin::format("Instr: %-24s\t(%" PRIu64 " hits)\t(op=0x%08" PRIx64 "/%s)\n", one->text.c_str(),
                          one->counter.value(), one->opcode, one->of->name.c_str());
  plugin::print(out);
}

bool parse_count(const char* text) {
  const bool drop = *text == '!';
  const std::string name = short_name(drop ? text + 1 : text);
  if (name.empty()) return false;
  if (name == "all" && !drop)
    all_individually = true;
  else
    wanted[name] = drop ? How::Not : How::Individually;
  return true;
}

/// Each name after count= is a class.
bool names_classes() {
  if (hindcast_insn_class_name == nullptr || hindcast_insn_class_name(0) == nullptr) return true;
  std::set<std::string> known;
  std::string list;
  const char* name = nullptr;
  for (std::size_t i = 0; (name = hindcast_insn_class_name(i)) != nullptr; ++i) {
    known.insert(short_name(name));
    list += ", " + short_name(name);
  }
  for (const auto& [asked, how] : wanted) {
    if (known.count(asked) != 0) continue;
    plugin::print(
        plugin::format("count=%s: there is no such class; there is all%s\n", asked.c_str(), list.c_str()));
    return false;
  }
  return true;
}

void save(GByteArray* out) {
  plugin::Saved saved(out);
  saved.number(classes.size());
  for (const auto& [name, of] : classes) saved.text(name).number(of->counter.value());
  for (const auto& [key, one] : individuals)
    saved.text(one->of->name).number(one->opcode).text(one->text).number(one->counter.value());
}

bool merge(const uint8_t* data, size_t size) {
  plugin::Loaded loaded(data, size);
  for (uint64_t left = loaded.number(); left != 0 && loaded.ok(); --left) {
    Class& of = class_named(loaded.text());
    of.counter.called += loaded.number();
  }
  while (loaded.ok() && !loaded.done()) {
    const Class& of = class_named(loaded.text());
    const uint64_t opcode = loaded.number();
    const std::string text = loaded.text();
    individual(opcode, text, of).counter.called += loaded.number();
  }
  return loaded.ok();
}

void clear(Counter& counter) {
  counter.called = 0;
  for (unsigned i = 0; counter.counted.score != nullptr && i < plugin::vcpus(); ++i)
    qemu_plugin_u64_set(counter.counted, i, 0);
}

void begin_part() {
  for (const auto& [name, of] : classes) clear(of->counter);
  for (const auto& [key, one] : individuals) clear(one->counter);
}

}  // namespace

extern "C" QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t*, int argc,
                                                      char** argv) {
  plugin::Options options;
  options.flag("inline", use_inline).flag("verbose", verbose).add("count", parse_count);
  if (!options.parse(argc, argv) || !names_classes()) return -1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated, nullptr);
  qemu_plugin_register_atexit_cb(id, report, nullptr);
  return 0;
}

SEGMENTS_AGAIN(nullptr, save, merge, begin_part)
