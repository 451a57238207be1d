#include "targets/machines/reset_vector.h"

namespace hindcast::machines {
namespace {

constexpr u32 kStartOffset = 24, kDeviceTreeOffset = 32, kInfoOffset = 40;
constexpr u64 kInfoMagic = 0x4942534f, kInfoVersion = 2, kSupervisorMode = 1;

enum Register : u32 { kT0 = 5, kA0 = 10, kA1 = 11, kA2 = 12 };

u32 i_type(u32 immediate, u32 rs1, u32 funct3, u32 rd, u32 opcode) {
  return immediate << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode;
}

void append(Bytes& out, u64 value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) out.push_back(static_cast<u8>(value >> (8 * i)));
}

}  // namespace

Bytes reset_vector(unsigned xlen, GuestAddr start, GuestAddr device_tree, GuestAddr next) {
  const u32 load = xlen == 32 ? 2 : 3;  // funct3 of lw, ld
  constexpr u32 kMhartid = 0xf14;
  Bytes rom;
  append(rom, kT0 << 7 | 0x17, 4);                                  // auipc t0, 0
  append(rom, i_type(kInfoOffset, kT0, 0, kA2, 0x13), 4);           // addi  a2, t0, info
  append(rom, i_type(kMhartid, 0, 2, kA0, 0x73), 4);                // csrr  a0, mhartid
  append(rom, i_type(kDeviceTreeOffset, kT0, load, kA1, 0x03), 4);  // lx    a1, device tree
  append(rom, i_type(kStartOffset, kT0, load, kT0, 0x03), 4);       // lx    t0, start
  append(rom, i_type(0, kT0, 0, 0, 0x67), 4);                       // jr    t0
  append(rom, start, 8);
  append(rom, device_tree, 8);
  // Magic, version, next address, next mode, options, preferred boot hart: each as wide as a register.
  for (u64 field : {kInfoMagic, kInfoVersion, next, kSupervisorMode, u64{0}, u64{0}})
    append(rom, field, xlen / 8);
  return rom;
}

}  // namespace hindcast::machines
