// The hindcast command as a child process: how its streams are connected, what it printed, how it ended.
#pragma once
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace hindcast::cli_test {

using Milliseconds = std::chrono::milliseconds;

enum class Stream { Pipe, Null, Closed };

struct SpawnOptions {
  Stream input = Stream::Null;
  Stream output = Stream::Pipe;
  Stream error = Stream::Pipe;
  std::string input_file;                // instead of `input`
  std::string output_file;               // instead of `output`
  std::string error_file;                // instead of `error`
  unsigned long file_size_limit = 0;     // RLIMIT_FSIZE, if not 0
  bool group = false;                    // a group of its own, as a terminal's job; signal() is for all of it
  std::vector<std::string> environment;  // "NAME=value", added
};

/// How a process ended.
struct Outcome {
  int status = -1;  // exit status; -1 if a signal ended it
  int signal = 0;
  bool timed_out = false;  // it had to be killed
  std::string out, err;
  /// stderr is nothing but one line that begins with "hindcast: ".
  bool one_line() const;
  std::string describe() const;
};

/// One running command. The destructor kills what is left of it.
class Process {
 public:
  /// `arguments` go to the built hindcast command.
  explicit Process(const std::vector<std::string>& arguments, const SpawnOptions& options = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// To the command's stdin, which must be a pipe (SpawnOptions::input): else the test fails, as nobody would
  /// read it.
  void write(const std::string& text);
  void close_input();
  void close_output();
  void close_error();
  void signal(int number);
  /// Waits until stdout contains `text`; false when it has not within `limit` or the process ended.
  bool await(const std::string& text, Milliseconds limit = Milliseconds(20'000));
  /// The first line on stderr that contains `text`, once there is one; empty if none comes.
  std::string await_error(const std::string& text, Milliseconds limit = Milliseconds(20'000));
  /// Reads both streams to their ends and collects the process.
  Outcome finish(Milliseconds limit = Milliseconds(30'000));

 private:
  bool pump(Milliseconds limit);

  pid_t pid_ = -1;
  bool group_ = false;
  bool has_input_ = false;  // stdin is a pipe
  int input_ = -1, output_ = -1, error_ = -1;
  Outcome outcome_;
};

/// Runs to the end with `input` on stdin (closed after it).
Outcome hindcast(const std::vector<std::string>& arguments, const std::string& input = "",
                 const SpawnOptions& options = {});

/// A fresh folder that goes away with the object.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string read_file(const std::string& path);
void write_file(const std::string& path, const std::string& data);

/// Runs `work(i)` for i below `count` on two threads.
void in_parallel(unsigned count, const std::function<void(unsigned)>& work);

}  // namespace hindcast::cli_test
