// What packets mean: one debugger's conversation about one recording. Knows no socket. The manual's appendix
// "Remote Serial Protocol" describes every packet; docs/debugging.md says which are served.
//
// Threads are vCPUs: thread N is vCPU N - 1. All of them stop together. The recording cannot be changed:
// writes to registers and memory are refused.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "gdb/image_file.h"
#include "gdb/monitor.h"
#include "gdb/motion.h"
#include "gdb/packet.h"

namespace hindcast::gdb {

struct SessionOptions {
  std::string recording;  // path, for the event log; empty: there is none
  Bytes image;            // the ELF that gdb is offered; empty: none
};

class Session {
 public:
  /// What the client has asked for beside the reply.
  enum class Request : u8 { None, Detach, Kill };

  Session(replay::Navigator& navigator, SessionOptions options);

  /// A client has connected: points are cleared, the position stays.
  void begin();
  /// The reply to one packet's payload, to be framed; empty: not supported. Nullopt: no reply. Never throws
  /// for anything that a client can send.
  std::optional<std::string> handle(std::string_view packet);
  Request request() const { return request_; }
  bool no_ack() const { return no_ack_; }
  /// From any thread, again and again: the move under way ends soon.
  void interrupt() { motion_.interrupt(); }

  /// Receives packets that are not replies: text for the console while something runs.
  void on_packet(std::function<void(const std::string&)> fn) { send_ = std::move(fn); }
  /// Receives what the person who started the server should know: one line.
  void on_notice(std::function<void(const std::string&)> fn) { notice_ = std::move(fn); }

 private:
  std::optional<std::string> dispatch(std::string_view packet);
  // Threads and running (session.cpp).
  std::string select_thread(Fields fields);
  std::string thread_alive(Fields fields);
  /// `vcpu` is the thread that is reported if no point of another's stops the move.
  std::string resume(unsigned vcpu, const std::function<Outcome()>& move);
  std::string v_cont(Fields fields);
  std::string stop_reply(const Outcome& outcome);
  void console(std::string_view text);
  // Registers, memory, points (session_access.cpp).
  std::string read_registers();
  std::string read_register(Fields fields);
  std::string read_memory_hex(Fields fields);
  std::string read_memory_binary(Fields fields);
  std::string write_binary(Fields fields);
  std::string refuse_write(const char* what);
  std::string change_point(Fields fields, bool insert);
  // Queries (session_query.cpp).
  std::string query(std::string_view packet);
  std::string supported(Fields fields);
  std::string transfer(Fields fields);
  std::string search(Fields fields);
  std::string crc(Fields fields);
  std::string thread_info(Fields fields);
  std::string monitor_command(std::string_view hex);

  Machine& machine() { return navigator_.machine(); }
  Vcpu& vcpu() { return machine().vcpu(current_); }
  /// The vCPU of a thread id field: a number, 0 or -1 for "any" (the selected one). Nullopt: malformed, or
  /// there is none.
  std::optional<unsigned> thread(Fields& fields);

  replay::Navigator& navigator_;
  SessionOptions options_;
  RegisterMap registers_;
  Motion motion_;
  Monitor monitor_;
  ImageFile image_;
  unsigned current_ = 0;             // the selected vCPU
  unsigned reported_ = 0;            // the vCPU of the last stop
  std::optional<unsigned> resumed_;  // the vCPU that Hc named
  bool no_ack_ = false;
  bool reports_breaks_ = false;  // the client knows the stop reasons swbreak and hwbreak
  Request request_ = Request::None;
  Outcome last_;
  std::function<void(const std::string&)> send_, notice_;
};

/// An error reply with a reason, for packets whose replies gdb shows.
std::string error_text(std::string_view message);
/// An error reply for packets whose reply could be taken for data.
inline constexpr const char* kError = "E01";

}  // namespace hindcast::gdb
