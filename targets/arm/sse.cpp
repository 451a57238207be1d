// Security on boards with Arm's SSE subsystems (IoT Kit, SSE-200, SSE-300): bit 28 of an address says whose
// it is, memory shows again at a second address, and controllers gate memory and peripherals (DDI 0574,
// chapters 3 and 5; DDI 0571 for the memory protection controller).
#include <array>
#include <memory>
#include <vector>

#include "targets/arm/security.h"
#include "targets/arm/sse.h"
#include "targets/devices/mmio.h"

namespace hindcast::arm {
namespace {

using devices::DeviceSite;
using devices::low_mask;

constexpr u32 kSseRegisters = 0x100;

/// A memory protection controller: whose each block of a memory is.
class Gate final : public Device, public MmioHandler {
 public:
  Gate(std::string name, Machine& machine, u32 base, u64 size)
      : Device(std::move(name)), machine_(machine), base_(base), size_(size) {
    lut_.resize((size / kBlock + 31) / 32);
  }

  void reset() override {
    control_ = kAutoIncrement;
    index_ = enable_ = 0;
    std::fill(lut_.begin(), lut_.end(), 0);
  }
  void state(Archive& ar) override {
    ar.field("control", control_);
    ar.field("index", index_);
    ar.field("enable", enable_);
    for (std::size_t i = 0; i < lut_.size(); ++i) ar.field(("lut" + std::to_string(i)).c_str(), lut_[i]);
    if (index_ >= lut_.size()) index_ = 0;
  }

  u64 mmio_read(u64 offset, unsigned size) override {
    return u64{read(static_cast<u32>(offset) & ~u32{3})} >> (8 * (offset & 3)) & low_mask(size);
  }
  void mmio_write(u64 offset, unsigned, u64 value64) override {
    const u32 value = static_cast<u32>(value64);
    switch (offset & ~u64{3}) {
      case 0x00: control_ = value; break;
      case 0x18: index_ = value % static_cast<u32>(lut_.size()); return;
      case 0x1c:
        lut_[index_] = value;
        if ((control_ & kAutoIncrement) != 0) index_ = (index_ + 1) % static_cast<u32>(lut_.size());
        break;
      case 0x28: enable_ = value & 1; return;
      default: return;
    }
    machine_.flush_translations();
  }

  bool holds(GuestAddr physical) const { return physical - base_ < size_; }
  /// A page, unless its blocks differ.
  u64 granule(GuestAddr physical) const {
    constexpr u64 kPage = AddressSpace::kPage;
    const u64 first = ((physical & ~(kPage - 1)) - base_) / kBlock;
    for (u64 block = first + 1; block < first + kPage / kBlock && block < size_ / kBlock; ++block)
      if (non_secure(block) != non_secure(first)) return kBlock;
    return kPage;
  }
  /// What it does not let through ends in a bus fault.
  bool allows(GuestAddr physical, u32 secure) const {
    if (!holds(physical)) return true;
    return non_secure((physical - base_) / kBlock) == (secure == kNonSecure);
  }

 private:
  static constexpr u64 kBlock = 0x400;
  bool non_secure(u64 block) const { return (lut_[block / 32] >> (block % 32) & 1) != 0; }
  static constexpr u32 kAutoIncrement = 1 << 8;
  u32 read(u32 offset) {
    switch (offset) {
      case 0x00: return control_;
      case 0x10: return static_cast<u32>(lut_.size() - 1);
      case 0x14: return 5;  // 2^(5 + 5) bytes a block
      case 0x18: return index_;
      case 0x1c: {
        const u32 value = lut_[index_];
        if ((control_ & kAutoIncrement) != 0) index_ = (index_ + 1) % static_cast<u32>(lut_.size());
        return value;
      }
      case 0x28: return enable_;
      default: return 0;
    }
  }

  Machine& machine_;
  u32 base_;
  u64 size_;
  u32 control_ = kAutoIncrement, index_ = 0, enable_ = 0;
  std::vector<u32> lut_;
};

/// The security control block, and what it and the wiring say about addresses.
class Sse final : public Device, public MmioHandler, public SecurityMap {
 public:
  struct Shadow {
    u32 base, at, size;  // what is at `at` shows at `base` too
  };
  /// A peripheral behind a peripheral protection controller: Non-secure transactions reach it while its bit
  /// is set in the register that says so (DDI 0574, section 3.6: xxxNSPPCn).
  struct Port {
    u32 base, size, offset, bit;
  };
  Sse(std::string name, Machine& machine, std::vector<Shadow> shadows, std::vector<Port> ports)
      : Device(std::move(name)), machine_(machine), shadows_(std::move(shadows)), ports_(std::move(ports)) {}

  void add_gate(Gate* gate) { gates_.push_back(gate); }

  void add_shadows() override {
    struct Range {
      GuestAddr base;
      u64 size;
    };
    std::vector<Range> there;
    AddressSpace& memory = machine_.memory();
    for (const auto& block : memory.ram_blocks()) there.push_back({block->base, block->size});
    for (const auto& device : memory.devices()) there.push_back({device.base, device.size});
    for (const Range& r : there) {
      for (const Shadow& s : shadows_) {
        if (r.base - s.at >= s.size) continue;
        const GuestAddr base = r.base - s.at + s.base;
        views_.push_back(std::make_unique<View>(*this, r.base));
        memory.add_device(name() + ".shadow" + std::to_string(views_.size()), base, r.size,
                          views_.back().get());
      }
    }
  }

