#include "tests/engine/guest.h"

#include <cstring>
#include <fstream>
#include <iterator>

#include "targets/targets.h"

namespace hindcast::test {

Guest::Guest(const Board& board, const EngineOptions& engine) {
  static const bool registered = (targets::register_all(), true);
  (void)registered;
  MachineConfig config;
  config.machine = "virt";
  config.cpu = board.cpu;
  config.smp = board.smp;
  config.memory_bytes = board.memory;
  config.icount_shift = board.icount_shift;
  config.semihosting = board.semihosting;
  config.guest_args = board.args;
  config.files.push_back({"kernel", "image", kNever, board.image});
  if (!board.tree.empty()) {
    config.machine = "board";
    config.files.push_back({"board", "board.dts", kNever, Bytes(board.tree.begin(), board.tree.end())});
  }
  machine_ = Registry::instance().build(config, engine, port_);
}

StopReason Guest::run_to(Icount limit) {
  for (;;) {
    const StopReason reason = machine_->run(limit);
    if (reason != StopReason::Idle || machine_->next_wakeup() == kNever) return reason;
    machine_->warp_to(machine_->next_wakeup());
  }
}

Bytes Guest::state() {
  SaveArchive ar;
  machine_->state(ar);
  return ar.take();
}

void Guest::load(const Bytes& state) {
  LoadArchive ar(state);
  machine_->state(ar);
  EXPECT_TRUE(ar.at_end());
}

u64 Guest::reg(const std::string& name, unsigned vcpu) {
  const auto rows = machine_->arch().registers();
  for (unsigned row = 0; row < rows.size(); ++row)
    if (name == rows[row].name || name == rows[row].abi_name)
      return machine_->arch().read_register(machine_->vcpu(vcpu), row);
  ADD_FAILURE() << "no register " << name;
  return 0;
}

u64 Guest::x(unsigned n, unsigned vcpu) { return reg("x" + std::to_string(n), vcpu); }

u32 Guest::word(GuestAddr pa) {
  u32 value = 0;
  EXPECT_TRUE(machine_->memory().host_read(pa, &value, sizeof value)) << std::hex << pa;
  return value;
}

void Guest::set_word(GuestAddr pa, u32 value) {
  EXPECT_TRUE(machine_->memory().host_write(pa, &value, sizeof value)) << std::hex << pa;
}

std::vector<ByteView> Guest::ram() {
  std::vector<ByteView> blocks;
  for (const auto& block : machine_->memory().ram_blocks())
    if (!block->rom) blocks.push_back({block->host, block->size});
  return blocks;
}

void Guest::copy_ram_from(Guest& other) {
  for (const auto& block : other.machine().memory().ram_blocks())
    if (!block->rom) machine_->memory().host_write(block->base, block->host, block->size);
}

EngineOptions jit() { return {}; }

EngineOptions interpreter() {
  EngineOptions options;
  options.jit = false;
  return options;
}

EngineOptions chaos(u64 seed) {
  EngineOptions options;
  options.chaos_seed = seed;
  return options;
}

std::vector<Engine> engines() {
  std::vector<Engine> all = {{"jit", jit()},
                             {"interpreter", interpreter()},
                             {"chaos 1", chaos(1)},
                             {"chaos 77", chaos(77)},
                             {"chaos 4242", chaos(4242)}};
  Engine small{"small cache", jit()};
  small.options.code_cache_bytes = 256u << 10;
  all.push_back(small);
  const std::vector<std::string> features = {"avx512", "bmi1",   "bmi2", "fma",
                                             "lzcnt",  "popcnt", "avx",  "fsgsbase"};
  for (const std::string& feature : features) {
    all.push_back({"no " + feature, jit()});
    all.back().options.host_features_off = {feature};
  }
  all.push_back({"no features", jit()});
  all.back().options.host_features_off = features;
  return all;
}

namespace {

std::string hex(const Bytes& value) {
  std::string text;
  for (std::size_t i = value.size(); i-- > 0;) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", value[i]);
    text += digits;
  }
  return text;
}

}  // namespace

std::string difference(Guest& got, Guest& want) {
  std::string text;
  if (got.state() != want.state()) {
    TextArchive a, b;
    got.machine().state(a);
    want.machine().state(b);
    if (a.fields().size() != b.fields().size()) return "another number of fields";
    for (std::size_t i = 0; i < a.fields().size(); ++i)
      if (a.fields()[i].value != b.fields()[i].value)
        text += a.fields()[i].section + "." + a.fields()[i].name + " is " + hex(a.fields()[i].value) +
                ", not " + hex(b.fields()[i].value) + "\n";
    if (text.empty()) text = "the state differs\n";
  }
  const auto a = got.ram(), b = want.ram();
  for (std::size_t block = 0; block < a.size(); ++block) {
    if (std::memcmp(a[block].data(), b[block].data(), a[block].size()) == 0) continue;
    std::size_t at = 0;
    while (a[block][at] == b[block][at]) ++at;
    char line[80];
    std::snprintf(line, sizeof line, "RAM at offset 0x%zx is %02x, not %02x\n", at, a[block][at],
                  b[block][at]);
    text += line;
  }
  if (got.output() != want.output())
    text += "output is '" + got.output() + "', not '" + want.output() + "'\n";
  return text;
}

Bytes guest_elf(const std::string& name) {
  std::ifstream in(std::string(HINDCAST_GUEST_DIR) + "/" + name + ".elf", std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(in), {});
}

}  // namespace hindcast::test
