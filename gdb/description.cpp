#include "gdb/description.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "gdb/packet.h"

namespace hindcast::gdb {
namespace {

constexpr const char* kHeader = "<?xml version=\"1.0\"?>\n";

unsigned row_bits(const RegisterRow& row) { return std::max(8u, ir::bits_of(row.type)); }

/// gdb's name of a group of registers ("info registers float").
std::string group_of(const RegisterRow& row) {
  return std::strcmp(row.group, "control") == 0 ? "csr" : row.group;
}

}  // namespace

RegisterMap::RegisterMap(const Architecture& arch) {
  const auto rows = arch.registers();
  unsigned next = 0;
  for (const RegisterRow& row : rows)
    if (row.gdb_feature != nullptr && row.gdb_number >= 0)
      next = std::max(next, static_cast<unsigned>(row.gdb_number) + 1);
  for (unsigned i = 0; i < rows.size(); ++i) {
    if (rows[i].gdb_feature == nullptr) continue;
    const unsigned number = rows[i].gdb_number >= 0 ? static_cast<unsigned>(rows[i].gdb_number) : next++;
    entries_.push_back({number, i});
    if (i == arch.pc_register()) pc_number_ = number;
  }
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& a, const Entry& b) { return a.number < b.number; });
  rows_.resize(next, -1);
  for (const Entry& entry : entries_) rows_[entry.number] = static_cast<int>(entry.row);
  for (const Entry& entry : entries_) {
    if (std::strcmp(rows[entry.row].group, "general") != 0) break;
    general_.push_back(entry.row);
  }
}

std::string RegisterMap::read(const Vcpu& vcpu, unsigned row) const {
  const Architecture& arch = vcpu.arch();
  return to_hex(guest_bytes(arch, arch.read_register(vcpu, row), row_bits(arch.registers()[row]) / 8));
}

std::optional<u64> RegisterMap::parse(const Architecture& arch, unsigned row, std::string_view hex) const {
  const auto bytes = from_hex(hex);
  if (!bytes || bytes->size() != row_bits(arch.registers()[row]) / 8) return std::nullopt;
  return guest_value(arch, *bytes);
}

std::string RegisterMap::target_xml(const Architecture& arch) const {
  std::string out = std::string(kHeader) + "<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target>\n";
  if (arch.gdb_architecture() != nullptr)
    out += fmt::format("<architecture>{}</architecture>\n", xml_text(arch.gdb_architecture()));
  const auto rows = arch.registers();
  std::vector<std::string> features;  // in the order of the rows
  for (const Entry& entry : entries_) {
    const std::string name = rows[entry.row].gdb_feature;
    if (std::find(features.begin(), features.end(), name) == features.end()) features.push_back(name);
  }
  for (const std::string& feature : features) {
    out += fmt::format("<feature name=\"{}\">\n", xml_text(feature));
    for (const Entry& entry : entries_) {
      const RegisterRow& row = rows[entry.row];
      if (feature != row.gdb_feature) continue;
      const char* type = entry.row == arch.pc_register() ? "code_ptr"
                         : row.type == ir::Type::F32     ? "ieee_single"
                         : row.type == ir::Type::F64     ? "ieee_double"
                                                         : "int";
      out += fmt::format("<reg name=\"{}\" bitsize=\"{}\" type=\"{}\" regnum=\"{}\" group=\"{}\"/>\n",
                         xml_text(row.abi_name), row_bits(row), type, entry.number, xml_text(group_of(row)));
    }
    out += "</feature>\n";
  }
  return out + "</target>\n";
}

std::string xml_text(std::string_view text) {
  std::string out;
  for (char c : text) switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      default: out += c >= ' ' && c <= '~' ? c : '?';
    }
  return out;
}

bool is_flash(const RamBlock& block) { return block.rom && block.device != nullptr; }

std::string guest_bytes(const Architecture& arch, u64 value, unsigned size) {
  std::string out(size, '\0');
  for (unsigned i = 0; i < size; ++i)
    out[arch.big_endian() ? size - 1 - i : i] = static_cast<char>(value >> (8 * i));
  return out;
}

u64 guest_value(const Architecture& arch, std::string_view bytes) {
  u64 value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    value = value << 8 | static_cast<u8>(bytes[arch.big_endian() ? i : bytes.size() - 1 - i]);
  return value;
}

std::string memory_map_xml(Machine& machine) {
  std::string out = std::string(kHeader) +
                    "<!DOCTYPE memory-map PUBLIC \"+//IDN gnu.org//DTD GDB Memory Map V1.0//EN\" "
                    "\"http://sourceware.org/gdb/gdb-memory-map.dtd\">\n<memory-map>\n";
  const auto ram = [&](GuestAddr base, u64 size) {
    out += fmt::format("<memory type=\"ram\" start=\"{:#x}\" length=\"{:#x}\"/>\n", base, size);
  };
  std::map<GuestAddr, u64> described;
  for (const auto& block : machine.memory().ram_blocks()) {
    const bool flash = is_flash(*block);
    const char* type = flash ? "flash" : block->rom ? "rom" : "ram";
    out +=
        fmt::format("<memory type=\"{}\" start=\"{:#x}\" length=\"{:#x}\"", type, block->base, block->size);
    out += flash ? fmt::format("><property name=\"blocksize\">{:#x}</property></memory>\n", kFlashBlock)
                 : "/>\n";
    described[block->base] = block->size;
  }
  if (machine.arch().fetch_mapped(~u64{0})) {
    // Page tables may put memory anywhere: what is not there fails when it is read.
    const unsigned bits = machine.arch().address_bits();
    GuestAddr begin = 0;
    for (const auto& [base, size] : described) {
      if (base > begin) ram(begin, base - begin);
      begin = base + size;
    }
    ram(begin, (bits >= 64 ? 0 : u64{1} << bits) - begin);
    return out + "</memory-map>\n";
  }
  // Memory that an architecture finds at a second address.
  for (const auto& device : machine.memory().devices()) {
    GuestAddr at = 0;
    const bool found = machine.arch().debug_translate(machine.current(), device.base, &at);
    if (found && at != device.base && machine.memory().find_ram(at) != nullptr) ram(device.base, device.size);
    // Registers that can be looked at, but not written.
    if (device.handler->can_peek())
      out +=
          fmt::format("<memory type=\"rom\" start=\"{:#x}\" length=\"{:#x}\"/>\n", device.base, device.size);
  }
  return out + "</memory-map>\n";
}

std::string vcpu_state(Machine& machine, unsigned vcpu) {
  const Vcpu& v = machine.vcpu(vcpu);
  return v.parked() ? "parked" : v.halted() ? "halted" : "running";
}

std::string threads_xml(Machine& machine) {
  std::string out = std::string(kHeader) + "<threads>\n";
  for (unsigned i = 0; i < machine.vcpu_count(); ++i)
    out += fmt::format("<thread id=\"{:x}\" core=\"{}\" name=\"vCPU {}\">{}</thread>\n", i + 1, i, i,
                       vcpu_state(machine, i));
  return out + "</threads>\n";
}

}  // namespace hindcast::gdb
