#include "replay/replay_port.h"

#include <fmt/format.h>

#include "replay/event_format.h"

namespace hindcast::replay {

Bytes ReplayPort::answer(InputKind kind, Channel channel, ByteView request) {
  if (departure_) return {};
  const Icount now = icount();
  const std::string asked =
      fmt::format("the guest asks for '{}' on channel {}", kind_name(static_cast<u8>(kind)), channel);
  const storage::EventRecord* event = cursor_->front();
  if (event == nullptr) {
    depart({now, 0}, asked + ", but no more inputs are recorded");
    return {};
  }
  if (event->icount != now || event->kind != static_cast<u8>(kind) || event->channel != channel) {
    depart({now, 0}, fmt::format("{}, but the next recorded event is '{}' on channel {} at icount {}", asked,
                                 kind_name(event->kind), event->channel, event->icount));
    return {};
  }
  const Position at{event->icount, event->seq};
  if (event->payload.size() < 4) {
    depart(at, asked + ", and the recorded answer is malformed");
    return {};
  }
  const u64 recorded = get_le(event->payload, 0, 4), expected = request_hash(request);
  if (recorded != expected) {
    depart(at, fmt::format(
                   "{} with other parameters than in the recording (request hash {:08x}, recorded {:08x})",
                   asked, expected, recorded));
    return {};
  }
  Bytes reply(event->payload.begin() + 4, event->payload.end());
  cursor_->pop();
  const bool sized =
      (kind != InputKind::RealTime || reply.size() == 8) &&
      (kind != InputKind::Entropy || request.size() != 4 || reply.size() == get_le(request, 0, 4));
  if (!sized) {
    depart(at, asked + ", and the recorded answer has a wrong size");
    return {};
  }
  return reply;
}

void ReplayPort::depart(Position position, std::string what) {
  if (departure_) return;
  departure_ = Departure{position, std::move(what)};
  if (machine() == nullptr) return;
  machine()->request_stop();
  machine()->current().request_exit();
}

void ReplayPort::emit(Channel channel, ByteView data) {
  if (on_output_) on_output_(channel, data);
  if (!keep_ || !is_console(channel)) return;
  pending_.insert(pending_.end(), data.begin(), data.end());
}

}  // namespace hindcast::replay
