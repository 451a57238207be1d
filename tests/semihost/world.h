// A machine without instructions: enough of an architecture for the semihosting service to read and write
// guest memory and to give its results, and an input port whose host half is the real one.
#pragma once
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <map>
#include <optional>

#include "engine/machine.h"
#include "semihost/host_files.h"
#include "semihost/service.h"

namespace hindcast::semihost::test {

constexpr GuestAddr kRam = 0x80000000;
constexpr u64 kRamSize = 0x40000;

struct NullArchitecture final : Architecture {
  const char* name() const override { return "null"; }
  std::string cpu_description() const override { return "null"; }
  std::span<const RegisterRow> registers() const override { return {}; }
  unsigned pc_register() const override { return 0; }
  unsigned address_bits() const override { return 64; }
  unsigned insn_alignment() const override { return 4; }
  unsigned max_insn_bytes() const override { return 4; }
  std::size_t state_bytes() const override { return sizeof(CpuHeader); }
  void reset(Vcpu&, GuestAddr) const override {}
  void state(Vcpu&, Archive&) const override {}
  u64 read_register(const Vcpu&, unsigned) const override { return 0; }
  bool write_register(Vcpu&, unsigned, u64) const override { return false; }
  u64 context(const Vcpu&) const override { return 0; }
  MemoryMode memory_mode(u64) const override { return MemoryMode::Flat; }
  InsnInfo translate_insn(ir::Builder&, GuestAddr, ByteView) const override { return {}; }
  unsigned disassemble(GuestAddr, ByteView, std::string&) const override { return 0; }
  const char* insn_class(ByteView) const override { return ""; }
  Translation translate(Vcpu&, GuestAddr va, unsigned, Access) const override {
    return {true, va, 4096, 0, 0};
  }
  void enter_exception(Vcpu&, const GuestFault&) const override {}
  GuestFault bus_fault(GuestAddr, Access) const override { return {}; }
  GuestFault misaligned_fault(GuestAddr, Access) const override { return {}; }
  void set_irq(Vcpu&, unsigned, bool) const override {}
  bool interrupt_pending(const Vcpu&) const override { return false; }
  void enter_interrupt(Vcpu&) const override {}
  bool wakes(const Vcpu&) const override { return false; }
};

/// Answers file requests from the host half (or from `scripted`), keeps what was asked and printed.
struct Port final : InputPort {
  explicit Port(const std::string& root) : files(root) {}
  Bytes answer(InputKind kind, Channel, ByteView request) override {
    ++answers;
    if (scripted) return *scripted;
    if (kind == InputKind::RealTime) return {0x00, 0x80, 0xc6, 0xa4, 0x7e, 0x8d, 0x03, 0x00};  // 10^15 ns
    return files.serve(request);
  }
  void ask(InputKind kind, Channel, ByteView request) override {
    EXPECT_EQ(kind, InputKind::SemihostConsole);
    ASSERT_EQ(request.size(), 4u);
    asked.push_back(request[0] | u32{request[1]} << 8 | u32{request[2]} << 16 | u32{request[3]} << 24);
  }
  void attach(Channel, InputKind kind, InputSink* to) override {
    EXPECT_EQ(kind, InputKind::SemihostConsole);
    sink = to;
  }
  void ready(Channel) override {}
  void output(Channel, ByteView data) override { console.append(data.begin(), data.end()); }

  HostFiles files;
  std::optional<Bytes> scripted;
  InputSink* sink = nullptr;
  std::string console;
  std::vector<u32> asked;
  unsigned answers = 0;
};

/// Where results go: by vCPU index.
inline std::map<unsigned, u64>& results() {
  static std::map<unsigned, u64> map;
  return map;
}

inline MachineOptions two_vcpus() {
  MachineOptions options;
  options.smp = 2;
  options.engine.jit = false;
  return options;
}

class World : public ::testing::Test {
 protected:
  World() : folder(make_folder()), port(folder), machine(arch, two_vcpus(), 64) {
    machine.set_port(&port);
    machine.memory().add_ram("ram", kRam, kRamSize);
    convention.set_result = [](Vcpu& vcpu, u64 value) { results()[vcpu.index()] = value; };
    Options options;
    options.command_line = {"image.elf", "one", "two"};
    options.heap_base = kRam + 0x1000;
    options.heap_limit = kRam + kRamSize;
    options.set_result = convention.set_result;
    service = &machine.add_device<Service>(machine, options);
    results().clear();
  }
  ~World() override { std::filesystem::remove_all(folder); }

  static std::string make_folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "hindcast-semihost-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    return pattern;
  }

  void poke(GuestAddr at, const void* data, std::size_t size) {
    ASSERT_TRUE(machine.vcpu(0).write_memory(at, data, size));
  }
  void poke(GuestAddr at, const std::string& text) { poke(at, text.c_str(), text.size() + 1); }
  std::string peek(GuestAddr at, std::size_t size) {
    std::string out(size, '\0');
    EXPECT_TRUE(machine.vcpu(0).read_memory(at, out.data(), size));
    return out;
  }
  void put_word(GuestAddr at, u64 value) {
    unsigned n = convention.word_bytes;
    for (unsigned i = 0; i < n; ++i) {
      u8 byte = static_cast<u8>(value >> (8 * (convention.big_endian ? n - 1 - i : i)));
      poke(at + i, &byte, 1);
    }
  }
  u64 get_word(GuestAddr at) {
    unsigned n = convention.word_bytes;
    std::string bytes = peek(at, n);
    u64 value = 0;
    for (unsigned i = 0; i < n; ++i)
      value |= u64{static_cast<u8>(bytes[convention.big_endian ? n - 1 - i : i])} << (8 * i);
    return value;
  }
  /// A call with the block of `words` at kBlock.
  i64 call(u32 op, std::initializer_list<u64> words, unsigned vcpu = 0) {
    unsigned i = 0;
    for (u64 word : words) put_word(kBlock + convention.word_bytes * i++, word);
    return call_with(op, kBlock, vcpu);
  }
  i64 call_with(u32 op, u64 parameter, unsigned vcpu = 0) {
    results().erase(vcpu);
    service->call(machine.vcpu(vcpu), op, parameter, convention);
    return results().contains(vcpu) ? static_cast<i64>(results()[vcpu]) : kParked;
  }
  i64 open(const std::string& name, u64 mode) {
    poke(kName, name);
    return call(0x01, {kName, mode, name.size()});
  }
  void receive(const std::string& text) {
    ASSERT_NE(port.sink, nullptr);
    port.sink->receive(InputKind::SemihostConsole, {reinterpret_cast<const u8*>(text.data()), text.size()});
  }

  static constexpr GuestAddr kBlock = kRam + 0x100, kName = kRam + 0x200, kBuffer = kRam + 0x2000;
  static constexpr i64 kParked = INT64_MIN;

  NullArchitecture arch;
  std::string folder;
  Port port;
  Machine machine;
  Convention convention;
  Service* service = nullptr;
};

}  // namespace hindcast::semihost::test
