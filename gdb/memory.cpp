#include "gdb/memory.h"

#include <algorithm>

namespace hindcast::gdb {
namespace {

constexpr u64 kBlock = 64 * 1024;

bool translate(Vcpu& vcpu, Space space, GuestAddr at, GuestAddr& physical) {
  physical = at;
  return space == Space::Physical || vcpu.arch().debug_translate(vcpu, at, &physical);
}

/// At most `size` bytes of device registers, word by word.
std::string peek_registers(const AddressSpace& memory, GuestAddr physical, u64 size) {
  std::string out;
  while (out.size() < size) {
    const GuestAddr at = physical + out.size();
    const AddressSpace::DeviceRange* device = memory.find_device(at);
    if (device == nullptr || !device->handler->can_peek()) break;
    const u64 offset = at - device->base, word = offset & ~u64{3}, first = offset - word;
    const u64 bytes = std::min({size - out.size(), 4 - first, device->size - offset});
    const u64 value = device->handler->mmio_peek(word, 4) >> (8 * first);
    for (u64 i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
  }
  return out;
}

}  // namespace

std::string read_memory(Vcpu& vcpu, Space space, GuestAddr va, u64 size) {
  const Architecture& arch = vcpu.arch();
  const u64 page = u64{1} << arch.page_bits();
  std::string out;
  while (out.size() < size) {
    const GuestAddr at = va + out.size();
    GuestAddr physical = 0;
    if (at < va || !translate(vcpu, space, at, physical)) break;
    const u64 rest = std::min(size - out.size(), page - (at & (page - 1)));
    const RamBlock* block = vcpu.machine().memory().find_ram(physical);
    if (block == nullptr) {
      const std::string registers = peek_registers(vcpu.machine().memory(), physical, rest);
      out += registers;
      if (registers.size() == rest) continue;
      break;
    }
    // The page may be there in part, or in two memories.
    const u64 piece = std::min(rest, block->size - (physical - block->base));
    out.append(reinterpret_cast<const char*>(block->host + (physical - block->base)), piece);
  }
  return out;
}

std::optional<std::vector<std::pair<GuestAddr, u64>>> physical_pieces(Vcpu& vcpu, Space space, GuestAddr va,
                                                                      u64 size) {
  const u64 page = u64{1} << vcpu.arch().page_bits();
  std::vector<std::pair<GuestAddr, u64>> pieces;
  for (u64 done = 0; done < size;) {
    const GuestAddr at = va + done;
    GuestAddr physical = 0;
    if (at < va || !translate(vcpu, space, at, physical)) return std::nullopt;
    const AddressSpace& memory = vcpu.machine().memory();
    const RamBlock* block = memory.find_ram(physical);
    if (block == nullptr) return std::nullopt;
    const u64 piece =
        std::min({size - done, page - (at & (page - 1)), block->size - (physical - block->base)});
    if (!pieces.empty() && pieces.back().first + pieces.back().second == physical &&
        memory.find_ram(pieces.back().first) == memory.find_ram(physical))
      pieces.back().second += piece;
    else
      pieces.emplace_back(physical, piece);
    done += piece;
  }
  return pieces;
}

std::optional<GuestAddr> search_memory(Vcpu& vcpu, Space space, GuestAddr va, u64 size,
                                       const std::string& pattern) {
  if (pattern.empty() || size < pattern.size()) return std::nullopt;
  // Blocks overlap by a pattern less one byte, so that none is missed between them.
  for (u64 done = 0; done + pattern.size() <= size;) {
    const u64 want = std::min(size - done, kBlock + pattern.size() - 1);
    const std::string block = read_memory(vcpu, space, va + done, want);
    if (const std::size_t found = block.find(pattern); found != std::string::npos) return va + done + found;
    if (block.size() < want) return std::nullopt;
    done += kBlock;
  }
  return std::nullopt;
}

std::optional<u32> crc_memory(Vcpu& vcpu, Space space, GuestAddr va, u64 size) {
  u32 crc = ~u32{0};
  for (u64 done = 0; done < size;) {
    const u64 want = std::min(size - done, kBlock);
    const std::string block = read_memory(vcpu, space, va + done, want);
    if (block.size() != want) return std::nullopt;
    for (char c : block) {
      crc ^= static_cast<u32>(static_cast<u8>(c)) << 24;
      for (unsigned bit = 0; bit < 8; ++bit) crc = crc << 1 ^ ((crc >> 31) != 0 ? 0x04c11db7u : 0u);
    }
    done += want;
  }
  return crc;
}

}  // namespace hindcast::gdb
