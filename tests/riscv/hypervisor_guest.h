// A guest under the hypervisor extension, for tests of it.
#pragma once
#include "tests/riscv/encode.h"
#include "tests/riscv/test_machine.h"

namespace hindcast::test::hypervisor {

using riscv::kMachine, riscv::kSupervisor, riscv::kUser;

inline constexpr u64 kAll = 0xcf, kUserPage = 16, kDirty = 128, kAccessed = 64, kPointer = 1;
inline constexpr GuestAddr kFirst = kData,
                           kSecond = kData + 0x4000;  // root tables: vsatp's, and hgatp's four pages
inline constexpr GuestAddr kPage = kData + 0xa000;    // what is mapped
inline constexpr GuestAddr kVector = kCode + 0x1000, kGuestVector = kCode + 0x2000;

/// A guest with tables of both stages that map one page at 0x40000000, its physical address 0x1234000, to
/// kPage; its code is where its physical memory has it: the second stage has kCode and kData too.
struct Guest {
  explicit Guest(bool jit, const char* cpu = "rv64,pmp=off,h=on") : m(cpu, jit) {
    riscv::RiscvState& s = m.state();
    s.menvcfg |= riscv::envcfg::kAdue;
    s.vsatp = u64{8} << 60 | kFirst >> 12;
    s.hgatp = u64{8} << 60 | kSecond >> 12;
    s.mtvec = kVector;
    s.vstvec = kGuestVector;
    // First stage: a gigabyte for the code, and the page.
    put(kFirst + 8 * 2, leaf(kCode, kAll));
    put(kFirst + 8 * 1, table(kFirst + 0x1000));
    put(kFirst + 0x1000, table(kFirst + 0x2000));
    put(first_leaf, leaf(kGuestPhysical, kAll));
    // Second stage: all that there is, as it is, but for the page.
    put(kSecond + 8 * 2, leaf(kCode, kAll | kUserPage));
    put(kSecond, table(kSecond + 0x4000));
    put(kSecond + 0x4000 + 8 * (kData >> 21 & 511), leaf(kData, kAll | kUserPage));
    put(kSecond + 0x4000 + 8 * (kGuestPhysical >> 21 & 511), table(kSecond + 0x5000));
    put(second_leaf, leaf(kPage, kAll | kUserPage));
    write(kPage, 0x1122'3344'5566'7788);
  }
  static u64 leaf(GuestAddr at, u64 flags) { return at >> 12 << 10 | flags; }
  static u64 table(GuestAddr at) { return leaf(at, kPointer); }
  void put(GuestAddr at, u64 entry) { write(at, entry); }
  void write(GuestAddr at, u64 value) { m.machine.memory().host_write(at, &value, 8); }
  u64 read(GuestAddr at) {
    u64 value = 0;
    m.machine.memory().host_read(at, &value, 8);
    return value;
  }
  /// Runs `insn` in a mode, a1 being the address; the cause of the trap into machine mode, 99: none.
  u64 run(u64 virt, u64 privilege, u32 insn, GuestAddr address = kVa) {
    riscv::RiscvState& s = m.state();
    s.virt = virt;
    s.privilege = privilege;
    s.pc = kCode;
    s.mcause = 99;
    m.put(kCode, {insn, rv::kSpinHere});
    m.x(rv::a1) = address;
    m.run(1);
    return s.mcause;
  }

  static constexpr GuestAddr kVa = 0x4000'0000, kGuestPhysical = 0x123'4000;
  static constexpr GuestAddr first_leaf = kFirst + 0x2000;
  static constexpr GuestAddr second_leaf = kSecond + 0x5000 + 8 * (kGuestPhysical >> 12 & 511);
  TestMachine m;
};

}  // namespace hindcast::test::hypervisor
