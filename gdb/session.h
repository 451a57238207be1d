// What packets mean: one debugger's conversation about one recording or one live run. Knows no socket. The
// manual's appendix "Remote Serial Protocol" describes every packet; docs/debugging.md says which are served.
//
// Threads are vCPUs: thread N is vCPU N - 1. All of them stop together. Registers and memory can be written
// at the present of a live run, where the write is logged; in recordings and in the past it is refused.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "gdb/branch_trace.h"
#include "gdb/file_io.h"
#include "gdb/image_file.h"
#include "gdb/memory.h"
#include "gdb/monitor.h"
#include "gdb/motion.h"
#include "gdb/packet.h"
#include "gdb/tracing.h"
#include "replay/timeline.h"

namespace hindcast::gdb {

struct SessionOptions {
  /// The navigator, if it is one that may have a live run. Null: a navigator of something else.
  replay::Timeline* timeline = nullptr;
  Bytes image;                        // the ELF that gdb is offered; empty: none
  PluginCommands* plugins = nullptr;  // null: there can be none
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
  /// A client in extended mode has killed the run and not started it over.
  bool killed() const { return killed_; }
  /// The client has gone away without a word.
  void lost();
  bool no_ack() const { return no_ack_; }
  /// From any thread, again and again: the move under way ends soon.
  void interrupt();
  /// Null: there is no live run, and there cannot be one.
  replay::Timeline* timeline() const { return options_.timeline; }
  /// What the guest asks of gdb's host while it runs.
  FileIo& file_io() { return file_io_; }
  Machine& machine() { return navigator_.machine(); }
  /// Text from the guest: shown by gdb now if something runs, else as soon as something does.
  void guest_output(ByteView text);

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
  void say_how_it_ended();
  /// vRun's arguments: as if the run were started, from its beginning, or from where the first argument says.
  std::string run(Fields fields);
  std::string start_over(Icount at);
  // Registers, memory, points (session_access.cpp).
  std::string read_registers();
  std::string read_register(Fields fields);
  std::string read_memory_hex(Fields fields);
  std::string read_memory_binary(Fields fields);
  std::string write_registers(Fields fields);
  std::string write_register(Fields fields);
  std::string write_memory_hex(Fields fields);
  std::string write_memory_binary(Fields fields);
  std::string write_bytes(GuestAddr address, std::string_view bytes);
  /// Nullopt: done. Else the reply that says why not.
  std::optional<std::string> set_register(unsigned row, u64 value);
  std::string flash(Fields fields);
  std::string refuse(const std::string& why);
  std::string change_point(Fields fields, bool insert);
  // Queries (session_query.cpp).
  std::string query(std::string_view packet);
  std::string supported(Fields fields);
  std::string transfer(Fields fields);
  std::string search(Fields fields);
  std::string crc(Fields fields);
  std::string thread_info(Fields fields);
  std::string monitor_command(std::string_view hex);

  /// The selected one; in a trace frame, the one that the frame is of.
  unsigned selected() const { return tracing_.frame_vcpu().value_or(current_); }
  Vcpu& vcpu() { return machine().vcpu(selected()); }
  /// Without anything of what the guest prints on the way.
  template <typename Work>
  auto silently(const Work& work);
  /// The vCPU of a thread id field: a number, 0 or -1 for "any" (the selected one). Nullopt: malformed, or
  /// there is none.
  std::optional<unsigned> thread(Fields& fields);

  replay::Navigator& navigator_;
  SessionOptions options_;
  RegisterMap registers_;
  Motion motion_;
  Tracing tracing_;
  Monitor monitor_;
  BranchTrace branch_trace_;
  std::optional<std::string> btrace_, osdata_;  // the last documents that were asked for
  ImageFile image_;
  FileIo file_io_;
  unsigned current_ = 0;             // the selected vCPU
  unsigned reported_ = 0;            // the vCPU of the last stop
  std::optional<unsigned> resumed_;  // the vCPU that Hc named
  bool no_ack_ = false;
  bool extended_ = false;        // the client can start the run over after it was killed
  bool killed_ = false;          // ... and has killed it
  bool moving_ = false;          // gdb takes text for the console
  std::string unsaid_;           // what the guest has printed while it does not
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
