#include "semihost/handles.h"

#include <algorithm>
#include <string_view>

namespace hindcast::semihost {
namespace {

bool is(const Bytes& name, std::string_view text) {
  return std::equal(name.begin(), name.end(), text.begin(), text.end());
}

}  // namespace

Reply Handles::ask(const Request& request) {
  auto reply = decode_reply(machine_.port().answer(InputKind::Semihost, channel_, encode(request)));
  return reply ? *std::move(reply) : Reply{Errno::Io, 0, {}};
}

Handle* Handles::find(u64 handle) {
  if (handle == 0 || handle > handles_.size()) return nullptr;
  Handle& entry = handles_[handle - 1];
  return entry.kind == HandleKind::Free ? nullptr : &entry;
}

u32 Handles::open(const Bytes& name, u8 mode, Errno& error) {
  auto free = std::find_if(handles_.begin(), handles_.end(),
                           [](const Handle& h) { return h.kind == HandleKind::Free; });
  if (free == handles_.end()) {
    error = Errno::TooManyOpen;
    return 0;
  }
  auto index = static_cast<u16>(free - handles_.begin());
  Handle opened;
  if (is(name, ":tt")) {
    constexpr HandleKind by_mode[] = {HandleKind::ConsoleIn, HandleKind::ConsoleOut, HandleKind::ConsoleErr};
    opened.kind = by_mode[mode / 4];
  } else if (is(name, ":semihosting-features")) {
    if (mode > 1) {
      error = Errno::Access;
      return 0;
    }
    opened.kind = HandleKind::Features;
  } else {
    Reply reply = ask({.op = FileOp::Open, .mode = mode, .handle = index, .data = name, .data2 = {}});
    if (reply.error != Errno::None) {
      error = reply.error;
      return 0;
    }
    opened = {HandleKind::HostFile, reply.value};
  }
  *free = opened;
  return index + 1u;
}

Errno Handles::close(u64 handle) {
  Handle* entry = find(handle);
  if (entry == nullptr) return Errno::BadHandle;
  Errno error = Errno::None;
  if (entry->kind == HandleKind::HostFile)
    error = ask({.op = FileOp::Close, .handle = static_cast<u16>(handle - 1), .data = {}, .data2 = {}}).error;
  *entry = {};
  return error;
}

Errno Handles::read(u64 handle, u32 count, Bytes& data) {
  Handle* entry = find(handle);
  data.clear();
  if (entry == nullptr) return Errno::BadHandle;
  if (entry->kind == HandleKind::Features) {
    u64 from = std::min<u64>(entry->offset, kFeatures.size());
    u64 to = std::min<u64>(from + count, kFeatures.size());
    data.assign(kFeatures.begin() + from, kFeatures.begin() + to);
  } else if (entry->kind == HandleKind::HostFile) {
    Reply reply = ask({.op = FileOp::Read,
                       .handle = static_cast<u16>(handle - 1),
                       .offset = entry->offset,
                       .count = count,
                       .data = {},
                       .data2 = {}});
    if (reply.error != Errno::None) return reply.error;
    if (reply.data.size() > count) return Errno::Io;
    data = std::move(reply.data);
  } else {
    return Errno::BadHandle;
  }
  entry->offset += data.size();
  return Errno::None;
}

Errno Handles::write(u64 handle, ByteView data, u32& written) {
  Handle* entry = find(handle);
  written = 0;
  if (entry == nullptr || entry->kind != HandleKind::HostFile) return Errno::BadHandle;
  Reply reply = ask({.op = FileOp::Write,
                     .handle = static_cast<u16>(handle - 1),
                     .offset = entry->offset,
                     .data = Bytes(data.begin(), data.end()),
                     .data2 = {}});
  if (reply.data.size() == 4) {
    for (unsigned i = 0; i < 4; ++i) written |= u32{reply.data[i]} << (8 * i);
    if (written > data.size()) {
      written = 0;
      return Errno::Io;
    }
    entry->offset = reply.value;
  }
  return reply.error;
}

Errno Handles::length(u64 handle, u64& bytes) {
  Handle* entry = find(handle);
  bytes = 0;
  if (entry == nullptr) return Errno::BadHandle;
  if (entry->kind == HandleKind::Features) bytes = kFeatures.size();
  if (entry->kind != HandleKind::HostFile) return Errno::None;
  Reply reply = ask({.op = FileOp::Length, .handle = static_cast<u16>(handle - 1), .data = {}, .data2 = {}});
  bytes = reply.value;
  return reply.error;
}

Errno Handles::remove(const Bytes& name) {
  return ask({.op = FileOp::Remove, .data = name, .data2 = {}}).error;
}

Errno Handles::rename(const Bytes& from, const Bytes& to) {
  return ask({.op = FileOp::Rename, .data = from, .data2 = to}).error;
}

void Handles::reset() {
  bool host_files = std::any_of(handles_.begin(), handles_.end(),
                                [](const Handle& h) { return h.kind == HandleKind::HostFile; });
  if (host_files) ask({.op = FileOp::CloseAll, .data = {}, .data2 = {}});
  handles_ = {};
}

void Handles::state(Archive& ar) {
  for (Handle& handle : handles_) {
    ar.field("kind", handle.kind);
    ar.field("offset", handle.offset);
    if (handle.kind > HandleKind::HostFile) throw Fatal("saved state: semihosting handle of an unknown kind");
  }
}

}  // namespace hindcast::semihost
