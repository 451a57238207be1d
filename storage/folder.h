// The recording's folder and its marker file: what makes a folder a recording, who is using it, and how far
// it is good.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/store_types.h"

namespace hindcast::storage {

/// What the marker says about the database beside it. Overwritten in place, so it costs the log nothing.
struct Mark {
  u64 generation = 0;
  u64 covered_icount = 0;  // all events before it have been handed over, given `chunks`
  u64 chunks = 0;          // handed over so far
  u64 chain = 0;           // checksum of the last of them
  u64 db_sequence = 0;     // the database's own count of everything written
  u64 identity = 0;        // Folder::identity(); 0: not said, by an older writer
  bool created = false;    // meta is stored: no longer "being created"
  bool closed = false;     // the end record is stored
};

/// Owns the marker file, and with it the right to write (exclusive lock) or read (shared lock) the folder.
class Folder {
 public:
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  /// Makes the folder, or empties it if `replace` and it holds a recording and nothing else. Throws
  /// StoreError.
  static std::unique_ptr<Folder> create(const std::string& path, bool replace, u32 schema = kPlainSchema);
  /// Opens the folder of a finished, killed or still growing recording. Throws StoreError if it is none, is
  /// of a newer schema, or holds anything but plain files.
  static std::unique_ptr<Folder> open(const std::string& path);
  /// Opens the folder of a recording that nobody uses, and keeps others from writing it. The marker stays as
  /// it is.
  static std::unique_ptr<Folder> reopen(const std::string& path);

  /// Writes the next mark. `sync`: and waits for the disk. Returns false if the host refused (errno says
  /// why).
  bool write_mark(Mark mark, bool sync);
  /// Removes the folder again with what a writer put there, as far as that is possible: creating it has
  /// failed.
  void discard() noexcept;
  /// Sees to it that the folder itself and the marker are on the disk.
  bool sync() const;
  /// The last good mark; nothing if none is. `sound`: whether every mark that should be good is, and all that
  /// stands before them.
  std::optional<Mark> read_mark(bool* sound = nullptr) const;
  /// Checksum of the database's file IDENTITY, on which nothing else depends. Never 0.
  u64 identity() const;
  /// Another process holds the folder for writing.
  bool growing() const { return growing_; }
  /// Version of the layout in it.
  u32 schema() const { return schema_; }
  const std::string& path() const { return path_; }
  /// Sum of the sizes of its files.
  u64 disk_bytes() const;

 private:
  Folder(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  std::string path_;
  int fd_;
  u64 generation_ = 0;
  u32 schema_ = kPlainSchema;
  bool growing_ = false;
};

}  // namespace hindcast::storage
