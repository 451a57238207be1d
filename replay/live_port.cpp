#include "replay/live_port.h"

namespace hindcast::replay {
Bytes LivePort::answer(InputKind kind, Channel channel, ByteView request) {
  if (failure_) return {};
  try {
    Bytes reply;
    if (auto it = services_.find(kind); it != services_.end()) {
      before_serving(*it->second, request);
      reply = it->second->serve(request);
    }
    Bytes payload;
    put_le(payload, request_hash(request), 4);
    payload.insert(payload.end(), reply.begin(), reply.end());
    record(static_cast<u8>(kind), channel, icount(), std::move(payload));
    return reply;
  } catch (...) {
    if (machine() == nullptr) throw;  // being built: no translated code below us
    failure_ = std::current_exception();
    stop_soon();
    return {};
  }
}

void LivePort::ask(InputKind kind, Channel channel, ByteView) {
  if (kind != InputKind::SemihostConsole) return;
  waiting_.insert(channel);
  reads_serial_ = false;
}

void LivePort::ready(Channel channel) {
  if (sink(channel, InputKind::Serial) != nullptr) reads_serial_ = true;
  // The next bytes, if there are any, need not wait for the end of the slice.
  if (machine() != nullptr) stop_soon();
}

void LivePort::stop_soon() {
  machine()->request_stop();
  machine()->current().request_exit();  // now, and not only when its time is up
}

void LivePort::inject(InputKind kind, Channel channel, ByteView data) {
  record(static_cast<u8>(kind), channel, icount(), Bytes(data.begin(), data.end()));
  // First: receiving the answer may ask the next question.
  if (kind == InputKind::SemihostConsole) waiting_.erase(channel);
  if (auto problem = deliver(kind, channel, data)) throw Fatal("input cannot be delivered: " + *problem);
}

std::optional<std::string> LivePort::write(InputKind kind, ByteView data) {
  // Neither asks for anything, so the log may follow; what cannot be delivered must not be in it.
  if (auto problem = deliver(kind, 0, data)) return problem;
  record(static_cast<u8>(kind), 0, icount(), Bytes(data.begin(), data.end()));
  return std::nullopt;
}

void LivePort::find_waiting() {
  waiting_.clear();
  for (const auto& [channel, sink] : sinks())
    if (sink.kind == InputKind::SemihostConsole && sink.sink->receivable() != 0) waiting_.insert(channel);
}

std::vector<Channel> LivePort::network_channels() const {
  std::vector<Channel> channels;
  for (const auto& [channel, sink] : sinks())
    if (sink.kind == InputKind::Network) channels.push_back(channel);
  return channels;
}

void LivePort::note_warp(VirtualNs when) {
  Bytes payload;
  put_le(payload, when, 8);
  record(static_cast<u8>(InputKind::Warp), 0, icount(), std::move(payload));
}

Stream LivePort::stream_of(Channel channel) const {
  if (channel == kConsoleChannel) return Stream::Console;
  return sink(channel, InputKind::Serial) != nullptr ? Stream::Serial : Stream::Semihosting;
}

std::size_t LivePort::pending_size() const {
  std::size_t size = 0;
  for (const Bytes& pending : pending_) size += pending.size();
  return size;
}

void LivePort::clear_output() {
  for (Bytes& pending : pending_) pending.clear();
}

void LivePort::emit(Channel channel, ByteView data) {
  if (data.empty() || machine() == nullptr) return;
  if (sink(channel, InputKind::Network) != nullptr) {
    if (frames_.size() < kMaxPendingFrames) frames_.push_back({channel, Bytes(data.begin(), data.end())});
    last_output_ = icount();
    stop_soon();  // somebody waits for it, most likely the guest itself for the answer
    return;
  }
  if (!is_console(channel)) return;
  last_output_ = icount();
  Bytes& pending = pending_[lines_[static_cast<std::size_t>(stream_of(channel))]];
  pending.insert(pending.end(), data.begin(), data.end());
  if (pending_size() >= kMaxPending) stop_soon();
}

void RecordingPort::before_serving(const HostService& service, ByteView request) {
  if (machine() != nullptr && service.has_effects(request)) recorder_.flush(icount());
}

}  // namespace hindcast::replay
