// The image of the recorded run as a file that gdb may read (vFile, the manual's "Host I/O Packets"): this
// one file, read only, out of the recording. Nothing on the host can be reached.
#pragma once
#include <set>
#include <string>
#include <string_view>

#include "engine/types.h"

namespace hindcast::gdb {

class ImageFile {
 public:
  /// The name by which gdb asks for it.
  static constexpr const char* kName = "/image.elf";

  /// Empty `data`: there is no image, and no file can be opened.
  explicit ImageFile(Bytes data) : data_(std::move(data)) {}
  bool exists() const { return !data_.empty(); }
  /// The reply to "vFile:" + `request`.
  std::string handle(std::string_view request);
  void close_all() { open_.clear(); }

 private:
  std::string open(std::string_view arguments);
  std::string pread(std::string_view arguments);
  std::string fstat(std::string_view arguments);

  Bytes data_;
  std::set<u64> open_;
};

}  // namespace hindcast::gdb
