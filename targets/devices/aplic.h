// The advanced platform-level interrupt controller ("RISC-V Advanced Interrupt Architecture" 1.0, chapter 4).
// Each interrupt domain is a device of its own; the root's wires are everybody's, and a source belongs to the
// domain down the chain of delegations that has made it active.
//
// A domain delivers either directly or by MSIs, as it was built (domaincfg.DM is read-only); it is
// little-endian. Sources are as wide as the specification lets them be: every mode, 8 bits of priority.
#pragma once
#include <array>
#include <vector>

#include "engine/machine.h"
#include "targets/devices/external_interrupts.h"

namespace hindcast::devices {

class Aplic final : public Device, public MmioHandler, public IrqSink, public ExternalPriorities {
 public:
  static constexpr unsigned kMostSources = 1023, kMostHarts = 512;
  static constexpr u64 kDeliveryControls = 0x4000, kDeliveryControlSize = 32;

  struct Shape {
    unsigned sources = 0;  // the highest number
    bool machine_level = false;
    std::vector<IrqLine> harts;  // whom the domain delivers to; empty: it sends MSIs
  };
  Aplic(std::string name, Machine& machine, Shape shape);

  /// Makes `child` the one that this domain delegates to by that index. Before the machine runs.
  void set_child(unsigned index, Aplic& child);
  /// The domain at the top of this one's hierarchy.
  Aplic& root() { return parent_ == nullptr ? *this : parent_->root(); }

  void reset() override;
  void state(Archive& ar) override;
  u64 mmio_read(u64 offset, unsigned size) override;
  void mmio_write(u64 offset, unsigned size, u64 value) override;
  /// A wire, of any domain: the root's.
  void set_irq(unsigned source, bool level) override;
  unsigned external_priority(unsigned hart) const override;

 private:
  using Bits = std::vector<u32>;  // one for each source
  struct Control {
    IrqLine line;
    u32 delivery = 0, force = 0, threshold = 0;
  };
  bool msi() const { return controls_.empty(); }

  // Sources.
  bool mine(unsigned source) const;    // not delegated to others, by who is above
  bool active(unsigned source) const;  // and in a mode that takes interrupts
  bool rectified(unsigned source) const;
  void wire_changed(unsigned source, bool level);
  /// The child that a value of sourcecfg delegates to; null: none.
  Aplic* child_of(u32 config) const;
  void set_pending(unsigned source);
  void clear_pending(unsigned source);
  void configure(unsigned source, u32 value);
  void lost(unsigned source);  // it is another's from now on

  // Delivery.
  u32 top(unsigned hart) const;  // as topi has it
  u32 claim(unsigned hart);
  void update();
  void forward();
  void send(u32 hart, u32 identity);

  // Registers, by the number of their word.
  u32 read_register(u64 offset);
  void write_register(u64 offset, u32 value);
  u32 read_bits(u64 offset) const;
  void write_bits(u64 offset, u32 value);
  void write_number(u64 offset, u32 source);
  u32 read_control(u64 offset);
  void write_control(u64 offset, u32 value);
  u32* address_register(u64 offset);
  void write_address(u64 offset, u32 value);
  void write_target(unsigned source, u32 value);

  Machine& machine_;
  unsigned sources_;
  bool machine_level_;
  Aplic* parent_ = nullptr;
  std::vector<Aplic*> children_;  // by index; null: none
  std::vector<Control> controls_;
  bool enabled_ = false;              // domaincfg.IE
  u32 generated_ = 0;                 // genmsi
  std::vector<u32> source_, target_;  // by source
  Bits level_, pending_, enable_;
  std::array<u32, 4> msi_address_{};  // mmsiaddrcfg, mmsiaddrcfgh, smsiaddrcfg, smsiaddrcfgh: the root's
};

}  // namespace hindcast::devices
