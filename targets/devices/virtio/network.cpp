#include "targets/devices/virtio/network.h"

#include <algorithm>

namespace hindcast::devices::virtio {
namespace {

constexpr u64 kMac = u64{1} << 5, kStatus = u64{1} << 16;
constexpr std::size_t kTagged = kMaxFrame + 4;  // with a VLAN tag
constexpr std::size_t kEthernetHeader = 14;

}  // namespace

NetworkDevice::NetworkDevice(std::string name, Machine& machine, Channel channel, const MacAddress& mac)
    : VirtioDevice(std::move(name), machine, Type::Network, {kQueueSize, kQueueSize}),
      channel_(channel),
      mac_(mac) {
  timer_ = machine.clock().add_timer(this->name() + ".send", [this] {
    paused_ = false;
    transmit();
  });
  machine.port().attach(channel, InputKind::Network, this);
}

u64 NetworkDevice::features() const { return kMac | kStatus; }

Bytes NetworkDevice::config() const {
  constexpr u8 kLinkUp = 1;
  Bytes bytes(mac_.begin(), mac_.end());
  bytes.insert(bytes.end(), {kLinkUp, 0});
  return bytes;
}

std::size_t NetworkDevice::receivable() const {
  return running() && queue(kReceive).has_available() ? kTagged : 0;
}

void NetworkDevice::receive(InputKind, ByteView frame) {
  const std::optional<Chain> chain = pop(kReceive);
  if (!chain) return;
  constexpr std::size_t kBuffers = 10;  // where their number is
  Bytes bytes(kHeader);
  bytes[kBuffers] = 1;
  bytes.insert(bytes.end(), frame.begin(), frame.end());
  const std::size_t written = scatter(memory(), chain->writable, bytes.data(), bytes.size());
  if (written != bytes.size()) return fail("a buffer for a frame is too small, or not in RAM");
  push(kReceive, chain->head, static_cast<u32>(written));
  flush(kReceive);
}

void NetworkDevice::notified(unsigned queue) {
  if (queue == kReceive)
    machine().port().ready(channel_);
  else if (!paused_)
    transmit();
}

void NetworkDevice::transmit() {
  u64 looked_at = 0;
  while (looked_at < kPortion) {
    const std::optional<Chain> chain = pop(kSend);
    if (!chain) break;
    looked_at += chain->readable.size() + chain->writable.size();
    send(*chain);
    push(kSend, chain->head, 0);
  }
  flush(kSend);
  pause(looked_at >= kPortion && running());
}

void NetworkDevice::pause(bool on) {
  paused_ = on;
  machine().clock().arm(timer_, on ? machine().clock().now() + kPause : kNever);
}

void NetworkDevice::send(const Chain& chain) {
  const u64 size = total_size(chain.readable);
  // Nothing else is a frame: it goes where frames go that a wire does not take.
  if (size < kHeader + kEthernetHeader || size > kHeader + kTagged) return;
  Bytes bytes(static_cast<std::size_t>(size));
  if (gather(memory(), chain.readable, bytes.data(), bytes.size()) != bytes.size())
    return fail("a frame is not in RAM");
  machine().port().output(channel_, ByteView(bytes).subspan(kHeader));
}

}  // namespace hindcast::devices::virtio
