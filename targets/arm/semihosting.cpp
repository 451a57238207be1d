// The Arm calling convention of semihosting on M-profile ("Semihosting for AArch32 and AArch64", section
// "The semihosting interface"): BKPT 0xAB, with the call's number in r0, its parameter in r1 and the result
// in r0.
#include <fmt/format.h>

#include "engine/machine.h"
#include "semihost/service.h"
#include "targets/arm/arm.h"
#include "targets/arm/system.h"

namespace hindcast::arm {
namespace {

constexpr u64 kSemihosting = 0xab;

/// Once: who runs an Intel HEX or raw image, which do not switch it on, would only see a fault.
void tell_it_is_off(Vcpu& vcpu) {
  constexpr const char* kTold = "semihosting.told";
  Machine& machine = vcpu.machine();
  const auto& note = machine.options().engine.note;
  if (!note || machine.extension<bool>(kTold) != nullptr) return;
  machine.set_extension(kTold, std::make_shared<bool>(true));
  note(fmt::format(
      "the guest calls semihosting (BKPT 0xAB, pc {:#x}), which is off: --semihosting switches it on",
      vcpu.pc()));
}

}  // namespace

void set_semihosting_result(Vcpu& vcpu, u64 value) { vcpu.state<ArmState>().r[0] = static_cast<u32>(value); }

u64 bkpt_helper(Vcpu& vcpu, u64 imm, u64 next, u64) {
  ArmState& s = vcpu.state<ArmState>();
  auto* service = vcpu.machine().extension<semihost::Service>("semihosting");
  if (service == nullptr || imm != kSemihosting) {
    if (imm == kSemihosting) tell_it_is_off(vcpu);
    vcpu.raise({exc::kDebugMonitor | u64{dfsr::kBkpt} << 32, 0});
    return 0;
  }
  vcpu.machine().note_host_call(vcpu, next);
  vcpu.set_pc(next);
  semihost::Convention convention;
  convention.word_bytes = 4;
  convention.set_result = &set_semihosting_result;
  service->call(vcpu, s.r[0], s.r[1], convention);
  return 0;
}

}  // namespace hindcast::arm
