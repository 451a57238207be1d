// Registers, memory, breakpoints and watchpoints.
#include <fmt/format.h>

#include <algorithm>

#include "gdb/agent.h"
#include "gdb/memory.h"
#include "gdb/session.h"

namespace hindcast::gdb {
namespace {

constexpr u64 kMaxRead = kMaxPacket / 2 - 16;
constexpr std::size_t kMaxConditions = 64;

/// "addr,length".
std::optional<std::pair<GuestAddr, u64>> address_and_length(Fields& fields) {
  const auto address = fields.number();
  const auto length = fields.take(',') ? fields.number() : std::nullopt;
  if (!address || !length) return std::nullopt;
  return std::pair{*address, *length};
}

/// "Xlen,hex" one after the other. Nullopt if malformed.
std::optional<std::vector<Bytes>> parse_conditions(Fields& fields) {
  std::vector<Bytes> out;
  while (fields.take(';') || !fields.empty()) {
    if (!fields.take('X')) return std::nullopt;
    const auto length = fields.number();
    if (!length || *length == 0 || *length > kMaxExpression || !fields.take(',')) return std::nullopt;
    const auto code = from_hex(fields.bytes(2 * *length));
    if (!code || code->size() != *length || out.size() == kMaxConditions) return std::nullopt;
    out.emplace_back(code->begin(), code->end());
  }
  return out;
}

}  // namespace

std::string Session::read_registers() {
  std::string out;
  for (unsigned row : registers_.general()) out += registers_.read(vcpu(), row);
  return out;
}

std::string Session::read_register(Fields fields) {
  const auto number = fields.number();
  const auto row = number && fields.empty() ? registers_.row(*number) : std::nullopt;
  return row ? registers_.read(vcpu(), *row) : kError;
}

std::string Session::read_memory_hex(Fields fields) {
  const auto range = address_and_length(fields);
  if (!range || !fields.empty()) return kError;
  const std::string bytes = read_memory(vcpu(), range->first, std::min(range->second, kMaxRead));
  return bytes.empty() && range->second != 0 ? kError : to_hex(bytes);
}

std::string Session::read_memory_binary(Fields fields) {
  const auto range = address_and_length(fields);
  if (!range || !fields.empty()) return kError;
  const std::string bytes = read_memory(vcpu(), range->first, std::min(range->second, kMaxRead));
  return bytes.empty() && range->second != 0 ? kError : "b" + escape(bytes);
}

std::string Session::write_binary(Fields fields) {
  const auto range = address_and_length(fields);
  if (!range || !fields.take(':')) return kError;
  // Nothing to be written: gdb asks whether the packet is known.
  if (range->second == 0 && fields.empty()) return "OK";
  return refuse_write("memory");
}

std::string Session::refuse_write(const char* what) {
  const std::string message = fmt::format("a recording cannot be changed: {} are not written",
                                          std::string_view(what) == "memory" ? "memory bytes" : what);
  if (notice_) notice_(message);
  return error_text(message);
}

std::string Session::change_point(Fields fields, bool insert) {
  const auto kind = fields.number();
  if (!kind || *kind > static_cast<u64>(PointKind::Access)) return "";
  if (!fields.take(',')) return kError;
  const auto range = address_and_length(fields);
  if (!range) return kError;
  Point point{static_cast<PointKind>(*kind), range->first, range->second, {}};
  if (!insert) {
    motion_.remove(point.kind, point.address, point.size);
    return "OK";
  }
  auto conditions = parse_conditions(fields);
  if (!conditions) return error_text("malformed condition");
  point.conditions = std::move(*conditions);
  return motion_.insert(std::move(point)) ? "OK" : error_text("too many points, or nothing to watch there");
}

}  // namespace hindcast::gdb
