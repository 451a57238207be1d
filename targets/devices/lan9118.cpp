// SMSC's LAN9118 Ethernet controller (its data sheet, chapter 5) with no cable: drivers find it, reset it,
// read its address and PHY, and wait for a link that does not come. What they send is taken and gone.
#include <array>

#include "targets/devices/mmio.h"
#include "targets/devices/model_registry.h"

namespace hindcast::devices {
namespace {

constexpr u32 kTxData = 0x20, kTxDataEnd = 0x40, kTxStatus = 0x48, kId = 0x50, kIrqConfig = 0x54,
              kIrqStatus = 0x58, kIrqEnable = 0x5c, kByteTest = 0x64, kFifoInterrupts = 0x68,
              kRxConfig = 0x6c, kTxConfig = 0x70, kHardware = 0x74, kRxInfo = 0x7c, kTxInfo = 0x80,
              kPower = 0x84, kGpio = 0x88, kTimer = 0x8c, kTimerCount = 0x90, kEndian = 0x98,
              kFreeRunning = 0x9c, kDropped = 0xa0, kMacCommand = 0xa4, kMacData = 0xa8, kFlow = 0xac,
              kEeprom = 0xb0, kEepromData = 0xb4, kEnd = 0x100;
constexpr u32 kReady = 1, kSoftwareInterrupt = u32{1} << 31;

class Lan9118 final : public Device, public MmioHandler {
 public:
  Lan9118(std::string name, Machine& machine, IrqLine irq)
      : Device(std::move(name)), machine_(machine), irq_(irq) {}

  void reset() override {
    registers_ = {};
    registers_[kFifoInterrupts / 4] = 0x48000000;
    registers_[kHardware / 4] = 0x00050000;
    registers_[kGpio / 4] = 0x70070000;
    registers_[kTimer / 4] = 0xffff;
    mac_ = {0, 0x40000, 0x5452, 0x12005634};  // 52:54:00:12:34:56
    phy_ = {};
    phy_[0] = 0x3000;
    phy_[4] = 0x01e1;
    settle();
  }
  void state(Archive& ar) override {
    for (u32& r : registers_) ar.field("register", r);
    for (u32& r : mac_) ar.field("mac", r);
    for (u32& r : phy_) ar.field("phy", r);
  }

  u64 mmio_read(u64 offset, unsigned size) override {
    const u32 at = static_cast<u32>(offset) & ~u32{3};
    u32 value = at < kEnd ? registers_[at / 4] : 0;
    switch (at) {
      case kId: value = 0x01180001; break;
      case kByteTest: value = 0x87654321; break;
      case kTxInfo: value = 0x1200; break;  // all of the FIFO is free
      case kTxStatus:
      case kRxInfo:
      case kDropped: value = 0; break;
      case kPower: value |= kReady; break;
      case kTimerCount: value = registers_[kTimer / 4] & 0xffff; break;
      case kFreeRunning: value = static_cast<u32>(u128{machine_.clock().now()} / 40); break;  // 25 MHz
      default: break;
    }
    return value >> (8 * (offset & 3)) & low_mask(size);
  }

  void mmio_write(u64 offset, unsigned, u64 value64) override {
    const u32 at = static_cast<u32>(offset) & ~u32{3}, value = static_cast<u32>(value64);
    if (at >= kEnd || (at >= kTxData && at < kTxDataEnd)) return;
    switch (at) {
      case kIrqStatus: registers_[at / 4] &= ~value; break;
      case kIrqEnable:
        registers_[at / 4] = value;
        if ((value & kSoftwareInterrupt) != 0) registers_[kIrqStatus / 4] |= kSoftwareInterrupt;
        break;
      case kHardware:
        if ((value & 1) != 0) return reset();  // done at once: the bit reads as 0
        registers_[at / 4] = value & 0x003f0000;
        break;
      case kRxConfig: registers_[at / 4] = value & ~u32{0x8000}; break;
      case kTxConfig: registers_[at / 4] = value & 6; break;
      case kMacCommand: mac_command(value); break;
      case kEeprom: registers_[at / 4] = (value & 0x7fffffff) | 0x200; break;  // timed out: there is none
      case kIrqConfig:
      case kFifoInterrupts:
      case kPower:
      case kGpio:
      case kTimer:
      case kEndian:
      case kMacData:
      case kFlow:
      case kEepromData: registers_[at / 4] = value; break;
      default: break;
    }
    settle();
  }

 private:
  /// The MAC's registers are behind two of the bus's; an access is over at once.
  void mac_command(u32 command) {
    constexpr u32 kGo = u32{1} << 31, kRead = u32{1} << 30;
    registers_[kMacCommand / 4] = command & ~kGo;
    const u32 n = command & 15;
    if ((command & kGo) == 0 || n >= mac_.size()) return;
    u32& data = registers_[kMacData / 4];
    if ((command & kRead) != 0) {
      data = mac_[n];
      return;
    }
    mac_[n] = data;
    constexpr u32 kMiiAccess = 6, kMiiData = 7, kMiiWrite = 2;
    if (n != kMiiAccess) return;
    const u32 phy = data >> 6 & 31;
    mac_[kMiiAccess] = data & ~u32{1};
    if (data >> 11 != 1) {
      mac_[kMiiData] = 0xffff;  // no PHY has that address
    } else if ((data & kMiiWrite) != 0) {
      phy_[phy] = mac_[kMiiData] & (phy == 0 ? 0x7fff : 0xffff);
    } else {
      mac_[kMiiData] = read_phy(phy);
    }
  }
  u32 read_phy(u32 n) const {
    switch (n) {
      case 1: return 0x7809;  // what it can do; neither link nor negotiation done
      case 2: return 0x0007;
      case 3: return 0xc0d1;
      default: return phy_[n];
    }
  }
  void settle() {
    const bool on = (registers_[kIrqConfig / 4] & 0x100) != 0;
    irq_.set(on && (registers_[kIrqStatus / 4] & registers_[kIrqEnable / 4]) != 0);
  }

  Machine& machine_;
  IrqLine irq_;
  std::array<u32, kEnd / 4> registers_{};
  std::array<u32, 13> mac_{};
  std::array<u32, 32> phy_{};
};

}  // namespace

IrqSink* build_lan9118(const DeviceSite& site) {
  const loader::DtRange& reg = site.reg(0, kEnd);
  auto& device = site.machine.add_device<Lan9118>(site.name, site.machine, site.irq());
  site.machine.memory().add_device(site.name, reg.base, reg.size, &device);
  return nullptr;
}

}  // namespace hindcast::devices
