// What the registers of a machine's devices are called, for people: from a file of the user's. Never visible
// to the guest.
#pragma once
#include <string>
#include <vector>

#include "engine/types.h"

namespace hindcast {

class Machine;

class RegisterNames {
 public:
  struct Register {
    GuestAddr address = 0;  // physical
    u32 bytes = 4;
    u32 peripheral = 0;  // index into peripherals()
    std::string name;    // "CR"
    std::string description;
  };
  struct Peripheral {
    std::string name;  // "RCC"
    GuestAddr base = 0;
    std::string description;
  };

  u32 add(Peripheral peripheral);
  void add(Register reg);
  /// Everything has been added.
  void finish();

  const std::vector<Peripheral>& peripherals() const { return peripherals_; }
  /// By address; of those at one address, in the order in which they were added.
  const std::vector<Register>& registers() const { return registers_; }
  /// The register that the byte belongs to, null if there is none.
  const Register* find(GuestAddr address) const;
  /// "RCC.CR", or empty.
  std::string name_at(GuestAddr address) const;

  /// The machine's extension that holds them.
  static constexpr const char* kExtension = "register-names";
  /// The machine's names, null if it has none.
  static const RegisterNames* of(const Machine& machine);

 private:
  std::vector<Peripheral> peripherals_;
  std::vector<Register> registers_;
};

}  // namespace hindcast
