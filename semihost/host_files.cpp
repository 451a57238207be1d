#include "semihost/host_files.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace hindcast::semihost {
namespace {

constexpr u64 kMaxOffset = INT64_MAX;

/// A file descriptor that closes itself.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

/// openat2 below `root`. The kernel gives EAGAIN when a rename elsewhere may have raced with the walk: worth
/// a few more tries, not a loop that a hostile neighbour could keep alive.
int open_beneath(int root, const std::string& path, u64 flags, u64 mode) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  for (int attempt = 0;; ++attempt) {
    long fd = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
    if (fd >= 0) return static_cast<int>(fd);
    if ((errno != EAGAIN && errno != EINTR) || attempt == 8) return -1;
  }
}

Errno to_guest(int host_errno) {
  switch (host_errno) {
    case EPERM: return Errno::NotPermitted;
    case ENOENT: return Errno::NoEntry;
    case ENOMEM: return Errno::NoMemory;
    case EBADF: return Errno::BadHandle;  // opened for the other direction
    case EACCES: return Errno::Access;
    case EXDEV: return Errno::Access;  // the path leaves the root
    case EBUSY: return Errno::Busy;
    case EEXIST: return Errno::Exists;
    case ENOTDIR: return Errno::NotDirectory;
    case EISDIR: return Errno::IsDirectory;
    case EINVAL: return Errno::Invalid;
    case EMFILE: return Errno::TooManyOpen;
    case ENFILE: return Errno::TooManyOpen;
    case EFBIG: return Errno::FileTooBig;
    case ENOSPC: return Errno::NoSpace;
    case EDQUOT: return Errno::NoSpace;
    case EROFS: return Errno::ReadOnly;
    case ENAMETOOLONG: return Errno::NameTooLong;
    case ENOTEMPTY: return Errno::NotEmpty;
    case ELOOP: return Errno::Loop;
    default: return Errno::Io;
  }
}

Reply failed(Errno error) { return {error, 0, {}}; }
Reply failed_host() { return failed(to_guest(errno)); }

/// A guest's name as a path; empty if it can name nothing (empty itself, or with a zero byte inside).
std::string path_of(const Bytes& name) {
  if (name.size() > kMaxName || std::find(name.begin(), name.end(), u8{0}) != name.end()) return {};
  return {name.begin(), name.end()};
}

/// Where a name lives: its folder, opened below the root, and its last part.
struct Place {
  Fd folder;
  std::string leaf;
  Place(int root, const std::string& path)
      : folder(open_beneath(root, folder_of(path), O_PATH | O_DIRECTORY, 0)), leaf(leaf_of(path)) {}
  bool ok() const { return folder.get() >= 0; }
  static std::string folder_of(const std::string& path) {
    std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);  // "/" is refused by the kernel: it is not beneath
  }
  static std::string leaf_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }
  bool names_entry() const { return !leaf.empty() && leaf != "." && leaf != ".."; }
};

/// open(2) flags of the twelve modes "r" "rb" "r+" "r+b" "w" "wb" "w+" "w+b" "a" "ab" "a+" "a+b". Truncation
/// is done after the file is known to be a regular one.
u64 flags_of(u8 mode) {
  bool update = (mode & 2) != 0;
  switch (mode / 4) {
    case 0: return update ? O_RDWR : O_RDONLY;
    case 1: return (update ? O_RDWR : O_WRONLY) | O_CREAT;
    default: return (update ? O_RDWR : O_WRONLY) | O_CREAT | O_APPEND;
  }
}

}  // namespace

HostFiles::HostFiles(const std::string& root) {
  if (root.empty()) return;
  root_ = ::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root_ < 0)
    throw Fatal("--semihost-root " + root + ": " + std::strerror(errno) + "; name a folder that exists");
  Fd probe(open_beneath(root_, ".", O_PATH | O_DIRECTORY, 0));
  if (probe.get() < 0) {
    ::close(root_);
    throw Fatal(
        "--semihost-root needs a kernel with openat2 (Linux 5.6), so that the guest cannot leave the folder");
  }
}

HostFiles::~HostFiles() {
  close_all();
  if (root_ >= 0) ::close(root_);
}

void HostFiles::close_all() {
  for (OpenFile& file : files_) {
    if (file.fd >= 0) ::close(file.fd);
    file = {};
  }
}

Bytes HostFiles::serve(ByteView request) {
  auto decoded = decode_request(request);
  return encode(decoded ? handle(*decoded) : failed(Errno::Invalid));
}

bool HostFiles::has_effects(ByteView request) {
  auto decoded = decode_request(request);
  if (!decoded) return false;
  switch (decoded->op) {
    case FileOp::Open: return decoded->mode >= 4;  // "w" and "a" create
    case FileOp::Write:
    case FileOp::Remove:
    case FileOp::Rename: return true;
    default: return false;
  }
}

