#include "targets/loader/device_tree.h"

#include <fmt/format.h>
#include <libfdt.h>

#include <algorithm>

namespace hindcast::loader {
namespace {

u32 load_be32(const u8* p) { return u32{p[0]} << 24 | u32{p[1]} << 16 | u32{p[2]} << 8 | p[3]; }

/// A number of `count` cells (at most 2) at `cells[at]`.
u64 number(const std::vector<u32>& cells, std::size_t at, u32 count) {
  u64 value = 0;
  for (u32 i = 0; i < count; ++i) value = value << 32 | cells[at + i];
  return value;
}

}  // namespace

std::string DtNode::path() const {
  if (parent_ == nullptr) return "/";
  std::string above = parent_->path();
  return (above == "/" ? above : above + "/") + name_;
}

DtNode* DtNode::child(std::string_view name) const {
  for (const auto& c : children_)
    if (c->name_ == name) return c.get();
  DtNode* found = nullptr;
  for (const auto& c : children_) {
    std::size_t at = c->name_.find('@');
    if (at == std::string::npos || std::string_view(c->name_).substr(0, at) != name) continue;
    if (found != nullptr) return nullptr;
    found = c.get();
  }
  return found;
}

const Bytes* DtNode::property(std::string_view name) const {
  for (const DtProperty& p : properties_)
    if (p.name == name) return &p.value;
  return nullptr;
}

void DtNode::bad_property(std::string_view name, const char* what) const {
  throw Fatal(fmt::format("device tree: {} of {} {}", name, path(), what));
}

std::vector<u32> DtNode::cells(std::string_view name) const {
  const Bytes* value = property(name);
  if (value == nullptr) return {};
  if (value->size() % 4 != 0) bad_property(name, "is not a list of cells");
  std::vector<u32> result(value->size() / 4);
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = load_be32(value->data() + 4 * i);
  return result;
}

std::optional<u32> DtNode::cell(std::string_view name) const {
  if (!has(name)) return std::nullopt;
  std::vector<u32> all = cells(name);
  if (all.size() != 1) bad_property(name, "is not one cell");
  return all[0];
}

std::vector<std::string> DtNode::strings(std::string_view name) const {
  const Bytes* value = property(name);
  if (value == nullptr || value->empty()) return {};
  if (value->back() != 0) bad_property(name, "is not text");
  std::vector<std::string> result;
  for (auto at = value->begin(); at != value->end();) {
    auto end = std::find(at, value->end(), u8{0});
    result.emplace_back(at, end);
    at = end + 1;
  }
  return result;
}

std::string DtNode::string(std::string_view name) const {
  std::vector<std::string> all = strings(name);
  return all.empty() ? std::string() : all.front();
}

bool DtNode::compatible_with(std::string_view what) const {
  std::vector<std::string> all = strings("compatible");
  return std::find(all.begin(), all.end(), what) != all.end();
}

bool DtNode::enabled() const {
  std::string status = string("status");
  return status.empty() || status == "okay" || status == "ok";
}

u32 DtNode::address_cells() const { return cell("#address-cells").value_or(2); }
u32 DtNode::size_cells() const { return cell("#size-cells").value_or(1); }

std::vector<DtRange> DtNode::reg() const {
  if (!has("reg")) return {};
  if (parent_ == nullptr) bad_property("reg", "makes no sense at the root");
  u32 address = parent_->address_cells(), size = parent_->size_cells();
  if (address < 1 || address > 2 || size > 2) bad_property("reg", "has a width that is not supported");
  std::vector<u32> all = cells("reg");
  if (all.empty() || all.size() % (address + size) != 0) bad_property("reg", "has the wrong number of cells");
  std::vector<DtRange> result;
  for (std::size_t at = 0; at < all.size(); at += address + size)
    result.push_back({number(all, at, address), number(all, at + address, size)});
  for (const DtNode* bus = parent_; bus->parent_ != nullptr; bus = bus->parent_) {
    if (!bus->has("ranges")) bad_property("reg", "lies on a bus without ranges");
    std::vector<u32> map = bus->cells("ranges");
    if (map.empty()) continue;  // the same addresses on both sides
    u32 below = bus->address_cells(), above = bus->parent_->address_cells(), length = bus->size_cells();
    if (below < 1 || below > 2 || above < 1 || above > 2 || length < 1 || length > 2 ||
        map.size() % (below + above + length) != 0)
      bus->bad_property("ranges", "has the wrong number of cells");
    for (DtRange& range : result) {
      bool found = false;
      for (std::size_t at = 0; at < map.size() && !found; at += below + above + length) {
        u64 from = number(map, at, below), to = number(map, at + below, above);
        if (range.base - from >= number(map, at + below + above, length)) continue;
        range.base = range.base - from + to;
        found = true;
      }
      if (!found) bad_property("reg", "is outside the ranges of its bus");
    }
  }
  return result;
}

DtNode& DtNode::add_child(std::string name) {
  for (const auto& c : children_)
    if (c->name_ == name) return *c;
  children_.push_back(std::make_unique<DtNode>(std::move(name), this));
  return *children_.back();
}

void DtNode::remove_child(std::string_view name) {
  std::erase_if(children_, [&](const auto& c) { return c->name_ == name; });
}

void DtNode::remove(std::string_view property) {
  std::erase_if(properties_, [&](const DtProperty& p) { return p.name == property; });
}

void DtNode::set(std::string_view name, Bytes value) {
  for (DtProperty& p : properties_)
    if (p.name == name) {
      p.value = std::move(value);
      return;
    }
  properties_.push_back({std::string(name), std::move(value)});
}

void DtNode::set_cells(std::string_view name, const std::vector<u32>& cells) {
  Bytes bytes;
  for (u32 cell : cells)
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<u8>(cell >> shift));
  set(name, std::move(bytes));
}

