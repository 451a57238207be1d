// A `virt` machine whose devices tests reach as the guest would: by physical address.
#pragma once
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>

#include "engine/registry.h"
#include "targets/targets.h"
#include "tests/devices/fake_port.h"

namespace hindcast::test {

inline constexpr GuestAddr kFinisher = 0x100000, kRtc = 0x101000, kClint = 0x2000000, kPlic = 0xc000000,
                           kUart = 0x10000000, kFlash = 0x20000000, kRam = 0x80000000;
inline constexpr unsigned kUartSource = 10, kRtcSource = 11;

/// tests/devices/small_board.dts.
inline Bytes small_board() {
  std::ifstream in(HINDCAST_SOURCE_DIR "/tests/devices/small_board.dts");
  EXPECT_TRUE(in.good());
  return Bytes(std::istreambuf_iterator<char>(in), {});
}

inline void append32(Bytes& out, u32 word) {
  for (unsigned i = 0; i < 4; ++i) out.push_back(static_cast<u8>(word >> (8 * i)));
}

/// "j ." : a program for tests that need none.
inline Bytes idle_program() {
  Bytes program;
  append32(program, 0x0000006f);
  return program;
}

class VirtTest : public testing::Test {
 protected:
  MachineConfig config(Bytes image = idle_program()) {
    MachineConfig config;
    config.machine = "virt";
    config.memory_bytes = 8u << 20;
    config.files.push_back({"kernel", "image", kNever, std::move(image)});
    return config;
  }
  void build(MachineConfig c) {
    targets::register_all();
    EngineOptions engine;
    engine.jit = false;
    engine.note = [this](const std::string& line) { notes.push_back(line); };
    machine = Registry::instance().build(c, engine, port);
    built = c;
  }
  void build() { build(config()); }

  u64 read(GuestAddr pa, unsigned size = 4) {
    u64 value = 0;
    EXPECT_TRUE(machine->memory().read(pa, size, &value)) << std::hex << pa;
    return value;
  }
  void write(GuestAddr pa, u64 value, unsigned size = 4) {
    EXPECT_TRUE(machine->memory().write(pa, size, value)) << std::hex << pa;
  }
  u64 reg(const char* name, unsigned hart = 0) {
    auto rows = machine->arch().registers();
    for (unsigned i = 0; i < rows.size(); ++i)
      if (std::strcmp(rows[i].name, name) == 0 || std::strcmp(rows[i].abi_name, name) == 0)
        return machine->arch().read_register(machine->vcpu(hart), i);
    ADD_FAILURE() << "no register " << name;
    return 0;
  }
  /// The level of a device's line, as the PLIC shows it: a claim and a completion leave it pending only if it
  /// is high.
  bool source_level(unsigned source) {
    const GuestAddr priority = kPlic + 4 * source, enable = kPlic + 0x2000 + source / 32 * 4,
                    claim = kPlic + 0x200004;
    write(priority, 7);
    write(enable, 1u << (source % 32));
    while (u64 claimed = read(claim)) {
      EXPECT_EQ(claimed, source);
      write(claim, claimed);
      if ((read(kPlic + 0x1000 + source / 32 * 4) >> (source % 32) & 1) != 0) return true;
    }
    return false;
  }
  bool line(unsigned bit, unsigned hart = 0) { return (reg("mip", hart) >> bit & 1) != 0; }
  void pass(VirtualNs ns) {
    machine->warp_to(machine->clock().now() + ns);
    machine->clock().fire_due();
  }
  Bytes save() {
    SaveArchive ar;
    machine->state(ar);
    return ar.take();
  }
  /// Saves, changes the machine by `change`, loads, and expects the saved state again.
  template <typename F>
  void expect_state_survives(F&& change) {
    Bytes before = save();
    change();
    EXPECT_NE(save(), before);
    LoadArchive ar(before);
    machine->state(ar);
    EXPECT_TRUE(ar.at_end());
    EXPECT_EQ(save(), before);
  }

  FakePort port;
  std::vector<std::string> notes;  // lines for the user
  MachineConfig built;
  std::unique_ptr<Machine> machine;
};

/// The one line that a call throws; empty if it throws nothing.
template <typename F>
std::string fatal_message(F&& call) {
  try {
    call();
  } catch (const Fatal& fatal) {
    EXPECT_EQ(std::string(fatal.what()).find('\n'), std::string::npos);
    return fatal.what();
  }
  return {};
}

}  // namespace hindcast::test
