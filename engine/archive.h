// State is declared once: a device or a CPU lists its fields in one function, and saving, loading, hashing
// and comparing derive from it.
#pragma once
#include <cstring>
#include <deque>
#include <string>
#include <string_view>
#include <type_traits>

#include "engine/types.h"

namespace hindcast {

/// Visits the fields of an object. The same calls, in the same order, save and load.
/// Byte order is the host's, which must be little-endian (checked at build time).
class Archive {
 public:
  virtual ~Archive() = default;
  virtual bool loading() const = 0;
  /// Starts a named group (one device, one vCPU). Loading checks the name.
  virtual void section(std::string_view name) = 0;
  /// A fixed number of bytes.
  virtual void raw(std::string_view name, void* data, std::size_t size) = 0;
  /// A variable number of bytes, at most `max_size` when loading.
  virtual void blob(std::string_view name, Bytes& data, std::size_t max_size = 1u << 30) = 0;

  /// One scalar, enum or array of them. No pointers, no padding.
  template <typename T>
  void field(std::string_view name, T& value) {
    static_assert(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>);
    static_assert(std::has_unique_object_representations_v<T> || std::is_floating_point_v<T>,
                  "padding bytes would leak host memory into the state hash");
    raw(name, &value, sizeof value);
  }
  void field(std::string_view name, bool& value) {
    u8 byte = value ? 1 : 0;
    raw(name, &byte, 1);
    value = byte != 0;
  }
  void field(std::string_view name, std::string& value) {
    Bytes bytes(value.begin(), value.end());
    blob(name, bytes);
    value.assign(bytes.begin(), bytes.end());
  }
  void field(std::string_view name, std::deque<u8>& value) {
    Bytes bytes(value.begin(), value.end());
    blob(name, bytes);
    value.assign(bytes.begin(), bytes.end());
  }
  void field(std::string_view name, Bytes& value) { blob(name, value); }
};

/// Appends every field to a byte string.
class SaveArchive final : public Archive {
 public:
  bool loading() const override { return false; }
  void section(std::string_view name) override;
  void raw(std::string_view name, void* data, std::size_t size) override;
  void blob(std::string_view name, Bytes& data, std::size_t max_size) override;
  const Bytes& bytes() const { return out_; }
  Bytes take() { return std::move(out_); }

 private:
  void u32_le(u32 v);
  Bytes out_;
};

/// Reads what SaveArchive wrote. Throws Fatal on a wrong section name, a wrong size or a short input, so a
/// hostile byte string cannot do more than be refused.
class LoadArchive final : public Archive {
 public:
  explicit LoadArchive(ByteView in) : in_(in) {}
  bool loading() const override { return true; }
  void section(std::string_view name) override;
  void raw(std::string_view name, void* data, std::size_t size) override;
  void blob(std::string_view name, Bytes& data, std::size_t max_size) override;
  /// True when everything was consumed.
  bool at_end() const { return pos_ == in_.size(); }

 private:
  u32 u32_le();
  void take(void* data, std::size_t size, std::string_view name);
  ByteView in_;
  std::size_t pos_ = 0;
};

/// Names every field with its bytes in text, for comparing two states.
class TextArchive final : public Archive {
 public:
  struct Field {
    std::string section, name;
    Bytes value;
  };
  bool loading() const override { return false; }
  void section(std::string_view name) override { section_ = name; }
  void raw(std::string_view name, void* data, std::size_t size) override;
  void blob(std::string_view name, Bytes& data, std::size_t max_size) override;
  const std::vector<Field>& fields() const { return fields_; }

 private:
  std::string section_;
  std::vector<Field> fields_;
};

}  // namespace hindcast
