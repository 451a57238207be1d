// What the first serial port, the virtio console and the semihosting console are connected to on the host's
// side.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "replay/session.h"

namespace hindcast::replay {

/// A byte stream in both directions. Used on the machine's thread. No function but wait() and write() ever
/// blocks.
class Console {
 public:
  virtual ~Console() = default;
  /// To be called when the run begins, and nothing is left that could refuse it: empties the file, waits for
  /// a first client. Does nothing the second time. Throws Fatal.
  virtual void begin() {}
  /// False once no input can come any more (end of file, nothing connected).
  virtual bool input_open() const = 0;
  /// Input comes from a terminal in raw mode, where a key can end the run: always to be read.
  virtual bool interactive() const { return false; }
  /// Readable when read() is worthwhile; -1: there is no such descriptor now.
  virtual int input_fd() const { return -1; }
  /// Waits up to `timeout_ns` (kNever: for ever) for input, or until `wake_fd` is readable (-1: none). True:
  /// read() is worthwhile.
  virtual bool wait(u64 timeout_ns, int wake_fd);
  /// Up to `size` bytes, 0 if there are none now. May find the end of the input.
  virtual std::size_t read(u8* buffer, std::size_t size) = 0;
  /// Writes all of it, waiting for a slow receiver; `give_up` is asked whenever a signal interrupts the
  /// waiting. What cannot be written is lost, and so is everything after it: see problem() and output_lost().
  virtual void write(ByteView data, const std::function<bool()>& give_up) = 0;
  /// The receiver of the output has gone for good (a closed pipe): there is nobody to run for.
  virtual bool output_lost() const { return false; }
  /// Why the output cannot be written although there is a receiver (a full disk), in one line; empty if it
  /// can.
  const std::string& problem() const { return problem_; }
  /// The user asked for the end from the keyboard (Ctrl-A X in raw mode).
  virtual bool quit_requested() const { return false; }

 protected:
  std::string problem_;
};

/// Makes sure that file descriptors 0 to 2 are open (on /dev/null if need be), so that no file opened later
/// takes the place of a closed standard stream and receives the guest's output. To be called before anything
/// else is opened.
void ensure_standard_fds();

/// Never null; one object may be several.
struct Consoles {
  std::shared_ptr<Console> serial, semihosting, extra;  // `extra`: of the console beside the serial ports
  /// Throws Fatal if any could not be written.
  void check() const;
};

/// What `host` says; `semihosting`: the guest has such a console. Throws Fatal if a file cannot be written,
/// or an address cannot be listened on. `wake_fd`, when readable, ends the waiting for a first client.
Consoles open_consoles(const HostOptions& host, bool semihosting, int wake_fd);

}  // namespace hindcast::replay
