// What Arm's SSE subsystems (IoT Kit, SSE-200, SSE-300) have beside processors and memory: security
// controllers (sse_security.cpp and what it includes), control and identification (sse_control.cpp), time
// (sse_timers.cpp).
#pragma once
#include "targets/devices/model_registry.h"

namespace hindcast::arm {

/// `hindcast,shadows`: triples of an address, where its memory is, and the size. `hindcast,ports`: what is
/// behind peripheral protection controllers, as address, size, and the register and bit that open it for the
/// Non-secure state. Interrupts: of the memory, of the peripheral protection controllers.
IrqSink* build_sse(const devices::DeviceSite& site);
/// `hindcast,gates`: address and size of the memory that it gates. `hindcast,status-bit`: its bit in the
/// security controller's status of interrupts.
IrqSink* build_mpc(const devices::DeviceSite& site);
/// The Non-secure state's half of the security controller.
IrqSink* build_sse_non_secure(const devices::DeviceSite& site);
/// `hindcast,values`: the first words, version and configuration of the subsystem or a CPU's number.
/// `hindcast,part`, `hindcast,revision`, `hindcast,implementer`: of the identification registers.
IrqSink* build_sse_information(const devices::DeviceSite& site);
/// System control: clocks, power, reset. `hindcast,generation`: 200, 300; without it the IoT Kit.
/// `hindcast,resets`: pairs of a register and its value after a reset.
IrqSink* build_sse_system(const devices::DeviceSite& site);
/// The SSE-300's counter, before its timers in the tree. Registers: control frame, status frame.
IrqSink* build_sse_counter(const devices::DeviceSite& site);
/// A timer that compares itself with the counter.
IrqSink* build_sse_timer(const devices::DeviceSite& site);

}  // namespace hindcast::arm
