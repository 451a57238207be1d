#include "cli/network_options.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>

#include "cli/values.h"

namespace hindcast::cli {
namespace {

using replay::Ipv4;
using replay::NetworkOptions;

/// Of adapters whose user gives them none, counting up in the last byte.
constexpr std::array<u8, 6> kDefaultMac = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
constexpr std::size_t kMostNetworks = 8;
constexpr const char* kKeys =
    "hostfwd, tftp, bootfile, net, host, dhcpstart, dns, hostname, domainname, dnssearch, ipv6, restrict, "
    "host-loopback, mac";

Ipv4 parse_address(const std::string& option, const std::string& text) {
  in_addr address{};
  if (::inet_pton(AF_INET, text.c_str(), &address) != 1)
    throw Fatal(fmt::format("{}: '{}' is no IPv4 address like 10.0.2.2", option, printable(text)));
  return ntohl(address.s_addr);
}

std::array<u8, 6> parse_mac(const std::string& text) {
  std::array<u8, 6> mac{};
  constexpr const char* kDigits = "0123456789abcdefABCDEF";
  const auto parts = static_cast<std::size_t>(std::count(text.begin(), text.end(), ':')) + 1;
  bool good = parts == mac.size();
  std::size_t at = 0;
  for (std::size_t i = 0; good && i < mac.size(); ++i) {
    const std::string part = text.substr(at, text.find(':', at) - at);
    good = (part.size() == 1 || part.size() == 2) && part.find_first_not_of(kDigits) == std::string::npos;
    if (good) mac[i] = static_cast<u8>(std::stoul(part, nullptr, 16));
    at += part.size() + 1;
  }
  if (!good)
    throw Fatal(fmt::format("--net mac: '{}' is no address like 52:54:00:12:34:56", printable(text)));
  if ((mac[0] & 1) != 0) throw Fatal(fmt::format("--net mac: '{}' is a group's address", printable(text)));
  return mac;
}

/// ADDRESS:PORT, the address may be left out.
std::pair<Ipv4, u16> parse_end(const std::string& text, Ipv4 otherwise, u64 least_port) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos)
    throw Fatal(fmt::format("--net hostfwd: '{}' is not [ADDRESS]:PORT; write it like hostfwd=tcp::2222-:22",
                            printable(text)));
  const Ipv4 address = colon == 0 ? otherwise : parse_address("--net hostfwd", text.substr(0, colon));
  return {address,
          static_cast<u16>(parse_number("--net hostfwd", text.substr(colon + 1), least_port, 0xffff))};
}

/// [PROTOCOL]:[ADDRESS]:PORT-[ADDRESS]:PORT.
NetworkOptions::Forward parse_forward(const std::string& text) {
  NetworkOptions::Forward forward;
  const std::size_t colon = text.find(':'), dash = text.find('-');
  const std::string protocol = text.substr(0, colon);
  if (colon == std::string::npos || dash == std::string::npos || dash < colon ||
      (protocol != "tcp" && protocol != "udp" && !protocol.empty()))
    throw Fatal(fmt::format(
        "--net hostfwd: '{}' is not tcp:[ADDRESS]:PORT-[ADDRESS]:PORT (or udp:...), like tcp::2222-:22",
        printable(text)));
  forward.udp = protocol == "udp";
  std::tie(forward.host, forward.host_port) =
      parse_end(text.substr(colon + 1, dash - colon - 1), forward.host, 0);
  std::tie(forward.guest, forward.guest_port) = parse_end(text.substr(dash + 1), 0, 1);
  return forward;
}

/// ADDRESS/BITS. The other addresses move with it, until they are given.
void parse_net(const std::string& text, NetworkOptions& out) {
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos)
    throw Fatal(fmt::format("--net net: '{}' is not like 10.0.2.0/24", printable(text)));
  const auto bits = static_cast<unsigned>(parse_number("--net net", text.substr(slash + 1), 8, 27));
  out.mask = ~u32{0} << (32 - bits);
  out.net = parse_address("--net net", text.substr(0, slash)) & out.mask;
  out.host = out.net | 2;
  out.dns = out.net | 3;
  out.dhcp_start = out.net | 15;
}

std::string parse_folder(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode))
    throw Fatal(fmt::format("--net tftp: '{}' is no folder", printable(path)));
  return path;
}

void check(const NetworkOptions& options) {
  const std::array<std::pair<const char*, Ipv4>, 3> all = {
      {{"host", options.host}, {"dns", options.dns}, {"dhcpstart", options.dhcp_start}}};
  for (const auto& [name, address] : all) {
    if ((address & options.mask) != options.net)
      throw Fatal(fmt::format("--net {}: the address is not in the network that net= says", name));
    for (const auto& [other, its] : all)
      if (other != name && its == address)
        throw Fatal(fmt::format("--net {}: the address is that of {}= too", name, other));
  }
}

NetworkText parse_network(const std::string& text, std::size_t number) {
  NetworkText out;
  out.adapter.mac = kDefaultMac;
  out.adapter.mac[5] = static_cast<u8>(out.adapter.mac[5] + number);
  NetworkOptions& o = out.options;
  const std::map<std::string, std::string*> texts = {
      {"hostname", &o.hostname}, {"domainname", &o.domain}, {"bootfile", &o.bootfile}};
  const std::map<std::string, Ipv4*> addresses = {
      {"host", &o.host}, {"dhcpstart", &o.dhcp_start}, {"dns", &o.dns}};
  const std::map<std::string, bool*> switches = {
      {"ipv6", &o.ipv6}, {"restrict", &o.restricted}, {"host-loopback", &o.host_loopback}};
  const std::vector<std::string> parts = split_commas(text);
  if (parts.empty() || parts[0] != "user")
    throw Fatal(fmt::format("--net: '{}' is neither none nor user[,...]",
                            printable(parts.empty() ? text : parts[0])));
  // First: what follows may name addresses in it.
  for (const std::string& part : parts)
    if (part.starts_with("net=")) parse_net(part.substr(4), o);
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const auto [key, value] = split_pair(parts[i]);
    if (const auto found = texts.find(key); found != texts.end())
      *found->second = value;
    else if (const auto address = addresses.find(key); address != addresses.end())
      *address->second = parse_address("--net " + key, value);
    else if (const auto flag = switches.find(key); flag != switches.end())
      *flag->second = parse_switch("--net " + key, value);
    else if (key == "hostfwd")
      o.forwards.push_back(parse_forward(value));
    else if (key == "tftp")
      o.tftp_folder = parse_folder(value);
    else if (key == "dnssearch")
      o.dns_search.push_back(value);
    else if (key == "mac")
      out.adapter.mac = parse_mac(value);
    else if (key != "net")
      throw Fatal(fmt::format("--net user: '{}' is not known; use {}", printable(parts[i]), kKeys));
  }
  check(o);
  return out;
}

}  // namespace

std::vector<NetworkText> parse_networks(const std::vector<std::string>& texts) {
  std::vector<NetworkText> out;
  for (const std::string& text : texts) {
    if (text == "none") continue;
    if (out.size() == kMostNetworks) throw Fatal(fmt::format("--net: at most {} networks", kMostNetworks));
    out.push_back(parse_network(text, out.size()));
  }
  return out;
}

}  // namespace hindcast::cli
