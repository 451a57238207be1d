// Control and identification of Arm's SSE subsystems (DDI 0574, chapters 3 and 5; DDI 0571 of the IoT Kit).
#include <array>

#include "targets/arm/sse.h"
#include "targets/devices/mmio.h"

namespace hindcast::arm {
namespace {

using devices::DeviceSite;
using devices::low_mask;

/// Words that never change.
class Information final : public Device, public MmioHandler {
 public:
  Information(std::string name, std::vector<u32> values, u8 part)
      : Device(std::move(name)), values_(std::move(values)), part_(part) {}
  void reset() override {}
  void state(Archive&) override {}
  u64 mmio_read(u64 offset, unsigned size) override {
    const u32 value = offset / 4 < values_.size() ? values_[offset / 4] : sse_identification(offset, part_);
    return u64{value} >> (8 * (offset & 3)) & low_mask(size);
  }
  void mmio_write(u64, unsigned, u64) override {}

 private:
  std::vector<u32> values_;
  u8 part_;
};

/// Clocks and power domains are as they are told to be; a reset resets the machine.
class SystemControl final : public Device, public MmioHandler {
 public:
  SystemControl(std::string name, Machine& machine) : Device(std::move(name)), machine_(machine) {}
  void reset() override {
    // The cause of a reset is what survives it.
    const u32 syndrome = asked_ ? kSoftware : kPowerOn;
    asked_ = false;
    words_.fill(0);
    words_[kSyndrome / 4] = syndrome;
    words_[kResetMask / 4] = 0x30;
  }
  void state(Archive& ar) override {
    ar.field("words", words_);
    ar.field("asked", asked_);
  }
  u64 mmio_read(u64 offset, unsigned size) override {
    const u32 value = offset / 4 < words_.size() ? words_[offset / 4] : sse_identification(offset, 0x54);
    return u64{value} >> (8 * (offset & 3)) & low_mask(size);
  }
  void mmio_write(u64 offset, unsigned size, u64 value64) override {
    const u32 value = static_cast<u32>(value64);
    if (size != 4 || offset / 4 >= words_.size()) return;
    switch (offset & ~u64{3}) {
      case kDebugStatus: break;
      case kDebugSet: words_[kDebugStatus / 4] |= value; break;
      case kDebugClear: words_[kDebugStatus / 4] &= ~value; break;
      case kSyndrome: words_[kSyndrome / 4] &= value; break;  // bits are written to 0
      case kReset:
        if ((value & kResetRequest) == 0) break;
        asked_ = true;
        machine_.request_reset();
        break;
      default: words_[offset / 4] = value;
    }
  }

 private:
  static constexpr u32 kDebugStatus = 0x00, kDebugSet = 0x04, kDebugClear = 0x08, kSyndrome = 0x100,
                       kResetMask = 0x104, kReset = 0x108;
  static constexpr u32 kResetRequest = 1 << 9, kPowerOn = 1, kSoftware = 1 << 9;

  Machine& machine_;
  std::array<u32, 0x210 / 4> words_{};
  bool asked_ = false;
};

}  // namespace

u32 sse_identification(u64 offset, u8 part) {
  constexpr u64 kFirst = 0xfd0, kEnd = 0x1000, kPart = 4;
  constexpr u8 kIds[] = {0x04, 0, 0, 0, 0, 0xb8, 0x1b, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
  if (offset < kFirst || offset >= kEnd) return 0;
  const u64 n = (offset - kFirst) / 4;
  return n == kPart ? part : kIds[n];
}

IrqSink* build_sse_information(const DeviceSite& site) {
  const loader::DtRange& reg = site.reg(0, 4);
  std::vector<u32> values = site.node.cells("hindcast,values");
  if (values.size() > 16) site.fail("has more than 16 hindcast,values");
  auto& device = site.machine.add_device<Information>(site.name, std::move(values),
                                                      static_cast<u8>(site.cell("hindcast,part", 0)));
  site.machine.memory().add_device(site.name, reg.base, reg.size, &device);
  return nullptr;
}

IrqSink* build_sse_system(const DeviceSite& site) {
  const loader::DtRange& reg = site.reg(0, 0x210);
  auto& device = site.machine.add_device<SystemControl>(site.name, site.machine);
  site.machine.memory().add_device(site.name, reg.base, reg.size, &device);
  return nullptr;
}

}  // namespace hindcast::arm
