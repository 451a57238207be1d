// A Cortex-M machine of RAM and its system control space alone, for tests of the CPU.
#pragma once
#include <functional>
#include <map>
#include <memory>

#include "engine/machine.h"
#include "targets/arm/arm.h"
#include "targets/arm/exceptions.h"
#include "targets/arm/scs.h"

namespace hindcast::test {

inline constexpr GuestAddr kCode = 0x1000, kData = 0x20000000;
inline constexpr u64 kRamBytes = 0x10000;
inline constexpr u32 kStackTop = 0x20008000;

struct TestMachine {
  /// `more` adds devices of a test's own, which outlive the machine.
  explicit TestMachine(std::string_view cpu, bool jit = false, const std::function<void(Machine&)>& more = {})
      : arch(arm::parse_cpu(cpu, "cortex-m3")), machine(arch, options(jit), 32) {
    machine.memory().add_ram("code", 0, kRamBytes);
    machine.memory().add_ram("data", kData, kRamBytes);
    scs = &machine.add_device<arm::Scs>("nvic", machine, arm::Scs::Clocks{125'000'000, 0}, 32u);
    machine.memory().add_device("nvic", arm::Scs::kBase, arm::Scs::kSize, scs);
    if (more) more(machine);
    machine.on_reset([this](Machine& m) { arch.reset(m.vcpu(0), 0); });
    machine.finish();
    // Vectors: handler n is at 0x2000 + 0x100 n and spins.
    word(0, kStackTop);
    word(4, kCode | 1);
    for (u32 n = 2; n < 48; ++n) word(4 * n, handler(n) | 1);
    for (GuestAddr at = kCode; at < kRamBytes; at += 2) half(at, 0xe7fe);  // b .
    machine.reset();
  }

  static u32 handler(unsigned n) { return 0x2000 + 0x100 * n; }
  void half(GuestAddr at, u16 value) { machine.memory().host_write(at, &value, 2); }
  void word(GuestAddr at, u32 value) { machine.memory().host_write(at, &value, 4); }
  u32 word(GuestAddr at) {
    u32 value = 0;
    machine.memory().host_read(at, &value, 4);
    return value;
  }
  void put(GuestAddr at, std::initializer_list<u16> halves) {
    for (const u16 h : halves) {
      half(at, h);
      at += 2;
    }
  }
  /// Executes `attempts` attempts (or until another reason).
  StopReason run(u64 attempts) { return machine.run(machine.icount() + attempts); }
  /// Through the system control space, as a privileged program would.
  u32 system(u32 address) { return static_cast<u32>(space(address).mmio_read(address & 0xfff, 4)); }
  void system(u32 address, u32 value) { space(address).mmio_write(address & 0xfff, 4, value); }

  Vcpu& vcpu() { return machine.vcpu(0); }
  arm::ArmState& state() { return machine.vcpu(0).state<arm::ArmState>(); }
  u32& r(unsigned n) { return state().r[n]; }
  u32 pc() { return static_cast<u32>(state().pc); }

  arm::ArmArch arch;
  Machine machine;
  arm::Scs* scs = nullptr;

 private:
  MmioHandler& space(u32 address) {
    return address >= arm::Scs::kNonSecureBase ? scs->non_secure_alias() : *scs;
  }
  static MachineOptions options(bool jit) {
    MachineOptions o;
    o.engine.jit = jit;
    return o;
  }
};

}  // namespace hindcast::test
