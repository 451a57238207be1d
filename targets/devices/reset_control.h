// Resets that software causes, on boards whose hardware remembers the cause, or may be told to let none
// through.
#pragma once
#include <memory>
#include <optional>
#include <utility>

#include "engine/machine.h"

namespace hindcast::devices {

enum class ResetCause : u8 {
  PowerOn,
  NonSecureWatchdog,
  SecureWatchdog,  // also where there is one, and no security extension
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
  /// Why the machine was reset last, for devices that some resets leave alone; these are reset after the
  /// control. Controls that do not keep it: from outside.
  virtual ResetCause last() const { return ResetCause::Outside; }
};

/// A control that lets every reset through and keeps why.
class ResetRecord : public ResetControl {
 public:
  bool asked(ResetCause cause) override {
    next_ = cause;
    return true;
  }
  std::optional<GuestAddr> vectors() const override { return std::nullopt; }
  ResetCause last() const override { return last_; }

 protected:
  /// From the device's reset(), once: its cause.
  ResetCause take() { return last_ = std::exchange(next_, ResetCause::Outside); }
  void record_state(Archive& ar) {
    ar.field("last_cause", last_);
    ar.field("next_cause", next_);
    if (ar.loading() && (last_ > ResetCause::Outside || next_ > ResetCause::Outside))
      throw Fatal("saved state: a reset without a cause");
  }

 private:
  ResetCause last_ = ResetCause::PowerOn, next_ = ResetCause::PowerOn;
};

/// Who hears of resets; it lives as long as the machine.
inline void set_reset_control(Machine& machine, ResetControl& control) {
  machine.set_extension(ResetControl::kExtension, std::shared_ptr<void>(std::shared_ptr<void>(), &control));
}

/// For devices and processors: resets the machine at the next instruction boundary, unless the board's reset
/// control is against it.
inline void request_reset(Machine& machine, ResetCause cause) {
  auto* control = machine.extension<ResetControl>(ResetControl::kExtension);
  if (control == nullptr || control->asked(cause)) machine.request_reset();
}

}  // namespace hindcast::devices
