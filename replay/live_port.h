// The ports of live and recorded runs.
#pragma once
#include <array>
#include <exception>
#include <set>
#include <utility>
#include <vector>

#include "replay/event_format.h"
#include "replay/host_services.h"
#include "replay/port_base.h"
#include "replay/recorder.h"

namespace hindcast::replay {

/// The guest's streams that people read and type into.
enum class Stream : u8 { Semihosting, Serial, Console };
inline constexpr std::size_t kStreams = 3;

/// Answers from the host's services and holds outputs and questions until the driver of the run looks at
/// them, which it does between instructions. Exceptions of the host's side cannot pass through translated
/// code: they are kept in failure().
class LivePort : public PortBase {
 public:
  /// More console output than this is not held back: the machine is stopped so that it can be written.
  static constexpr std::size_t kMaxPending = 64 * 1024;

  /// Frames that the guest sends faster than they can be given to the host are lost, as on a real wire.
  static constexpr std::size_t kMaxPendingFrames = 4096;

  explicit LivePort(HostServices services) : services_(std::move(services)) {}

  Bytes answer(InputKind kind, Channel channel, ByteView request) override;
  void ask(InputKind kind, Channel channel, ByteView request) override;
  void ready(Channel channel) override;

  /// Logs (when recording) and delivers an input at the machine's present position. Throws Fatal if it cannot
  /// be delivered.
  void inject(InputKind kind, Channel channel, ByteView data);
  /// A debugger's RegisterWrite or MemoryWrite: delivered and then logged. Nullopt, or why nothing was done.
  std::optional<std::string> write(InputKind kind, ByteView data);
  /// Logs (when recording) that the machine stands before an instruction: due timers have fired, and the vCPU
  /// was chosen.
  void note_boundary() { record(kBoundary, 0, icount(), {}); }
  /// The machine was given a state: who waits for an answer from the console is found out.
  void find_waiting();
  /// Logs (when recording) that virtual time jumps to `when`.
  void note_warp(VirtualNs when);

  /// Channels that wait for a deferred answer from the console.
  const std::set<Channel>& waiting() const { return waiting_; }
  /// The guest reads its input from the serial port, as far as can be told: it took a byte there, or began to
  /// look for some, after it last asked for input through semihosting. Where it does not, bytes for it wait
  /// until it asks again.
  bool reads_serial() const { return reads_serial_; }

  /// What the stream prints belongs to that line (below kStreams); to line 0 if nothing else is said. What
  /// shares a line stays in order.
  void set_line(Stream stream, std::size_t line) { lines_[static_cast<std::size_t>(stream)] = line; }
  /// Output of a line not yet given to the host.
  const Bytes& pending_output(std::size_t line) const { return pending_[line]; }
  /// Of all lines.
  std::size_t pending_size() const;
  void clear_output();
  /// A frame that the guest has sent.
  struct Frame {
    Channel channel;
    Bytes data;
  };
  /// Those not yet given to the host.
  const std::vector<Frame>& pending_frames() const { return frames_; }
  std::vector<Frame> take_frames() { return std::exchange(frames_, {}); }
  /// The channels that receive network frames, ascending.
  std::vector<Channel> network_channels() const;

  /// Where the last byte of output was produced; kNever if there was none.
  Icount last_output() const { return last_output_; }

  /// What went wrong on the host's side during run(), null if nothing.
  std::exception_ptr failure() const { return failure_; }

 protected:
  void emit(Channel channel, ByteView data) override;
  /// Called before a request is served / when its reply is known. The recording port writes them down.
  virtual void before_serving(const HostService&, ByteView) {}
  virtual void record(u8 /*kind*/, Channel, Icount, Bytes) {}

 private:
  void stop_soon();
  Stream stream_of(Channel channel) const;

  HostServices services_;
  std::set<Channel> waiting_;
  bool reads_serial_ = true;
  std::array<std::size_t, kStreams> lines_{};  // by stream
  std::array<Bytes, kStreams> pending_;        // by line
  std::vector<Frame> frames_;
  Icount last_output_ = kNever;
  std::exception_ptr failure_;
};

/// A live port that writes down everything that it returned.
class RecordingPort : public LivePort {
 public:
  RecordingPort(HostServices services, Recorder& recorder)
      : LivePort(std::move(services)), recorder_(recorder) {}

 protected:
  void before_serving(const HostService& service, ByteView request) override;
  void record(u8 kind, Channel channel, Icount icount, Bytes payload) override {
    recorder_.append(kind, channel, icount, std::move(payload));
  }

 private:
  Recorder& recorder_;
};

}  // namespace hindcast::replay
