// The security extension (DDI 0553, B8, B9): which memory is whose, and how code gets from one security state
// to the other.
#pragma once
#include <optional>

#include "engine/machine.h"
#include "targets/arm/arm.h"

namespace hindcast::arm {

/// What a board says about addresses (implementation defined attribution, memory behind gates). The machine
/// has it as its extension kSecurityMap; without one nothing is attributed or gated.
class SecurityMap {
 public:
  virtual ~SecurityMap() = default;
  struct Attributes {
    bool valid = false;  // the region number is one
    u8 region = 0;
    bool non_secure = true, callable = true;  // NSC
    bool exempt = false;                      // of whoever accesses it
  };
  virtual Attributes attributes(u32 address) const = 0;
  /// Where the memory of an address is: boards show the same at a Secure and a Non-secure address.
  virtual GuestAddr physical(u32 address) const = 0;
  /// Makes that so for CPUs without security extension. Once, when the board is complete.
  virtual void add_shadows() = 0;
  /// Whether the board lets a transaction of that security state through.
  virtual bool allows(u32 address, u32 secure, bool privileged) const = 0;
  /// Whether there is anything that it does not let through for privileged Secure code that makes Secure
  /// transactions. Otherwise such code's accesses need no look. When that changes the board tells the CPUs
  /// (ArmState::gated).
  virtual bool watches_secure() const = 0;
  /// A load or store was not let through: raises the interrupts that this raises. Where it goes instead: to
  /// what reads as 0 and forgets what is written; nowhere: it ends in a bus fault.
  virtual std::optional<GuestAddr> refuse(u32 address, u32 secure, bool privileged) = 0;
  /// The size of the aligned block around the address for which that holds.
  virtual u64 granule(u32 address) const = 0;
};
inline constexpr const char* kSecurityMap = "arm.security";
inline SecurityMap* security_map(const Vcpu& vcpu) {
  return vcpu.machine().extension<SecurityMap>(kSecurityMap);
}

/// SecurityCheck(): what SAU and board together say about an address.
struct Attribution {
  bool non_secure = false, callable = false;
  bool sau_valid = false, idau_valid = false;
  u8 sau_region = 0, idau_region = 0;
  u64 granule = AddressSpace::kPage;  // the aligned block for which it holds
};
Attribution attribute(const ArmState& s, const SecurityMap* map, u32 address, u32 secure, bool fetch);

/// Whether a vector table entry can be read; sets where it is.
bool vector_readable(const ArmArch& arch, Vcpu& vcpu, u32 secure, u32 address, GuestAddr* physical);

/// A fault that Non-secure code met by executing in Non-secure callable memory: it may be an SG instruction.
inline constexpr u64 kCauseGateway = u64{1} << 17;
inline bool is_secure_gateway(const GuestFault& fault) { return (fault.cause & kCauseGateway) != 0; }
/// Executes the SG instruction at the pc. The fault in which that ends: `none` where there is no such
/// instruction, or it may not be executed; null cause: done.
GuestFault enter_secure_gateway(Vcpu& vcpu, const GuestFault& none);

}  // namespace hindcast::arm
