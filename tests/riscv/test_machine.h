// A machine of RAM alone, for tests of the CPU.
#pragma once
#include <functional>
#include <memory>

#include "engine/machine.h"
#include "targets/riscv/riscv.h"
#include "targets/riscv/supervisor_timer.h"

namespace hindcast::test {

inline constexpr GuestAddr kCode = 0x8000'0000, kData = 0x2000'0000;
inline constexpr u64 kRamBytes = 0x10000;
inline constexpr u32 kSpin = 0x0000'006f, kCompressedSpins = 0xa001'a001;  // j .

struct TestMachine {
  /// `add`: puts devices into the machine.
  explicit TestMachine(std::string_view cpu, bool jit = false, unsigned smp = 1,
                       const std::function<void(Machine&)>& add = {})
      : arch(riscv::make_riscv_arch(cpu)), machine(*arch, options(jit, smp), arch->xlen() == 32 ? 34 : 56) {
    machine.memory().add_ram("code", kCode, kRamBytes);
    machine.memory().add_ram("data", kData, kRamBytes);
    machine.on_reset([this](Machine& m) {
      for (unsigned i = 0; i < m.vcpu_count(); ++i) arch->reset(m.vcpu(i), kCode);
    });
    riscv::add_supervisor_timers(machine);
    if (add) add(machine);
    machine.finish();
    clear();
  }

  /// Power-on state: code full of jumps to themselves, data zero.
  void clear() {
    const std::vector<u32> spins(kRamBytes / 4,
                                 arch->features().has(riscv::ext::C) ? kCompressedSpins : kSpin);
    const Bytes zeros(kRamBytes);
    machine.memory().host_write(kCode, spins.data(), kRamBytes);
    machine.memory().host_write(kData, zeros.data(), kRamBytes);
    machine.reset();
  }

  void put(GuestAddr at, std::initializer_list<u32> words) {
    for (const u32 word : words) {
      machine.memory().host_write(at, &word, sizeof word);
      at += sizeof word;
    }
  }
  /// Executes `attempts` attempts (or until another reason).
  StopReason run(u64 attempts) { return machine.run(machine.icount() + attempts); }

  Vcpu& vcpu(unsigned i = 0) { return machine.vcpu(i); }
  riscv::RiscvState& state(unsigned i = 0) { return machine.vcpu(i).state<riscv::RiscvState>(); }
  u64& x(unsigned n) { return state().x[n]; }
  u64 pc() { return state().pc; }

  std::unique_ptr<riscv::RiscvArch> arch;
  Machine machine;

 private:
  static MachineOptions options(bool jit, unsigned smp) {
    MachineOptions o;
    o.smp = smp;
    o.engine.jit = jit;
    return o;
  }
};

}  // namespace hindcast::test
