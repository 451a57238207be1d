#include <fmt/format.h>

#include "targets/loader/image.h"

namespace hindcast::loader {
namespace {

constexpr u32 kMagic0 = 0x0a324655, kMagic1 = 0x9e5d5157, kMagicEnd = 0x0ab16f30;
constexpr u32 kNotMainFlash = 0x1, kFileContainer = 0x1000;
constexpr std::size_t kBlock = 512, kLargestPayload = 476;

u32 word(ByteView block, std::size_t offset) {
  return u32{block[offset]} | u32{block[offset + 1]} << 8 | u32{block[offset + 2]} << 16 |
         u32{block[offset + 3]} << 24;
}

}  // namespace

Image parse_uf2(const std::string& name, ByteView file) {
  auto fail = [&](std::size_t block, const std::string& what) {
    throw Fatal(fmt::format("UF2 file '{}', block {}: {}", name, block, what));
  };
  if (file.size() % kBlock != 0) fail(file.size() / kBlock, "the last block is cut short");
  Image image;
  image.format = Format::Uf2;
  for (std::size_t i = 0; i * kBlock < file.size(); ++i) {
    ByteView block = file.subspan(i * kBlock, kBlock);
    if (word(block, 0) != kMagic0 || word(block, 4) != kMagic1 || word(block, kBlock - 4) != kMagicEnd)
      fail(i, "damaged (wrong magic number)");
    u32 flags = word(block, 8), address = word(block, 12), size = word(block, 16);
    if (size > kLargestPayload) fail(i, fmt::format("payload of {} bytes", size));
    if ((flags & (kNotMainFlash | kFileContainer)) != 0 || size == 0) continue;
    if (u64{address} + size > u64{1} << 32) fail(i, "reaches beyond 4 GiB");
    if (image.segments.empty() ||
        image.segments.back().address + image.segments.back().data.size() != address)
      image.segments.push_back({address, 0, {}});
    Segment& segment = image.segments.back();
    ByteView payload = block.subspan(32, size);
    segment.data.insert(segment.data.end(), payload.begin(), payload.end());
    segment.memory_size = segment.data.size();
  }
  if (image.segments.empty()) fail(0, "the file loads nothing");
  const std::size_t last = file.size() / kBlock - 1;
  const u32 number = word(file.subspan(last * kBlock, kBlock), 20),
            count = word(file.subspan(last * kBlock, kBlock), 24);
  if (number + u64{1} < count)
    fail(last,
         fmt::format("the file ends with it, but of its {} blocks it is only number {}", count, number));
  return image;
}

}  // namespace hindcast::loader
