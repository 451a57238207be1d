// The nRF51's flash with its controller, and the two pages of information ("nRF51 Series Reference Manual"
// 3.0, chapters 6 to 8).
#include <algorithm>

#include "targets/devices/mmio.h"
#include "targets/devices/model_registry.h"
#include "targets/devices/nrf51.h"

namespace hindcast::devices {
namespace {

constexpr u32 kPageBytes = 1024;

/// The controller, and what receives the guest's stores into flash. Regions: the controller's registers, the
/// flash. Erasing and writing take no time.
class NrfFlash final : public NrfPeripheral {
 public:
  NrfFlash(std::string name, Machine& machine, const loader::DtRange& flash)
      : NrfPeripheral(std::move(name), machine, {}), stores_(*this), flash_(flash) {
    machine.memory().add_rom("flash0", flash.base, flash.size, &stores_);
    const Bytes erased(flash.size, 0xff);
    machine.memory().host_write(flash.base, erased.data(), erased.size());
  }
  void reset() override {
    NrfPeripheral::reset();
    stored(kReady) = 1;
  }

 private:
  static constexpr u32 kReady = 0x400, kConfig = 0x504, kErasePage = 0x508, kEraseAll = 0x50c;
  static constexpr u32 kWrites = 1, kErases = 2;

  /// Programming clears bits.
  class Stores final : public MmioHandler {
   public:
    explicit Stores(NrfFlash& owner) : owner_(owner) {}
    u64 mmio_read(u64, unsigned) override { return 0; }  // reads see the bytes
    void mmio_write(u64 offset, unsigned size, u64 value) override { owner_.program(offset, size, value); }

   private:
    NrfFlash& owner_;
  };

  void program(u64 offset, unsigned size, u64 value) {
    if ((stored(kConfig) & 3) != kWrites) return;
    u64 old = 0;
    AddressSpace& memory = machine_.memory();
    if (!memory.host_read(flash_.base + offset, &old, size)) return;
    value &= old;
    memory.host_write(flash_.base + offset, &value, size);
  }
  void erase(GuestAddr at, u64 size) {
    if ((stored(kConfig) & 3) != kErases || at - flash_.base >= flash_.size) return;
    const Bytes erased(std::min(size, flash_.base + flash_.size - at), 0xff);
    machine_.memory().host_write(at, erased.data(), erased.size());
  }
  void write_register(u32 offset, u32 value) override {
    switch (offset) {
      case kReady: break;
      case kErasePage: erase(value & ~(kPageBytes - 1), kPageBytes); break;
      case kEraseAll:
        if ((value & 1) != 0) erase(flash_.base, flash_.size);
        break;
      default: NrfPeripheral::write_register(offset, value);
    }
  }
  Stores stores_;
  loader::DtRange flash_;
};

void put(Bytes& page, u32 offset, u32 value) {
  for (unsigned i = 0; i < 4; ++i) page[offset + i] = static_cast<u8>(value >> (8 * i));
}

}  // namespace

IrqSink* build_nrf_flash(const DeviceSite& site) { return add_nrf<NrfFlash>(site, site.reg(1, kPageBytes)); }

/// FICR and UICR: facts about the chip; what a new chip has not been told. And the CoreSight ROM table, from
/// which startup code learns the chip's revision: zeros, a revision without known faults.
IrqSink* build_nrf_information(const DeviceSite& site) {
  Bytes factory(AddressSpace::kPage, 0xff), user(AddressSpace::kPage, 0xff);
  put(factory, 0x010, kPageBytes);
  put(factory, 0x014, site.cell("hindcast,flash-pages", 256));
  put(factory, 0x034, site.cell("hindcast,ram-blocks", 2));
  put(factory, 0x038, 0x2000);
  put(factory, 0x05c, 0x0000003c);
  put(factory, 0x060, 0x68696e64);
  put(factory, 0x064, 0x63617374);
  put(factory, 0x0a0, 1);
  put(factory, 0x0a4, 0x12345678);
  put(factory, 0x0a8, 0x0000c09a);
  AddressSpace& memory = site.machine.memory();
  const loader::DtRange& ficr = site.reg(0, AddressSpace::kPage);
  memory.add_rom(site.name + ".factory", ficr.base, AddressSpace::kPage);
  memory.host_write(ficr.base, factory.data(), factory.size());
  if (site.regs.size() == 1) return nullptr;  // Zephyr's trees have a node for each page
  const loader::DtRange& uicr = site.reg(1, AddressSpace::kPage);
  memory.add_rom(site.name + ".user", uicr.base, AddressSpace::kPage);
  memory.add_rom(site.name + ".table", site.reg(2, AddressSpace::kPage).base, AddressSpace::kPage);
  memory.host_write(uicr.base, user.data(), user.size());
  return nullptr;
}

IrqSink* build_nrf_user_information(const DeviceSite& site) {
  const Bytes erased(AddressSpace::kPage, 0xff);
  const GuestAddr base = site.reg(0, AddressSpace::kPage).base;
  site.machine.memory().add_rom(site.name, base, erased.size());
  site.machine.memory().host_write(base, erased.data(), erased.size());
  return nullptr;
}

}  // namespace hindcast::devices
