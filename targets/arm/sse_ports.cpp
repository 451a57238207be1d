#include "targets/arm/sse_ports.h"

#include <algorithm>

#include "targets/arm/state.h"

namespace hindcast::arm {

bool Ports::non_secure(const Port& port) const {
  return (words_.secure[port.offset / 4] >> port.bit & 1) != 0;
}

const Ports::Port* Ports::at(GuestAddr at) const {
  for (const Port& port : ports_)
    if (at - port.base < port.size) return &port;
  return nullptr;
}

bool Ports::allows(GuestAddr address, u32 secure, bool privileged) const {
  const Port* port = at(address);
  if (port == nullptr) return true;
  const bool non_secure = this->non_secure(*port);
  if (non_secure != (secure == kNonSecure)) return false;
  if (privileged || port->offset == 0) return true;
  const auto& words = non_secure ? words_.non_secure : words_.secure;
  return (words[(port->offset + kUnprivileged) / 4] >> port->bit & 1) != 0;
}

bool Ports::all_secure() const {
  return std::none_of(ports_.begin(), ports_.end(), [this](const Port& port) { return non_secure(port); });
}

// First come the AHB's outside the subsystem, then the APB's in it, then the APB's outside.
unsigned Ports::status_bit(const Port& port) {
  constexpr u32 kInnerApb = 0x70, kOuterApb = 0x80;
  const unsigned n = port.offset % 16 / 4;
  return port.offset < kInnerApb ? 20 + n : port.offset < kOuterApb ? n : 4 + n;
}

}  // namespace hindcast::arm
