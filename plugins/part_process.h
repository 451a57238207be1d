// A process that runs parts of an analysis, seen from the one that put it to work.
#pragma once
#include <sys/types.h>

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "plugins/part.h"

namespace hindcast::plugins {

/// What is known of a part that was given to a process.
struct PartState {
  Part part;
  u64 done = 0, text = 0;  // instructions, and bytes that plugins have written
  std::optional<Bytes> saved;
  struct Ended {
    int status;
    std::string message;  // of a plugin's mistake; empty: it ended the run on purpose
  };
  std::optional<Ended> ended;  // a plugin ended the run there
  std::string failed;          // one line
  bool has_turn = false;
  bool written = false;
  bool running() const { return !saved && failed.empty(); }
};

/// Host problems throw Fatal.
class PartProcess {
 public:
  struct Setup {
    std::vector<std::string> command;  // of the process, but for what says which part
    int output = 2;                    // where text goes
    int buffer = -1;                   // of kPartBufferSize bytes; its owner outlives the process
    std::function<void(int)> lost;     // some text could not be written: the errno
  };
  PartProcess(Setup setup, PartState* first);
  /// Kills it if it still runs.
  ~PartProcess();
  PartProcess(const PartProcess&) = delete;
  PartProcess& operator=(const PartProcess&) = delete;

  /// How many parts it has: one that it runs, and those that wait behind it. 0: it has written all of the
  /// last one's text and waits for an order.
  std::size_t parts() const { return parts_.size(); }
  int buffer() const { return setup_.buffer; }
  /// What becomes readable when something has arrived; -1: the process has ended.
  int messages() const { return messages_; }
  bool ended() const { return messages_ < 0; }
  /// It has ended as it should.
  bool ended_well() const;
  /// "was ended by signal 9"
  std::string how_it_ended() const;

  /// Takes what has arrived apart, or notices that the process has ended.
  void receive();
  void give_turn(PartState& part);
  /// Behind the parts that it has.
  void run(PartState* next);
  /// There is no more to do.
  void dismiss();

 private:
  void start();
  bool take_bytes();
  void take(PartMessage kind, ByteView payload);
  void order(const PartOrder& order);

  Setup setup_;
  std::deque<PartState*> parts_;
  pid_t pid_ = -1;
  int messages_ = -1, orders_ = -1;
  Bytes received_;
  int wait_status_ = 0;  // once it has ended
};

}  // namespace hindcast::plugins
