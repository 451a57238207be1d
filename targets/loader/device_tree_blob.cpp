// Flattened device trees ("Devicetree Specification", chapter 5): read through libfdt once they have been
// found sound, written here, because libfdt looks for the name of every property in all names that it has
// written.
#include <fmt/format.h>
#include <libfdt.h>

#include <algorithm>

#include "targets/loader/device_tree.h"

namespace hindcast::loader {
namespace {

constexpr u32 kVersion = 17, kLastCompatible = 16;
constexpr std::size_t kReserved =
    48;  // where the reserved ranges are: after the header, aligned as libfdt does

/// Whether every name in the strings block ends soon. libfdt looks for the end each time that the name is
/// used.
bool names_are_short(const Bytes& blob) {
  const std::size_t begin = fdt_off_dt_strings(blob.data());
  const std::size_t end = std::min<std::size_t>(blob.size(), begin + fdt_size_dt_strings(blob.data()));
  for (std::size_t at = begin, length = 0; at < end; ++at) {
    length = blob[at] == 0 ? 0 : length + 1;
    if (length > kLongestName) return false;
  }
  return true;
}

/// The parts of a blob while it is written.
class Writer {
 public:
  void node(const DtNode& node) {
    word(FDT_BEGIN_NODE);
    text(node.name());
    for (const DtProperty& property : node.properties()) {
      word(FDT_PROP);
      word(static_cast<u32>(property.value.size()));
      word(name(property.name));
      structure_.insert(structure_.end(), property.value.begin(), property.value.end());
      pad();
    }
    for (const auto& child : node.children()) this->node(*child);
    word(FDT_END_NODE);
  }

  Bytes finish(const std::vector<DtRange>& reserved) {
    word(FDT_END);
    const std::size_t structure = kReserved + 16 * (reserved.size() + 1),
                      strings = structure + structure_.size();
    if (strings + strings_.size() > kLargestResult) throw Fatal("the device tree is larger than 64 MiB");
    Bytes out;
    out.reserve(strings + strings_.size());
    for (std::size_t field : {std::size_t{FDT_MAGIC}, strings + strings_.size(), structure, strings,
                              kReserved, std::size_t{kVersion}, std::size_t{kLastCompatible}, std::size_t{0},
                              strings_.size(), structure_.size()})
      put(out, static_cast<u32>(field));
    out.resize(kReserved);
    for (std::size_t i = 0; i <= reserved.size(); ++i) {
      const DtRange range = i < reserved.size() ? reserved[i] : DtRange{};
      for (u64 number : {range.base, range.size}) {
        put(out, static_cast<u32>(number >> 32));
        put(out, static_cast<u32>(number));
      }
    }
    out.insert(out.end(), structure_.begin(), structure_.end());
    out.insert(out.end(), strings_.begin(), strings_.end());
    return out;
  }

 private:
  static void put(Bytes& out, u32 value) {
    for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<u8>(value >> shift));
  }
  void word(u32 value) { put(structure_, value); }
  void pad() { structure_.resize((structure_.size() + 3) & ~std::size_t{3}); }
  void text(const std::string& value) {
    structure_.insert(structure_.end(), value.c_str(), value.c_str() + value.size() + 1);
    pad();
  }
  u32 name(const std::string& value) {
    auto [it, is_new] = names_.try_emplace(value, static_cast<u32>(strings_.size()));
    if (is_new) strings_.insert(strings_.end(), value.c_str(), value.c_str() + value.size() + 1);
    return it->second;
  }

  Bytes structure_, strings_;
  std::map<std::string, u32> names_;
};

}  // namespace

DeviceTree DeviceTree::from_blob(const std::string& name, ByteView blob) {
  auto damaged = [&](int error) -> Fatal {
    return Fatal(fmt::format("device tree '{}' is damaged: {}", name, fdt_strerror(error)));
  };
  if (blob.size() > kLargestTree)
    throw Fatal(
        fmt::format("device tree '{}' has {} bytes; at most {} are read", name, blob.size(), kLargestTree));
  // libfdt wants its header readable and aligned; a copy gives both.
  Bytes copy(blob.begin(), blob.end());
  if (copy.size() < sizeof(fdt_header)) throw damaged(-FDT_ERR_TRUNCATED);
  const void* fdt = copy.data();
  if (int error = fdt_check_header(fdt); error != 0) throw damaged(error);
  if (fdt_version(fdt) < kLastCompatible) throw damaged(-FDT_ERR_BADVERSION);
  if (!names_are_short(copy)) throw damaged(-FDT_ERR_BADSTRUCTURE);
  if (int error = fdt_check_full(fdt, copy.size()); error != 0) throw damaged(error);
  DeviceTree tree;
  std::vector<DtNode*> stack;  // by depth
  int depth = 0;
  std::size_t nodes = 0;
  for (int node = fdt_next_node(fdt, -1, &depth); node >= 0; node = fdt_next_node(fdt, node, &depth)) {
    if (depth < 1) break;
    if (static_cast<unsigned>(depth) > kDeepestNode)
      throw Fatal(fmt::format("device tree '{}' is nested too deeply", name));
    if (++nodes > kMostNodes)
      throw Fatal(fmt::format("device tree '{}' has more than {} nodes", name, kMostNodes));
    stack.resize(static_cast<std::size_t>(depth - 1));
    int length = 0;
    const char* text = fdt_get_name(fdt, node, &length);
    if (text == nullptr) throw damaged(length);
    if (!stack.empty() && length == 0)
      throw Fatal(fmt::format("device tree '{}' has a node without a name", name));
    DtNode* here = stack.empty() ? tree.root_.get() : &stack.back()->add_child(std::string(text, length));
    stack.push_back(here);
    int property = 0;
    fdt_for_each_property_offset(property, fdt, node) {
      const char* label = nullptr;
      const void* value = fdt_getprop_by_offset(fdt, property, &label, &length);
      if (value == nullptr) throw damaged(length);
      const u8* bytes = static_cast<const u8*>(value);
      here->set(label, Bytes(bytes, bytes + length));
    }
  }
  for (int i = 0, count = fdt_num_mem_rsv(fdt); i < count; ++i) {
    uint64_t base = 0, size = 0;
    if (fdt_get_mem_rsv(fdt, i, &base, &size) == 0) tree.reserve(base, size);
  }
  return tree;
}

DeviceTree DeviceTree::from_file(const std::string& name, ByteView bytes) {
  if (bytes.size() >= 4 && fdt_magic(bytes.data()) == FDT_MAGIC) return from_blob(name, bytes);
  return from_source(name, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

Bytes DeviceTree::to_blob() const {
  Writer writer;
  writer.node(*root_);
  return writer.finish(reserved_);
}

}  // namespace hindcast::loader