  void reset() override { words_.fill(0); }
  void state(Archive& ar) override { ar.field("words", words_); }

  u64 mmio_read(u64 offset, unsigned size) override {
    return u64{word(offset)} >> (8 * (offset & 3)) & low_mask(size);
  }
  void mmio_write(u64 offset, unsigned size, u64 value) override {
    if (offset / 4 >= words_.size() || offset < kFirst || size != 4) return;
    words_[offset / 4] = static_cast<u32>(value);
    machine_.flush_translations();
  }

  Attributes attributes(u32 address) const override {
    Attributes a;
    const u32 region = address >> 28;
    a.valid = true;
    a.region = static_cast<u8>(region);
    a.non_secure = (region & 1) == 0;
    // Private peripherals, and what the subsystem has at 0xf0000000.
    a.exempt = (address & 0xeff00000) == 0xe0000000;
    const u32 callable = words_[kCallable / 4];
    a.callable = (region == 1 && (callable & 1) != 0) || (region == 3 && (callable & 2) != 0);
    return a;
  }
  GuestAddr physical(u32 address) const override {
    for (const Shadow& s : shadows_)
      if (address - s.base < s.size) return address - s.base + s.at;
    return address;
  }
  bool allows(u32 address, u32 secure) const override {
    const GuestAddr at = physical(address);
    for (const Gate* gate : gates_)
      if (!gate->allows(at, secure)) return false;
    if (secure == kSecure) return true;
    for (const Port& port : ports_)
      if (at - port.base < port.size) return (words_[port.offset / 4] >> port.bit & 1) != 0;
    return true;
  }
  u64 granule(u32 address) const override {
    const GuestAddr at = physical(address);
    for (const Gate* gate : gates_)
      if (gate->holds(at)) return gate->granule(at);
    return AddressSpace::kPage;
  }

 private:
  /// Where contexts without translation find shadowed memory. They are given up for those with it then: this
  /// way is slow.
  class View final : public MmioHandler {
   public:
    View(Sse& sse, GuestAddr at) : sse_(sse), at_(at) {}
    u64 mmio_read(u64 offset, unsigned size) override {
      u64 value = 0;
      sse_.machine_.memory().read(at_ + offset, size, &value);
      leave_flat_memory();
      return value;
    }
    void mmio_write(u64 offset, unsigned size, u64 value) override {
      sse_.machine_.memory().write(at_ + offset, size, value);
      leave_flat_memory();
    }

   private:
    void leave_flat_memory() {
      Vcpu& vcpu = sse_.machine_.vcpu(0);
      vcpu.state<ArmState>().uses_shadows = 1;
      vcpu.request_exit();
    }
    Sse& sse_;
    GuestAddr at_;
  };

  static constexpr u32 kFirst = 0x10, kCallable = 0x14;
  u32 word(u64 offset) const {
    return offset / 4 < words_.size() ? words_[offset / 4] : sse_identification(offset, 0x52);
  }

  Machine& machine_;
  std::vector<Shadow> shadows_;
  std::vector<Port> ports_;
  std::vector<std::unique_ptr<View>> views_;
  std::vector<Gate*> gates_;
  std::array<u32, kSseRegisters / 4> words_{};
};

}  // namespace

IrqSink* build_sse(const DeviceSite& site) {
  std::vector<Sse::Shadow> shadows;
  const std::vector<u32> cells = site.node.cells("hindcast,shadows");
  if (cells.size() % 3 != 0) site.fail("has hindcast,shadows that are no triples of address, place and size");
  for (std::size_t i = 0; i < cells.size(); i += 3) shadows.push_back({cells[i], cells[i + 1], cells[i + 2]});
  std::vector<Sse::Port> ports;
  const std::vector<u32> gated = site.node.cells("hindcast,ports");
  if (gated.size() % 4 != 0)
    site.fail("has hindcast,ports that are not address, size, register and bit, once or more");
  for (std::size_t i = 0; i < gated.size(); i += 4) {
    if (gated[i + 2] >= kSseRegisters || gated[i + 3] > 31)
      site.fail("has hindcast,ports with a register or bit that is not there");
    ports.push_back({gated[i], gated[i + 1], gated[i + 2], gated[i + 3]});
  }
  const loader::DtRange& reg = site.reg(0, kSseRegisters);
  auto& sse = site.machine.add_device<Sse>(site.name, site.machine, std::move(shadows), std::move(ports));
  site.machine.memory().add_device(site.name, reg.base, reg.size, &sse);
  site.machine.set_extension(kSecurityMap,
                             std::shared_ptr<void>(std::shared_ptr<void>(), static_cast<SecurityMap*>(&sse)));
  return nullptr;
}

IrqSink* build_mpc(const DeviceSite& site) {
  auto* sse = dynamic_cast<Sse*>(security_map(site.machine.vcpu(0)));
  if (sse == nullptr) site.fail("belongs behind the security controller of the subsystem");
  const std::vector<u32> gated = site.node.cells("hindcast,gates");
  if (gated.size() != 2 || gated[1] == 0 || (gated[0] | gated[1]) % AddressSpace::kPage != 0)
    site.fail("needs hindcast,gates = <address size> of whole pages");
  auto& gate = site.machine.add_device<Gate>(site.name, site.machine, gated[0], u64{gated[1]});
  site.machine.memory().add_device(site.name, site.reg(0, 0x100).base, site.reg(0, 0x100).size, &gate);
  sse->add_gate(&gate);
  return nullptr;
}

}  // namespace hindcast::arm
