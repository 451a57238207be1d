// The file systems that recordings' databases see: one that skips what costs time and helps nobody, one that
// cannot write.
#pragma once
#include <rocksdb/file_system.h>

#include <memory>

namespace hindcast::storage {

/// For the writer. Without `sync`, fsync does nothing: what was written survives the death of the process in
/// any case. OPTIONS files are not written: readers pin the options themselves, and writing them triples the
/// time to start.
std::shared_ptr<rocksdb::FileSystem> recording_file_system(bool sync);
/// For readers: refuses everything that would change a file or folder.
std::shared_ptr<rocksdb::FileSystem> read_only_file_system();

}  // namespace hindcast::storage
