// The port of a replay: what the guest asks for is read from the recording. Has no way to the host.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "replay/event_cursor.h"
#include "replay/port_base.h"

namespace hindcast::replay {

/// Where and how a replay left the recorded path.
struct Departure {
  Position position;
  std::string what;
};

class ReplayPort final : public PortBase {
 public:
  explicit ReplayPort(std::unique_ptr<EventCursor> cursor) : cursor_(std::move(cursor)) {}

  /// The recorded answer; an empty one, and a departure, if the guest asks for something else than it did.
  Bytes answer(InputKind kind, Channel channel, ByteView request) override;
  void ask(InputKind, Channel, ByteView) override {}
  void ready(Channel) override {}

  EventCursor& cursor() { return *cursor_; }
  void set_cursor(std::unique_ptr<EventCursor> cursor) { cursor_ = std::move(cursor); }

  /// The first one; nothing that happens after it means anything. It cannot be thrown from answer(), which
  /// translated code has called: the machine is stopped, and whoever runs it looks here.
  const std::optional<Departure>& departure() const { return departure_; }
  void depart(Position position, std::string what);
  /// The machine was put back on the recorded path.
  void forget_departure() { departure_.reset(); }

  /// Console output since clear_output(). Collected only if `keep`.
  void keep_output(bool keep) { keep_ = keep; }
  const Bytes& pending_output() const { return pending_; }
  void clear_output() { pending_.clear(); }
  /// All output goes here as it is produced; an empty function: nowhere.
  void on_output(std::function<void(Channel, ByteView)> fn) { on_output_ = std::move(fn); }

 protected:
  void emit(Channel channel, ByteView data) override;

 private:
  std::unique_ptr<EventCursor> cursor_;
  std::optional<Departure> departure_;
  bool keep_ = false;
  Bytes pending_;
  std::function<void(Channel, ByteView)> on_output_;
};

}  // namespace hindcast::replay
