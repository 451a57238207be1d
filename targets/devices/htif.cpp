#include "targets/devices/htif.h"

#include <algorithm>
#include <cstring>

namespace hindcast::devices {
namespace {

// System calls of the proxy kernel, by their Linux numbers.
constexpr u64 kSysWrite = 64, kSysExit = 93, kSysExitGroup = 94;
constexpr u64 kBadFile = ~u64{0} - 8, kBadAddress = ~u64{0} - 13,
              kNotImplemented = ~u64{0} - 37;  // -EBADF and so on
constexpr u64 kCallWords = 8;

}  // namespace

Htif::Htif(std::string name, Machine& machine, GuestAddr base, u64 size, GuestAddr tohost,
           std::optional<GuestAddr> fromhost, Channel channel)
    : Device(std::move(name)),
      machine_(machine),
      base_(base),
      tohost_(tohost),
      fromhost_(fromhost),
      channel_(channel),
      bytes_(size) {}

void Htif::state(Archive& ar) { ar.raw("bytes", bytes_.data(), bytes_.size()); }

bool Htif::host_write(GuestAddr pa, const void* data, std::size_t size) {
  if (pa < base_ || pa - base_ > bytes_.size() || size > bytes_.size() - (pa - base_)) return false;
  std::memcpy(bytes_.data() + (pa - base_), data, size);
  return true;
}

u64 Htif::mmio_read(u64 offset, unsigned size) {
  u64 value = 0;
  std::memcpy(&value, bytes_.data() + offset, size);
  return value;
}

void Htif::mmio_write(u64 offset, unsigned size, u64 value) {
  std::memcpy(bytes_.data() + offset, &value, size);
  // A 32-bit guest writes the halves one by one; the low one carries the command of everything that it can
  // express.
  if (base_ + offset == tohost_ && size >= 4) {
    if (u64 request = word(tohost_); request != 0) handle(request);
  }
}

u64 Htif::word(GuestAddr pa) const {
  u64 value = 0;
  std::memcpy(&value, bytes_.data() + (pa - base_), 8);
  return value;
}

void Htif::set_word(GuestAddr pa, u64 value) { std::memcpy(bytes_.data() + (pa - base_), &value, 8); }

bool Htif::read_memory(GuestAddr pa, void* out, std::size_t size) const {
  if (machine_.memory().host_read(pa, out, size)) return true;
  if (pa < base_ || pa - base_ > bytes_.size() || size > bytes_.size() - (pa - base_)) return false;
  std::memcpy(out, bytes_.data() + (pa - base_), size);
  return true;
}

void Htif::handle(u64 request) {
  const u64 device = request >> 56, command = request >> 48 & 0xff, payload = request & 0xffff'ffff'ffff;
  if (device == 0 && command == 0 && (payload & 1) != 0) {
    machine_.request_exit(static_cast<int>(payload >> 1 & 0xffff'ffff));
  } else if (device == 0 && command == 0) {
    set_word(tohost_, 0);
    system_call(payload);
  } else if (device == 1 && command == 1) {
    set_word(tohost_, 0);
    u8 byte = static_cast<u8>(payload);
    machine_.port().output(channel_, {&byte, 1});
    answer(request & 0xffff'0000'0000'0000);
  } else {
    set_word(tohost_, 0);  // reading the console: no key is ever pressed here
  }
}

void Htif::system_call(GuestAddr block) {
  u64 call[kCallWords];
  u64 result = kNotImplemented;
  if (!read_memory(block, call, sizeof call)) return;  // nowhere to put an answer
  if (call[0] == kSysExit || call[0] == kSysExitGroup)
    return machine_.request_exit(static_cast<int>(call[1]));
  if (call[0] == kSysWrite) result = write_call(call[1], call[2], call[3]);
  if (!machine_.memory().host_write(block, &result, sizeof result)) host_write(block, &result, sizeof result);
  answer(1);
}

u64 Htif::write_call(u64 file, GuestAddr data, u64 size) {
  if (file != 1 && file != 2) return kBadFile;
  Bytes chunk;
  for (u64 done = 0; done < size; done += chunk.size()) {
    chunk.resize(
        std::min<u64>(size - done, kPage - (data + done) % kPage));  // never across two blocks of memory
    if (!read_memory(data + done, chunk.data(), chunk.size())) return done != 0 ? done : kBadAddress;
    machine_.port().output(channel_, chunk);
  }
  return size;
}

void Htif::answer(u64 value) {
  if (!fromhost_) return;
  if (!host_write(*fromhost_, &value, sizeof value))
    machine_.memory().host_write(*fromhost_, &value, sizeof value);
}

}  // namespace hindcast::devices
