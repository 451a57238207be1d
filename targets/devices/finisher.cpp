#include "targets/devices/finisher.h"

#include "targets/devices/model_registry.h"

namespace hindcast::devices {
namespace {

constexpr u32 kFail = 0x3333, kPass = 0x5555, kReset = 0x7777;

}  // namespace

void Finisher::mmio_write(u64 offset, unsigned size, u64 value) {
  if (offset != 0 || size < 2) return;
  switch (value & 0xffff) {
    case kPass: machine_.request_exit(0); break;
    case kFail: machine_.request_exit(static_cast<int>(value >> 16 & 0xffff)); break;
    case kReset: machine_.request_reset(); break;
    default: break;  // not a command
  }
}

IrqSink* build_finisher(const DeviceSite& site) { return add<Finisher>(site, 4, site.machine); }

}  // namespace hindcast::devices
