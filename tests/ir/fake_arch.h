// An architecture for tests of the IR: registers of every type and no instructions.
#pragma once
#include <cstddef>

#include "engine/arch.h"
#include "engine/vcpu.h"

namespace hindcast::test {

struct FakeRegisters {
  u64 zero, x[8];
  u32 w[4];
  u16 h[2];
  u8 b[2];
  u8 pad[2];
  u64 d[4];
  u32 s[2];
};
struct FakeState : CpuHeader {
  FakeRegisters r;
};

enum FakeRegister : unsigned {
  kPc,
  kZero,
  kX0,
  kW0 = kX0 + 8,
  kH0 = kW0 + 4,
  kB0 = kH0 + 2,
  kD0 = kB0 + 2,
  kS0 = kD0 + 4
};

class FakeArch : public Architecture {
 public:
  explicit FakeArch(unsigned address_bits = 64) : address_bits_(address_bits) {
    const auto add = [&](ir::Type type, std::size_t offset, bool zero = false) {
      rows_.push_back({"r", "r", type, static_cast<u16>(offset), "general", nullptr, -1, 0, zero});
    };
    add(ir::Type::I64, offsetof(CpuHeader, pc));
    add(ir::Type::I64, sizeof(CpuHeader) + offsetof(FakeRegisters, zero), true);
    for (unsigned i = 0; i < 8; ++i)
      add(ir::Type::I64, sizeof(CpuHeader) + offsetof(FakeRegisters, x) + 8 * i);
    for (unsigned i = 0; i < 4; ++i)
      add(ir::Type::I32, sizeof(CpuHeader) + offsetof(FakeRegisters, w) + 4 * i);
    for (unsigned i = 0; i < 2; ++i)
      add(ir::Type::I16, sizeof(CpuHeader) + offsetof(FakeRegisters, h) + 2 * i);
    for (unsigned i = 0; i < 2; ++i) add(ir::Type::I8, sizeof(CpuHeader) + offsetof(FakeRegisters, b) + i);
    for (unsigned i = 0; i < 4; ++i)
      add(ir::Type::F64, sizeof(CpuHeader) + offsetof(FakeRegisters, d) + 8 * i);
    for (unsigned i = 0; i < 2; ++i)
      add(ir::Type::F32, sizeof(CpuHeader) + offsetof(FakeRegisters, s) + 4 * i);
  }

  // Contexts: bit 0 set means Translated; bits 8.. are the rounding mode.
  static constexpr u64 kTranslated = 1;
  // Virtual pages of the translated mode: page n is physical page n xor 1; pages from kUnmapped on fault.
  static constexpr u64 kUnmapped = 0x10;
  static constexpr u64 kPageFault = 100, kBusFault = 200, kMisaligned = 300;

  const char* name() const override { return "fake"; }
  std::string cpu_description() const override { return "fake"; }
  std::span<const RegisterRow> registers() const override { return rows_; }
  unsigned pc_register() const override { return kPc; }
  unsigned address_bits() const override { return address_bits_; }
  unsigned insn_alignment() const override { return 4; }
  unsigned max_insn_bytes() const override { return 4; }
  std::size_t state_bytes() const override { return sizeof(FakeState); }
  void reset(Vcpu&, GuestAddr) const override {}
  void state(Vcpu&, Archive&) const override {}
  u64 read_register(const Vcpu&, unsigned) const override { return 0; }
  bool write_register(Vcpu&, unsigned, u64) const override { return false; }
  u64 context(const Vcpu&) const override { return 0; }
  MemoryMode memory_mode(u64 context) const override {
    return (context & kTranslated) != 0 ? MemoryMode::Translated : MemoryMode::Flat;
  }
  ir::Round rounding(u64 context) const override { return static_cast<ir::Round>(context >> 8 & 7); }
  InsnInfo translate_insn(ir::Builder&, GuestAddr, ByteView) const override { return {}; }
  unsigned disassemble(GuestAddr, ByteView, std::string&) const override { return 0; }
  const char* insn_class(ByteView) const override { return ""; }
  Translation translate(Vcpu&, GuestAddr va, unsigned, Access access) const override {
    Translation t;
    t.ok = va >> 12 < kUnmapped;
    t.physical = va ^ 0x1000;
    t.granule = 0x1000;
    t.cause = kPageFault + static_cast<u64>(access);
    t.value = va;
    return t;
  }
  void enter_exception(Vcpu&, const GuestFault&) const override {}
  GuestFault bus_fault(GuestAddr va, Access access) const override {
    return {kBusFault + static_cast<u64>(access), va};
  }
  GuestFault misaligned_fault(GuestAddr va, Access access) const override {
    return {kMisaligned + static_cast<u64>(access), va};
  }
  void set_irq(Vcpu&, unsigned, bool) const override {}
  bool interrupt_pending(const Vcpu&) const override { return false; }
  void enter_interrupt(Vcpu&) const override {}
  bool wakes(const Vcpu&) const override { return true; }

 private:
  unsigned address_bits_;
  std::vector<RegisterRow> rows_;
};

/// SplitMix64: the tests' only source of chance, the same numbers everywhere.
class Random {
 public:
  explicit Random(u64 seed) : state_(seed) {}
  u64 next() {
    u64 z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  u64 below(u64 n) { return next() % n; }
  bool chance(unsigned percent) { return below(100) < percent; }
  /// Numbers at which arithmetic is interesting.
  u64 edge() {
    switch (below(6)) {
      case 0: return below(4);
      case 1: return ~u64{0} - below(3);
      case 2: return u64{1} << below(64);
      case 3: return (u64{1} << below(64)) - 1;
      case 4: return below(70);
      default: return next();
    }
  }

 private:
  u64 state_;
};

}  // namespace hindcast::test
