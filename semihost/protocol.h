// What the guest half of semihosting asks the host half, as bytes: the requests and replies of
// InputKind::Semihost. Replies are stored in recordings, so the layout is part of the recording format. All
// integers are little-endian.
//
//   request  u8 op, u8 mode, u16 handle, u64 offset, u32 count, u32 n, n bytes (name or data),
//            u32 m, m bytes (name2)
//   reply    i32 error, u64 value, u32 n, n bytes
#pragma once
#include <optional>
#include <string>

#include "engine/types.h"

namespace hindcast::semihost {

/// What is asked. The numbers are part of the recording format: never reuse one.
enum class FileOp : u8 {
  Open = 1,      // name, mode (the C library's order, 0..11), handle; reply: value = initial offset
  Close = 2,     // handle
  Read = 3,      // handle, offset, count; reply: the bytes, fewer than count only at the end of the file
  Write = 4,     // handle, offset, data; reply: value = the offset after them, data = u32, bytes written
  Length = 5,    // handle; reply: value = length in bytes
  Remove = 6,    // name
  Rename = 7,    // name, name2
  CloseAll = 8,  // the machine was reset
};

/// Error numbers that guests see: the generic Unix ones, whatever the host's are.
enum class Errno : i32 {
  None = 0,
  NotPermitted = 1,
  NoEntry = 2,
  Io = 5,
  BadHandle = 9,
  NoMemory = 12,
  Access = 13,
  Fault = 14,
  Busy = 16,
  Exists = 17,
  NotDirectory = 20,
  IsDirectory = 21,
  Invalid = 22,
  TooManyOpen = 24,
  FileTooBig = 27,
  NoSpace = 28,
  IllegalSeek = 29,
  ReadOnly = 30,
  NameTooLong = 36,
  NotImplemented = 38,
  NotEmpty = 39,
  Loop = 40,
  Overflow = 75,
};

/// Bytes of data in one request or reply. Longer calls are made of several.
inline constexpr u32 kMaxTransfer = 64 * 1024;
/// Bytes of a file name.
inline constexpr u32 kMaxName = 4096;
/// Guest handles, console included.
inline constexpr u16 kMaxHandles = 64;

struct Request {
  FileOp op = FileOp::CloseAll;
  u8 mode = 0;
  u16 handle = 0;  // the guest half's number, below kMaxHandles; the host half keeps its file under it
  u64 offset = 0;  // files have no position of their own here: it is guest state
  u32 count = 0;
  Bytes data;   // Open, Remove, Rename: the name. Write: what to write
  Bytes data2;  // Rename: the new name
};

struct Reply {
  Errno error = Errno::None;
  u64 value =
      0;       // Write: the offset after the last byte written (files opened for appending ignore `offset`)
  Bytes data;  // Read: what was read. Write: u32, how many bytes were written
};

Bytes encode(const Request& request);
Bytes encode(const Reply& reply);
/// Nothing if the bytes are not exactly one well-formed message within the limits above.
std::optional<Request> decode_request(ByteView bytes);
std::optional<Reply> decode_reply(ByteView bytes);

}  // namespace hindcast::semihost
