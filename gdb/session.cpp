#include "gdb/session.h"

#include <fmt/format.h>

namespace hindcast::gdb {
namespace {

constexpr unsigned kSigInt = 2, kSigTrap = 5;
constexpr std::size_t kConsolePiece = 4096;
/// Output that is kept for a client that has not come yet.
constexpr std::size_t kMaxUnsaid = 1u << 20;

}  // namespace

std::string error_text(std::string_view message) { return fmt::format("E.{}", message); }

Session::Session(replay::Navigator& navigator, SessionOptions options)
    : navigator_(navigator),
      options_(std::move(options)),
      registers_(navigator.machine().arch()),
      motion_(navigator, registers_),
      tracing_(navigator, motion_),
      monitor_(navigator, motion_, tracing_, options_.timeline, options_.plugins),
      branch_trace_(navigator, motion_),
      image_(std::move(options_.image)) {
  motion_.on_print([this](const std::string& text) { console(text); });
  navigator_.on_output([this](Channel, ByteView data) { guest_output(data); });
}

void Session::begin() {
  motion_.clear();
  tracing_.leave_frame();
  tracing_.clear();
  branch_trace_.clear();
  image_.close_all();
  no_ack_ = false;
  reports_breaks_ = false;
  extended_ = false;
  killed_ = false;
  monitor_.set_space(Space::Virtual);
  resumed_.reset();
  request_ = Request::None;
  last_ = {};
}

std::optional<std::string> Session::handle(std::string_view packet) try {
  auto reply = dispatch(packet);
  // In a trace frame the cursor is only lent.
  if (options_.plugins != nullptr && !tracing_.frame_vcpu()) options_.plugins->follow();
  return reply;
} catch (const std::exception& error) {
  if (notice_) notice_(error.what());
  return kError;
}

void Session::interrupt() {
  motion_.interrupt();
  if (options_.plugins != nullptr) options_.plugins->interrupt();
}

std::optional<std::string> Session::dispatch(std::string_view packet) {
  if (packet.empty()) return "";
  Fields fields(packet.substr(1));
  const unsigned selected = resumed_.value_or(current_);
  switch (packet.front()) {
    case '!': extended_ = true; return "OK";
    case '?': return killed_ ? "X09" : stop_reply(last_);
    case 'g': return read_registers();
    case 'p': return read_register(fields);
    case 'G': return write_registers(fields);
    case 'P': return write_register(fields);
    case 'm': return read_memory_hex(fields);
    case 'x': return read_memory_binary(fields);
    case 'M': return write_memory_hex(fields);
    case 'X': return write_memory_binary(fields);
    case 'Z': return change_point(fields, true);
    case 'z': return change_point(fields, false);
    case 'H': return select_thread(fields);
    case 'T': return thread_alive(fields);
    case 'c':
    case 's':
      // An address to go on at.
      if (!fields.empty()) {
        const auto address = fields.number();
        if (!address || !fields.empty()) return kError;
        if (auto refused = set_register(machine().arch().pc_register(), *address)) return *refused;
      }
      [[fallthrough]];
    case 'C':
    case 'S':
      if (packet.front() == 'c' || packet.front() == 'C')
        return resume(reported_, [&] { return motion_.forward(); });
      return resume(selected, [&] { return motion_.step(selected); });
    case 'b':
      if (packet == "bc") return resume(reported_, [&] { return motion_.back(); });
      if (packet == "bs") return resume(selected, [&] { return motion_.step_back(selected); });
      return "";
    case 'k': request_ = Request::Kill; return std::nullopt;
    case 'D': request_ = Request::Detach; return "OK";
    case 'R': start_over(navigator_.begin()); return std::nullopt;
    case 'v':
      if (packet == "vCont?") return "vCont;c;C;s;S;t;r";
      if (fields.take("Cont;")) return v_cont(fields);
      if (fields.take("File:")) return image_.handle(fields.rest());
      if (fields.take("Run;")) return run(fields);
      if (fields.take("Flash")) return flash(fields);
      if (fields.take("Kill;")) {
        // A client in extended mode may start it over, or leave.
        killed_ = extended_;
        if (!extended_) request_ = Request::Kill;
        return "OK";
      }
      return "";
    case 'q':
    case 'Q': return query(packet);
    default: return "";
  }
}

std::optional<unsigned> Session::thread(Fields& fields) {
  if (fields.take("-1")) return current_;
  const auto id = fields.number();
  if (!id) return std::nullopt;
  if (*id == 0) return current_;
  if (*id > machine().vcpu_count()) return std::nullopt;
  return static_cast<unsigned>(*id - 1);
}

std::string Session::select_thread(Fields fields) {
  const bool general = fields.take('g');
  if (!general && !fields.take('c')) return "";
  const bool any = fields.rest() == "0" || fields.rest() == "-1";
  const auto vcpu = thread(fields);
  if (!vcpu || !fields.empty()) return kError;
  if (general)
    current_ = *vcpu;
  else
    resumed_ = any ? std::nullopt : vcpu;
  return "OK";
}

std::string Session::thread_alive(Fields fields) {
  const auto id = fields.number();
  return id && fields.empty() && *id >= 1 && *id <= machine().vcpu_count() ? "OK" : kError;
}

// The actions of a vCont. A recording has one course: what is asked of single vCPUs decides only whose steps
// are counted, the others run as they did.
std::string Session::v_cont(Fields fields) {
  std::optional<unsigned> stepped;
  std::optional<std::pair<GuestAddr, GuestAddr>> range;
  bool any = false;
  while (!fields.empty()) {
    Fields action(fields.until(';'));
    const bool step = action.take('s'), step_signal = !step && action.take('S');
    const bool in_range = !step && !step_signal && action.take('r');
    const bool go = action.take('c'), go_signal = !go && action.take('C');
    if (!step && !step_signal && !in_range && !go && !go_signal && !action.take('t')) return kError;
    if ((step_signal || go_signal) && !action.number()) return kError;
    std::optional<std::pair<GuestAddr, GuestAddr>> bounds;
    if (in_range) {
      const auto start = action.number();
      const auto end = action.take(',') ? action.number() : std::nullopt;
      if (!start || !end || *end < *start) return kError;
      bounds = {*start, *end};
    }
    const auto who = action.take(':') ? thread(action) : current_;
    if (!who || !action.empty()) return kError;
    any = true;
    if (!stepped && (step || step_signal || in_range)) {
      stepped = who;
      range = bounds;
    }
  }
  if (!any) return kError;
  if (!stepped) return resume(reported_, [&] { return motion_.forward(); });
  if (!range) return resume(*stepped, [&] { return motion_.step(*stepped); });
  return resume(*stepped, [&] { return motion_.step_range(*stepped, range->first, range->second); });
}

std::string Session::run(Fields fields) {
  fields.until(';');  // the file: there is only one
  const auto where = from_hex(fields.until(';'));
  if (!where) return kError;
  tracing_.leave_frame();
  try {
    return start_over(where->empty() ? navigator_.begin() : monitor_.parse_position(*where));
  } catch (const Fatal& fatal) {
    return refuse(fatal.what());
  }
}

std::string Session::start_over(Icount at) {
  tracing_.leave_frame();
  killed_ = false;
  current_ = reported_ = 0;
  last_ = {};
  if (motion_.seek(at).kind == replay::NavStop::Kind::Interrupted)
    last_.stop.kind = replay::NavStop::Kind::Interrupted;
  return stop_reply(last_);
}

std::string Session::resume(unsigned vcpu, const std::function<Outcome()>& move) {
  tracing_.leave_frame();
  moving_ = true;
  file_io_.set_running(true);
  console(std::exchange(unsaid_, {}));
  try {
    last_ = move();
  } catch (const std::exception& error) {
    // The recording is damaged, or this program leaves its path: as far as it goes it can still be looked at.
    console(fmt::format("hindcast: {}\n", error.what()));
    if (notice_) notice_(error.what());
    last_ = {};
  }
  using Kind = replay::NavStop::Kind;
  if (last_.stop.kind == Kind::End) say_how_it_ended();
  moving_ = false;
  file_io_.set_running(false);
  const bool at_point = last_.stop.kind == Kind::Breakpoint || last_.stop.kind == Kind::Watchpoint;
  current_ = reported_ = at_point ? last_.stop.vcpu : vcpu;
  return stop_reply(last_);
}

std::string Session::stop_reply(const Outcome& outcome) {
  using Kind = replay::NavStop::Kind;
  const Kind kind = outcome.stop.kind;
  std::string out = fmt::format("T{:02x}", kind == Kind::Interrupted ? kSigInt : kSigTrap);
  if (const auto row = registers_.row(registers_.pc_number()))
    out += fmt::format("{:02x}:{};", registers_.pc_number(), registers_.read(vcpu(), *row));
  out += fmt::format("thread:{:x};", current_ + 1);
  if (kind == Kind::Begin) out += "replaylog:begin;";
  if (kind == Kind::End) out += "replaylog:end;";
  if (outcome.point) switch (*outcome.point) {
      case PointKind::Software: out += reports_breaks_ ? "swbreak:;" : ""; break;
      case PointKind::Hardware: out += reports_breaks_ ? "hwbreak:;" : ""; break;
      case PointKind::Write: out += fmt::format("watch:{:x};", outcome.address); break;
      case PointKind::Read: out += fmt::format("rwatch:{:x};", outcome.address); break;
      case PointKind::Access: out += fmt::format("awatch:{:x};", outcome.address); break;
    }
  return out;
}

void Session::say_how_it_ended() {
  const auto ended = options_.timeline ? options_.timeline->ended() : std::nullopt;
  if (!ended) return;
  switch (*ended) {
    case replay::StopKind::GuestExit:
      return console(
          fmt::format("hindcast: the guest ended the run with status {}\n", machine().exit_code()));
    case replay::StopKind::WaitsForever:
      return console(fmt::format("hindcast: {}\n", replay::why_for_ever(machine())));
    case replay::StopKind::MaxIcount: return console("hindcast: this is where --max-icount ends the run\n");
    default: return;
  }
}

void Session::lost() {
  if (notice_)
    notice_(fmt::format("the debugger has gone; the guest waits at icount {} for the next one",
                        navigator_.position()));
}

void Session::guest_output(ByteView text) {
  const std::string_view characters(reinterpret_cast<const char*>(text.data()), text.size());
  if (moving_)
    console(characters);
  else if (unsaid_.size() < kMaxUnsaid)
    unsaid_ += characters;
}

void Session::console(std::string_view text) {
  if (!send_) return;
  for (std::size_t at = 0; at < text.size(); at += kConsolePiece)
    send_("O" + to_hex(text.substr(at, kConsolePiece)));
}

}  // namespace hindcast::gdb
