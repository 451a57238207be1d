// The host's ends of the guest's network cables. Live and recorded runs only: a replay has none of these.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/types.h"

namespace hindcast::replay {

/// An IPv4 address in host byte order.
using Ipv4 = u32;

/// A network of the user's own (libslirp): DHCP, DNS, TFTP and a router that opens the host's sockets. What
/// the host's loopback offers cannot be reached from it unless `host_loopback`.
struct NetworkOptions {
  struct Forward {
    bool udp = false;
    Ipv4 host = 0x7f000001;
    u16 host_port = 0;  // 0: a free one, told by HostOptions::engine.note
    Ipv4 guest = 0;     // 0: the first address that DHCP gives
    u16 guest_port = 0;
  };
  Ipv4 net = 0x0a000200, mask = 0xffffff00;
  Ipv4 host = 0x0a000202, dns = 0x0a000203, dhcp_start = 0x0a00020f;
  bool ipv6 = false;           // a router for fec0::/64 too, which advertises itself
  bool host_loopback = false;  // `host` is the host's own 127.0.0.1
  bool restricted = false;     // nothing gets out, but for forwards
  std::string hostname, domain, tftp_folder, bootfile;
  std::vector<std::string> dns_search;
  std::vector<Forward> forwards;
};

/// What a cable leads to. Called on the machine's thread.
class Network {
 public:
  virtual ~Network() = default;
  /// A frame from the guest, without checksum. May be lost, as on a real wire.
  virtual void send(ByteView frame) = 0;
  /// The next frame for the guest, without checksum; nothing if there is none now. Never waits.
  virtual std::optional<Bytes> receive() = 0;
  /// Readable while receive() has something to give.
  virtual int fd() const = 0;
};

/// Throws Fatal if a port is taken or the network makes no sense. `note` takes a line for the user.
std::shared_ptr<Network> open_user_network(const NetworkOptions& options,
                                           const std::function<void(const std::string&)>& note);

}  // namespace hindcast::replay
