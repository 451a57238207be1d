// The terminal in raw mode, and back.
#pragma once

namespace hindcast::replay {

/// Puts the terminal on `fd` in raw mode while it lives: keys reach the guest as they are typed, Ctrl-C
/// included. Output processing stays as it was. The settings are restored by the destructor, at exit() and by
/// restore_now(). One per process.
class Terminal {
 public:
  explicit Terminal(int fd);
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  /// Async-signal-safe; does nothing when no terminal is raw.
  static void restore_now();
};

}  // namespace hindcast::replay
