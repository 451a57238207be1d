// The guest's open handles: the console, the features file, and files of the host half.
#pragma once
#include <array>

#include "engine/machine.h"
#include "semihost/protocol.h"

namespace hindcast::semihost {

enum class HandleKind : u8 {
  Free = 0,
  ConsoleIn = 1,
  ConsoleOut = 2,
  ConsoleErr = 3,
  Features = 4,
  HostFile = 5
};

struct Handle {
  HandleKind kind = HandleKind::Free;
  u64 offset = 0;  // Features, HostFile: where the next read or write happens
};

/// Content of ":semihosting-features": the magic and one byte of feature bits.
inline constexpr u8 kFeatureExitExtended = 1;
inline constexpr u8 kFeatureStdoutStderr = 2;
inline constexpr std::array<u8, 5> kFeatures = {'S', 'H', 'F', 'B',
                                                kFeatureExitExtended | kFeatureStdoutStderr};

/// Guest state, all of it. Numbers that guests see start at 1 (0 is never a handle); the lowest free one is
/// given.
class Handles {
 public:
  Handles(Machine& machine, Channel channel) : machine_(machine), channel_(channel) {}

  /// Opens `name` in mode 0..11. Returns the guest's handle; 0: failed, see `error`.
  u32 open(const Bytes& name, u8 mode, Errno& error);
  Errno close(u64 handle);
  /// Null if the guest's handle names nothing.
  Handle* find(u64 handle);

  /// At most kMaxTransfer bytes at the handle's offset, which moves on. HostFile and Features only.
  Errno read(u64 handle, u32 count, Bytes& data);
  /// Returns through `written` how many bytes were taken; the offset moves on. HostFile only.
  Errno write(u64 handle, ByteView data, u32& written);
  Errno length(u64 handle, u64& bytes);
  Errno remove(const Bytes& name);
  Errno rename(const Bytes& from, const Bytes& to);

  void reset();
  void state(Archive& ar);

 private:
  /// Asks the host half. A malformed reply (the port has failed, or a hostile recording) is an I/O error for
  /// the guest: calls come from translated code, through which nothing may be thrown. The port reports what
  /// happened.
  Reply ask(const Request& request);

  Machine& machine_;
  Channel channel_;
  std::array<Handle, kMaxHandles> handles_{};
};

}  // namespace hindcast::semihost
