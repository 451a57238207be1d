// The security controllers of Arm's SSE subsystems (sse.cpp).
#pragma once
#include "targets/devices/model_registry.h"

namespace hindcast::arm {

/// `hindcast,shadows`: triples of an address, where its memory is, and the size.
IrqSink* build_sse(const devices::DeviceSite& site);
/// `hindcast,gates`: address and size of the memory that it gates.
IrqSink* build_mpc(const devices::DeviceSite& site);

}  // namespace hindcast::arm
