#include "targets/machines/chosen.h"

#include <fmt/format.h>

#include "targets/devices/model_registry.h"

namespace hindcast::machines {
namespace {

using loader::DeviceTree;
using loader::DtNode;

constexpr u8 kSeedBytes = 32;
constexpr std::string_view kOurs = "hindcast,";

void complete_chosen(DeviceTree& tree, const MachineConfig& config, const BootPlan& plan) {
  DtNode& chosen = tree.root().add_child("chosen");
  if (!config.append.empty()) chosen.set_string("bootargs", config.append);
  if (plan.initrd_begin) {
    chosen.set_u64("linux,initrd-start", *plan.initrd_begin);
    chosen.set_u64("linux,initrd-end", *plan.initrd_end);
  }
}

/// What describes the board to us means nothing to the guest.
void leave_out_ours(DtNode& node) {
  std::vector<std::string> properties, children;
  for (const loader::DtProperty& property : node.properties())
    if (property.name.starts_with(kOurs)) properties.push_back(property.name);
  for (const std::string& name : properties) node.remove(name);
  for (const auto& child : node.children())
    if (child->string("compatible").starts_with(kOurs)) children.push_back(child->name());
  for (const std::string& name : children) node.remove_child(name);
  for (const auto& child : node.children()) leave_out_ours(*child);
}

const MachineFile* users_tree(const MachineConfig& config) {
  for (const MachineFile& file : config.files)
    if (file.role == "dtb") return &file;
  return nullptr;
}

/// Through bytes, which is how trees are copied.
DeviceTree copy(const DeviceTree& tree) { return DeviceTree::from_blob("board", tree.to_blob()); }

}  // namespace

GuestTree::GuestTree(const DeviceTree& board, const MachineConfig& config, const BootPlan& plan, bool seeded)
    : tree_(users_tree(config) != nullptr
                ? DeviceTree::from_file(users_tree(config)->name, users_tree(config)->data)
                : copy(board)),
      seeded_(seeded && users_tree(config) == nullptr) {
  if (users_tree(config) == nullptr) leave_out_ours(tree_.root());
  complete_chosen(tree_, config, plan);
  if (seeded_) tree_.root().child("chosen")->set("rng-seed", Bytes(kSeedBytes));
}

Bytes GuestTree::with_seed(InputPort& port) {
  const u8 request[4] = {kSeedBytes, 0, 0, 0};
  Bytes seed = port.answer(InputKind::Entropy, devices::kBoardChannel, request);
  seed.resize(kSeedBytes);  // nothing is thrown here; a port that has failed says so itself
  tree_.root().child("chosen")->set("rng-seed", std::move(seed));
  return tree_.to_blob();
}

}  // namespace hindcast::machines
