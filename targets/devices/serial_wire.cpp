#include "targets/devices/serial_wire.h"

#include <algorithm>

namespace hindcast::devices {

SerialWire::SerialWire(Machine& machine, const std::string& device, Channel channel, const InputSink& sink)
    : machine_(machine), channel_(channel), sink_(sink) {
  frame_ = machine.clock().add_timer(device + ".frame", [this] {
    busy_ = false;
    if (sink_.receivable() != 0) machine_.port().ready(channel_);
  });
}

void SerialWire::occupy(VirtualNs frame) {
  constexpr VirtualNs kShortest = 6'400, kLongest = 10'000'000;
  busy_ = true;
  machine_.clock().arm(frame_, machine_.clock().now() + std::clamp(frame, kShortest, kLongest));
}

void SerialWire::reset() {
  busy_ = false;
  machine_.clock().arm(frame_, kNever);
}

void SerialWire::state(Archive& ar) { ar.field("line_busy", busy_); }

}  // namespace hindcast::devices
