// What live, recording and replaying ports have in common: the sinks and the output hash.
#pragma once
#include <functional>
#include <map>
#include <optional>

#include "engine/input_port.h"
#include "engine/machine.h"
#include "replay/output_hash.h"

namespace hindcast::replay {

class PortBase : public InputPort {
 public:
  struct Sink {
    InputKind kind;
    InputSink* sink;
  };

  /// The machine whose port this is. Before, while it is being built, everything happens at icount 0.
  void bind(Machine* machine) { machine_ = machine; }
  /// Exact also inside an instruction.
  Icount icount() const { return machine_ == nullptr ? 0 : machine_->current().icount(); }

  void attach(Channel channel, InputKind kind, InputSink* sink) override { sinks_[channel] = {kind, sink}; }
  void output(Channel channel, ByteView data) final;

  /// Null if nobody receives `kind` there.
  InputSink* sink(Channel channel, InputKind kind) const;
  /// The first serial port.
  std::optional<Channel> serial_channel() const;
  /// The console beside the serial ports.
  InputSink* extra_console() const { return sink(kConsoleChannel, InputKind::Serial); }
  /// What is printed there is for people: the first serial port, the console beside it, and semihosting.
  bool is_console(Channel channel) const {
    return channel == serial_channel() || sink(channel, InputKind::SemihostConsole) != nullptr ||
           (channel == kConsoleChannel && extra_console() != nullptr);
  }

  const OutputHash& output_hash() const { return output_hash_; }
  /// What a checkpoint has to hold beside the machine.
  void state(Archive& ar) { output_hash_.state(ar); }

  /// Told of each network frame as it passes, either way, with the virtual time. Must not throw: translated
  /// code may be below it.
  using FrameWatcher = std::function<void(VirtualNs, ByteView)>;
  void watch_frames(FrameWatcher watcher) { frame_watcher_ = std::move(watcher); }

  /// Hands an input to its receiver, now, and wakes those who wait. Nullopt; or, when the guest's state does
  /// not allow it, what is wrong ("nobody receives on channel 3"), and then nothing was changed.
  std::optional<std::string> deliver(InputKind kind, Channel channel, ByteView data);

 protected:
  /// Bytes leaving the machine, after they were hashed.
  virtual void emit(Channel channel, ByteView data) = 0;
  Machine* machine() const { return machine_; }
  const std::map<Channel, Sink>& sinks() const { return sinks_; }

 private:
  Machine* machine_ = nullptr;
  std::map<Channel, Sink> sinks_;
  OutputHash output_hash_;
  FrameWatcher frame_watcher_;
};

}  // namespace hindcast::replay
