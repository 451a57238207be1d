#include "replay/host_lines.h"

#include <algorithm>
#include <array>

#include "replay/host_clock.h"
#include "replay/host_io.h"

namespace hindcast::replay {
namespace {

/// Keys typed ahead that are kept for a guest that does not take them.
constexpr std::size_t kMaxTypeAhead = 64 * 1024;
/// Keys typed ahead for a guest that does not seem to look for any are given to it nevertheless after this.
constexpr u64 kPatienceNs = 2'000'000'000;

}  // namespace

HostLines::HostLines(Consoles consoles, LivePort& port, const Interrupts& interrupts)
    : port_(port), interrupts_(interrupts) {
  serve(Stream::Semihosting, std::move(consoles.semihosting));
  serve(Stream::Serial, std::move(consoles.serial));
  serve(Stream::Console, std::move(consoles.extra));
}

void HostLines::serve(Stream stream, std::shared_ptr<Console> console) {
  auto line = std::find_if(lines_.begin(), lines_.end(), [&](auto& l) { return l.console == console; });
  if (line == lines_.end()) line = lines_.insert(line, Line{std::move(console), {}, {}});
  line->serves[static_cast<std::size_t>(stream)] = true;
  port_.set_line(stream, static_cast<std::size_t>(line - lines_.begin()));
}

void HostLines::begin() {
  for (Line& line : lines_) line.console->begin();
}

bool HostLines::quit_requested() const {
  return std::any_of(lines_.begin(), lines_.end(), [](auto& line) { return line.console->quit_requested(); });
}

bool HostLines::output_lost() const {
  return std::any_of(lines_.begin(), lines_.end(), [](auto& line) { return line.console->output_lost(); });
}

const std::string& HostLines::problem() const {
  for (const Line& line : lines_)
    if (!line.console->problem().empty()) return line.console->problem();
  return lines_.front().console->problem();
}

// ---- Input ---------------------------------------------------------------------------------------------

bool HostLines::watches(const Line& line) const {
  if (!line.console->input_open()) return false;
  // A terminal is always read, because of the key that ends the run; others only when somebody wants the
  // bytes.
  return line.console->interactive() || (line.input.empty() && has_receiver(line));
}

bool HostLines::watches() const {
  return std::any_of(lines_.begin(), lines_.end(), [this](auto& line) { return watches(line); });
}

bool HostLines::wait(u64 timeout_ns, int wake_fd) {
  std::vector<const Line*> watched;
  for (const Line& line : lines_)
    if (watches(line)) watched.push_back(&line);
  if (watched.size() == 1) return watched[0]->console->wait(timeout_ns, wake_fd);
  std::vector<int> fds;
  for (const Line* line : watched) fds.push_back(line->console->input_fd());
  return wait_any_readable(fds, timeout_ns, wake_fd);
}

void HostLines::read() {
  for (Line& line : lines_)
    if (watches(line)) read(line);
}

void HostLines::read(Line& line) {
  std::array<u8, 4096> buffer;
  const std::size_t n = line.console->read(buffer.data(), buffer.size());
  if (line.input.empty()) line.since_ns = host_now_ns();
  if (line.input.size() < kMaxTypeAhead)
    line.input.insert(line.input.end(), buffer.begin(), buffer.begin() + n);
}

std::vector<Channel> HostLines::serial_ports(const Line& line) const {
  std::vector<Channel> ports;
  // Only where it shares a console with semihosting is there a question who the reader is.
  const bool reads = !serves(line, Stream::Semihosting) || port_.reads_serial();
  if (!reads) return ports;
  const std::optional<Channel> serial = port_.serial_channel();
  if (serial && serves(line, Stream::Serial)) ports.push_back(*serial);
  if (port_.extra_console() != nullptr && serves(line, Stream::Console)) ports.push_back(kConsoleChannel);
  return ports;
}

bool HostLines::has_receiver(const Line& line) const {
  return (serves(line, Stream::Semihosting) && !port_.waiting().empty()) || !serial_ports(line).empty();
}

bool HostLines::may_get_input() const {
  return std::any_of(lines_.begin(), lines_.end(), [this](auto& line) {
    return line.console->input_open() && has_receiver(line) &&
           (line.input.empty() || line.console->interactive());
  });
}

std::optional<HostLines::Target> HostLines::target(const Line& line) const {
  // Who has asked is served before the serial port.
  if (serves(line, Stream::Semihosting))
    for (Channel channel : port_.waiting()) {
      const InputSink* sink = port_.sink(channel, InputKind::SemihostConsole);
      if (sink != nullptr && sink->receivable() != 0)
        return Target{InputKind::SemihostConsole, channel, sink->receivable()};
    }
  const std::vector<Channel> ports = serial_ports(line);
  for (Channel channel : ports)
    if (const std::size_t room = port_.sink(channel, InputKind::Serial)->wanted(); room != 0)
      return Target{InputKind::Serial, channel, room};
  if (line.input.empty() || host_now_ns() - line.since_ns < kPatienceNs) return std::nullopt;
  for (Channel channel : ports)
    if (const std::size_t room = port_.sink(channel, InputKind::Serial)->receivable(); room != 0)
      return Target{InputKind::Serial, channel, room};
  return std::nullopt;
}

bool HostLines::can_deliver(const Line& line) const {
  const auto to = target(line);
  if (!to) return false;
  // An answer without bytes says that the input has ended; a serial line has no such thing.
  return !line.input.empty() || (to->kind == InputKind::SemihostConsole && !line.console->input_open());
}

bool HostLines::can_deliver() const {
  return std::any_of(lines_.begin(), lines_.end(), [this](auto& line) { return can_deliver(line); });
}

void HostLines::deliver() {
  Line& line = *std::find_if(lines_.begin(), lines_.end(), [this](auto& l) { return can_deliver(l); });
  const Target to = *target(line);
  const std::size_t n = std::min(line.input.size(), to.room);
  if (to.kind == InputKind::SemihostConsole && line.console->interactive()) cook(line, n);
  port_.inject(to.kind, to.channel, ByteView(line.input).first(n));
  line.input.erase(line.input.begin(), line.input.begin() + static_cast<std::ptrdiff_t>(n));
  line.since_ns = host_now_ns();
}

void HostLines::cook(Line& line, std::size_t n) {
  std::replace(line.input.begin(), line.input.begin() + static_cast<std::ptrdiff_t>(n), u8{'\r'}, u8{'\n'});
  write(line, ByteView(line.input).first(n));
}

// ---- Output --------------------------------------------------------------------------------------------

void HostLines::write(Line& line, ByteView data) {
  if (!data.empty()) line.console->write(data, [this] { return interrupts_.pending() != 0; });
}

void HostLines::flush() {
  for (std::size_t i = 0; i < lines_.size(); ++i) write(lines_[i], port_.pending_output(i));
  port_.clear_output();
}

}  // namespace hindcast::replay
