// The RISC-V platform-level interrupt controller ("RISC-V Platform-Level Interrupt Controller
// Specification" 1.0).
//
// All gateways are level-triggered: a source becomes pending when its line is high and it is not being
// served, and stays so until it is claimed, even if the line falls meanwhile; at completion the line is
// looked at again.
#pragma once
#include <vector>

#include "engine/machine.h"

namespace hindcast::devices {

class Plic final : public Device, public MmioHandler, public IrqSink {
 public:
  static constexpr unsigned kMostSources = 1023, kMostContexts = 15872;
  static constexpr u32 kPriorityMask = 7;

  /// `sources`: the highest source number (source 0 means "no interrupt"). `contexts`: where each context's
  /// notification goes, unconnected ones included.
  Plic(std::string name, unsigned sources, std::vector<IrqLine> contexts);

  void reset() override;
  void state(Archive& ar) override;
  u64 mmio_read(u64 offset, unsigned size) override;
  void mmio_write(u64 offset, unsigned size, u64 value) override;
  void set_irq(unsigned source, bool level) override;

 private:
  struct Context {
    IrqLine line;
    std::vector<u32> enable;  // one bit per source
    u32 threshold = 0;
  };
  /// The bits of word `word` of a bit field that stand for sources.
  u32 existing(std::size_t word) const;
  u32 read_register(u64 offset);
  void write_register(u64 offset, u32 value);
  /// The pending, enabled source of highest priority, the lowest number among equals; 0 if there is none. Its
  /// priority is never 0.
  unsigned best(const Context& context) const;
  u32 claim(Context& context);
  void complete(const Context& context, u32 source);
  void update();

  unsigned sources_;
  std::vector<Context> contexts_;
  std::vector<u32> priority_;                    // by source
  std::vector<u32> levels_, pending_, claimed_;  // one bit per source
};

}  // namespace hindcast::devices
