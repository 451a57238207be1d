#include "targets/devices/virtio/console.h"

#include <fmt/format.h>

#include <algorithm>

namespace hindcast::devices::virtio {
namespace {

const char* const kOutsideRam = "what is printed is not in RAM";

// Section 5.3.3.
constexpr u64 kEmergencyWrite = u64{1} << 2;
// Section 5.3.4, struct virtio_console_config: columns, rows, number of ports, and this.
constexpr u64 kEmergencyRegister = 8, kConfigSize = 12;

}  // namespace

ConsoleDevice::ConsoleDevice(std::string name, Machine& machine, Channel channel)
    : VirtioDevice(std::move(name), machine, Type::Console, {kQueueSize, kQueueSize}), channel_(channel) {
  timer_ = machine.clock().add_timer(this->name() + ".print", [this] {
    paused_ = false;
    print();
  });
  machine.port().attach(channel, InputKind::Serial, this);
}

u64 ConsoleDevice::features() const { return kEmergencyWrite; }

Bytes ConsoleDevice::config() const { return Bytes(kConfigSize); }

void ConsoleDevice::config_written(u64 offset, unsigned, u32 value) {
  if (offset != kEmergencyRegister) return;
  const u8 byte = static_cast<u8>(value);
  machine().port().output(channel_, {&byte, 1});
}

// ---- Input ---------------------------------------------------------------------------------------------

std::size_t ConsoleDevice::receivable() const { return running() ? kFifoSize - typed_.size() : 0; }

std::size_t ConsoleDevice::wanted() const { return queue(kReceive).has_available() ? receivable() : 0; }

void ConsoleDevice::receive(InputKind, ByteView data) {
  typed_.insert(typed_.end(), data.begin(), data.end());
  give();
}

void ConsoleDevice::give() {
  bool any = false;
  while (!typed_.empty()) {
    const std::optional<Chain> chain = pop(kReceive);
    if (!chain) break;
    any = true;
    const u64 size = std::min<u64>(typed_.size(), total_size(chain->writable));
    const std::size_t written = scatter(memory(), chain->writable, typed_.data(), size);
    if (written != size || size == 0) return fail("a buffer for what is typed is empty, or not in RAM");
    typed_.erase(typed_.begin(), typed_.begin() + static_cast<std::ptrdiff_t>(size));
    push(kReceive, chain->head, static_cast<u32>(written));
  }
  if (any) flush(kReceive);
}

// ---- Output --------------------------------------------------------------------------------------------

/// As much of the chain as there is room for; false: nothing can be printed any more.
bool ConsoleDevice::print_part(u64& room) {
  const std::vector<Segment> part = part_of(printing_->data, printing_->done, room);
  Bytes bytes(total_size(part));
  if (gather(memory(), part, bytes.data(), bytes.size()) != bytes.size()) {
    fail(kOutsideRam);
    return false;
  }
  if (!bytes.empty()) machine().port().output(channel_, bytes);
  printing_->done += bytes.size();
  room -= bytes.size();
  if (printing_->done != total_size(printing_->data)) return true;
  push(kSend, printing_->head, 0);
  printing_.reset();
  return true;
}

void ConsoleDevice::print() {
  u64 room = kPortion;
  while (running() && room != 0) {
    if (!printing_) {
      std::optional<Chain> chain = pop(kSend);
      if (!chain) break;
      if (!all_ram(memory(), chain->readable)) return fail(kOutsideRam);
      printing_ = Printing{chain->head, 0, std::move(chain->readable)};
    }
    if (!print_part(room)) return;
  }
  if (!running()) return;
  flush(kSend);
  pause(room == 0);
}

void ConsoleDevice::pause(bool on) {
  paused_ = on;
  machine().clock().arm(timer_, on ? machine().clock().now() + kPause : kNever);
}

void ConsoleDevice::notified(unsigned queue) {
  if (queue == kSend) {
    if (!paused_) print();
    return;
  }
  give();
  if (wanted() != 0) machine().port().ready(channel_);
}

// ---- State ---------------------------------------------------------------------------------------------

void ConsoleDevice::reset_type() {
  typed_.clear();
  printing_.reset();
  pause(false);
}

void ConsoleDevice::save(Archive& ar) {
  ar.blob("typed", typed_, kFifoSize);
  ar.field("paused", paused_);
  bool printing = printing_.has_value();
  ar.field("printing", printing);
  if (ar.loading()) printing_.reset();
  if (!printing) return;
  Printing saved;
  if (printing_) saved = *printing_;
  ar.field("head", saved.head);
  ar.field("done", saved.done);
  save_segments(ar, "data", saved.data);
  if (!ar.loading()) return;
  if (saved.done > total_size(saved.data) || saved.data.size() > Queue::kMostSegments)
    throw Fatal(fmt::format("saved state: what {} prints makes no sense", name()));
  printing_ = std::move(saved);
}

}  // namespace hindcast::devices::virtio
