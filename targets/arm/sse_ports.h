// Arm's peripheral protection controllers (DDI 0574, section 3.6: xxxNSPPCn, xxxSPPPCn): who may use which
// peripheral, as the security controller's registers say.
#pragma once
#include <array>
#include <vector>

#include "engine/types.h"

namespace hindcast::arm {

inline constexpr u32 kSseRegisters = 0x100;
/// The registers of the two halves of the security controller: each state's own, which it alone writes.
struct SseWords {
  std::array<u32, kSseRegisters / 4> secure{}, non_secure{};
};

class Ports {
 public:
  /// Non-secure transactions reach the peripheral while its bit is set in the Secure half's register at
  /// `offset`, Secure ones while it is not. Unprivileged ones need the bit of a second register, of their own
  /// state's half. Offset 0: no controller, and Secure for good.
  struct Port {
    u32 base, size, offset, bit;
  };
  /// From a register of ports to the one that opens them to unprivileged code.
  static constexpr u32 kUnprivileged = 0x40;
  static constexpr u32 kFirst = 0x50, kFirstUnprivileged = kFirst + kUnprivileged, kLast = 0xcc;

  /// `words` must outlive it.
  Ports(std::vector<Port> ports, const SseWords& words) : ports_(std::move(ports)), words_(words) {}

  bool allows(GuestAddr at, u32 secure, bool privileged) const;
  bool all_secure() const;
  /// The one at an address; null: there is none.
  const Port* at(GuestAddr at) const;
  /// Its controller's, in the status of interrupts.
  static unsigned status_bit(const Port& port);

 private:
  bool non_secure(const Port& port) const;

  std::vector<Port> ports_;
  const SseWords& words_;
};

}  // namespace hindcast::arm
