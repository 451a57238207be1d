#include <fmt/format.h>

#include "targets/loader/image.h"

namespace hindcast::loader {
namespace {

int digit(u8 c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

class HexParser {
 public:
  HexParser(const std::string& name, ByteView file) : name_(name), file_(file) {}

  Image parse() {
    image_.format = Format::IntelHex;
    while (!done_ && next_line()) record();
    if (!done_) fail("has no end record; is the file cut short?");
    if (image_.segments.empty()) fail("loads nothing");
    return std::move(image_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Fatal(fmt::format("Intel HEX file '{}', line {}: {}", name_, line_number_, what));
  }

  bool next_line() {
    while (pos_ < file_.size()) {
      std::size_t begin = pos_;
      while (pos_ < file_.size() && file_[pos_] != '\n') ++pos_;
      std::size_t end = pos_;
      if (pos_ < file_.size()) ++pos_;
      ++line_number_;
      while (end > begin && (file_[end - 1] == '\r' || file_[end - 1] == ' ')) --end;
      line_ = file_.subspan(begin, end - begin);
      if (!line_.empty()) return true;
    }
    return false;
  }

  void record() {
    if (line_[0] != ':' || line_.size() % 2 == 0 || line_.size() < 11 || line_.size() > 2 * 260 + 1)
      fail("not a record");
    Bytes bytes;
    u8 sum = 0;
    for (std::size_t i = 1; i < line_.size(); i += 2) {
      int high = digit(line_[i]), low = digit(line_[i + 1]);
      if (high < 0 || low < 0) fail("not a hexadecimal digit");
      bytes.push_back(static_cast<u8>(high << 4 | low));
      sum = static_cast<u8>(sum + bytes.back());
    }
    if (sum != 0) fail("wrong checksum");
    std::size_t count = bytes[0];
    if (bytes.size() != count + 5) fail("wrong length");
    u32 offset = u32{bytes[1]} << 8 | bytes[2];
    ByteView data = ByteView(bytes).subspan(4, count);
    switch (bytes[3]) {
      case 0: store(offset, data); break;
      case 1: done_ = true; break;
      case 2:
        base_ = value(data, 2) << 4;
        segmented_ = true;
        break;
      case 3: {
        u32 start = value(data, 4);  // CS:IP
        image_.entry = (start >> 16 << 4) + (start & 0xffff);
        break;
      }
      case 4:
        base_ = value(data, 2) << 16;
        segmented_ = false;
        break;
      case 5: image_.entry = value(data, 4); break;
      default: fail(fmt::format("unknown record type {}", bytes[3]));
    }
  }

  u32 value(ByteView data, std::size_t size) const {
    if (data.size() != size) fail("wrong length for its type");
    u32 v = 0;
    for (u8 byte : data) v = v << 8 | byte;
    return v;
  }

  void store(u32 offset, ByteView data) {
    // Offsets wrap inside a segment, but not inside a linear block, whose end no linker would cross.
    for (std::size_t i = 0; i < data.size(); ++i) {
      u64 at = u64{base_} + (segmented_ ? (offset + i) & 0xffff : offset + i);
      if (at > 0xffffffff) fail("reaches beyond 4 GiB");
      Segment* last = image_.segments.empty() ? nullptr : &image_.segments.back();
      if (last == nullptr || last->address + last->data.size() != at) {
        image_.segments.push_back({at, 0, {}});
        last = &image_.segments.back();
      }
      last->data.push_back(data[i]);
      last->memory_size = last->data.size();
    }
  }

  const std::string& name_;
  ByteView file_, line_;
  std::size_t pos_ = 0, line_number_ = 0;
  u32 base_ = 0;
  bool segmented_ = false, done_ = false;
  Image image_;
};

}  // namespace

Image parse_intel_hex(const std::string& name, ByteView file) { return HexParser(name, file).parse(); }

}  // namespace hindcast::loader
