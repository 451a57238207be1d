// Disk images in QEMU's format qcow2, read only ("The Qcow2 image format", docs/interop/qcow2.txt of QEMU;
// versions 2 and 3). What is in the file is not believed: an image can be unreadable in parts, and nothing
// worse.
#pragma once
#include <map>
#include <span>
#include <vector>

#include "engine/types.h"

namespace hindcast::replay {

class Qcow2 {
 public:
  /// Whether the file begins like such an image.
  static bool begins_like_one(int fd);

  /// `fd` stays open while the image is used, and is the caller's. Throws Fatal, in a line without the file's
  /// name, for an image that is damaged, or needs what is not supported: a backing file, another file for the
  /// data, encryption, compression other than zlib's, subclusters.
  explicit Qcow2(int fd);

  /// The size of the disk, not of the file.
  u64 bytes() const { return bytes_; }
  /// `out.size()` bytes from `offset` on, which must lie on the disk. False if the image is damaged there or
  /// the host cannot read it. At most one table and one compressed cluster are read for each cluster touched.
  bool read(u64 offset, std::span<u8> out);

 private:
  /// Tables of places that are kept, and what each cluster of the disk is.
  static constexpr std::size_t kMostTables = 16;
  void read_header();
  void read_directory(u64 offset, u64 entries);
  void refuse_features(ByteView header) const;
  u64 cluster_size() const { return u64{1} << cluster_bits_; }
  u64 entries_per_table() const { return cluster_size() / 8; }
  bool entry_of(u64 cluster, u64& entry);
  const Bytes* table_at(u64 offset);
  bool read_part(u64 cluster, u64 within, std::span<u8> out);
  bool read_compressed(u64 entry);

  int fd_;
  u32 version_ = 0;
  unsigned cluster_bits_ = 0;
  u64 bytes_ = 0;
  std::vector<u64> directory_;   // the entries of the L1 table
  std::map<u64, Bytes> tables_;  // L2 tables by their place in the file
  u64 unpacked_ = 0;             // the entry whose cluster is in `cluster_`; 0: none
  Bytes cluster_;
};

}  // namespace hindcast::replay
