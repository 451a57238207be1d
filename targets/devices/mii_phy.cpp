#include "targets/devices/mii_phy.h"

namespace hindcast::devices {
namespace {

constexpr u32 kControl = 0, kStatus = 1, kIdHigh = 2, kIdLow = 3, kAdvertised = 4, kPartner = 5,
              kExpansion = 6, kFirstOwn = 16;

}  // namespace

void MiiPhy::reset() {
  control_ = kind_.control;
  advertised_ = 0x01e1;
  reset_own();
  if (negotiated()) on_negotiated();
}

u32 MiiPhy::read(u32 n) {
  constexpr u32 kLink = 4, kDone = 0x20, kAll = 0x45e1;
  switch (n) {
    case kControl: return control_;
    case kStatus: return kind_.status | (cable_ ? kLink : 0) | (negotiated() ? kDone : 0);
    case kIdHigh: return kind_.id_high;
    case kIdLow: return kind_.id_low;
    case kAdvertised: return advertised_;
    case kPartner: return negotiated() ? kAll : 0;
    case kExpansion: return negotiated() ? 1 : 0;
    default: return n >= kFirstOwn ? read_own(n) : 0;
  }
}

void MiiPhy::write(u32 n, u32 value) {
  constexpr u32 kReset = 0x8000, kRestart = 0x0200, kWritable = 0x7d80;
  if (n >= kFirstOwn) return write_own(n, value);
  if (n == kAdvertised) advertised_ = (value & 0x2de0) | 1;
  if (n != kControl) return;
  if ((value & kReset) != 0) return reset();
  const bool begins = (value & kRestart) != 0 || (value & ~control_ & kNegotiate) != 0;
  control_ = value & kWritable;
  if (begins && negotiated()) on_negotiated();
}

void MiiPhy::state(Archive& ar) {
  ar.field("phy", control_);
  ar.field("phy", advertised_);
}

}  // namespace hindcast::devices
