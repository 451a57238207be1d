// The RISC-V calling convention of semihosting ("RISC-V Semihosting", section 2): the uncompressed sequence
// slli x0,x0,0x1f; ebreak; srai x0,x0,7, with the call's number in a0, its parameter in a1 and the result in
// a0.
#include "semihost/service.h"

#include "targets/riscv/riscv.h"
#include "targets/riscv/traps.h"

namespace hindcast::riscv {
namespace {

constexpr u8 kSequence[] = {0x13, 0x10, 0xf0, 0x01, 0x73, 0x00, 0x10, 0x00, 0x13, 0x50, 0x70, 0x40};
constexpr unsigned kA0 = 10, kA1 = 11;

/// The manual asks for the three instructions to lie in one page, so that they can be read without a fault.
bool is_call(Vcpu& vcpu, GuestAddr ebreak) {
  u8 code[sizeof kSequence];
  return vcpu.read_memory(ebreak - 4, code, sizeof code) && std::equal(code, code + sizeof code, kSequence);
}

}  // namespace

void set_semihosting_result(Vcpu& vcpu, u64 value) {
  const auto& arch = static_cast<const RiscvArch&>(vcpu.arch());
  vcpu.state<RiscvState>().x[kA0] = arch.truncate(value);
}

u64 ebreak_helper(Vcpu& vcpu, u64 next, u64, u64) {
  const auto& arch = static_cast<const RiscvArch&>(vcpu.arch());
  RiscvState& s = vcpu.state<RiscvState>();
  auto* service = vcpu.machine().extension<semihost::Service>("semihosting");
  if (service == nullptr || !is_call(vcpu, s.pc)) {
    vcpu.raise({cause::kBreakpoint, s.pc});
    return 0;
  }
  vcpu.machine().note_host_call(vcpu, next);
  vcpu.set_pc(next);
  semihost::Convention convention;
  convention.word_bytes = arch.xlen() / 8;
  convention.set_result = &set_semihosting_result;
  service->call(vcpu, s.x[kA0], s.x[kA1], convention);
  return 0;
}

}  // namespace hindcast::riscv
