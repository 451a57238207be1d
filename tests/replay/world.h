// What the replay tests share: machines, a console that types at chosen moments, folders that vanish, edited
// recordings.
#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "replay/console.h"
#include "replay/session.h"
#include "storage/event_store.h"
#include "tests/replay/guest_code.h"

namespace hindcast::replay::test {

class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// The virt board with `program` where a reset starts.
MachineConfig machine_of(Bytes program, unsigned smp = 1);

/// Types `keys` in pieces of random length, each after a random number of polls, then closes the input (or
/// leaves it open). Keeps what the guest printed.
class TypingConsole final : public Console {
 public:
  TypingConsole(std::string keys, u64 seed, bool close_after = true)
      : keys_(std::move(keys)), random_(seed), close_after_(close_after) {}
  bool input_open() const override { return open_; }
  bool wait(u64 timeout_ns, int wake_fd) override;
  std::size_t read(u8* buffer, std::size_t size) override;
  void write(ByteView data, const std::function<bool()>& give_up) override;

  std::string output;
  u64 waited_ns = 0;
  /// Called at each poll.
  std::function<void()> on_wait;

 private:
  std::string keys_;
  std::mt19937_64 random_;
  bool close_after_;
  bool open_ = true;
  unsigned polls_left_ = 3;
  std::size_t offered_ = 0;
};

HostOptions host_with(std::shared_ptr<Console> console);
/// Records `config` into `path` with what `console` types. Small grid, no checkpoints unless `options` say
/// so.
RunResult record_to(const std::string& path, const MachineConfig& config, std::shared_ptr<Console> console,
                    RecordOptions options = {});
/// Replays, the guest's output captured.
struct Replayed {
  RunResult result;
  std::string output;
};
Replayed replay_of(const std::string& path, ReplayOptions options = {});

/// Writes a copy of the recording at `from`, its events, meta and end record changed by `edit`.
struct Edit {
  Bytes meta;
  std::vector<storage::EventRecord> events;
  std::optional<storage::EndRecord> end;
};
void copy_recording(const std::string& from, const std::string& to, const std::function<void(Edit&)>& edit);
std::vector<storage::EventRecord> events_of(const std::string& path);

}  // namespace hindcast::replay::test
