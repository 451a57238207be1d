#include "tests/replay/world.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "replay/host_clock.h"
#include "replay/host_io.h"
#include "targets/targets.h"

namespace hindcast::replay::test {

TempFolder::TempFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "hindcast-replay-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = name;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

MachineConfig machine_of(Bytes program, unsigned smp) {
  static const bool registered = (targets::register_all(), true);
  (void)registered;
  MachineConfig config;
  config.machine = "virt";
  config.cpu = "rv64";
  config.memory_bytes = 16u << 20;
  config.smp = smp;
  config.semihosting = true;
  MachineFile file;
  file.role = "bios";
  file.name = "program";
  file.data = std::move(program);
  config.files.push_back(std::move(file));
  return config;
}

bool TypingConsole::wait(u64 timeout_ns, int wake_fd) {
  if (on_wait) on_wait();
  if (keys_.empty()) {
    if (close_after_) return open_;  // read() will find the end
    const u64 start = host_now_ns();
    wait_readable(-1, timeout_ns, wake_fd);
    waited_ns += host_now_ns() - start;
    return false;
  }
  if (polls_left_ != 0) {
    --polls_left_;
    if (timeout_ns != 0) {
      const u64 nap = std::min<u64>(timeout_ns, 200'000);
      wait_readable(-1, nap, wake_fd);
      waited_ns += nap;
      // A sleep that ends before its time has found input.
      if (nap < timeout_ns) polls_left_ = 0;
    }
    if (polls_left_ != 0 || timeout_ns == 0) return false;
  }
  return true;
}

std::size_t TypingConsole::read(u8* buffer, std::size_t size) {
  if (keys_.empty()) {
    if (close_after_) open_ = false;
    return 0;
  }
  const std::size_t n = std::min({size, keys_.size(), std::size_t{1} + random_() % 5});
  std::copy_n(keys_.begin(), n, buffer);
  keys_.erase(0, n);
  polls_left_ = static_cast<unsigned>(random_() % 5);
  return n;
}

void TypingConsole::write(ByteView data, const std::function<bool()>&) {
  output.append(data.begin(), data.end());
}

HostOptions host_with(std::shared_ptr<Console> console) {
  HostOptions host;
  host.console = std::move(console);
  host.max_icount = 2'000'000'000;
  return host;
}

RunResult record_to(const std::string& path, const MachineConfig& config, std::shared_ptr<Console> console,
                    RecordOptions options) {
  options.path = path;
  if (options.hash_grid == RecordOptions{}.hash_grid) options.hash_grid = 1u << 16;
  return record(config, host_with(std::move(console)), options);
}

Replayed replay_of(const std::string& path, ReplayOptions options) {
  // The replay writes to the real standard output: it is a file for that long.
  TempFolder folder;
  const std::string name = folder / "out";
  std::fflush(stdout);
  const int saved = ::dup(1);
  const int file = ::open(name.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  ::dup2(file, 1);
  ::close(file);
  Replayed out;
  std::exception_ptr problem;
  try {
    out.result = replay(path, options);
  } catch (...) {
    problem = std::current_exception();
  }
  const off_t size = ::lseek(1, 0, SEEK_END);
  out.output.resize(static_cast<std::size_t>(size));
  const ssize_t n = ::pread(1, out.output.data(), out.output.size(), 0);
  ::dup2(saved, 1);
  ::close(saved);
  EXPECT_EQ(n, size);
  if (problem) std::rethrow_exception(problem);
  return out;
}

std::vector<storage::EventRecord> events_of(const std::string& path) {
  std::vector<storage::EventRecord> out;
  storage::Reader::open(path)->events(0, [&](const storage::EventRecord& event) {
    out.push_back(event);
    return true;
  });
  return out;
}

void copy_recording(const std::string& from, const std::string& to,
                    const std::function<void(Edit&)>& change) {
  const auto reader = storage::Reader::open(from);
  Edit edit{reader->meta(), events_of(from), reader->end()};
  change(edit);
  const auto writer = storage::Writer::create(to, edit.meta, {});
  for (const std::string& key : reader->blobs()) writer->put_blob(key, reader->blob(key));
  for (const storage::EventRecord& event : edit.events) writer->append(event);
  writer->flush(reader->covered_icount());
  if (edit.end) writer->close(*edit.end);
}

}  // namespace hindcast::replay::test