Reply HostFiles::handle(const Request& request) {
  if (root_ < 0) return failed(Errno::Access);
  switch (request.op) {
    case FileOp::Open: return open(request);
    case FileOp::Remove: return remove(request);
    case FileOp::Rename: return rename(request);
    case FileOp::CloseAll: close_all(); return {};
    default: break;
  }
  OpenFile& file = files_[request.handle];
  if (file.fd < 0) return failed(Errno::BadHandle);
  switch (request.op) {
    case FileOp::Read: return read(request);
    case FileOp::Write: return write(request);
    case FileOp::Length: return length(request);
    default: break;
  }
  int result = ::close(file.fd);  // FileOp::Close
  file = {};
  return result == 0 ? Reply{} : failed_host();
}

Reply HostFiles::open(const Request& request) {
  std::string path = path_of(request.data);
  if (path.empty()) return failed(Errno::NoEntry);
  OpenFile& file = files_[request.handle];
  if (file.fd >= 0) return failed(Errno::Busy);
  // Looked at first without opening: opening a device or a FIFO can do something already.
  Fd look(open_beneath(root_, path, O_PATH, 0));
  struct stat info {};
  if (look.get() >= 0 && ::fstat(look.get(), &info) == 0 && !S_ISREG(info.st_mode))
    return failed(S_ISDIR(info.st_mode) ? Errno::IsDirectory : Errno::Access);
  u64 flags = flags_of(request.mode);
  Fd fd(open_beneath(root_, path, flags | O_NONBLOCK | O_NOCTTY, (flags & O_CREAT) != 0 ? 0666 : 0));
  if (fd.get() < 0 || ::fstat(fd.get(), &info) != 0) return failed_host();
  if (!S_ISREG(info.st_mode)) return failed(Errno::Access);
  if (request.mode / 4 == 1 && ::ftruncate(fd.get(), 0) != 0) return failed_host();
  bool append = (flags & O_APPEND) != 0;
  file = {fd.release(), append};
  return {Errno::None, append ? static_cast<u64>(info.st_size) : 0, {}};
}

Reply HostFiles::read(const Request& request) {
  Reply reply;
  if (request.offset > kMaxOffset - request.count) return failed(Errno::Invalid);
  reply.data.resize(request.count);
  std::size_t done = 0;
  while (done < reply.data.size()) {
    ssize_t got = ::pread(files_[request.handle].fd, reply.data.data() + done, reply.data.size() - done,
                          static_cast<off_t>(request.offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && done == 0) return failed_host();
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  reply.data.resize(done);
  return reply;
}

Reply HostFiles::write(const Request& request) {
  OpenFile& file = files_[request.handle];
  if (request.offset > kMaxOffset - request.data.size()) return failed(Errno::FileTooBig);
  Reply reply;
  std::size_t done = 0;
  while (done < request.data.size()) {
    const u8* from = request.data.data() + done;
    std::size_t left = request.data.size() - done;
    ssize_t put = file.append ? ::write(file.fd, from, left)
                              : ::pwrite(file.fd, from, left, static_cast<off_t>(request.offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) {
      if (put == 0) errno = ENOSPC;
      reply.error = to_guest(errno);
      break;
    }
    done += static_cast<std::size_t>(put);
  }
  off_t end = file.append ? ::lseek(file.fd, 0, SEEK_CUR) : static_cast<off_t>(request.offset + done);
  reply.value = static_cast<u64>(std::max<off_t>(end, 0));
  for (unsigned i = 0; i < 4; ++i) reply.data.push_back(static_cast<u8>(done >> (8 * i)));
  return reply;
}

Reply HostFiles::length(const Request& request) {
  struct stat info {};
  if (::fstat(files_[request.handle].fd, &info) != 0) return failed_host();
  return {Errno::None, static_cast<u64>(info.st_size), {}};
}

Reply HostFiles::remove(const Request& request) {
  std::string path = path_of(request.data);
  if (path.empty()) return failed(Errno::NoEntry);
  Place place(root_, path);
  if (!place.ok()) return failed_host();
  if (!place.names_entry()) return failed(Errno::Invalid);
  return ::unlinkat(place.folder.get(), place.leaf.c_str(), 0) == 0 ? Reply{} : failed_host();
}

Reply HostFiles::rename(const Request& request) {
  std::string from = path_of(request.data), to = path_of(request.data2);
  if (from.empty() || to.empty()) return failed(Errno::NoEntry);
  Place old_place(root_, from);
  if (!old_place.ok()) return failed_host();
  Place new_place(root_, to);
  if (!new_place.ok()) return failed_host();
  if (!old_place.names_entry() || !new_place.names_entry()) return failed(Errno::Invalid);
  int result = ::renameat(old_place.folder.get(), old_place.leaf.c_str(), new_place.folder.get(),
                          new_place.leaf.c_str());
  return result == 0 ? Reply{} : failed_host();
}

}  // namespace hindcast::semihost
