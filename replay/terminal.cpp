#include "replay/terminal.h"

#include <termios.h>

#include <atomic>
#include <cstdlib>

namespace hindcast::replay {
namespace {

// Written before g_raw_fd is set, read only while it is.
termios g_saved;
std::atomic<int> g_raw_fd{-1};

}  // namespace

Terminal::Terminal(int fd) {
  if (g_raw_fd.load() >= 0 || ::tcgetattr(fd, &g_saved) != 0) return;
  termios raw = g_saved;
  raw.c_iflag &= ~static_cast<tcflag_t>(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
  raw.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
  raw.c_cflag = (raw.c_cflag & ~static_cast<tcflag_t>(CSIZE | PARENB)) | CS8;
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  if (::tcsetattr(fd, TCSANOW, &raw) != 0) return;
  g_raw_fd = fd;
  static const bool registered = (std::atexit([] { Terminal::restore_now(); }), true);
  (void)registered;
}

Terminal::~Terminal() { restore_now(); }

void Terminal::restore_now() {
  const int fd = g_raw_fd.exchange(-1);
  if (fd >= 0) ::tcsetattr(fd, TCSANOW, &g_saved);
}

}  // namespace hindcast::replay
