#include "semihost/service.h"

#include <deque>

#include "semihost/call.h"
#include "semihost/handles.h"

namespace hindcast::semihost {
namespace {

constexpr u64 kFailed = ~u64{0};
/// Reason code of a normal exit (ADP_Stopped_ApplicationExit); every other reason is some kind of failure.
constexpr u64 kApplicationExit = 0x20026;
constexpr VirtualNs kNsPerCentisecond = 10'000'000;
/// The elapsed-time counter counts virtual nanoseconds.
constexpr u64 kTicksPerSecond = 1'000'000'000;
constexpr std::size_t kMaxWaiting = 1024;

/// A console read whose vCPU is parked.
struct WaitingRead {
  u32 vcpu = 0;
  u32 op = 0;      // Op::ReadC or Op::Read
  u64 buffer = 0;  // Op::Read: where the bytes go
  u64 length = 0;  // Op::Read: how many were asked for
};

/// How many of them the port is asked for.
u32 asked(const WaitingRead& read) { return static_cast<u32>(std::min<u64>(read.length, kMaxTransfer)); }

}  // namespace

struct Service::Impl {
  Machine& machine;
  Options options;
  Handles handles;
  Errno last_error = Errno::None;
  std::deque<WaitingRead> waiting;  // in the order of the calls; the port has been asked for the first
  void (*set_result)(Vcpu&, u64) = nullptr;

  Impl(Machine& m, Options o)
      : machine(m),
        options(std::move(o)),
        handles(m, options.console_channel),
        set_result(options.set_result) {}

  u64 fail(Errno error) {
    last_error = error;
    return kFailed;
  }
  u64 done(Errno error, u64 value = 0) { return error == Errno::None ? value : fail(error); }
  void print(ByteView bytes) { machine.port().output(options.console_channel, bytes); }

  /// The result, or nothing when the vCPU was parked.
  std::optional<u64> serve(Call& call, u64 op);
  u64 open(const Call& call);
  u64 write_char(const Call& call);
  u64 write_string(const Call& call);
  u64 write(const Call& call);
  std::optional<u64> read(const Call& call);
  u64 seek(const Call& call);
  u64 is_tty(const Call& call);
  u64 file_length(const Call& call);
  u64 temporary_name(const Call& call);
  u64 remove(const Call& call);
  u64 rename(const Call& call);
  u64 command_line(const Call& call);
  u64 heap_info(const Call& call);
  u64 elapsed(const Call& call);
  u64 wall_clock();
  u64 exit(const Call& call, bool extended);

