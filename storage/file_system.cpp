#include "storage/file_system.h"

#include <string>
#include <utility>

namespace hindcast::storage {
namespace {

using rocksdb::DirFsyncOptions;
using rocksdb::FileOptions;
using rocksdb::FSDirectory;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

class UnsyncedFile : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  using FSWritableFileOwnerWrapper::FSWritableFileOwnerWrapper;
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus RangeSync(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::OK();
  }
};

class UnsyncedDirectory : public rocksdb::FSDirectoryWrapper {
 public:
  using FSDirectoryWrapper::FSDirectoryWrapper;
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus FsyncWithDirOptions(const IOOptions&, IODebugContext*, const DirFsyncOptions&) override {
    return IOStatus::OK();
  }
};

class RecordingFileSystem : public rocksdb::FileSystemWrapper {
 public:
  explicit RecordingFileSystem(bool sync) : FileSystemWrapper(rocksdb::FileSystem::Default()), sync_(sync) {}
  const char* Name() const override { return "hindcast-recording"; }

  IOStatus NewWritableFile(const std::string& name, const FileOptions& options,
                           std::unique_ptr<FSWritableFile>* file, IODebugContext* debug) override {
    if (name.find("/OPTIONS-") != std::string::npos) return IOStatus::NotSupported("not written");
    const IOStatus status = target_->NewWritableFile(name, options, file, debug);
    if (status.ok() && !sync_) *file = std::make_unique<UnsyncedFile>(std::move(*file));
    return status;
  }
  IOStatus ReopenWritableFile(const std::string& name, const FileOptions& options,
                              std::unique_ptr<FSWritableFile>* file, IODebugContext* debug) override {
    const IOStatus status = target_->ReopenWritableFile(name, options, file, debug);
    if (status.ok() && !sync_) *file = std::make_unique<UnsyncedFile>(std::move(*file));
    return status;
  }
  /// Not all file systems have links, and they say so in several ways. What cannot be linked is copied.
  IOStatus LinkFile(const std::string& from, const std::string& to, const IOOptions& options,
                    IODebugContext* debug) override {
    const IOStatus status = target_->LinkFile(from, to, options, debug);
    return status.ok() || status.IsNoSpace() ? status : IOStatus::NotSupported("no link");
  }
  IOStatus NewDirectory(const std::string& name, const IOOptions& options,
                        std::unique_ptr<FSDirectory>* directory, IODebugContext* debug) override {
    const IOStatus status = target_->NewDirectory(name, options, directory, debug);
    if (status.ok() && !sync_) *directory = std::make_unique<UnsyncedDirectory>(std::move(*directory));
    return status;
  }

 private:
  bool sync_;
};

class ReadOnlyFileSystem : public rocksdb::FileSystemWrapper {
 public:
  ReadOnlyFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "hindcast-read-only"; }

  IOStatus NewWritableFile(const std::string&, const FileOptions&, std::unique_ptr<FSWritableFile>*,
                           IODebugContext*) override {
    return refused();
  }
  IOStatus ReopenWritableFile(const std::string&, const FileOptions&, std::unique_ptr<FSWritableFile>*,
                              IODebugContext*) override {
    return refused();
  }
  IOStatus ReuseWritableFile(const std::string&, const std::string&, const FileOptions&,
                             std::unique_ptr<FSWritableFile>*, IODebugContext*) override {
    return refused();
  }
  IOStatus NewRandomRWFile(const std::string&, const FileOptions&, std::unique_ptr<rocksdb::FSRandomRWFile>*,
                           IODebugContext*) override {
    return refused();
  }
  IOStatus DeleteFile(const std::string&, const IOOptions&, IODebugContext*) override { return refused(); }
  IOStatus Truncate(const std::string&, size_t, const IOOptions&, IODebugContext*) override {
    return refused();
  }
  IOStatus CreateDir(const std::string&, const IOOptions&, IODebugContext*) override { return refused(); }
  IOStatus CreateDirIfMissing(const std::string&, const IOOptions&, IODebugContext*) override {
    return refused();
  }
  IOStatus DeleteDir(const std::string&, const IOOptions&, IODebugContext*) override { return refused(); }
  IOStatus RenameFile(const std::string&, const std::string&, const IOOptions&, IODebugContext*) override {
    return refused();
  }
  IOStatus LinkFile(const std::string&, const std::string&, const IOOptions&, IODebugContext*) override {
    return refused();
  }
  IOStatus LockFile(const std::string&, const IOOptions&, rocksdb::FileLock**, IODebugContext*) override {
    return refused();
  }

 private:
  static IOStatus refused() { return IOStatus::IOError("recordings are only read"); }
};

}  // namespace

std::shared_ptr<rocksdb::FileSystem> recording_file_system(bool sync) {
  return std::make_shared<RecordingFileSystem>(sync);
}

std::shared_ptr<rocksdb::FileSystem> read_only_file_system() {
  return std::make_shared<ReadOnlyFileSystem>();
}

}  // namespace hindcast::storage
