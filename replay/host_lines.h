// The consoles of a live run and the guest's streams, brought together: who gets what is typed, and where
// what is printed goes.
#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "replay/console.h"
#include "replay/interrupts.h"
#include "replay/live_port.h"

namespace hindcast::replay {

class HostLines {
 public:
  /// `port` and `interrupts` must outlive it.
  HostLines(Consoles consoles, LivePort& port, const Interrupts& interrupts);
  /// The run begins. Throws Fatal.
  void begin();

  // What the consoles have to say about going on.
  bool quit_requested() const;
  bool output_lost() const;
  /// One line; empty if everything can be written.
  const std::string& problem() const;

  // Input.
  /// More input is of use now.
  bool watches() const;
  /// Waits for input that is of use, up to `timeout_ns` (kNever: for ever) or until `wake_fd` is readable.
  /// True: read() is worthwhile.
  bool wait(u64 timeout_ns, int wake_fd);
  /// Takes what there is, without waiting.
  void read();
  /// The guest, which sleeps, has something that input could still come to. What has been read and not taken
  /// will not be taken by it, whatever is typed after it.
  bool may_get_input() const;
  bool can_deliver() const;
  /// Gives the guest what has been read, as far as it can take it: one event. Only with can_deliver().
  void deliver();

  /// Writes what the guest has printed.
  void flush();

 private:
  /// One console, and what has been read from it and not yet given to the guest.
  struct Line {
    std::shared_ptr<Console> console;
    std::array<bool, kStreams> serves{};
    Bytes input;
    u64 since_ns = 0;  // since when the first of it waits
  };
  struct Target {
    InputKind kind;
    Channel channel;
    std::size_t room;
  };
  bool watches(const Line& line) const;
  bool has_receiver(const Line& line) const;
  void serve(Stream stream, std::shared_ptr<Console> console);
  static bool serves(const Line& line, Stream stream) {
    return line.serves[static_cast<std::size_t>(stream)];
  }
  /// Where the line's bytes for a serial port may go, first choice first.
  std::vector<Channel> serial_ports(const Line& line) const;
  std::optional<Target> target(const Line& line) const;
  bool can_deliver(const Line& line) const;
  /// Makes the first `n` bytes of the input what a program expects of a terminal: it is raw because of the
  /// serial port, so that Enter gives a carriage return and nothing is echoed.
  void cook(Line& line, std::size_t n);
  void read(Line& line);
  void write(Line& line, ByteView data);

  LivePort& port_;
  const Interrupts& interrupts_;
  std::vector<Line> lines_;  // each with a console of its own
};

}  // namespace hindcast::replay