void DtNode::set_strings(std::string_view name, const std::vector<std::string>& values) {
  Bytes bytes;
  for (const std::string& value : values) {
    bytes.insert(bytes.end(), value.begin(), value.end());
    bytes.push_back(0);
  }
  set(name, std::move(bytes));
}

DeviceTree DeviceTree::from_blob(const std::string& name, ByteView blob) {
  auto damaged = [&](int error) -> Fatal {
    return Fatal(fmt::format("device tree '{}' is damaged: {}", name, fdt_strerror(error)));
  };
  // libfdt wants its header readable and aligned; a copy gives both.
  Bytes copy(blob.begin(), blob.end());
  if (copy.size() < sizeof(fdt_header)) throw damaged(-FDT_ERR_TRUNCATED);
  const void* fdt = copy.data();
  if (int error = fdt_check_full(fdt, copy.size()); error != 0) throw damaged(error);
  DeviceTree tree;
  std::vector<DtNode*> stack;  // by depth
  int depth = 0;
  for (int node = fdt_next_node(fdt, -1, &depth); node >= 0; node = fdt_next_node(fdt, node, &depth)) {
    if (depth < 1) break;
    if (static_cast<unsigned>(depth) > kDeepestNode)
      throw Fatal(fmt::format("device tree '{}' is nested too deeply", name));
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
  if (bytes.size() >= 4 && load_be32(bytes.data()) == FDT_MAGIC) return from_blob(name, bytes);
  return from_source(name, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

Bytes DeviceTree::to_blob() const {
  std::size_t capacity = 4096;
  for_each([&](const DtNode& node) {
    capacity += node.name().size() + 16;
    for (const DtProperty& p : node.properties()) capacity += p.name.size() + p.value.size() + 24;
  });
  capacity += 16 * reserved_.size();
  if (capacity > (64u << 20)) throw Fatal("the device tree is larger than 64 MiB");
  Bytes blob(capacity);
  void* fdt = blob.data();
  int error = fdt_create(fdt, static_cast<int>(capacity));
  auto check = [&](int result) {
    if (error == 0) error = result;
  };
  for (const DtRange& r : reserved_) check(fdt_add_reservemap_entry(fdt, r.base, r.size));
  check(fdt_finish_reservemap(fdt));
  auto write = [&](auto& self, const DtNode& node) -> void {
    check(fdt_begin_node(fdt, node.name().c_str()));
    for (const DtProperty& p : node.properties())
      check(fdt_property(fdt, p.name.c_str(), p.value.data(), static_cast<int>(p.value.size())));
    for (const auto& child : node.children()) self(self, *child);
    check(fdt_end_node(fdt));
  };
  write(write, *root_);
  check(fdt_finish(fdt));
  if (error != 0) throw Fatal(fmt::format("cannot write the device tree: {}", fdt_strerror(error)));
  blob.resize(fdt_totalsize(fdt));
  return blob;
}

DtNode* DeviceTree::find(std::string_view path) const {
  if (path.empty()) return nullptr;
  DtNode* node = root_.get();
  if (path[0] != '/') {
    std::size_t end = std::min(path.find('/'), path.size());
    DtNode* aliases = root_->child("aliases");
    std::string target = aliases == nullptr ? std::string() : aliases->string(path.substr(0, end));
    node = target.empty() || target[0] != '/' ? nullptr : find(target);
    path.remove_prefix(end);
  }
  while (node != nullptr && !path.empty()) {
    path.remove_prefix(1);
    std::size_t end = std::min(path.find('/'), path.size());
    if (end != 0) node = node->child(path.substr(0, end));
    path.remove_prefix(end);
  }
  return node;
}

DtNode* DeviceTree::by_phandle(u32 phandle) const {
  DtNode* found = nullptr;
  for_each([&](DtNode& node) {
    if (found == nullptr && node.cell("phandle") == phandle) found = &node;
  });
  return found;
}

u32 DeviceTree::phandle(DtNode& node) {
  if (std::optional<u32> own = node.cell("phandle")) return *own;
  u32 highest = 0;
  for_each([&](DtNode& n) { highest = std::max(highest, n.cell("phandle").value_or(0)); });
  node.set_cells("phandle", {highest + 1});
  return highest + 1;
}

std::vector<DtInterrupt> DeviceTree::interrupts(const DtNode& node) const {
  std::vector<DtInterrupt> result;
  auto specifier_cells = [&](u32 phandle) {
    DtNode* controller = by_phandle(phandle);
    std::optional<u32> count = controller == nullptr ? std::nullopt : controller->cell("#interrupt-cells");
    if (!count || *count < 1 || *count > 4)
      throw Fatal(fmt::format("device tree: {} is connected to an interrupt controller that does not exist",
                              node.path()));
    return *count;
  };
  auto take = [&](const std::vector<u32>& cells, std::size_t& at, u32 controller) {
    u32 count = specifier_cells(controller);
    if (count > cells.size() - at)
      throw Fatal(
          fmt::format("device tree: the interrupts of {} have the wrong number of cells", node.path()));
    result.push_back({controller, {cells.begin() + at, cells.begin() + at + count}});
    at += count;
  };
  if (node.has("interrupts-extended")) {
    std::vector<u32> cells = node.cells("interrupts-extended");
    for (std::size_t at = 0; at < cells.size();) {
      u32 controller = cells[at++];
      take(cells, at, controller);
    }
  } else if (node.has("interrupts")) {
    std::optional<u32> controller;
    for (const DtNode* n = &node; n != nullptr && !controller; n = n->parent())
      controller = n->cell("interrupt-parent");
    std::vector<u32> cells = node.cells("interrupts");
    for (std::size_t at = 0; at < cells.size();) take(cells, at, controller.value_or(0));
  }
  return result;
}

}  // namespace hindcast::loader
