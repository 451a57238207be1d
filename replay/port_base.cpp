#include "replay/port_base.h"

#include <fmt/format.h>

#include "replay/event_format.h"

namespace hindcast::replay {

void PortBase::output(Channel channel, ByteView data) {
  output_hash_.add(channel, data);
  if (frame_watcher_ && machine_ != nullptr && sink(channel, InputKind::Network) != nullptr)
    frame_watcher_(machine_->clock().now(), data);
  emit(channel, data);
}

InputSink* PortBase::sink(Channel channel, InputKind kind) const {
  auto it = sinks_.find(channel);
  return it == sinks_.end() || it->second.kind != kind ? nullptr : it->second.sink;
}

std::optional<Channel> PortBase::serial_channel() const {
  for (const auto& [channel, sink] : sinks_)
    if (sink.kind == InputKind::Serial && channel != kConsoleChannel) return channel;
  return std::nullopt;
}

std::optional<std::string> PortBase::deliver(InputKind kind, Channel channel, ByteView data) {
  Machine& m = *machine_;
  switch (kind) {
    case InputKind::Reset: m.request_reset(); break;
    case InputKind::RegisterWrite: {
      if (data.size() != 16) return "the payload has a wrong size";
      const u64 vcpu = get_le(data, 0, 4), row = get_le(data, 4, 4);
      if (vcpu >= m.vcpu_count() || row >= m.arch().registers().size()) return "there is no such register";
      if (!m.arch().write_register(m.vcpu(static_cast<unsigned>(vcpu)), static_cast<unsigned>(row),
                                   get_le(data, 8, 8)))
        return "the register cannot be written";
      break;
    }
    case InputKind::MemoryWrite:
      if (data.size() < 8) return "the payload has a wrong size";
      if (!m.memory().host_write(get_le(data, 0, 8), data.data() + 8, data.size() - 8))
        return fmt::format("there is no memory at {:#x}", get_le(data, 0, 8));
      break;
    case InputKind::Clock: {
      if (data.size() != 8) return "the payload has a wrong size";
      const VirtualNs then = get_le(data, 0, 8);
      if (then < m.clock().now() || then == kNever)
        return fmt::format("virtual time is {} ns and cannot jump to {} ns", m.clock().now(), then);
      m.warp_to(then);
      break;
    }
    case InputKind::Serial:
    case InputKind::SemihostConsole:
    case InputKind::Network: {
      InputSink* receiver = sink(channel, kind);
      if (receiver == nullptr) return fmt::format("nobody receives on channel {}", channel);
      // An empty console answer means end of file, but only to somebody who waits for an answer.
      const std::size_t room = receiver->receivable();
      if (data.size() > room || room == 0)
        return fmt::format("the receiver on channel {} can take {} bytes, not {}", channel, room,
                           data.size());
      if (frame_watcher_ && kind == InputKind::Network) frame_watcher_(m.clock().now(), data);
      receiver->receive(kind, data);
      break;
    }
    default:
      return fmt::format("'{}' is not an input that arrives by itself", kind_name(static_cast<u8>(kind)));
  }
  m.input_delivered();
  return std::nullopt;
}

}  // namespace hindcast::replay
