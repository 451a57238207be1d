#include "cli/gdb_files.h"

#include <algorithm>
#include <array>

#include "semihost/host_files.h"

namespace hindcast::cli {
namespace {

using gdb::FileIo;
using semihost::Errno;
using semihost::FileOp;
using semihost::Reply;
using semihost::Request;

/// The protocol's numbers are the generic ones but for two.
Errno to_guest(u64 error) {
  if (error == FileIo::kNameTooLong) return Errno::NameTooLong;
  constexpr u64 kLast = 30;  // the last that both number the same
  return error == 0 || error > kLast || error == FileIo::kInterrupted ? Errno::Io : static_cast<Errno>(error);
}

Reply failed(const FileIo::Result& result) { return {to_guest(result.error), 0, {}}; }
Reply done(const FileIo::Result& result) { return result.value < 0 ? failed(result) : Reply{}; }

std::string text_of(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

/// Modes in the order of the C library's: read, write, append; the bit 2 adds the other direction.
u32 flags_of(u8 mode) {
  const bool update = (mode & 2) != 0;
  if (mode < 4) return update ? FileIo::kReadWrite : FileIo::kReadOnly;
  return (update ? FileIo::kReadWrite : FileIo::kWriteOnly) | FileIo::kCreate |
         (mode < 8 ? FileIo::kTruncate : FileIo::kAppend);
}

}  // namespace

struct GdbFiles::State {
  struct File {
    enum class Kind : u8 { None, Gdb, Other } kind = Kind::None;
    i64 fd = -1;
    bool append = false;
    u64 offset = 0;  // where gdb's file stands
  };
  std::shared_ptr<replay::HostService> otherwise;
  gdb::Session* session = nullptr;
  std::array<File, semihost::kMaxHandles> files;

  bool available() const { return session != nullptr && session->file_io().available(); }
  FileIo& io() const { return session->file_io(); }
  const AddressSpace& memory() const { return session->machine().memory(); }

  Reply open(const Request& request);
  Reply read(const Request& request, File& file);
  Reply write(const Request& request, File& file);
  Reply with_file(const Request& request, File& file);
  bool seek(File& file, u64 offset);
};

bool GdbFiles::State::seek(File& file, u64 offset) {
  constexpr u32 kFromBeginning = 0;
  if (file.offset == offset) return true;
  const FileIo::Result result = io().seek(file.fd, static_cast<i64>(offset), kFromBeginning);
  if (result.value < 0) return false;
  file.offset = offset;
  return true;
}

Reply GdbFiles::State::open(const Request& request) {
  constexpr u32 kMode = 0666;
  File& file = files[request.handle];
  const FileIo::Result result = io().open(memory(), text_of(request.data), flags_of(request.mode), kMode);
  if (result.value < 0) return failed(result);
  file = {File::Kind::Gdb, result.value, request.mode >= 8, 0};
  Reply reply;
  if (file.append) {
    const FileIo::Result size = io().size(memory(), file.fd);
    reply.value = file.offset = static_cast<u64>(std::max<i64>(size.value, 0));
  }
  return reply;
}

Reply GdbFiles::State::read(const Request& request, File& file) {
  if (!seek(file, request.offset)) return {Errno::Io, 0, {}};
  Reply reply;
  while (reply.data.size() < request.count) {
    std::string piece;
    const FileIo::Result result = io().read(memory(), file.fd, request.count - reply.data.size(), piece);
    if (result.value < 0 && reply.data.empty()) return failed(result);
    if (result.value <= 0) break;
    file.offset += piece.size();
    reply.data.insert(reply.data.end(), piece.begin(), piece.end());
  }
  return reply;
}

Reply GdbFiles::State::write(const Request& request, File& file) {
  if (!file.append && !seek(file, request.offset)) return {Errno::Io, 0, {}};
  Reply reply;
  const std::string data = text_of(request.data);
  std::size_t written = 0;
  while (written < data.size()) {
    const FileIo::Result result = io().write(memory(), file.fd, std::string_view(data).substr(written));
    if (result.value <= 0) {
      reply.error = result.value == 0 ? Errno::NoSpace : to_guest(result.error);
      break;
    }
    written += static_cast<std::size_t>(result.value);
  }
  file.offset += written;
  reply.value = file.offset;
  for (unsigned i = 0; i < 4; ++i) reply.data.push_back(static_cast<u8>(written >> (8 * i)));
  return reply;
}

Reply GdbFiles::State::with_file(const Request& request, File& file) {
  if (!available()) return {Errno::Io, 0, {}};
  switch (request.op) {
    case FileOp::Read: return read(request, file);
    case FileOp::Write: return write(request, file);
    case FileOp::Length: {
      const FileIo::Result result = io().size(memory(), file.fd);
      return result.value < 0 ? failed(result) : Reply{Errno::None, static_cast<u64>(result.value), {}};
    }
    default: {  // Close
      const FileIo::Result result = io().close(file.fd);
      file = {};
      return done(result);
    }
  }
}

GdbFiles::GdbFiles(std::shared_ptr<replay::HostService> otherwise) : state_(std::make_unique<State>()) {
  state_->otherwise = std::move(otherwise);
}
GdbFiles::~GdbFiles() = default;

void GdbFiles::attach(gdb::Session* session) { state_->session = session; }

Bytes GdbFiles::serve(ByteView bytes) {
  State& s = *state_;
  const auto request = semihost::decode_request(bytes);
  if (!request) return encode(Reply{Errno::Invalid, 0, {}});
  const auto other = [&] {
    return s.otherwise ? s.otherwise->serve(bytes) : encode(Reply{Errno::Io, 0, {}});
  };
  using Kind = State::File::Kind;
  State::File& file = s.files[request->handle];
  switch (request->op) {
    case FileOp::Open: {
      if (s.available()) return encode(s.open(*request));
      Bytes reply = other();
      const auto decoded = semihost::decode_reply(reply);
      if (decoded && decoded->error == Errno::None) file = {Kind::Other, -1, false, 0};
      return reply;
    }
    case FileOp::Remove:
      return s.available() ? encode(done(s.io().unlink(s.memory(), text_of(request->data)))) : other();
    case FileOp::Rename:
      return s.available()
                 ? encode(done(s.io().rename(s.memory(), text_of(request->data), text_of(request->data2))))
                 : other();
    case FileOp::CloseAll:
      for (State::File& each : s.files)
        if (each.kind == Kind::Gdb && s.available()) s.io().close(each.fd);
      s.files = {};
      return other();
    default: break;
  }
  if (file.kind == Kind::Gdb) return encode(s.with_file(*request, file));
  if (file.kind == Kind::Other) {
    if (request->op == FileOp::Close) file = {};
    return other();
  }
  return encode(Reply{Errno::BadHandle, 0, {}});
}

bool GdbFiles::has_effects(ByteView request) const { return semihost::HostFiles::has_effects(request); }

}  // namespace hindcast::cli
