#include "plugins/crash.h"

#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <mutex>

#include "plugins/host.h"

namespace hindcast::plugins {
namespace {

constexpr std::array kSignals = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
std::array<struct sigaction, 32> previous;
constexpr int kFailed = 125;

const Plugin* plugin_of(PluginHost& host, const ucontext_t& context) {
  auto owner = [&](u64 address) -> const Plugin* {
    for (const auto& plugin : host.plugins())
      if (plugin->contains(reinterpret_cast<const void*>(address))) return plugin.get();
    return nullptr;
  };
  const auto& regs = context.uc_mcontext.gregs;
  if (const Plugin* plugin = owner(static_cast<u64>(regs[REG_RIP]))) return plugin;
  // In a library that it called, perhaps: its return address is on the stack.
  constexpr std::size_t kWords = 2048;
  std::array<u64, kWords> stack;
  // Through a pipe's rules rather than by reading: the end of the stack may be near, or the pointer wrong.
  int fds[2];
  if (::pipe(fds) != 0) return nullptr;
  const Plugin* found = nullptr;
  u64 at = static_cast<u64>(regs[REG_RSP]) & ~u64{7};
  for (std::size_t k = 0; k < kWords && found == nullptr; k += 64, at += 512) {
    if (::write(fds[1], reinterpret_cast<const void*>(at), 512) != 512) {
      at = (at | 4095) + 1 - 512;  // a stack that has overflowed begins on one of the next pages
      continue;
    }
    if (::read(fds[0], stack.data(), 512) != 512) break;
    for (std::size_t w = 0; w < 64 && found == nullptr; ++w) found = owner(stack[w]);
  }
  ::close(fds[0]);
  ::close(fds[1]);
  return found;
}

void say(std::initializer_list<const char*> words) {
  std::array<char, 600> line;
  std::size_t n = 0;
  for (const char* word : words)
    for (; *word != '\0' && n + 1 < line.size(); ++word) line[n++] = *word;
  line[n++] = '\n';
  if (::write(STDERR_FILENO, line.data(), n) < 0) return;
}

const char* signal_name(int signal) {
  switch (signal) {
    case SIGSEGV: return "a memory fault (SIGSEGV)";
    case SIGBUS: return "a memory fault (SIGBUS)";
    case SIGFPE: return "an arithmetic fault (SIGFPE)";
    case SIGILL: return "an illegal instruction (SIGILL)";
    case SIGTRAP: return "a trap (SIGTRAP)";
    default: return "an abort (SIGABRT)";
  }
}

void on_crash(int signal, siginfo_t* info, void* context) {
  PluginHost* const host = PluginHost::current();
  const struct sigaction& before = previous[static_cast<std::size_t>(signal)];
  if (host != nullptr) {
    if (const Plugin* plugin = plugin_of(*host, *static_cast<const ucontext_t*>(context))) {
      say({"hindcast: plugin '", plugin->name().c_str(), "' crashed: ", signal_name(signal),
           "; what is being recorded ends at what had reached the disk, as if the recorder had been killed"});
      if (host->on_machine_thread()) host->flush_output();
      ::_exit(kFailed);
    }
  }
  if ((before.sa_flags & SA_SIGINFO) != 0 && before.sa_sigaction != nullptr) {
    before.sa_sigaction(signal, info, context);
    return;
  }
  ::sigaction(signal, &before, nullptr);  // it happens again and takes the previous disposition
}

}  // namespace

void watch_for_crashes() {
  static std::once_flag once;
  std::call_once(once, [] {
    // A plugin may have run out of stack.
    static std::array<char, 64 << 10> stack;
    stack_t alternative = {};
    alternative.ss_sp = stack.data();
    alternative.ss_size = stack.size();
    ::sigaltstack(&alternative, nullptr);
    struct sigaction action = {};
    action.sa_sigaction = on_crash;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    for (int signal : kSignals) ::sigaction(signal, &action, &previous[static_cast<std::size_t>(signal)]);
  });
}

}  // namespace hindcast::plugins
