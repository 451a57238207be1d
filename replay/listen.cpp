#include "replay/listen.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/types.h"

namespace hindcast::replay {

int listen_on_path(const std::string& path, const std::string& option) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof name.sun_path)
    throw Fatal(fmt::format("{}: a socket's path has from 1 to {} bytes", option, sizeof name.sun_path - 1));
  std::copy(path.begin(), path.end(), name.sun_path);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  // What a killed run has left behind is replaced; nothing else is.
  struct stat old {};
  if (fd >= 0 && ::lstat(path.c_str(), &old) == 0 && S_ISSOCK(old.st_mode) &&
      ::connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 && errno == ECONNREFUSED)
    ::unlink(path.c_str());
  if (fd >= 0 && ::bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 &&
      ::listen(fd, 1) == 0)
    return fd;
  const std::string why = std::strerror(errno);
  if (fd >= 0) ::close(fd);
  throw Fatal(fmt::format("{}: {}", option, why));
}

}  // namespace hindcast::replay
