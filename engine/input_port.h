// The one door. Everything that comes from outside the machine passes through an InputPort; recording is the
// port writing down what it returned, replaying is the port reading it back (docs/architecture.md, "One
// door").
#pragma once
#include "engine/archive.h"
#include "engine/types.h"

namespace hindcast {

/// What an input is. The numbers are part of the recording format: never reuse one.
enum class InputKind : u8 {
  Entropy = 1,          // Answer: random bytes. Request: u32 LE, how many.
  RealTime = 2,         // Answer: the host's wall clock. Reply: u64 LE, nanoseconds since 1970 (UTC).
  Serial = 3,           // Async: bytes typed into a serial port.
  Semihost = 4,         // Answer: one semihosting service call. Request and reply: semihost/protocol.h.
  SemihostConsole = 5,  // Deferred answer: bytes read from the semihosting console; empty means end of file.
  Warp = 6,             // Async: virtual time jumps because an idle guest waited for the outside. u64 LE, ns.
  Reset = 7,            // Async: somebody pressed reset.
  RegisterWrite = 8,    // Async: a debugger or plugin wrote a register.
  MemoryWrite = 9,      // Async: a debugger or plugin wrote memory.
  Network = 10,         // Async: one Ethernet frame without its checksum.
  Disk = 11,            // Answer: bytes of a drive. Request: kDiskRead and what follows it.
  Clock = 12,           // Async: a plugin has virtual time jump forward. u64 LE, to what, ns.
};
const char* to_string(InputKind kind);

/// The first byte of a Disk request; u32 LE drive (by its number in the configuration), u64 LE offset and u32
/// LE size follow. What reads cannot be given in full is not given at all: an empty reply. Writes (the bytes
/// follow), clearing, and flushing what was written to the medium are for runs that change the drive and keep
/// nothing; the reply is one byte if it was done.
inline constexpr u8 kDiskRead = 0, kDiskWrite = 1, kDiskClear = 2, kDiskFlush = 3;

/// Which device asks or receives. Assigned by the board in tree order, so equal configurations number alike.
using Channel = u16;

/// Of a console beside the serial ports (virtio's): it receives InputKind::Serial as they do.
inline constexpr Channel kConsoleChannel = 0x600;

/// The receiving end of asynchronous inputs and deferred answers on one channel.
/// Both functions are called between instructions, at the position where the guest first sees the input.
class InputSink {
 public:
  virtual ~InputSink() = default;
  /// How many bytes it can accept now. A function of guest state alone (for instance: free places in a FIFO);
  /// a byte is never offered beyond it, so none is lost. Network: how long a frame may be, 0 if none fits.
  virtual std::size_t receivable() const = 0;
  /// How many of those a host that has plenty gives at a time. 0: not now, they might be lost; but a host
  /// that has waited long may give them, since a guest may look for input in a way that cannot be seen.
  virtual std::size_t wanted() const { return receivable(); }
  virtual void receive(InputKind kind, ByteView data) = 0;
};

/// What a device sees of the outside. Not thread-safe: called on the machine's thread only.
/// Implemented by replay/ (live, recording, replaying).
class InputPort {
 public:
  virtual ~InputPort() = default;
  /// An answer: returns at once with the reply (from the host, or from the recording).
  virtual Bytes answer(InputKind kind, Channel channel, ByteView request) = 0;
  /// A deferred answer: the asking vCPU is parked by the caller; the reply arrives later at the channel's
  /// sink.
  virtual void ask(InputKind kind, Channel channel, ByteView request) = 0;
  /// Announces who receives on a channel. The sink must outlive the port's use of it.
  virtual void attach(Channel channel, InputKind kind, InputSink* sink) = 0;
  /// The sink of `channel` has become able to take more, and nothing is left there for the guest to take
  /// first: look for pending bytes at once. Only a hint about host time, hence without effect on a replay.
  virtual void ready(Channel channel) = 0;
  /// Bytes leaving the machine; where InputKind::Network is received, one frame. Recomputed in a replay and
  /// checked by hash.
  virtual void output(Channel channel, ByteView data) = 0;
};

/// An outside world in which nothing happens: for whoever looks at devices, or runs code that has none.
class SilentPort : public InputPort {
 public:
  Bytes answer(InputKind, Channel, ByteView) override { return {}; }
  void ask(InputKind, Channel, ByteView) override {}
  void attach(Channel, InputKind, InputSink*) override {}
  void ready(Channel) override {}
  void output(Channel, ByteView) override {}
};

}  // namespace hindcast
