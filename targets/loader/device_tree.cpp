#include "targets/loader/device_tree.h"

#include <fmt/format.h>

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
  if (auto it = child_index_.find(name); it != child_index_.end()) return it->second;
  // Those with a unit address stand together in the order of names.
  const std::string stem = std::string(name) + '@';
  auto it = child_index_.lower_bound(stem);
  if (it == child_index_.end() || !it->first.starts_with(stem)) return nullptr;
  DtNode* found = it->second;
  return ++it != child_index_.end() && it->first.starts_with(stem) ? nullptr : found;
}

const Bytes* DtNode::property(std::string_view name) const {
  auto it = property_index_.find(name);
  return it == property_index_.end() ? nullptr : &properties_[it->second].value;
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
  if (all.size() / (address + size) > kMostRanges) bad_property("reg", "has too many ranges");
  std::vector<DtRange> result;
  for (std::size_t at = 0; at < all.size(); at += address + size)
    result.push_back({number(all, at, address), number(all, at + address, size)});
  for (const DtNode* bus = parent_; bus->parent_ != nullptr; bus = bus->parent_) {
    if (!bus->has("ranges")) {
      // Zephyr's trees leave it out where a controller has addresses of the bus inside: flash, banks of pins.
      if (bus == parent_ && bus->size_cells() != 0 && bus->has("reg")) continue;
      bad_property("reg", "lies on a bus without ranges");
    }
    std::vector<u32> map = bus->cells("ranges");
    if (map.empty()) continue;  // the same addresses on both sides
    u32 below = bus->address_cells(), above = bus->parent_->address_cells(), length = bus->size_cells();
    if (below < 1 || below > 2 || above < 1 || above > 2 || length < 1 || length > 2 ||
        map.size() % (below + above + length) != 0)
      bus->bad_property("ranges", "has the wrong number of cells");
    if (map.size() / (below + above + length) > kMostRanges)
      bus->bad_property("ranges", "has too many ranges");
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
  if (auto it = child_index_.find(name); it != child_index_.end()) return *it->second;
  if (name.size() > kLongestName)
    throw Fatal(fmt::format("device tree: {} has a child with too long a name", path()));
  if (children_.size() >= kMostChildren)
    throw Fatal(fmt::format("device tree: {} has more than {} children", path(), kMostChildren));
  DtNode& child = *children_.emplace_back(std::make_unique<DtNode>(std::move(name), this));
  child_index_.emplace(child.name_, &child);
  return child;
}

std::unique_ptr<DtNode> DtNode::remove_child(std::string_view name) {
  auto indexed = child_index_.find(name);
  if (indexed == child_index_.end()) return nullptr;
  auto it = std::find_if(children_.begin(), children_.end(),
                         [&](const auto& child) { return child.get() == indexed->second; });
  std::unique_ptr<DtNode> child = std::move(*it);
  children_.erase(it);
  child_index_.erase(indexed);
  child->parent_ = nullptr;
  return child;
}

void DtNode::remove(std::string_view property) {
  auto it = property_index_.find(property);
  if (it == property_index_.end()) return;
  const std::size_t at = it->second;
  properties_.erase(properties_.begin() + static_cast<std::ptrdiff_t>(at));
  property_index_.erase(it);
  for (auto& [name, index] : property_index_)
    if (index > at) --index;
}

void DtNode::set(std::string_view name, Bytes value) {
  auto [it, is_new] = property_index_.try_emplace(std::string(name), properties_.size());
  if (!is_new) {
    properties_[it->second].value = std::move(value);
    return;
  }
  if (properties_.size() >= kMostProperties || name.size() > kLongestName) {
    property_index_.erase(it);
    throw Fatal(name.size() > kLongestName
                    ? fmt::format("device tree: {} has a property with too long a name", path())
                    : fmt::format("device tree: {} has more than {} properties", path(), kMostProperties));
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

std::map<u32, DtNode*> DeviceTree::phandles() const {
  std::map<u32, DtNode*> all;
  for_each([&](DtNode& node) {
    if (std::optional<u32> phandle = node.cell("phandle")) all.emplace(*phandle, &node);
  });
  return all;
}

u32 DeviceTree::phandle(DtNode& node) {
  if (std::optional<u32> own = node.cell("phandle")) return *own;
  if (next_phandle_ == 0) {
    const std::map<u32, DtNode*> known = phandles();
    next_phandle_ = known.empty() ? 1 : known.rbegin()->first + 1;
  }
  // The two ends are no phandles.
  if (next_phandle_ == 0 || next_phandle_ == 0xffffffff) throw Fatal("device tree: no phandle is left");
  node.set_cells("phandle", {next_phandle_});
  return next_phandle_++;
}

std::vector<DtInterrupt> DeviceTree::interrupts(const DtNode& node,
                                                const std::map<u32, DtNode*>& phandles) const {
  std::vector<DtInterrupt> result;
  auto specifier_cells = [&](u32 phandle) {
    auto controller = phandles.find(phandle);
    std::optional<u32> count =
        controller == phandles.end() ? std::nullopt : controller->second->cell("#interrupt-cells");
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
  // A PCI host bridge's wires are in its interrupt-map for the guest, and here for us.
  const char* extended = "interrupts-extended";
  if (!node.has(extended)) extended = "hindcast,interrupts-extended";
  if (node.has(extended)) {
    std::vector<u32> cells = node.cells(extended);
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
