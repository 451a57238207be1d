// What Arm's SSE subsystems (IoT Kit, SSE-200, SSE-300) have beside processors and memory: security
// controllers (sse.cpp), control and identification (sse_control.cpp), time (sse_timers.cpp).
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
/// `hindcast,part`: the low byte of the part number.
IrqSink* build_sse_information(const devices::DeviceSite& site);
/// System control: clocks, power, reset.
IrqSink* build_sse_system(const devices::DeviceSite& site);
/// The SSE-300's counter, before its timers in the tree. Registers: control frame, status frame.
IrqSink* build_sse_counter(const devices::DeviceSite& site);
/// A timer that compares itself with the counter.
IrqSink* build_sse_timer(const devices::DeviceSite& site);

/// The identification registers at the end of a block (CoreSight's layout) of the part `part`; 0 before them.
u32 sse_identification(u64 offset, u8 part);

}  // namespace hindcast::arm
