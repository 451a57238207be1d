#include "targets/devices/imsic.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "targets/devices/model_registry.h"

namespace hindcast::devices {
namespace {

constexpr u64 kSetLittle = 0, kSetBig = 4;
constexpr unsigned kDelivery = 0x70, kThreshold = 0x72, kPending = 0x80, kEnabled = 0xc0;
constexpr u32 kMachineLine = 11, kSupervisorLine = 9;

}  // namespace

Imsic::Imsic(std::string name, unsigned ids, std::vector<IrqLine> harts)
    : Device(std::move(name)), ids_(ids), threshold_mask_(std::bit_ceil(ids + 1) - 1) {
  for (const IrqLine& line : harts) {
    File& file = files_.emplace_back();
    file.line = line;
    file.pending.resize((ids + 1) / 32);
    file.enabled.resize((ids + 1) / 32);
  }
}

u32 Imsic::existing(std::size_t word) const { return word == 0 ? ~u32{1} : ~u32{0}; }

void Imsic::reset() {
  for (File& file : files_) {
    file.delivery = file.threshold = 0;
    std::fill(file.pending.begin(), file.pending.end(), 0);
    std::fill(file.enabled.begin(), file.enabled.end(), 0);
    update(file);
  }
}

void Imsic::state(Archive& ar) {
  bool sound = true;
  const auto field = [&](const char* name, u32& value, u32 mask) {
    ar.field(name, value);
    sound = sound && (value & ~mask) == 0;
    value &= mask;
  };
  for (File& file : files_) {
    field("delivery", file.delivery, 1);
    field("threshold", file.threshold, threshold_mask_);
    for (std::size_t i = 0; i < file.pending.size(); ++i) {
      field("pending", file.pending[i], existing(i));
      field("enabled", file.enabled[i], existing(i));
    }
  }
  if (!sound) throw Fatal(fmt::format("saved state: {} has no such identities or modes", name()));
}

unsigned Imsic::top(unsigned hart) const {
  const File& file = files_[hart];
  for (std::size_t word = 0; word < file.pending.size(); ++word) {
    const u32 bits = file.pending[word] & file.enabled[word];
    if (bits == 0) continue;
    const auto id = static_cast<unsigned>(word * 32) + static_cast<unsigned>(std::countr_zero(bits));
    return file.threshold == 0 || id < file.threshold ? id : 0;
  }
  return 0;
}

void Imsic::update(File& file) {
  file.line.set(file.delivery != 0 && top(static_cast<unsigned>(&file - files_.data())) != 0);
}

void Imsic::claim(unsigned hart) {
  const unsigned id = top(hart);
  if (id == 0) return;
  files_[hart].pending[id / 32] &= ~(u32{1} << (id % 32));
  update(files_[hart]);
}

u64 Imsic::read(unsigned hart, unsigned number, unsigned xlen) const {
  const File& file = files_[hart];
  if (number == kDelivery) return file.delivery;
  if (number == kThreshold) return file.threshold;
  if (number < kPending) return 0;
  const std::vector<u32>& words = number < kEnabled ? file.pending : file.enabled;
  const std::size_t word = (number - kPending) % (kEnabled - kPending);
  if (word >= words.size() || (xlen == 64 && word % 2 != 0)) return 0;
  return xlen == 32 ? words[word] : words[word] | u64{words[word + 1]} << 32;
}

void Imsic::write(unsigned hart, unsigned number, unsigned xlen, u64 value) {
  File& file = files_[hart];
  if (number == kDelivery) file.delivery = value & 1;
  if (number == kThreshold) file.threshold = static_cast<u32>(value) & threshold_mask_;
  if (number >= kPending) {
    std::vector<u32>& words = number < kEnabled ? file.pending : file.enabled;
    const std::size_t word = (number - kPending) % (kEnabled - kPending);
    if (word >= words.size() || (xlen == 64 && word % 2 != 0)) return;
    words[word] = static_cast<u32>(value) & existing(word);
    if (xlen == 64) words[word + 1] = static_cast<u32>(value >> 32);
  }
  update(file);
}

void Imsic::msi(u64 offset, u32 data) {
  const u64 hart = offset / kPage, port = offset % kPage;
  if (port == kSetBig) data = __builtin_bswap32(data);
  if ((port != kSetLittle && port != kSetBig) || hart >= files_.size() || data == 0 || data > ids_) return;
  files_[hart].pending[data / 32] |= u32{1} << (data % 32);
  update(files_[hart]);
}

u64 Imsic::mmio_read(u64, unsigned) { return 0; }

/// Only words are written; the specification defines nothing else.
void Imsic::mmio_write(u64 offset, unsigned size, u64 value) {
  if (size == 4) msi(offset, static_cast<u32>(value));
}

IrqSink* build_imsic(const DeviceSite& site) {
  const u32 ids = site.cell("riscv,num-ids", 0);
  if (ids < 63 || ids > Imsic::kMostIds || ids % 64 != 63)
    site.fail("needs a riscv,num-ids of 63 to 2047, one less than a multiple of 64");
  if (site.cell("riscv,guest-index-bits", 0) != 0) site.fail("has guest interrupt files, which no hart has");
  const std::vector<u32> wires = site.node.cells("interrupts-extended");
  const u32 level = wires.size() < 2 ? 0 : wires[1];
  if (site.interrupts.size() != site.machine.vcpu_count() ||
      (level != kMachineLine && level != kSupervisorLine))
    site.fail("needs the external interrupt of each CPU, in their order");
  const bool machine = level == kMachineLine;
  const loader::DtRange& reg = site.reg(0, Imsic::kPage * site.interrupts.size());
  auto& imsic = site.machine.add_device<Imsic>(site.name, ids, site.interrupts);
  site.machine.memory().add_device(site.name, reg.base, reg.size, &imsic);
  add_msi_target(site.machine, reg.base, reg.size, imsic);
  // Not owned by the extensions: the machine owns its devices and outlives whoever asks.
  site.machine.set_extension(machine ? Imsic::kMachineFiles : Imsic::kSupervisorFiles,
                             std::shared_ptr<void>(std::shared_ptr<void>(), &imsic));
  ExternalPriorities* priorities = &imsic;
  site.machine.set_extension(machine ? kMachineExternal : kSupervisorExternal,
                             std::shared_ptr<void>(std::shared_ptr<void>(), priorities));
  return nullptr;
}

}  // namespace hindcast::devices
