// Registers, memory, breakpoints and watchpoints.
#include <fmt/format.h>

#include <algorithm>

#include "gdb/agent.h"
#include "gdb/memory.h"
#include "gdb/session.h"

namespace hindcast::gdb {
namespace {

constexpr u64 kMaxRead = kMaxPacket / 2 - 16;
constexpr u64 kErasePiece = 64 * 1024;
constexpr std::size_t kMaxExpressions = 64;

/// "addr,length".
std::optional<std::pair<GuestAddr, u64>> address_and_length(Fields& fields) {
  const auto address = fields.number();
  const auto length = fields.take(',') ? fields.number() : std::nullopt;
  if (!address || !length) return std::nullopt;
  return std::pair{*address, *length};
}

/// Conditions and commands: "Xlen,hex" one after the other, behind "cmds:persist," those of the commands.
/// False if malformed.
bool parse_expressions(Fields& fields, Point& point) {
  std::vector<Bytes>* list = &point.conditions;
  while (fields.take(';') || !fields.empty()) {
    if (list == &point.conditions && fields.take("cmds:")) {
      // Nothing outlives its client here.
      if (!fields.number() || !fields.take(',')) return false;
      list = &point.commands;
    }
    auto code = agent_expression(fields);
    if (!code || list->size() == kMaxExpressions) return false;
    list->push_back(std::move(*code));
  }
  return true;
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
  const std::string bytes =
      read_memory(vcpu(), monitor_.space(), range->first, std::min(range->second, kMaxRead));
  return bytes.empty() && range->second != 0 ? kError : to_hex(bytes);
}

std::string Session::read_memory_binary(Fields fields) {
  const auto range = address_and_length(fields);
  if (!range || !fields.empty()) return kError;
  const std::string bytes =
      read_memory(vcpu(), monitor_.space(), range->first, std::min(range->second, kMaxRead));
  return bytes.empty() && range->second != 0 ? kError : "b" + escape(bytes);
}

std::string Session::refuse(const std::string& why) {
  if (notice_) notice_(why);
  return error_text(why);
}

std::optional<std::string> Session::set_register(unsigned row, u64 value) {
  if (options_.timeline == nullptr) return refuse("a recording cannot be changed");
  if (machine().arch().read_register(vcpu(), row) == value) return std::nullopt;
  if (const auto why = options_.timeline->write_register(current_, row, value)) return refuse(*why);
  return std::nullopt;
}

std::string Session::write_register(Fields fields) {
  const auto number = fields.number();
  const auto row = number && fields.take('=') ? registers_.row(*number) : std::nullopt;
  const auto value = row ? registers_.parse(machine().arch(), *row, fields.rest()) : std::nullopt;
  if (!value) return kError;
  return set_register(*row, *value).value_or("OK");
}

std::string Session::write_registers(Fields fields) {
  for (unsigned row : registers_.general()) {
    const std::size_t digits = registers_.read(vcpu(), row).size();
    const auto value = registers_.parse(machine().arch(), row, fields.bytes(digits));
    if (!value) return kError;
    if (auto refused = set_register(row, *value)) return *refused;
  }
  return fields.empty() ? "OK" : kError;
}

std::string Session::write_memory_hex(Fields fields) {
  const auto range = address_and_length(fields);
  const auto bytes = range && fields.take(':') ? from_hex(fields.rest()) : std::nullopt;
  if (!bytes || bytes->size() != range->second) return kError;
  return write_bytes(range->first, *bytes);
}

std::string Session::write_memory_binary(Fields fields) {
  const auto range = address_and_length(fields);
  if (!range || !fields.take(':')) return kError;
  const std::string bytes = unescape(fields.rest());
  if (bytes.size() != range->second) return kError;
  return write_bytes(range->first, bytes);
}

std::string Session::write_bytes(GuestAddr address, std::string_view bytes) {
  // Nothing to be written: gdb asks whether the packet is known.
  if (bytes.empty()) return "OK";
  if (options_.timeline == nullptr) return refuse("a recording cannot be changed");
  const auto pieces = physical_pieces(vcpu(), monitor_.space(), address, bytes.size());
  if (!pieces) return refuse(fmt::format("there is no memory at {:#x} that can be written", address));
  for (const auto& [physical, size] : *pieces) {
    const ByteView piece(reinterpret_cast<const u8*>(bytes.data()), size);
    if (const auto why = options_.timeline->write_memory(physical, piece)) return refuse(*why);
    bytes.remove_prefix(size);
  }
  return "OK";
}

// Erase:address,length, Write:address:data, and Done.
std::string Session::flash(Fields fields) {
  if (fields.rest() == "Done") return "OK";
  const bool erase = fields.take("Erase:");
  if (!erase && !fields.take("Write:")) return "";
  const auto address = fields.number();
  if (!address || !fields.take(erase ? ',' : ':')) return kError;
  const std::string data = erase ? "" : unescape(fields.rest());
  const auto length = erase ? fields.number() : data.size();
  if (!length || (erase && !fields.empty())) return kError;
  GuestAddr physical = 0;
  const RamBlock* block = machine().arch().debug_translate(vcpu(), *address, &physical)
                              ? machine().memory().find_ram(physical)
                              : nullptr;
  if (block == nullptr || !is_flash(*block) || *length > block->base + block->size - physical)
    return "E.memtype";
  for (u64 done = 0; done < *length;) {
    const std::string piece = erase ? std::string(std::min<u64>(*length - done, kErasePiece), '\xff') : data;
    if (std::string reply = write_bytes(*address + done, piece); reply != "OK") return reply;
    done += piece.size();
  }
  return "OK";
}

std::string Session::change_point(Fields fields, bool insert) {
  const auto kind = fields.number();
  if (!kind || *kind > static_cast<u64>(PointKind::Access)) return "";
  if (!fields.take(',')) return kError;
  const auto range = address_and_length(fields);
  if (!range) return kError;
  Point point{static_cast<PointKind>(*kind), range->first, range->second, {}, {}};
  if (!insert) {
    motion_.remove(point.kind, point.address, point.size);
    return "OK";
  }
  if (!parse_expressions(fields, point)) return error_text("malformed condition or command");
  return motion_.insert(std::move(point)) ? "OK" : error_text("too many points, or nothing to watch there");
}

}  // namespace hindcast::gdb
