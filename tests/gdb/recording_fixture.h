// A session over a timeline: a recording of a small guest, or a live run of it.
#pragma once
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "gdb/session.h"
#include "tests/replay/world.h"

namespace hindcast::gdb {

class RecordingSession : public testing::Test {
 protected:
  static constexpr GuestAddr kChecksum = 0x80100000;  // written for every byte that echo_program gets

  /// A finished recording of echo_program, from its beginning.
  void open(unsigned smp = 1) {
    const auto console = std::make_shared<replay::test::TypingConsole>("some keys to tell q", 2);
    replay::test::record_to(folder_ / "rec", replay::test::machine_of(replay::test::echo_program(true), smp),
                            console);
    timeline = replay::Timeline::open(folder_ / "rec", {});
    begin();
  }
  /// A live run, at power-on.
  void start(Bytes program = replay::test::echo_program(true), unsigned smp = 1) {
    replay::RecordOptions options;
    options.path = folder_ / "live";
    options.hash_grid = 1u << 16;
    const auto console = std::make_shared<replay::test::TypingConsole>("some keys to tell", 2, false);
    timeline = replay::Timeline::start(replay::test::machine_of(std::move(program), smp),
                                       replay::test::host_with(console), options);
    begin();
  }
  std::string ask(const std::string& packet) { return session->handle(packet).value_or("<none>"); }
  std::string monitor(const std::string& line) {
    return from_hex(ask("qRcmd," + to_hex(line))).value_or("?");
  }
  static bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != text.npos;
  }

  replay::test::TempFolder folder_;
  std::unique_ptr<replay::Timeline> timeline;
  std::unique_ptr<Session> session;

 private:
  void begin() {
    session = std::make_unique<Session>(*timeline, SessionOptions{timeline.get(), {}});
    session->begin();
  }
};

/// Asks for a stop again and again while it lives, as the server does after Ctrl-C.
class Impatient {
 public:
  explicit Impatient(Session& session)
      : thread_([this, &session] {
          while (!done_) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            session.interrupt();
          }
        }) {}
  ~Impatient() {
    done_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

}  // namespace hindcast::gdb
