#include "targets/devices/fw_cfg.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "targets/devices/model_registry.h"

namespace hindcast::devices {
namespace {

constexpr u64 kData = 0, kSelector = 8, kDma = 16;

// Items.
constexpr u16 kSignature = 0x00, kId = 0x01, kCpuCount = 0x05, kMostCpus = 0x0f, kDirectory = 0x19,
              kFirstFile = 0x20;
constexpr u32 kTraditional = 1, kByDma = 2;

// The control word of a DMA request.
constexpr u32 kError = 1, kRead = 2, kSkip = 4, kSelect = 8, kWrite = 16;
constexpr u64 kDmaSignature = 0x51454d5520434647;  // "QEMU CFG"
/// What is read beyond the end of an item is zeros; more of them at once than this is refused.
constexpr u64 kMostZeros = 1u << 20;

struct DmaRequest {
  u32 control, size;
  u64 address;
};

Bytes little(u64 value, unsigned size) {
  Bytes out;
  for (unsigned i = 0; i < size; ++i) out.push_back(static_cast<u8>(value >> (8 * i)));
  return out;
}
void put_big(Bytes& to, u64 value, unsigned size) {
  for (unsigned i = size; i-- != 0;) to.push_back(static_cast<u8>(value >> (8 * i)));
}
/// The guest writes big-endian numbers to a bus that is little-endian.
u64 swapped(u64 value, unsigned size) { return __builtin_bswap64(value) >> (64 - 8 * size); }

}  // namespace

FwCfg::FwCfg(std::string name, Machine& machine) : Device(std::move(name)), memory_(machine.memory()) {
  items_[kSignature] = {'Q', 'E', 'M', 'U'};
  items_[kId] = little(kTraditional | kByDma, 4);
  items_[kCpuCount] = little(machine.vcpu_count(), 2);
  items_[kMostCpus] = little(machine.vcpu_count(), 2);
  make_directory();
}

void FwCfg::add_file(const std::string& name, Bytes data) {
  if (name.empty() || name.size() > kLongestName || files_.contains(name) || files_.size() >= kMostFiles)
    throw Fatal(fmt::format(
        "--fw-cfg: '{}' is there twice, or no name of 1 to {} characters, or there are more than {}", name,
        kLongestName, kMostFiles));
  const u16 key = static_cast<u16>(kFirstFile + files_.size());
  files_[name] = key;
  items_[key] = std::move(data);
  make_directory();
}

void FwCfg::make_directory() {
  Bytes& out = items_[kDirectory];
  out.clear();
  put_big(out, files_.size(), 4);
  for (const auto& [name, key] : files_) {
    put_big(out, items_[key].size(), 4);
    put_big(out, key, 2);
    put_big(out, 0, 2);
    const std::size_t at = out.size();
    out.insert(out.end(), name.begin(), name.end());
    out.resize(at + kLongestName + 1);
  }
}

void FwCfg::reset() {
  selected_ = 0;
  position_ = dma_ = 0;
}

void FwCfg::state(Archive& ar) {
  ar.field("selected", selected_);
  ar.field("position", position_);
  ar.field("dma", dma_);
}

const Bytes& FwCfg::item() const {
  static const Bytes kNothing;
  const auto it = items_.find(selected_);
  return it == items_.end() ? kNothing : it->second;
}

u8 FwCfg::next_byte() {
  const Bytes& bytes = item();
  return position_ < bytes.size() ? bytes[position_++] : 0;
}

void FwCfg::select(u16 key) {
  selected_ = key;
  position_ = 0;
}

u64 FwCfg::mmio_read(u64 offset, unsigned size) {
  if (offset >= kDma) {
    const u64 bytes = swapped(kDmaSignature, 8) >> (8 * (offset - kDma));
    return size == 8 ? bytes : bytes & ((u64{1} << (8 * size)) - 1);
  }
  if (offset >= kSelector) return 0;
  u64 value = 0;  // the bytes in their order, however many at once
  for (unsigned i = 0; i < size; ++i) value |= u64{next_byte()} << (8 * i);
  return value;
}

void FwCfg::mmio_write(u64 offset, unsigned size, u64 value) {
  if (offset == kSelector && size == 2) select(static_cast<u16>(swapped(value, 2)));
  if (offset == kDma && size == 4) dma_ = swapped(value, 4) << 32;
  if (offset == kDma && size == 8) transfer(swapped(value, 8));
  if (offset == kDma + 4 && size == 4) transfer(dma_ | swapped(value, 4));
}

void FwCfg::transfer(GuestAddr control) {
  dma_ = 0;
  DmaRequest request{};
  if (!memory_.read(control, &request, sizeof request)) return;
  const u32 command = static_cast<u32>(swapped(request.control, 4));
  const u32 size = static_cast<u32>(swapped(request.size, 4));
  if ((command & kSelect) != 0) select(static_cast<u16>(command >> 16));
  bool good = true;
  if ((command & kRead) != 0)
    good = read_to(swapped(request.address, 8), size);
  else if ((command & kWrite) != 0)
    good = false;  // no item can be written
  else if ((command & kSkip) != 0)
    position_ = std::min<u64>(position_ + size, item().size());
  memory_.write_le(control, static_cast<u32>(swapped(good ? 0 : kError, 4)));
}

bool FwCfg::read_to(GuestAddr address, u32 size) {
  const Bytes& bytes = item();
  const u64 begin = std::min<u64>(position_, bytes.size());
  const u64 there = std::min<u64>(size, bytes.size() - begin);
  if (size - there > kMostZeros || !memory_.is_ram(address, size)) return false;
  const Bytes zeros(size - there);
  position_ = begin + there;
  return memory_.write(address, bytes.data() + begin, there) &&
         (zeros.empty() || memory_.write(address + there, zeros.data(), zeros.size()));
}

IrqSink* build_fw_cfg(const DeviceSite& site) {
  auto& device = place<FwCfg>(site, FwCfg::kSize, site.machine);
  for (const auto& child : site.node.children())
    if (child->compatible_with(FwCfg::kFileCompatible)) {
      const Bytes* data = child->property(FwCfg::kFileData);
      device.add_file(child->string(FwCfg::kFileName), data == nullptr ? Bytes() : *data);
    }
  return nullptr;
}

}  // namespace hindcast::devices
