// Device trees ("Devicetree Specification", release 0.4) as an editable object: read from a flattened blob or
// from source text, searched, completed by a board, written back as the blob that the guest gets.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/types.h"

namespace hindcast::loader {

// What is more than this is refused: real trees stay far below, and a hostile one cannot take long or much
// memory.
inline constexpr std::size_t kLargestTree = 4u << 20;     // bytes of a blob, or of source text
inline constexpr std::size_t kLargestResult = 64u << 20;  // bytes of the values that source text stands for
inline constexpr unsigned kDeepestNode = 64;              // levels
inline constexpr std::size_t kMostNodes = 65536;          // of a tree that is read
inline constexpr std::size_t kMostChildren = 4096;        // of a node
inline constexpr std::size_t kMostProperties = 1024;      // of a node
inline constexpr std::size_t kMostRanges = 1024;          // of a `reg` or `ranges` property
inline constexpr std::size_t kLongestName = 255;          // of a node or property

struct DtProperty {
  std::string name;
  Bytes value;
};

/// A range of the root's address space, from a `reg` property.
struct DtRange {
  GuestAddr base = 0;
  u64 size = 0;
};

/// One entry of `interrupts` or `interrupts-extended`: who gets it, and its specifier cells.
struct DtInterrupt {
  u32 controller = 0;  // phandle
  std::vector<u32> cells;
};

class DtNode {
 public:
  explicit DtNode(std::string name, DtNode* parent) : name_(std::move(name)), parent_(parent) {}
  DtNode(const DtNode&) = delete;
  DtNode& operator=(const DtNode&) = delete;

  const std::string& name() const { return name_; }  // with unit address ("serial@10000000")
  std::string path() const;                          // "/soc/serial@10000000"
  DtNode* parent() const { return parent_; }
  const std::vector<std::unique_ptr<DtNode>>& children() const { return children_; }
  /// By full name, or without the unit address if that is unique; null if there is none.
  DtNode* child(std::string_view name) const;
  const std::vector<DtProperty>& properties() const { return properties_; }

  // Reading. A property of the wrong shape throws Fatal, naming node and property.
  const Bytes* property(std::string_view name) const;
  bool has(std::string_view name) const { return property(name) != nullptr; }
  /// Cells of an optional property; empty if it is absent.
  std::vector<u32> cells(std::string_view name) const;
  std::optional<u32> cell(std::string_view name) const;
  std::vector<std::string> strings(std::string_view name) const;
  std::string string(std::string_view name) const;  // the first; empty if absent
  bool compatible_with(std::string_view what) const;
  /// `status` absent, "okay" or "ok".
  bool enabled() const;
  /// `reg`, translated by the `ranges` of every bus above. Fatal if a bus does not pass an address on.
  std::vector<DtRange> reg() const;
  u32 address_cells() const;  // for the children; the specification's defaults 2 and 1
  u32 size_cells() const;

  // Editing. Fatal where there would be too many.
  DtNode& add_child(std::string name);  // or the one of that full name
  /// Removes a child, by its full name. It has no parent any more; null if there is none.
  std::unique_ptr<DtNode> remove_child(std::string_view name);
  void remove(std::string_view property);
  void set(std::string_view name, Bytes value);
  void set_empty(std::string_view name) { set(name, Bytes{}); }
  void set_cells(std::string_view name, const std::vector<u32>& cells);
  void set_u64(std::string_view name, u64 value) {
    set_cells(name, {static_cast<u32>(value >> 32), static_cast<u32>(value)});
  }
  void set_string(std::string_view name, std::string_view value) { set_strings(name, {std::string(value)}); }
  void set_strings(std::string_view name, const std::vector<std::string>& values);

 private:
  [[noreturn]] void bad_property(std::string_view name, const char* what) const;
  std::string name_;
  DtNode* parent_;
  std::vector<DtProperty> properties_;
  std::map<std::string, std::size_t, std::less<>> property_index_;  // by name: where it is in properties_
  std::vector<std::unique_ptr<DtNode>> children_;
  std::map<std::string_view, DtNode*> child_index_;  // by full name
};

class DeviceTree {
 public:
  DeviceTree() : root_(std::make_unique<DtNode>("", nullptr)) {}

  /// Throws Fatal with one line if the blob or the text is damaged; `name` is for messages.
  static DeviceTree from_blob(const std::string& name, ByteView blob);
  /// Source text without preprocessor: labels, references, expressions, overrides by `&label { }`,
  /// /delete-node/, /delete-property/, /bits/, /memreserve/. Text that wants other files is refused.
  static DeviceTree from_source(const std::string& name, std::string_view text);
  /// Recognises which of the two the bytes are.
  static DeviceTree from_file(const std::string& name, ByteView bytes);

  Bytes to_blob() const;

  DtNode& root() const { return *root_; }
  /// "/soc/serial@10000000", or an alias; null if there is none.
  DtNode* find(std::string_view path) const;
  DtNode* by_phandle(u32 phandle) const;
  /// All nodes that have one; the first in tree order where several have the same.
  std::map<u32, DtNode*> phandles() const;
  /// The node's phandle; one is given to it if it has none.
  u32 phandle(DtNode& node);
  /// Where the node's interrupt outputs go, `interrupts-extended` first as the specification says. Empty:
  /// nowhere. `phandles`: those of the tree, for who asks for many nodes.
  std::vector<DtInterrupt> interrupts(const DtNode& node, const std::map<u32, DtNode*>& phandles) const;
  std::vector<DtInterrupt> interrupts(const DtNode& node) const { return interrupts(node, phandles()); }
  /// Calls `visit` for every node in tree order, parents first.
  template <typename F>
  void for_each(F&& visit) const {
    walk(*root_, visit);
  }
  void reserve(GuestAddr base, u64 size) { reserved_.push_back({base, size}); }

 private:
  template <typename F>
  static void walk(DtNode& node, F& visit) {
    visit(node);
    for (const auto& child : node.children()) walk(*child, visit);
  }
  std::unique_ptr<DtNode> root_;
  std::vector<DtRange> reserved_;
  u32 next_phandle_ = 0;  // 0: not known yet
};

}  // namespace hindcast::loader