  void wait_for_console(Vcpu& vcpu, const WaitingRead& read);
  void ask_for_first();
};

// ---- Console and files

u64 Service::Impl::open(const Call& call) {
  std::array<u64, 3> block;  // name, mode, length of the name
  if (!call.block(block)) return fail(Errno::Fault);
  if (block[1] > 11) return fail(Errno::Invalid);
  Bytes name;
  if (block[2] > kMaxName) return fail(Errno::NameTooLong);
  if (!call.read_bytes(block[0], block[2], kMaxName, name)) return fail(Errno::Fault);
  Errno error = Errno::None;
  u32 handle = handles.open(name, static_cast<u8>(block[1]), error);
  return done(error, handle);
}

u64 Service::Impl::write_char(const Call& call) {
  u8 byte;
  if (!call.vcpu.read_memory(call.parameter, &byte, 1)) return fail(Errno::Fault);
  print({&byte, 1});
  return 0;
}

u64 Service::Impl::write_string(const Call& call) {
  // In pieces of a cache line, so that a string at the end of memory is not refused for the bytes after it;
  // the piece that cannot be read whole is taken byte by byte.
  constexpr u64 kPiece = 64;
  GuestAddr at = call.parameter;
  for (u64 total = 0; total < kMaxCallBytes;) {
    std::array<u8, kPiece> buffer;
    u64 piece = kPiece - at % kPiece;
    if (!call.vcpu.read_memory(at, buffer.data(), piece)) {
      piece = 1;
      if (!call.vcpu.read_memory(at, buffer.data(), 1)) return fail(Errno::Fault);
    }
    auto end = std::find(buffer.begin(), buffer.begin() + piece, u8{0});
    auto length = static_cast<u64>(end - buffer.begin());
    if (length != 0) print({buffer.data(), length});
    if (length < piece) return 0;
    at += piece;
    total += piece;
  }
  return fail(Errno::Invalid);
}

u64 Service::Impl::write(const Call& call) {
  std::array<u64, 3> block;  // handle, data, length
  if (!call.block(block)) return fail(Errno::Fault);
  const u64 handle = block[0], data = block[1], length = block[2];
  Handle* entry = handles.find(handle);
  bool console =
      entry != nullptr && (entry->kind == HandleKind::ConsoleOut || entry->kind == HandleKind::ConsoleErr);
  if (entry == nullptr || (!console && entry->kind != HandleKind::HostFile)) {
    last_error = Errno::BadHandle;
    return length;
  }
  Errno error = Errno::None;
  u64 partial = 0;
  u64 whole = call.read_pieces(data, std::min(length, kMaxCallBytes), [&](ByteView piece) {
    if (console) {
      print(piece);
      return true;
    }
    u32 written = 0;
    error = handles.write(handle, piece, written);
    if (error == Errno::None && written == piece.size()) return true;
    partial = written;
    return false;
  });
  u64 written = whole + partial;
  if (written < length) last_error = error != Errno::None ? error : Errno::Fault;
  return length - written;
}

std::optional<u64> Service::Impl::read(const Call& call) {
  std::array<u64, 3> block;  // handle, buffer, length
  if (!call.block(block)) return fail(Errno::Fault);
  const u64 handle = block[0], buffer = block[1], length = block[2];
  Handle* entry = handles.find(handle);
  if (entry != nullptr && entry->kind == HandleKind::ConsoleIn) {
    if (length == 0) return 0;
    wait_for_console(call.vcpu, {call.vcpu.index(), static_cast<u32>(Op::Read), buffer, length});
    return std::nullopt;
  }
  u64 got = 0;
  u64 limit = std::min(length, kMaxCallBytes);
  while (got < limit) {
    auto count = static_cast<u32>(std::min<u64>(limit - got, kMaxTransfer));
    Bytes data;
    Errno error = handles.read(handle, count, data);
    if (error == Errno::None && !data.empty() &&
        !call.vcpu.write_memory(buffer + got, data.data(), data.size()))
      error = Errno::Fault;
    if (error != Errno::None) {
      last_error = error;
      break;
    }
    got += data.size();
    if (data.size() < count) break;
  }
  return length - got;
}

u64 Service::Impl::seek(const Call& call) {
  std::array<u64, 2> block;  // handle, position
  if (!call.block(block)) return fail(Errno::Fault);
  Handle* entry = handles.find(block[0]);
  if (entry == nullptr) return fail(Errno::BadHandle);
  if (entry->kind != HandleKind::HostFile && entry->kind != HandleKind::Features)
    return fail(Errno::IllegalSeek);
  if (call.as_signed(block[1]) < 0) return fail(Errno::Invalid);
  entry->offset = block[1];
  return 0;
}

u64 Service::Impl::is_tty(const Call& call) {
  u64 handle;
  if (!call.word_at(call.parameter, 0, &handle)) return fail(Errno::Fault);
  Handle* entry = handles.find(handle);
  if (entry == nullptr) return fail(Errno::BadHandle);
  return entry->kind == HandleKind::HostFile || entry->kind == HandleKind::Features ? 0 : 1;
}

u64 Service::Impl::file_length(const Call& call) {
  u64 handle, bytes;
  if (!call.word_at(call.parameter, 0, &handle)) return fail(Errno::Fault);
  Errno error = handles.length(handle, bytes);
  if (error == Errno::None && call.as_signed(bytes) != static_cast<i64>(bytes)) error = Errno::Overflow;
  return done(error, bytes);
}

u64 Service::Impl::temporary_name(const Call& call) {
  std::array<u64, 3> block;  // buffer, number 0..255, size of the buffer
  if (!call.block(block)) return fail(Errno::Fault);
  if (block[1] > 255) return fail(Errno::Invalid);
  // The same name for the same number, as the specification asks; relative, so that it is below the root.
  std::string digits = std::to_string(block[1]);
  std::string name = "hindcast-tmp-" + std::string(3 - digits.size(), '0') + digits;
  if (block[2] < name.size() + 1) return fail(Errno::NameTooLong);
  return done(call.vcpu.write_memory(block[0], name.c_str(), name.size() + 1) ? Errno::None : Errno::Fault);
}

u64 Service::Impl::remove(const Call& call) {
  std::array<u64, 2> block;  // name, length
  Bytes name;
  if (!call.block(block) || !call.read_bytes(block[0], block[1], kMaxName, name)) return fail(Errno::Fault);
  return done(handles.remove(name));
}

u64 Service::Impl::rename(const Call& call) {
  std::array<u64, 4> block;  // old name, length, new name, length
  Bytes from, to;
  if (!call.block(block) || !call.read_bytes(block[0], block[1], kMaxName, from) ||
      !call.read_bytes(block[2], block[3], kMaxName, to))
    return fail(Errno::Fault);
  return done(handles.rename(from, to));
}

// ---- Time, environment, exit

u64 Service::Impl::elapsed(const Call& call) {
  VirtualNs now = machine.clock().now();
  bool ok = call.set_word_at(call.parameter, 0, now);
  if (call.convention.word_bytes == 4) ok = ok && call.set_word_at(call.parameter, 1, now >> 32);
  return done(ok ? Errno::None : Errno::Fault);
}

u64 Service::Impl::wall_clock() {
  Bytes reply = machine.port().answer(InputKind::RealTime, options.console_channel, {});
  if (reply.size() != 8) return fail(Errno::Io);
  u64 ns = 0;
  for (unsigned i = 0; i < 8; ++i) ns |= u64{reply[i]} << (8 * i);
  return ns / kTicksPerSecond;
}

u64 Service::Impl::command_line(const Call& call) {
  std::array<u64, 2> block;  // buffer, its size; the second is replaced by the length
  if (!call.block(block)) return fail(Errno::Fault);
  std::string line;
  for (const std::string& word : options.command_line) line += (line.empty() ? "" : " ") + word;
  if (block[1] < line.size() + 1) return fail(Errno::Invalid);
  bool ok = call.vcpu.write_memory(block[0], line.c_str(), line.size() + 1) &&
            call.set_word_at(call.parameter, 1, line.size());
  return done(ok ? Errno::None : Errno::Fault);
}

u64 Service::Impl::heap_info(const Call& call) {
  // The block's address is itself in memory. Stack and heap share the free RAM, growing towards each other.
  GuestAddr base = options.heap_base, limit = options.heap_limit;
  const std::array<u64, 4> values = {base, limit, limit, base};
  u64 block;
  if (!call.word_at(call.parameter, 0, &block)) return fail(Errno::Fault);
  for (unsigned i = 0; i < values.size(); ++i)
    if (!call.set_word_at(block, i, values[i])) return fail(Errno::Fault);
  return 0;
}

u64 Service::Impl::exit(const Call& call, bool extended) {
  // SYS_EXIT on 32 bits carries the reason in the register and no exit code; all others point to {reason,
  // code}.
  u64 reason = call.parameter, code = 0;
  if (extended || call.convention.word_bytes == 8) {
    std::array<u64, 2> block;
    bool ok = call.block(block);
    reason = ok ? block[0] : 0;
    code = ok ? block[1] : 0;
  }
  machine.request_exit(reason == kApplicationExit ? static_cast<int>(static_cast<i32>(code)) : 1);
  return 0;
}

// ---- Waiting for the console

void Service::Impl::wait_for_console(Vcpu& vcpu, const WaitingRead& read) {
  vcpu.park();
  waiting.push_back(read);
  if (waiting.size() == 1) ask_for_first();
}

void Service::Impl::ask_for_first() {
  u32 count = asked(waiting.front());
  const u8 request[4] = {static_cast<u8>(count), static_cast<u8>(count >> 8), static_cast<u8>(count >> 16),
                         0};
  machine.port().ask(InputKind::SemihostConsole, options.console_channel, request);
}

std::size_t Service::receivable() const { return impl_->waiting.empty() ? 0 : asked(impl_->waiting.front()); }

void Service::receive(InputKind, ByteView data) {
  Impl& s = *impl_;
  if (s.waiting.empty()) return;  // asked before a reset: the program that wanted it is gone
  WaitingRead read = s.waiting.front();
  if (data.size() > asked(read))
    throw Fatal(
        "semihosting: more console input was recorded than the guest asked for; the recording is damaged");
  if (s.set_result == nullptr)
    throw Fatal("semihosting: a console read was restored, but its calling convention is not known");
  s.waiting.pop_front();
  Vcpu& vcpu = s.machine.vcpu(read.vcpu);
  u64 result;
  if (read.op == static_cast<u32>(Op::ReadC)) {
    result = data.empty() ? kFailed : data[0];
  } else {
    bool ok = data.empty() || vcpu.write_memory(read.buffer, data.data(), data.size());
    if (!ok) s.last_error = Errno::Fault;
    result = ok ? read.length - data.size() : read.length;
  }
  s.set_result(vcpu, result);
  vcpu.unpark();
  if (!s.waiting.empty()) s.ask_for_first();
}

// ---- Dispatch

std::optional<u64> Service::Impl::serve(Call& call, u64 op) {
  switch (static_cast<Op>(op)) {
    case Op::Open: return open(call);
    case Op::Close: {
      u64 handle;
      if (!call.word_at(call.parameter, 0, &handle)) return fail(Errno::Fault);
      return done(handles.close(handle));
    }
    case Op::WriteC: return write_char(call);
    case Op::Write0: return write_string(call);
    case Op::Write: return write(call);
    case Op::Read: return read(call);
    case Op::ReadC:
      wait_for_console(call.vcpu, {call.vcpu.index(), static_cast<u32>(Op::ReadC), 0, 1});
      return std::nullopt;
    case Op::IsError: {
      u64 status;
      if (!call.word_at(call.parameter, 0, &status)) return fail(Errno::Fault);
      return call.as_signed(status) < 0 ? 1 : 0;
    }
    case Op::IsTty: return is_tty(call);
    case Op::Seek: return seek(call);
    case Op::FLen: return file_length(call);
    case Op::TmpNam: return temporary_name(call);
    case Op::Remove: return remove(call);
    case Op::Rename: return rename(call);
    case Op::Clock: return machine.clock().now() / kNsPerCentisecond;
    case Op::Time: return wall_clock();
    case Op::System: return fail(Errno::NotPermitted);  // no guest runs commands on the host
    case Op::ErrNo: return static_cast<u64>(last_error);
    case Op::GetCmdLine: return command_line(call);
    case Op::HeapInfo: return heap_info(call);
    case Op::Exit: return exit(call, false);
    case Op::ExitExtended: return exit(call, true);
    case Op::Elapsed: return elapsed(call);
    case Op::TickFreq: return kTicksPerSecond;
  }
  return fail(Errno::NotImplemented);
}

Service::Service(Machine& machine, Options options)
    : Device("semihosting"), impl_(std::make_unique<Impl>(machine, std::move(options))) {
  machine.port().attach(impl_->options.console_channel, InputKind::SemihostConsole, this);
}

Service::~Service() = default;

void Service::call(Vcpu& vcpu, u64 op, u64 parameter, const Convention& convention) {
  if (convention.word_bytes == 4) {
    op &= 0xffffffff;
    parameter &= 0xffffffff;
  }
  impl_->set_result = convention.set_result;
  Call call(vcpu, parameter, convention);
  if (auto result = impl_->serve(call, op)) convention.set_result(vcpu, *result);
}

void Service::reset() {
  impl_->handles.reset();
  impl_->last_error = Errno::None;
  impl_->waiting.clear();
}

void Service::state(Archive& ar) {
  Impl& s = *impl_;
  ar.section("semihosting");
  ar.field("errno", s.last_error);
  s.handles.state(ar);
  u32 count = static_cast<u32>(s.waiting.size());
  ar.field("waiting", count);
  if (count > kMaxWaiting) throw Fatal("saved state: too many waiting semihosting calls");
  if (ar.loading()) s.waiting.resize(count);
  for (WaitingRead& read : s.waiting) {
    ar.field("vcpu", read.vcpu);
    ar.field("op", read.op);
    ar.field("buffer", read.buffer);
    ar.field("length", read.length);
    if (read.vcpu >= s.machine.vcpu_count())
      throw Fatal("saved state: a semihosting call of a vCPU that does not exist");
  }
}

}  // namespace hindcast::semihost
