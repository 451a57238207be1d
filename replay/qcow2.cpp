#include "replay/qcow2.h"

#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace hindcast::replay {
namespace {

constexpr std::array<u8, 4> kMagic = {'Q', 'F', 'I', 0xfb};
constexpr std::size_t kHeader2 = 72, kHeader3 = 104;
/// What this reader takes: the sizes of clusters that the format allows, and as long a directory as QEMU
/// does.
constexpr unsigned kLeastClusterBits = 9, kMostClusterBits = 21;
constexpr u64 kMostDirectory = u64{32} << 20;

// Incompatible features.
constexpr u64 kDirty = 1, kCorrupt = 2, kOtherFile = 4, kOtherCompression = 8, kSubclusters = 16;

// Entries of both kinds of tables: where something is in the file.
constexpr u64 kOffsetMask = 0x00fffffffffffe00;
// Of the second: the cluster is compressed; or (version 3) reads as zeros, whatever its place holds.
constexpr u64 kCompressed = u64{1} << 62, kZero = 1;

u64 be(ByteView from, std::size_t at, unsigned size) {
  u64 value = 0;
  for (unsigned i = 0; i < size; ++i) value = value << 8 | from[at + i];
  return value;
}

/// How many bytes there were, up to `size`; -1: the host cannot read them.
ssize_t read_at(int fd, u64 offset, u8* out, std::size_t size) {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t n = ::pread(fd, out + done, size - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return static_cast<ssize_t>(done);
}

}  // namespace

bool Qcow2::begins_like_one(int fd) {
  std::array<u8, kMagic.size()> magic{};
  return read_at(fd, 0, magic.data(), magic.size()) == ssize_t{magic.size()} && magic == kMagic;
}

Qcow2::Qcow2(int fd) : fd_(fd) { read_header(); }

void Qcow2::read_header() {
  Bytes header(kHeader3);
  const ssize_t there = read_at(fd_, 0, header.data(), header.size());
  if (there < ssize_t{kHeader2} || !std::equal(kMagic.begin(), kMagic.end(), header.begin()))
    throw Fatal("no qcow2 image");
  version_ = static_cast<u32>(be(header, 4, 4));
  if (version_ != 2 && version_ != 3)
    throw Fatal(fmt::format("a qcow2 image of version {}; 2 and 3 are supported", version_));
  if (version_ == 3 && there < ssize_t{kHeader3})
    throw Fatal("a damaged qcow2 image: its header is cut short");
  if (be(header, 8, 8) != 0)
    throw Fatal("a qcow2 image with a backing file; join them ('qemu-img convert -O qcow2 FILE NEW')");
  if (be(header, 32, 4) != 0) throw Fatal("an encrypted qcow2 image; decrypt it with 'qemu-img convert'");
  if (version_ == 3) refuse_features(header);
  cluster_bits_ = static_cast<unsigned>(be(header, 20, 4));
  bytes_ = be(header, 24, 8);
  if (cluster_bits_ < kLeastClusterBits || cluster_bits_ > kMostClusterBits)
    throw Fatal(fmt::format("a damaged qcow2 image: clusters of 2^{} bytes", cluster_bits_));
  const u64 each = cluster_size() * entries_per_table();  // what an entry of the directory stands for
  const u64 entries = bytes_ / each + (bytes_ % each != 0 ? 1 : 0);
  if (entries > be(header, 36, 4)) throw Fatal("a damaged qcow2 image: its tables are smaller than its disk");
  read_directory(be(header, 40, 8), entries);
}

void Qcow2::refuse_features(ByteView header) const {
  const u64 features = be(header, 72, 8);
  if ((features & kCorrupt) != 0)
    throw Fatal("a qcow2 image that is marked as damaged; see 'qemu-img check -r all FILE'");
  if ((features & kOtherFile) != 0)
    throw Fatal("a qcow2 image whose data are in another file; join them with 'qemu-img convert -O qcow2'");
  if ((features & kOtherCompression) != 0)
    throw Fatal("a qcow2 image not compressed with zlib; convert it with 'qemu-img convert -O qcow2'");
  if ((features & kSubclusters) != 0)
    throw Fatal("a qcow2 image with subclusters (extended_l2); convert it with 'qemu-img convert -O qcow2'");
  if ((features & ~kDirty) != 0)
    throw Fatal(fmt::format("a qcow2 image with features that are not known ({:#x})", features));
}

void Qcow2::read_directory(u64 offset, u64 entries) {
  if (entries > kMostDirectory / 8)
    throw Fatal("a qcow2 image with too small clusters for its size; use larger ones ('qemu-img convert')");
  Bytes bytes(entries * 8);
  const bool placed = offset <= kOffsetMask && offset % cluster_size() == 0;
  if (!placed || read_at(fd_, offset, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
    throw Fatal("a damaged qcow2 image: its tables are cut short");
  for (std::size_t i = 0; i < entries; ++i) directory_.push_back(be(bytes, 8 * i, 8) & kOffsetMask);
}

bool Qcow2::read(u64 offset, std::span<u8> out) {
  while (!out.empty()) {
    const u64 within = offset % cluster_size();
    const std::size_t size = std::min<u64>(out.size(), cluster_size() - within);
    if (!read_part(offset / cluster_size(), within, out.first(size))) return false;
    offset += size;
    out = out.subspan(size);
  }
  return true;
}

/// Null if it cannot be read.
const Bytes* Qcow2::table_at(u64 offset) {
  if (const auto found = tables_.find(offset); found != tables_.end()) return &found->second;
  if (offset % cluster_size() != 0) return nullptr;
  Bytes table(cluster_size());
  if (read_at(fd_, offset, table.data(), table.size()) != static_cast<ssize_t>(table.size())) return nullptr;
  // Which one goes does not matter much: guests read along the disk.
  if (tables_.size() >= kMostTables) tables_.erase(tables_.begin());
  return &tables_.insert_or_assign(offset, std::move(table)).first->second;
}

/// 0: nothing is there, and it reads as zeros. False: the image is damaged.
bool Qcow2::entry_of(u64 cluster, u64& entry) {
  entry = 0;
  const u64 at = directory_[cluster / entries_per_table()];
  if (at == 0) return true;
  const Bytes* table = table_at(at);
  if (table == nullptr) return false;
  entry = be(*table, 8 * (cluster % entries_per_table()), 8);
  return true;
}

bool Qcow2::read_part(u64 cluster, u64 within, std::span<u8> out) {
  u64 entry = 0;
  if (!entry_of(cluster, entry)) return false;
  if ((entry & kCompressed) != 0) {
    if (!read_compressed(entry)) return false;
    std::copy_n(cluster_.begin() + static_cast<std::ptrdiff_t>(within), out.size(), out.begin());
    return true;
  }
  const u64 at = entry & kOffsetMask;
  std::fill(out.begin(), out.end(), u8{0});
  if (at == 0 || (version_ == 3 && (entry & kZero) != 0)) return true;
  // The last cluster of a file need not be whole; one that is not there at all is damage.
  u8 first = 0;
  return at % cluster_size() == 0 && read_at(fd_, at, &first, 1) == 1 &&
         read_at(fd_, at + within, out.data(), out.size()) >= 0;
}

/// Into `cluster_`. The lower bits of the entry are the place, the upper ones how many sectors follow its
/// first.
bool Qcow2::read_compressed(u64 entry) {
  if (entry == unpacked_) return true;
  unpacked_ = 0;
  constexpr u64 kSector = 512;
  const unsigned place_bits = 62 - (cluster_bits_ - 8);
  const u64 at = entry & ((u64{1} << place_bits) - 1);
  const u64 sectors = ((entry & (kCompressed - 1)) >> place_bits) + 1;
  Bytes packed(sectors * kSector - at % kSector);
  const ssize_t there = read_at(fd_, at, packed.data(), packed.size());  // the file may end before
  if (there <= 0) return false;
  cluster_.assign(cluster_size(), 0);
  z_stream stream{};
  if (::inflateInit2(&stream, -MAX_WBITS) != Z_OK) return false;
  stream.next_in = packed.data();
  stream.avail_in = static_cast<uInt>(there);
  stream.next_out = cluster_.data();
  stream.avail_out = static_cast<uInt>(cluster_.size());
  ::inflate(&stream, Z_FINISH);
  ::inflateEnd(&stream);
  if (stream.avail_out != 0) return false;
  unpacked_ = entry;
  return true;
}

}  // namespace hindcast::replay
