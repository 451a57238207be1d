// The wire into a serial port: a byte takes its time on it, so that a driver which keeps up with a real port
// keeps up here too, however much the host has to say. In virtual time; the recording holds at which
// instruction each byte came.
#pragma once
#include <string>

#include "engine/machine.h"

namespace hindcast::devices {

class SerialWire {
 public:
  /// A start bit, eight bits, a stop bit.
  static constexpr u64 kFrameBits = 10;
  /// What a frame takes at 115200 baud, where the guest has not said how fast the port is.
  static constexpr VirtualNs kUsualFrame = 86'806;

  /// `device`: the name of the port, which is `sink` on `channel`. When the wire falls idle, more is looked
  /// for.
  SerialWire(Machine& machine, const std::string& device, Channel channel, const InputSink& sink);
  SerialWire(const SerialWire&) = delete;
  SerialWire& operator=(const SerialWire&) = delete;

  bool busy() const { return busy_; }
  /// Nothing arrives for the time of a frame. From 6.4 us to 10 ms, whatever the port has been told.
  void occupy(VirtualNs frame);
  void reset();
  void state(Archive& ar);

 private:
  Machine& machine_;
  Channel channel_;
  const InputSink& sink_;
  VirtualClock::TimerId frame_;
  bool busy_ = false;
};

}  // namespace hindcast::devices
