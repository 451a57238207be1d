#include "replay/meta.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "replay/event_format.h"
#include "replay/run_result.h"

namespace hindcast::replay {
namespace {

using nlohmann::json;

/// More of a machine than this is not a machine.
constexpr unsigned kMaxVcpus = 1024;
constexpr unsigned kMaxIcountShift = 20;

bool is_utf8(const std::string& s) {
  try {
    (void)json(s).dump();
    return true;
  } catch (const json::exception&) {
    return false;
  }
}

json from_text(const std::string& s) {
  if (is_utf8(s)) return s;
  return json{{"hex", hex({reinterpret_cast<const u8*>(s.data()), s.size()})}};
}

unsigned nibble(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
  throw Fatal("a hexadecimal digit expected");
}

std::string to_text(const json& j) {
  if (j.is_string()) return j.get<std::string>();
  const std::string digits = j.at("hex").get<std::string>();
  if (digits.size() % 2 != 0) throw Fatal("an even number of hexadecimal digits expected");
  std::string out;
  for (std::size_t i = 0; i < digits.size(); i += 2)
    out += static_cast<char>(nibble(digits[i]) * 16 + nibble(digits[i + 1]));
  return out;
}

/// Pairs, because a key may be no UTF-8 either.
json from_map(const std::map<std::string, std::string>& map) {
  json out = json::array();
  for (const auto& [key, value] : map) out.push_back(json::array({from_text(key), from_text(value)}));
  return out;
}

std::map<std::string, std::string> to_map(const json& j) {
  std::map<std::string, std::string> out;
  for (const json& pair : j) out[to_text(pair.at(0))] = to_text(pair.at(1));
  return out;
}

/// An unsigned number at most `max`; JSON's other kinds of number are refused.
u64 to_number(const json& j, u64 max = ~u64{0}) {
  if (!j.is_number_unsigned() || j.get<u64>() > max) throw Fatal("a number is out of range");
  return j.get<u64>();
}

/// Twelve hexadecimal digits.
std::array<u8, 6> to_mac(const std::string& digits) {
  std::array<u8, 6> mac;
  if (digits.size() != 2 * mac.size()) throw Fatal("a network adapter's address has twelve digits");
  for (std::size_t i = 0; i < mac.size(); ++i)
    mac[i] = static_cast<u8>(nibble(digits[2 * i]) * 16 + nibble(digits[2 * i + 1]));
  return mac;
}

Meta parse(const json& j) {
  Meta meta;
  meta.schema_version = static_cast<u32>(to_number(j.at("schema"), ~u32{0}));
  meta.model_version = static_cast<u32>(to_number(j.at("model"), ~u32{0}));
  meta.build_id = to_text(j.at("build"));
  return meta;
}

void parse_config(const json& j, Meta& meta) {
  MachineConfig& c = meta.config;
  c.machine = to_text(j.at("machine"));
  c.machine_options = to_map(j.at("machine_options"));
  c.cpu = to_text(j.at("cpu"));
  c.memory_bytes = to_number(j.at("memory_bytes"));
  c.smp = static_cast<unsigned>(to_number(j.at("smp"), kMaxVcpus));
  c.icount_shift = static_cast<unsigned>(to_number(j.at("icount_shift"), kMaxIcountShift));
  c.append = to_text(j.at("append"));
  for (const json& arg : j.at("guest_args")) c.guest_args.push_back(to_text(arg));
  c.semihosting = j.at("semihosting").get<bool>();
  // Older recordings say nothing of networks: they have none.
  if (j.contains("networks"))
    for (const json& mac : j.at("networks")) c.networks.push_back({to_mac(to_text(mac))});
  for (const json& f : j.at("files")) {
    MachineFile file;
    file.role = to_text(f.at("role"));
    file.name = to_text(f.at("name"));
    if (!f.at("address").is_null()) file.address = to_number(f.at("address"));
    meta.file_sizes.push_back(to_number(f.at("size")));
    c.files.push_back(std::move(file));
  }
  for (const json& d : j.at("drives"))
    c.drives.push_back(
        {to_text(d.at("name")), to_number(d.at("bytes")), d.at("read_only").get<bool>(), false});
}

}  // namespace

Bytes encode_meta(const MachineConfig& config) {
  json files = json::array();
  for (const MachineFile& f : config.files) {
    files.push_back({{"role", from_text(f.role)},
                     {"name", from_text(f.name)},
                     {"address", f.address == kNever ? json() : json(f.address)},
                     {"size", f.data.size()}});
  }
  json drives = json::array();
  for (const MachineDrive& d : config.drives)
    drives.push_back({{"name", from_text(d.name)}, {"bytes", d.bytes}, {"read_only", d.read_only}});
  json args = json::array();
  for (const std::string& arg : config.guest_args) args.push_back(from_text(arg));
  json networks = json::array();
  for (const NetworkAdapter& adapter : config.networks) networks.push_back(hex(adapter.mac));
  const json meta = {{"schema", storage::kPlainSchema},  // of this description
                     {"model", kModelVersion},
                     {"build", build_id()},
                     {"config",
                      {{"machine", from_text(config.machine)},
                       {"machine_options", from_map(config.machine_options)},
                       {"cpu", from_text(config.cpu)},
                       {"memory_bytes", config.memory_bytes},
                       {"smp", config.smp},
                       {"icount_shift", config.icount_shift},
                       {"append", from_text(config.append)},
                       {"guest_args", args},
                       {"semihosting", config.semihosting},
                       {"networks", networks},
                       {"files", files},
                       {"drives", drives}}}};
  const std::string text = meta.dump();
  return Bytes(text.begin(), text.end());
}

Meta decode_meta(const Bytes& bytes, const std::string& path, bool any_version) {
  try {
    const json j = json::parse(bytes.begin(), bytes.end());
    Meta meta = parse(j);
    const bool same = meta.model_version == kModelVersion && meta.schema_version >= storage::kPlainSchema &&
                      meta.schema_version <= storage::kSchemaVersion;
    if (!same && !any_version) {
      const bool model = meta.model_version != kModelVersion;
      throw OtherVersion(
          fmt::format("{}: recorded by {} version {}, this build has {}: use the build that recorded it ({})",
                      path, model ? "model" : "schema", model ? meta.model_version : meta.schema_version,
                      model ? kModelVersion : storage::kSchemaVersion, meta.build_id));
    }
    // Another version may describe its machines otherwise; what can be said of it has been said.
    if (same) parse_config(j.at("config"), meta);
    return meta;
  } catch (const json::exception&) {
    throw Fatal(
        fmt::format("{}: the description of the machine is damaged; 'hindcast verify' says more", path));
  }
}

bool load_files(const storage::Reader& reader, Meta& meta, const std::string& path) {
  const std::vector<std::string> names = reader.blobs();
  const std::set<std::string> present(names.begin(), names.end());
  for (std::size_t i = 0; i < meta.config.files.size(); ++i) {
    const std::string key = fmt::format("file/{}", i);
    MachineFile& file = meta.config.files[i];
    if (!present.contains(key)) {
      if (!reader.end() && reader.covered_icount() == 0) return false;
      throw Fatal(fmt::format("{}: the bytes of '{}' are missing", path, file.name));
    }
    file.data = reader.blob(key);
    if (file.data.size() != meta.file_sizes[i])
      throw Fatal(fmt::format("{}: '{}' has {} bytes instead of {}", path, file.name, file.data.size(),
                              meta.file_sizes[i]));
  }
  return true;
}

}  // namespace hindcast::replay
