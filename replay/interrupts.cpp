#include "replay/interrupts.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "replay/terminal.h"

namespace hindcast::replay {
namespace {

// What the handler touches: lock-free atomics only.
std::atomic<int> g_signal{0};
std::atomic<Machine*> g_machine{nullptr};
std::atomic<int> g_wake_read{-1};
std::atomic<int> g_wake_write{-1};

void on_signal(int signal) {
  const int saved_errno = errno;
  int none = 0;
  if (!g_signal.compare_exchange_strong(none, signal)) {
    Terminal::restore_now();
    ::signal(signal, SIG_DFL);
    ::raise(signal);
    return;
  }
  const u8 byte = 0;
  [[maybe_unused]] ssize_t n = ::write(g_wake_write.load(), &byte, 1);
  if (Machine* machine = g_machine.load()) machine->request_stop();
  errno = saved_errno;
}

}  // namespace

Interrupts::Interrupts() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) throw Fatal("the host gives no pipe: too many open files");
  g_signal = 0;
  g_wake_read = fds[0];
  g_wake_write = fds[1];
  constexpr std::array<int, 4> kSignals{SIGINT, SIGTERM, SIGHUP, SIGPIPE};
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    struct sigaction action {};
    action.sa_handler = kSignals[i] == SIGPIPE ? SIG_IGN : on_signal;
    ::sigemptyset(&action.sa_mask);
    saved_[i].signal = kSignals[i];
    ::sigaction(kSignals[i], nullptr, &saved_[i].action);
    if (saved_[i].action.sa_handler != SIG_IGN) ::sigaction(kSignals[i], &action, nullptr);
  }
}

Interrupts::~Interrupts() {
  for (const Saved& saved : saved_) ::sigaction(saved.signal, &saved.action, nullptr);
  g_machine = nullptr;
  ::close(g_wake_read.exchange(-1));
  ::close(g_wake_write.exchange(-1));
}

void Interrupts::watch(Machine* machine) {
  g_machine = machine;
  if (machine != nullptr && pending() != 0) machine->request_stop();
}

void Interrupts::unwatch(Machine* machine) { g_machine.compare_exchange_strong(machine, nullptr); }

int Interrupts::pending() const { return g_signal.load(); }
int Interrupts::fd() const { return g_wake_read.load(); }

}  // namespace hindcast::replay
