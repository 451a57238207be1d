// What hindcast says while it runs: messages on stderr or in a log file, and a status line on a terminal.
#pragma once
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>

#include "replay/session.h"

namespace hindcast::cli {

/// Shows icount, speed, log size and, in a replay, how far it is, on stderr while that is a terminal. When
/// the guest's console is on the same terminal, the line has the bottom row for itself and the rest scrolls
/// above it.
class StatusLine {
 public:
  StatusLine();
  ~StatusLine() { clear(); }
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  /// Null when there is nothing to show it on.
  std::function<void(const replay::Progress&)> callback();
  /// Takes the line away (at the end, and before a message).
  void clear();

 private:
  void show(const replay::Progress& progress);
  void draw(const std::string& text);
  bool reserve_row();

  bool terminal_;
  bool shared_;  // stdout is a terminal too
  bool shown_ = false;
  unsigned rows_ = 0;  // shared_: the terminal's height when the bottom row was reserved
  std::chrono::steady_clock::time_point last_{};
  Icount last_icount_ = 0;
};

/// hindcast's own messages, one line each, and the text of plugins: to stderr or to the file of -D, which
/// begins empty. A message that cannot be written to stderr is lost; for text, and for the file, close() says
/// so.
class Log {
 public:
  /// `path` empty: stderr. Throws Fatal if the file cannot be opened.
  explicit Log(const std::string& path);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  void line(const std::string& text);
  /// Text of plugins, as it is. Kept until there is more of it, unless somebody watches.
  void text(std::string_view text);
  /// Writes what text() has kept. Allocates nothing: also for a process that is about to die.
  void flush_text();
  /// For others that write text to it, after flush_text().
  int fd() const;
  /// Somebody else could not write there: the errno.
  void note_lost(int problem);
  /// At the end of the run, when everything else is done. Throws Fatal if something is missing that somebody
  /// may want to read.
  void close();

 private:
  std::string path_;
  std::FILE* file_;
  std::string kept_;
  bool watched_;     // a terminal
  int problem_ = 0;  // errno where something was lost first
};

}  // namespace hindcast::cli
