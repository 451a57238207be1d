// The packets that begin with 'q' or 'Q'.
#include <fmt/format.h>

#include <algorithm>

#include "gdb/memory.h"
#include "gdb/os_tables.h"
#include "gdb/session.h"

namespace hindcast::gdb {

template <typename Work>
auto Session::silently(const Work& work) {
  navigator_.on_output({});
  struct Restore {
    ~Restore() {
      session.navigator_.on_output([&s = session](Channel, ByteView data) { s.guest_output(data); });
    }
    Session& session;
  } const restore{*this};
  return work();
}

std::string Session::query(std::string_view packet) {
  Fields fields(packet);
  if (fields.take("qSupported")) return supported(fields);
  if (packet == "QStartNoAckMode") {
    no_ack_ = true;
    return "OK";
  }
  if (packet == "qC") return fmt::format("QC{:x}", current_ + 1);
  if (packet == "qAttached" || packet.starts_with("qAttached:")) return "1";
  if (packet == "qSymbol::") return "OK";
  if (packet == "qfThreadInfo") {
    std::string out = "m";
    for (unsigned i = 0; i < machine().vcpu_count(); ++i)
      out += fmt::format("{}{:x}", i == 0 ? "" : ",", i + 1);
    return out;
  }
  if (packet == "qsThreadInfo") return "l";
  if (fields.take("qThreadExtraInfo,")) return thread_info(fields);
  if (packet.starts_with("QT") || packet.starts_with("qT"))
    return silently([&] { return tracing_.handle(packet); });
  if (fields.take("Qbtrace")) return branch_trace_.handle(fields);
  if (fields.take("qXfer:")) return transfer(fields);
  if (fields.take("Qqemu.PhyMemMode:")) {
    if (fields.rest() != "0" && fields.rest() != "1") return kError;
    monitor_.set_space(fields.rest() == "1" ? Space::Physical : Space::Virtual);
    return "OK";
  }
  if (packet == "qqemu.PhyMemMode") return monitor_.space() == Space::Physical ? "1" : "0";
  if (fields.take("qSearch:memory:")) return search(fields);
  if (fields.take("qCRC:")) return crc(fields);
  if (fields.take("qRcmd,")) return monitor_command(fields.rest());
  return "";
}

std::string Session::supported(Fields fields) {
  fields.take(':');
  while (!fields.empty())
    if (const std::string_view feature = fields.until(';'); feature == "swbreak+" || feature == "hwbreak+")
      reports_breaks_ = true;
  return fmt::format(
      "PacketSize={:x};QStartNoAckMode+;ReverseStep+;ReverseContinue+;vContSupported+;swbreak+;hwbreak+;"
      "ConditionalBreakpoints+;BreakpointCommands+;ConditionalTracepoints+;EnableDisableTracepoints+;Qbtrace:"
      "off+;Qbtrace:bts+;"
      "Qbtrace-conf:bts:size+;qXfer:btrace:read+;qXfer:btrace-conf:read+;"
      "qXfer:features:read+;qXfer:memory-map:read+;qXfer:threads:read+;qXfer:osdata:read+;"
      "binary-upload+;error-message+{}",
      kMaxPacket, image_.exists() ? ";qXfer:exec-file:read+" : "");
}

// object:read:annex:offset,length
std::string Session::transfer(Fields fields) {
  const std::string_view object = fields.until(':');
  if (fields.until(':') != "read") return "";
  const std::string_view annex = fields.until(':');
  const auto offset = fields.number();
  const auto length = fields.take(',') ? fields.number() : std::nullopt;
  if (!offset || !length || !fields.empty()) return kError;
  std::string document;
  if (object == "features") {
    if (annex != "target.xml") return "E00";
    document = registers_.target_xml(machine().arch());
  } else if (object == "memory-map") {
    document = memory_map_xml(machine());
  } else if (object == "threads") {
    document = threads_xml(machine());
  } else if (object == "osdata") {
    if (*offset == 0) osdata_ = os_table(annex, navigator_, options_.timeline);
    if (!osdata_) return "E00";
    document = *osdata_;
  } else if (object == "btrace") {
    // It is long to make: once for all its pieces.
    if (*offset == 0) btrace_ = silently([&] { return branch_trace_.document(annex, selected()); });
    if (!btrace_) return kError;
    document = *btrace_;
  } else if (object == "btrace-conf") {
    const auto configuration = branch_trace_.configuration();
    if (!configuration) return kError;
    document = *configuration;
  } else if (object == "exec-file" && image_.exists()) {
    document = ImageFile::kName;
  } else {
    return "";
  }
  if (*offset >= document.size()) return "l";
  // Escapes may double it.
  const std::string_view piece =
      std::string_view(document).substr(*offset, std::min<u64>(*length, kMaxPacket / 2 - 1));
  return (*offset + piece.size() < document.size() ? "m" : "l") + escape(piece);
}

std::string Session::thread_info(Fields fields) {
  const auto vcpu = thread(fields);
  if (!vcpu || !fields.empty()) return kError;
  return to_hex(fmt::format("vCPU {}, {}", *vcpu, vcpu_state(machine(), *vcpu)));
}

// address;length;pattern
std::string Session::search(Fields fields) {
  const auto address = fields.number();
  const auto length = fields.take(';') ? fields.number() : std::nullopt;
  if (!address || !length || !fields.take(';')) return kError;
  const auto found = search_memory(vcpu(), monitor_.space(), *address, *length, unescape(fields.rest()));
  return found ? fmt::format("1,{:x}", *found) : "0";
}

// address,length
std::string Session::crc(Fields fields) {
  const auto address = fields.number();
  const auto length = fields.take(',') ? fields.number() : std::nullopt;
  if (!address || !length || !fields.empty()) return kError;
  const auto value = crc_memory(vcpu(), monitor_.space(), *address, *length);
  return value ? fmt::format("C{:x}", *value) : kError;
}

std::string Session::monitor_command(std::string_view hex) {
  const auto line = from_hex(hex);
  if (!line) return kError;
  const std::string answer = monitor_.run(*line, current_);
  if (answer.empty()) return "OK";
  if (!send_) return to_hex(answer);
  console(answer);
  return "OK";
}

}  // namespace hindcast::gdb
