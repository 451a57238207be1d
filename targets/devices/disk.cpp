#include "targets/devices/disk.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace hindcast::devices {
namespace {

constexpr u64 kPage = AddressSpace::kPage;
/// At most this much is asked for at once.
constexpr u64 kMostPages = (u64{1} << 20) / kPage;

void put(Bytes& to, u64 value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) to.push_back(static_cast<u8>(value >> (8 * i)));
}

Bytes request(u8 operation, u32 drive, u64 offset, u32 size) {
  Bytes out{operation};
  put(out, drive, 4);
  put(out, offset, 8);
  put(out, size, 4);
  return out;
}

u64 checked(const std::string& name, u64 bytes) {
  if (bytes == 0 || bytes % Disk::kSector != 0 || bytes > Disk::kLargest)
    throw Fatal(fmt::format("{}: a drive has 1 to {} sectors of {} bytes, not {} bytes", name,
                            Disk::kLargest / Disk::kSector, Disk::kSector, bytes));
  return (bytes + kPage - 1) / kPage * kPage;
}

}  // namespace

Disk::Disk(Machine& machine, const std::string& name, const Site& site)
    : machine_(machine),
      site_(site),
      storage_(machine.memory().add_storage(name, checked(name, site.bytes))),
      pages_(storage_.size / kPage) {}

bool Disk::read(u64 offset, void* out, std::size_t size) {
  if (size == 0) return true;
  if (!fetch_pages(offset / kPage, (offset + size - 1) / kPage + 1)) return false;
  AddressSpace::read_storage(storage_, offset, out, size);
  return true;
}

bool Disk::fetch_ends(u64 offset, u64 size) {
  if (size == 0) return true;
  const u64 end = offset + size;
  // The last page of the disk may be shorter than a page: it is covered by what covers the disk's end.
  const bool whole_end = end % kPage == 0 || end == site_.bytes;
  return (offset % kPage == 0 || fetch_pages(offset / kPage, offset / kPage + 1)) &&
         (whole_end || fetch_pages(end / kPage, end / kPage + 1));
}

bool Disk::fetch_pages(u64 first, u64 end) {
  while (first < end) {
    auto next = known_.upper_bound(first);
    if (next != known_.begin() && std::prev(next)->second > first) {
      first = std::prev(next)->second;
      continue;
    }
    const u64 until = std::min({end, first + kMostPages, next == known_.end() ? end : next->first});
    if (!ask(first, until)) return false;
    first = until;
  }
  return true;
}

bool Disk::ask(u64 first, u64 end) {
  const u64 offset = first * kPage;
  const u64 size = std::min(end * kPage, site_.bytes) - offset;
  const Bytes reply = machine_.port().answer(InputKind::Disk, site_.channel,
                                             request(kDiskRead, site_.drive, offset, static_cast<u32>(size)));
  if (reply.size() != size) return false;
  // What is not known is zero, and pages of zeros shall take no memory.
  for (u64 at = 0; at < size; at += kPage) {
    const auto page = ByteView(reply).subspan(at, std::min(kPage, size - at));
    if (std::any_of(page.begin(), page.end(), [](u8 byte) { return byte != 0; }))
      std::memcpy(storage_.host + offset + at, page.data(), page.size());
  }
  note_known(first, end);
  return true;
}

void Disk::note_known(u64 first, u64 end) {
  auto it = known_.upper_bound(first);
  if (it != known_.begin() && std::prev(it)->second >= first) {
    --it;
    first = it->first;
  }
  while (it != known_.end() && it->first <= end) {
    end = std::max(end, it->second);
    it = known_.erase(it);
  }
  known_[first] = end;
}

bool Disk::write(u64 offset, ByteView data) {
  if (data.empty()) return true;
  if (!fetch_ends(offset, data.size()) || !pass_on(kDiskWrite, offset, static_cast<u32>(data.size()), data))
    return false;
  std::memcpy(storage_.host + offset, data.data(), data.size());
  note_known(offset / kPage, (offset + data.size() - 1) / kPage + 1);
  return true;
}

bool Disk::clear(u64 offset, u64 size) {
  if (size == 0) return true;
  if (!fetch_ends(offset, size) || !pass_on(kDiskClear, offset, static_cast<u32>(size), {})) return false;
  AddressSpace::clear_storage(storage_, offset, size);
  note_known(offset / kPage, (offset + size - 1) / kPage + 1);
  return true;
}

bool Disk::pass_on(u8 operation, u64 offset, u32 size, ByteView data) {
  if (!site_.write_through) return true;
  Bytes message = request(operation, site_.drive, offset, size);
  message.insert(message.end(), data.begin(), data.end());
  return machine_.port().answer(InputKind::Disk, site_.channel, message).size() == 1;
}

void Disk::state(Archive& ar) {
  Bytes known;
  for (const auto& [first, end] : known_) {
    put(known, first, 8);
    put(known, end, 8);
  }
  ar.field("known", known);
  if (!ar.loading()) return;
  known_.clear();
  u64 least = 0;
  for (std::size_t i = 0; i + 16 <= known.size(); i += 16) {
    u64 stretch[2];
    std::memcpy(stretch, known.data() + i, sizeof stretch);
    if (stretch[0] < least || stretch[1] <= stretch[0] || stretch[1] > pages_) {
      known_.clear();
      throw Fatal(fmt::format("saved state: what is known of {} makes no sense", storage_.name));
    }
    known_[stretch[0]] = stretch[1];
    least = stretch[1] + 1;
  }
}

}  // namespace hindcast::devices
