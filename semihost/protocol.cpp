#include "semihost/protocol.h"

namespace hindcast::semihost {
namespace {

void put(Bytes& out, u64 value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; ++i) out.push_back(static_cast<u8>(value >> (8 * i)));
}

void put_bytes(Bytes& out, const Bytes& data) {
  put(out, data.size(), 4);
  out.insert(out.end(), data.begin(), data.end());
}

/// Takes fields from the front; after the first that is not there, everything fails.
class Cursor {
 public:
  explicit Cursor(ByteView in) : in_(in) {}
  u64 take(unsigned bytes) {
    if (!ok_ || in_.size() < bytes) {
      ok_ = false;
      return 0;
    }
    u64 value = 0;
    for (unsigned i = 0; i < bytes; ++i) value |= u64{in_[i]} << (8 * i);
    in_ = in_.subspan(bytes);
    return value;
  }
  Bytes take_bytes(u64 limit) {
    u64 size = take(4);
    if (!ok_ || size > limit || size > in_.size()) {
      ok_ = false;
      return {};
    }
    Bytes data(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(size));
    in_ = in_.subspan(size);
    return data;
  }
  bool complete() const { return ok_ && in_.empty(); }

 private:
  ByteView in_;
  bool ok_ = true;
};

bool known_errno(i32 value) { return value >= 0 && value < 4096; }

}  // namespace

Bytes encode(const Request& request) {
  Bytes out;
  put(out, static_cast<u8>(request.op), 1);
  put(out, request.mode, 1);
  put(out, request.handle, 2);
  put(out, request.offset, 8);
  put(out, request.count, 4);
  put_bytes(out, request.data);
  put_bytes(out, request.data2);
  return out;
}

Bytes encode(const Reply& reply) {
  Bytes out;
  put(out, static_cast<u32>(reply.error), 4);
  put(out, reply.value, 8);
  put_bytes(out, reply.data);
  return out;
}

std::optional<Request> decode_request(ByteView bytes) {
  Cursor in(bytes);
  Request request;
  u64 op = in.take(1);
  request.op = static_cast<FileOp>(op);
  request.mode = static_cast<u8>(in.take(1));
  request.handle = static_cast<u16>(in.take(2));
  request.offset = in.take(8);
  request.count = static_cast<u32>(in.take(4));
  request.data = in.take_bytes(kMaxTransfer);
  request.data2 = in.take_bytes(kMaxName);
  if (!in.complete() || op < 1 || op > static_cast<u8>(FileOp::CloseAll)) return std::nullopt;
  if (request.mode > 11 || request.handle >= kMaxHandles || request.count > kMaxTransfer) return std::nullopt;
  return request;
}

std::optional<Reply> decode_reply(ByteView bytes) {
  Cursor in(bytes);
  Reply reply;
  i32 error = static_cast<i32>(in.take(4));
  reply.error = static_cast<Errno>(error);
  reply.value = in.take(8);
  reply.data = in.take_bytes(kMaxTransfer);
  if (!in.complete() || !known_errno(error)) return std::nullopt;
  return reply;
}

}  // namespace hindcast::semihost
