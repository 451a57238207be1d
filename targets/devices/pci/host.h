// A generic PCI host bridge: configuration space by ECAM ("PCI Express Base Specification" 3.0,
// section 7.2.2), one bus, windows through which the CPU reaches memory ranges of functions, four INTx lines.
// The device tree describes it ("pci-host-ecam-generic"; IEEE 1275 PCI bus binding).
#pragma once
#include <vector>

#include "engine/machine.h"
#include "targets/devices/pci/function.h"

namespace hindcast::devices::pci {

class Host final : public Device, public MmioHandler, private IrqSink {
 public:
  static constexpr unsigned kSlots = 32, kPins = 4;

  /// `lines`: INTA to INTD, swizzled by the slot.
  Host(std::string name, std::vector<IrqLine> lines);

  /// Function 0 of the next free slot; outlives the host. Throws Fatal if the bus is full.
  void add(Function& function);
  /// A window in which the CPU's accesses at `pci_base` + offset reach memory ranges.
  MmioHandler& add_window(u64 pci_base);

  void reset() override;
  void state(Archive& ar) override;
  u64 mmio_read(u64 offset, unsigned size) override;
  void mmio_write(u64 offset, unsigned size, u64 value) override;

 private:
  class Window final : public MmioHandler {
   public:
    Window(Host& host, u64 base) : host_(host), base_(base) {}
    u64 mmio_read(u64 offset, unsigned size) override;
    void mmio_write(u64 offset, unsigned size, u64 value) override;

   private:
    Host& host_;
    u64 base_;
  };
  /// The bridge itself, in slot 0.
  class Bridge final : public Function {
   public:
    Bridge();
    void reset() { reset_function(); }
    void state(Archive& ar) { function_state(ar); }
  };

  /// Of ECAM; null if nothing is there.
  Function* function_at(u64 offset);
  /// The level of a slot's INTA.
  void set_irq(unsigned slot, bool level) override;

  std::vector<IrqLine> lines_;
  Bridge bridge_;
  std::vector<Function*> functions_;  // by slot
  std::vector<std::unique_ptr<Window>> windows_;
  u32 levels_ = 0;  // of the slots' INTA
};

}  // namespace hindcast::devices::pci
