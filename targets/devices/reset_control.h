// Resets that software causes, on boards whose hardware remembers the cause, or may be told to let none
// through.
#pragma once
#include <memory>
#include <optional>

#include "engine/machine.h"

namespace hindcast::devices {

enum class ResetCause : u8 {
  PowerOn,
  NonSecureWatchdog,
  SecureWatchdog,
  SlowWatchdog,
  Software,   // a register of the system's
  Processor,  // AIRCR
  Outside,    // the user
};

class ResetControl {
 public:
  static constexpr const char* kExtension = "devices.reset-control";
  virtual ~ResetControl() = default;
  /// A device asks for a reset. False: there is to be none.
  virtual bool asked(ResetCause cause) = 0;
  /// Where the processor's vector table is after a reset, if the hardware says so.
  virtual std::optional<GuestAddr> vectors() const = 0;
};

/// For devices and processors: resets the machine at the next instruction boundary, unless the board's reset
/// control is against it.
inline void request_reset(Machine& machine, ResetCause cause) {
  auto* control = machine.extension<ResetControl>(ResetControl::kExtension);
  if (control == nullptr || control->asked(cause)) machine.request_reset();
}

}  // namespace hindcast::devices
