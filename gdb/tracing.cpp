#include "gdb/tracing.h"

#include <fmt/format.h>

#include <algorithm>

#include "gdb/agent.h"

namespace hindcast::gdb {
namespace {

constexpr const char* kMalformed = "E01";
constexpr const char* kInterrupted = "E.interrupted";
constexpr u64 kNoFrame = 0xffffffff;

}  // namespace

std::string Tracing::handle(std::string_view packet) {
  Fields fields(packet);
  if (packet == "QTinit") {
    leave_frame();
    clear();
    return "OK";
  }
  if (fields.take("QTDP:")) return define(fields);
  if (fields.take("QTEnable:")) return enable(fields, true);
  if (fields.take("QTDisable:")) return enable(fields, false);
  if (packet == "QTStart") return start();
  if (packet == "QTStop") return "OK";  // it has ended already
  if (fields.take("QTFrame:")) return find(fields);
  if (packet == "qTStatus") return status();
  if (fields.take("qTP:")) return status_of(fields);
  // What the client says for its own use, and what does not matter when everything can be looked at.
  for (const char* harmless : {"QTDPsrc:", "QTro", "QTDisconnected:", "QTBuffer:", "QTNotes:"})
    if (packet.starts_with(harmless)) return "OK";
  // No tracepoint outlives its client.
  if (packet == "qTfP" || packet == "qTsP" || packet == "qTfV" || packet == "qTsV") return "l";
  if (fields.take("QTDV:")) return define_variable(fields);
  if (fields.take("qTV:")) return variable(fields);
  return "";
}

void Tracing::clear() {
  tracepoints_.clear();
  drop_frames();
  initial_.clear();
  motion_.variables().clear();
}

void Tracing::drop_frames() {
  frames_.clear();
  values_.clear();
  stop_ = Stop::NotRun;
  frame_.reset();
}

// number:address:ena:step:pass[:Fsize][:S][:Xlen,condition][-], or -number:address:actions[-]
std::string Tracing::define(Fields fields) {
  const bool actions = fields.take('-');
  const auto number = fields.number();
  const auto address = fields.take(':') ? fields.number() : std::nullopt;
  if (!number || !address || !fields.take(':')) return kMalformed;
  const Key key{*number, *address};
  if (actions) return define_actions(key, fields);
  Tracepoint tracepoint;
  tracepoint.enabled = fields.take('E');
  if (!tracepoint.enabled && !fields.take('D')) return kMalformed;
  const auto steps = fields.take(':') ? fields.number() : std::nullopt;
  const auto passes = fields.take(':') ? fields.number() : std::nullopt;
  if (!steps || !passes) return kMalformed;
  tracepoint.steps = *steps;
  tracepoint.passes = *passes;
  tracepoint.point.kind = PointKind::Software;
  tracepoint.point.address = *address;
  while (fields.take(':')) {
    if (fields.take('F') || fields.take('S')) {  // fast and static ones are like the others
      fields.number();
    } else if (fields.rest().starts_with('X')) {
      auto code = agent_expression(fields);
      if (!code) return kMalformed;
      tracepoint.point.conditions.push_back(std::move(*code));
    } else {
      return kMalformed;
    }
  }
  fields.take('-');
  if (!fields.empty() || tracepoints_.size() >= kMaxTracepoints ||
      expression_bytes() + tracepoint.point.expression_bytes() > Motion::kMaxExpressionBytes)
    return kMalformed;
  tracepoints_[key] = std::move(tracepoint);
  return "OK";
}

std::size_t Tracing::expression_bytes() const {
  std::size_t sum = 0;
  for (const auto& [key, tracepoint] : tracepoints_) {
    sum += tracepoint.point.expression_bytes();
    for (const Bytes& action : tracepoint.actions) sum += action.size();
  }
  return sum;
}

// One after the other: R mask, M register,offset,length, X expression; S before those of while-stepping; and
// "-" if more follow. Only expressions can have an effect.
std::string Tracing::define_actions(const Key& key, Fields fields) {
  const auto found = tracepoints_.find(key);
  if (found == tracepoints_.end()) return kMalformed;
  while (!fields.empty() && fields.rest() != "-") {
    if (fields.take('S') || fields.take('L')) continue;
    if (fields.take('R')) {
      // As many digits as there are registers, by four.
      fields.bytes(std::min(fields.rest().find_first_not_of("0123456789abcdefABCDEF"), fields.rest().size()));
    } else if (fields.take('M')) {
      fields.take('-');
      if (!fields.number() || !fields.take(',') || !fields.number() || !fields.take(',') || !fields.number())
        return kMalformed;
    } else {
      auto code = agent_expression(fields);
      if (!code || expression_bytes() + code->size() > Motion::kMaxExpressionBytes) return kMalformed;
      found->second.actions.push_back(std::move(*code));
    }
  }
  return "OK";
}

// number:value:builtin:name
std::string Tracing::define_variable(Fields fields) {
  const auto number = fields.number();
  const auto value = fields.take(':') ? fields.number() : std::nullopt;
  if (!number || !value || !fields.take(':') || *number > 0xffff || initial_.size() >= kMaxVariables)
    return kMalformed;
  initial_[static_cast<unsigned>(*number)] = *value;
  motion_.variables() = initial_;
  return "OK";
}

std::string Tracing::variable(Fields fields) const {
  const auto number = fields.number();
  if (!number || !fields.empty()) return kMalformed;
  const Variables& values = frame_ ? values_[frames_[*frame_].values] : motion_.variables();
  const auto found = values.find(static_cast<unsigned>(*number));
  return found == values.end() ? "U" : fmt::format("V{:x}", found->second);
}

std::string Tracing::enable(Fields fields, bool on) {
  const auto number = fields.number();
  const auto address = fields.take(':') ? fields.number() : std::nullopt;
  const auto found = number && address ? tracepoints_.find({*number, *address}) : tracepoints_.end();
  if (found == tracepoints_.end()) return kMalformed;
  found->second.enabled = on;
  return "OK";
}

std::string Tracing::start() {
  leave_frame();
  frames_.clear();
  motion_.variables() = initial_;
  values_ = {initial_};
  std::vector<Point> points;
  for (auto& [key, tracepoint] : tracepoints_) {
    tracepoint.hits = 0;
    if (tracepoint.enabled) points.push_back(tracepoint.point);
  }
  stop_ = Stop::Asked;
  try {
    if (!motion_.every_hit(std::move(points), [this](const replay::NavStop& stop) { return hit(stop); }))
      stop_ = Stop::Interrupted;
  } catch (...) {
    stop_ = Stop::Failed;
    throw;
  }
  return "OK";
}

bool Tracing::hit(const replay::NavStop& stop) {
  Vcpu& vcpu = navigator_.machine().vcpu(stop.vcpu);
  for (auto& [key, tracepoint] : tracepoints_) {
    const Point& point = tracepoint.point;
    if (!tracepoint.enabled || point.address != vcpu.pc() || !motion_.holds(point, vcpu)) continue;
    motion_.act(tracepoint.actions, vcpu);
    if (values_.back() != motion_.variables()) values_.push_back(motion_.variables());
    const Frame frame{navigator_.position(), vcpu.pc(), static_cast<u32>(key.first), stop.vcpu,
                      static_cast<u32>(values_.size() - 1)};
    frames_.push_back(frame);
    add_steps(tracepoint, frame);
    if (frames_.size() >= kMaxFrames || values_.size() * initial_.size() > kMaxValues) stop_ = Stop::Full;
    if (++tracepoint.hits == tracepoint.passes) {
      stop_ = Stop::Passes;
      stopped_by_ = key.first;
    }
    if (stop_ != Stop::Asked) return false;
  }
  return true;
}

/// The frames of while-stepping. Where another hit could be on the way (other vCPUs run in between), the way
/// is gone once more.
void Tracing::add_steps(const Tracepoint& tracepoint, const Frame& first) {
  if (tracepoint.steps == 0) return;
  const auto tracepoints_at = [&](GuestAddr pc) {
    return std::count_if(tracepoints_.begin(), tracepoints_.end(),
                         [&](const auto& entry) { return entry.second.enabled && entry.first.second == pc; });
  };
  bool again = navigator_.machine().vcpu_count() > 1 || tracepoints_at(first.pc) > 1;
  const Icount end = navigator_.end();
  Frame frame = first;
  for (u64 i = 0; i < tracepoint.steps && frames_.size() < kMaxFrames && navigator_.position() < end; ++i) {
    if (!motion_.step_silently(first.vcpu)) break;
    frame.icount = navigator_.position();
    frame.pc = navigator_.machine().vcpu(first.vcpu).pc();
    frames_.push_back(frame);
    again = again || tracepoints_at(frame.pc) != 0;
  }
  if (again) motion_.return_to(first.icount);
}

// A frame's number, or the next one after the current that is at an address, of a tracepoint, or whose pc is
// in or outside of a range (both ends included).
std::string Tracing::find(Fields fields) {
  const std::size_t next = frame_ ? *frame_ + 1 : 0;
  std::optional<std::size_t> found;
  const auto search = [&](const auto& wanted) {
    const auto it = std::find_if(
        frames_.begin() + static_cast<std::ptrdiff_t>(std::min(next, frames_.size())), frames_.end(), wanted);
    if (it != frames_.end()) found = static_cast<std::size_t>(it - frames_.begin());
  };
  const bool at_pc = fields.take("pc:"), of_tracepoint = !at_pc && fields.take("tdp:");
  const bool in_range = fields.take("range:"), outside = !in_range && fields.take("outside:");
  const auto first = fields.number();
  if (!first) return kMalformed;
  if (at_pc) {
    search([&](const Frame& frame) { return frame.pc == *first; });
  } else if (of_tracepoint) {
    search([&](const Frame& frame) { return frame.number == *first; });
  } else if (in_range || outside) {
    const auto last = fields.take(':') ? fields.number() : std::nullopt;
    if (!last) return kMalformed;
    search([&](const Frame& frame) { return (frame.pc >= *first && frame.pc <= *last) == in_range; });
  } else if (*first < frames_.size()) {
    found = *first;
  } else if (*first == kNoFrame) {
    leave_frame();
  }
  if (!fields.empty()) return kMalformed;
  if (!found) return "F-1";
  const Icount here = navigator_.position();
  if (motion_.seek(frames_[*found].icount).kind == replay::NavStop::Kind::Interrupted) {
    motion_.return_to(here);
    return kInterrupted;
  }
  if (!frame_) origin_ = here;
  frame_ = found;
  return fmt::format("F{:x}T{:x}", *found, frames_[*found].number);
}

std::optional<unsigned> Tracing::frame_vcpu() const {
  return frame_ ? std::optional<unsigned>(frames_[*frame_].vcpu) : std::nullopt;
}

void Tracing::leave_frame() {
  if (!frame_) return;
  frame_.reset();
  motion_.return_to(origin_);
}

std::string Tracing::status() const {
  std::string why;
  switch (stop_) {
    case Stop::NotRun: return "T0;tnotrun:0";
    case Stop::Asked: why = "tstop::0"; break;
    case Stop::Full: why = "tfull:0"; break;
    case Stop::Passes: why = fmt::format("tpasscount:{:x}", stopped_by_); break;
    case Stop::Interrupted: why = fmt::format("tstop:{}:0", to_hex("interrupted")); break;
    case Stop::Failed: why = fmt::format("tstop:{}:0", to_hex("failed")); break;
  }
  const std::size_t size = kMaxFrames * sizeof(Frame), used = frames_.size() * sizeof(Frame);
  return fmt::format("T0;{};tframes:{:x};tcreated:{:x};tfree:{:x};tsize:{:x};circular:0;disconn:0", why,
                     frames_.size(), frames_.size(), size - std::min(size, used), size);
}

std::string Tracing::status_of(Fields fields) const {
  const auto number = fields.number();
  const auto address = fields.take(':') ? fields.number() : std::nullopt;
  const auto found = number && address ? tracepoints_.find({*number, *address}) : tracepoints_.end();
  if (found == tracepoints_.end()) return kMalformed;
  return fmt::format("V{:x}:{:x}", found->second.hits, found->second.hits * sizeof(Frame));
}

}  // namespace hindcast::gdb
