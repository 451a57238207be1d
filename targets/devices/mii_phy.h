// An Ethernet PHY's registers (IEEE 802.3, 22.2.4): those that all have, with the maker's in derived classes.
#pragma once
#include "engine/archive.h"

namespace hindcast::devices {

/// The link is up as soon as there is a cable, negotiation is over at once, and the partner can do all that
/// we can.
class MiiPhy {
 public:
  /// What a maker's PHYs have after a reset; the status without link and negotiation.
  struct Kind {
    u16 control, status, id_high, id_low;
  };
  virtual ~MiiPhy() = default;

  void reset();
  /// Registers 0 to 31.
  u32 read(u32 n);
  void write(u32 n, u32 value);
  bool loopback() const { return (control_ & kLoopback) != 0; }
  virtual bool interrupt() const = 0;
  /// Derived classes add their registers.
  virtual void state(Archive& ar);

 protected:
  MiiPhy(const Kind& kind, bool cable) : kind_(kind), cable_(cable) {}
  bool cable() const { return cable_; }
  bool negotiated() const { return cable_ && (control_ & kNegotiate) != 0; }

 private:
  virtual void reset_own() = 0;
  /// Registers 16 to 31.
  virtual u32 read_own(u32 n) = 0;
  virtual void write_own(u32 n, u32 value) = 0;
  /// Negotiation is over, once more.
  virtual void on_negotiated() = 0;

  static constexpr u32 kLoopback = 0x4000, kNegotiate = 0x1000;
  const Kind& kind_;
  const bool cable_;
  u32 control_ = 0, advertised_ = 0;
};

}  // namespace hindcast::devices
