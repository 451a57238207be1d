#include "cli/output.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "engine/types.h"
#include "replay/host_io.h"

namespace hindcast::cli {
namespace {

constexpr std::size_t kBuffer = 64 * 1024;

// One command runs in a process, and has one standard output.
std::string g_waiting;
bool g_lost = false;

}  // namespace

bool put_out(std::string_view text) {
  g_waiting += text;
  if (g_waiting.size() >= kBuffer) finish_out();
  return !g_lost;
}

void finish_out() {
  const std::string text = std::exchange(g_waiting, {});
  const ByteView bytes(reinterpret_cast<const u8*>(text.data()), text.size());
  if (g_lost || replay::write_all(STDOUT_FILENO, bytes, [] { return false; })) return;
  if (errno != EPIPE)
    throw Fatal(fmt::format("standard output could not be written: {}", std::strerror(errno)));
  g_lost = true;
}

}  // namespace hindcast::cli
