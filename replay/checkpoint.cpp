#include "replay/checkpoint.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "replay/touched_pages.h"
#include "storage/merkle.h"

namespace hindcast::replay {
namespace {

using storage::kPageSize;

storage::CheckpointBlock empty_block(const RamBlock& block) {
  storage::CheckpointBlock out;
  out.name = block.name;
  out.base = block.base;
  out.size = block.size;
  return out;
}

void archive_state(Machine& machine, PortBase& port, Archive& ar) {
  port.state(ar);
  machine.state(ar);
}

/// The pages of the list, all others zero.
void restore_block(Machine& machine, RamBlock& block, const storage::CheckpointBlock& saved,
                   const std::function<Bytes(const storage::PageId&)>& page) {
  static constexpr std::array<u8, kPageSize> kZeros{};
  AddressSpace& memory = machine.memory();
  auto write = [&](u64 number, const u8* data, std::size_t size) {
    memory.write_block(block, number * kPageSize, data, size);
  };
  std::vector<u64> stale;
  for_each_page(block, [&](u64 number, ByteView) {
    auto it = std::lower_bound(saved.pages.begin(), saved.pages.end(), number,
                               [](const auto& entry, u64 n) { return entry.first < n; });
    if (it == saved.pages.end() || it->first != number) stale.push_back(number);
  });
  for (u64 number : stale) write(number, kZeros.data(), storage::page_bytes(block.size, number));
  for (const auto& [number, id] : saved.pages) {
    if (number >= storage::pages_of(block.size))
      throw Fatal(fmt::format("checkpoint: {} has no page {}", block.name, number));
    const Bytes content = page(id);
    const std::size_t size = storage::page_bytes(block.size, number);
    if (content.size() != size)
      throw Fatal(fmt::format("checkpoint: page {} of {} has {} bytes instead of {}", number, block.name,
                              content.size(), size));
    if (std::memcmp(block.host + number * kPageSize, content.data(), size) != 0)
      write(number, content.data(), size);
  }
}

}  // namespace

Bytes save_state(Machine& machine, PortBase& port) {
  SaveArchive ar;
  archive_state(machine, port, ar);
  return ar.take();
}

void load_state(Machine& machine, PortBase& port, ByteView saved) {
  LoadArchive ar(saved);
  archive_state(machine, port, ar);
  if (!ar.at_end()) throw Fatal("checkpoint: the saved state is longer than the machine's");
}

void copy_state(Machine& from, PortBase& from_port, Machine& to, PortBase& to_port) {
  const std::vector<RamBlock*> blocks = from.memory().saved_blocks();
  const std::vector<RamBlock*> targets = to.memory().saved_blocks();
  if (blocks.size() != targets.size()) throw Fatal("internal error: the machines have different memories");
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const RamBlock& block = *blocks[i];
    if (targets[i]->size != block.size)
      throw Fatal(fmt::format("internal error: {} cannot be copied", block.name));
    auto write = [&](u64 number, ByteView content) {
      to.memory().write_block(*targets[i], number * kPageSize, content.data(), content.size());
    };
    std::vector<u64> stale;
    for_each_page(*targets[i], [&](u64 number, ByteView) { stale.push_back(number); });
    for (u64 number : stale) write(number, Bytes(storage::page_bytes(block.size, number)));
    for_each_page(block, write);
  }
  load_state(to, to_port, save_state(from, from_port));
}

HashPoint hash_point(Machine& machine, PortBase& port) {
  SaveArchive ar;
  machine.state(ar);
  const auto output = port.output_hash().digest();
  return {XXH3_64bits(ar.bytes().data(), ar.bytes().size()), get_le(output, 0, 8)};
}

storage::Root state_root(Machine& machine, PortBase& port) {
  std::vector<storage::CheckpointBlock> blocks;
  for (const RamBlock* block : machine.memory().saved_blocks()) {
    blocks.push_back(empty_block(*block));
    for_each_page(*block, [&](u64 number, ByteView content) {
      blocks.back().pages.emplace_back(number, storage::page_id(content));
    });
  }
  return storage::checkpoint_root(save_state(machine, port), blocks);
}

u64 touched_bytes(Machine& machine) {
  u64 total = 0;
  for (const RamBlock* block : machine.memory().saved_blocks()) {
    struct stat info {};
    // In units of 512 bytes, whatever the file system.
    if (::fstat(block->fd, &info) == 0) total += static_cast<u64>(info.st_blocks) * 512;
  }
  return total;
}

CheckpointMaker::CheckpointMaker() : seed_(0) {
  // Without randomness (an old kernel early at boot) the seed stays 0, which is only less safe from hostile
  // guests.
  if (::getrandom(&seed_, sizeof seed_, GRND_NONBLOCK) < 0) seed_ = 0;
}

storage::CheckpointRecord CheckpointMaker::make(Machine& machine, PortBase& port, storage::Writer& writer) {
  storage::CheckpointRecord record;
  record.icount = machine.icount();
  record.machine_state = save_state(machine, port);
  ++round_;
  for (const RamBlock* block : machine.memory().saved_blocks()) {
    storage::CheckpointBlock saved = empty_block(*block);
    auto& known = known_[block->name];
    for_each_page(*block, [&](u64 number, ByteView content) {
      const XXH128_hash_t hash = XXH3_128bits_withSeed(content.data(), content.size(), seed_);
      auto [it, is_new] = known.try_emplace(number);
      Known& entry = it->second;
      const bool changed = is_new || entry.round + 1 != round_ || entry.hash_low != hash.low64 ||
                           entry.hash_high != hash.high64;
      if (changed) entry = {hash.low64, hash.high64, writer.put_page(content.data(), content.size()), round_};
      entry.round = round_;
      saved.pages.emplace_back(number, entry.id);
    });
    record.blocks.push_back(std::move(saved));
  }
  record.root = storage::checkpoint_root(record.machine_state, record.blocks);
  return record;
}

void restore_checkpoint(Machine& machine, PortBase& port, const storage::CheckpointRecord& record,
                        const std::function<Bytes(const storage::PageId&)>& page) {
  const std::vector<RamBlock*> blocks = machine.memory().saved_blocks();
  if (blocks.size() != record.blocks.size())
    throw Fatal(
        fmt::format("checkpoint: {} blocks of memory instead of {}", record.blocks.size(), blocks.size()));
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const storage::CheckpointBlock& saved = record.blocks[i];
    if (saved.name != blocks[i]->name || saved.base != blocks[i]->base || saved.size != blocks[i]->size)
      throw Fatal(fmt::format("checkpoint: memory block '{}' is not the machine's '{}'", saved.name,
                              blocks[i]->name));
    restore_block(machine, *blocks[i], saved, page);
  }
  load_state(machine, port, record.machine_state);
  if (machine.icount() != record.icount)
    throw Fatal(
        fmt::format("checkpoint: the saved state is of icount {}, not {}", machine.icount(), record.icount));
}

}  // namespace hindcast::replay
