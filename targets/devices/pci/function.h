// A function on a PCI bus: its configuration space with base address registers ("PCI Local Bus Specification"
// 3.0, chapter 6). Memory is all that it has; its interrupt is INTx, or MSI-X.
#pragma once
#include <array>
#include <memory>

#include "engine/archive.h"
#include "engine/device.h"
#include "targets/devices/pci/msix.h"

namespace hindcast::devices::pci {

class Function {
 public:
  static constexpr unsigned kBars = 6;
  static constexpr u64 kConfigSize = 256;

  struct Identity {
    u16 vendor = 0, device = 0;
    u32 class_code = 0;  // class, subclass, interface: 24 bits
    u8 revision = 0;
    u16 subsystem_vendor = 0, subsystem = 0;
  };
  explicit Function(const Identity& identity);
  virtual ~Function() = default;

  // For the bus. `offset` + `size` lie within kConfigSize; `size` is 1, 2 or 4.
  u32 config_read(unsigned offset, unsigned size);
  void config_write(unsigned offset, unsigned size, u32 value);
  /// Which of the base address registers claims the address, and where in it; kBars: none.
  struct Place {
    unsigned bar = kBars;
    u64 offset = 0;
  };
  Place claims(u64 address) const;
  virtual u64 bar_read(unsigned /*bar*/, u64 /*offset*/, unsigned /*size*/) { return 0; }
  virtual void bar_write(unsigned /*bar*/, u64 /*offset*/, unsigned /*size*/, u64 /*value*/) {}
  void connect(IrqLine line) { line_ = line; }

 protected:
  // For building.
  /// A memory range of `size` bytes, a power of two from 16 to 2 GiB; with 64 bits it takes the next register
  /// as well.
  void add_bar(unsigned bar, u64 size, bool wide);
  /// A capability of `bytes` (after the ID and the link), at the next free place; returns where it begins.
  unsigned add_capability(u8 id, ByteView bytes);
  void use_interrupt_pin();
  /// MSI-X with its own memory range, in `bar`. While the driver has it on, INTx is quiet. Messages wait
  /// while the function may not master the bus.
  void add_msix(unsigned bar, unsigned vectors, Msix::Send send);
  /// Null if there is none.
  Msix* msix() { return msix_.get(); }
  bool msix_enabled() const { return msix_ != nullptr && msix_->enabled(); }
  /// Makes bytes of the configuration space writable.
  void make_writable(unsigned offset, unsigned size);

  void set_interrupt(bool level);
  void reset_function();
  void function_state(Archive& ar);
  u32 word(unsigned offset, unsigned size) const;
  void put(unsigned offset, unsigned size, u32 value);
  /// Whether the function may reach memory by itself.
  bool bus_master() const;
  /// The driver looks at, or has written, bytes of the configuration space that have a meaning of their own.
  virtual void config_reading(unsigned /*offset*/, unsigned /*size*/) {}
  virtual void config_written(unsigned /*offset*/, unsigned /*size*/) {}

 private:
  void update_line();
  void follow_msix_control();
  u64 bar_base(unsigned bar) const;

  struct Bar {
    u64 size = 0;
    bool wide = false;
  };
  std::array<Bar, kBars> bars_{};
  std::array<u8, kConfigSize> config_{}, initial_{}, writable_{};
  unsigned next_capability_ = 0x40, last_link_ = 0x34;
  bool level_ = false;
  std::unique_ptr<Msix> msix_;
  unsigned msix_control_ = 0;  // where its second word is
  IrqLine line_;
};

}  // namespace hindcast::devices::pci
