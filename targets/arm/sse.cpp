// Security on boards with Arm's SSE subsystems (IoT Kit, SSE-200, SSE-300): bit 28 of an address says whose
// it is, memory shows again at a second address, and controllers gate memory and peripherals (DDI 0574,
// chapters 3 and 5; DDI 0571 for the memory protection controller).
#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "targets/arm/security.h"
#include "targets/arm/sse.h"
#include "targets/devices/component_id.h"
#include "targets/devices/word_registers.h"

namespace hindcast::arm {
namespace {

using devices::component_id;
using devices::DeviceSite;
using devices::NarrowWrites;
using devices::WordRegisters;

constexpr u32 kSseRegisters = 0x100;

/// What refused transactions meet where they are not to end in a bus fault: beyond all addresses of the
/// guest's.
class Nothing final : public MmioHandler {
 public:
  static constexpr GuestAddr kBase = 0xffffe000;
  static constexpr u64 kSize = 0x2000;
  u64 mmio_read(u64, unsigned) override { return 0; }
  void mmio_write(u64, unsigned, u64) override {}
  static GuestAddr place(u32 address) { return kBase + address % 0x1000; }
};

/// A memory protection controller: whose each block of a memory is.
class Gate final : public Device, public WordRegisters {
 public:
  Gate(std::string name, Machine& machine, u32 base, u64 size, unsigned bit)
      : Device(std::move(name)),
        WordRegisters(NarrowWrites::Merge),
        machine_(machine),
        base_(base),
        size_(size),
        bit_(bit) {
    lut_.resize((size / kBlock + 31) / 32);
  }

  /// Called when interrupting() may have changed.
  void on_interrupt(std::function<void()> callback) { changed_ = std::move(callback); }
  /// Called when allows() may have changed.
  void on_owner(std::function<void()> callback) { owner_changed_ = std::move(callback); }
  bool interrupting() const { return (status_ & enable_) != 0; }
  /// Its bit in the security controller's status.
  unsigned bit() const { return bit_; }

  void reset() override {
    control_ = kAutoIncrement;
    index_ = status_ = refused_address_ = refused_ = 0;
    enable_ = 1;
    std::fill(lut_.begin(), lut_.end(), 0);
    if (changed_) changed_();
    if (owner_changed_) owner_changed_();
  }
  void state(Archive& ar) override {
    ar.field("control", control_);
    ar.field("index", index_);
    ar.field("enable", enable_);
    ar.field("status", status_);
    ar.field("refused_address", refused_address_);
    ar.field("refused", refused_);
    for (std::size_t i = 0; i < lut_.size(); ++i) ar.field(("lut" + std::to_string(i)).c_str(), lut_[i]);
    if (index_ >= lut_.size()) index_ = 0;
    if (owner_changed_) owner_changed_();
  }

  void write_word(u32 at, u32 value) override {
    const bool locked = (control_ & kLocked) != 0;
    switch (at) {
      case 0x00:
        if (!locked) control_ = value & (kBusFault | kAutoIncrement | kLocked);
        return;
      case 0x18: index_ = value % static_cast<u32>(lut_.size()); return;
      case 0x1c:
        if (locked) return;
        lut_[index_] = value;
        if ((control_ & kAutoIncrement) != 0) index_ = (index_ + 1) % static_cast<u32>(lut_.size());
        machine_.flush_translations();
        if (owner_changed_) owner_changed_();
        return;
      case 0x24: status_ &= ~value; break;
      case 0x28:
        if (!locked) enable_ = value & 1;
        break;
      case 0x34: status_ |= value & 1; break;
      default: return;
    }
    if (changed_) changed_();
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
  bool all_secure() const {
    return std::all_of(lut_.begin(), lut_.end(), [](u32 word) { return word == 0; });
  }
  bool allows(GuestAddr physical, u32 secure) const {
    if (!holds(physical)) return true;
    return non_secure((physical - base_) / kBlock) == (secure == kNonSecure);
  }
  /// Notes the first transaction that it did not let through. Whether they end in bus faults.
  bool refuse(GuestAddr physical, u32 secure) {
    if (status_ == 0) {
      status_ = 1;
      refused_address_ = static_cast<u32>(physical - base_);
      refused_ =
          (secure == kNonSecure ? 1u << 16 : 0) | (non_secure(refused_address_ / kBlock) ? 1u << 17 : 0);
      if (changed_) changed_();
    }
    return (control_ & kBusFault) != 0;
  }

 private:
  static constexpr u64 kBlock = 0x400;
  bool non_secure(u64 block) const { return (lut_[block / 32] >> (block % 32) & 1) != 0; }
  static constexpr u32 kBusFault = 1 << 4, kAutoIncrement = 1 << 8, kLocked = u32{1} << 31;
  u32 unwritten(u32 at) const override {
    switch (at) {
      case 0x00: return control_;
      case 0x18: return index_;
      case 0x1c: return lut_[index_];
      default: return 0;
    }
  }
  u32 read_word(u32 at) override {
    switch (at) {
      case 0x00: return control_;
      case 0x10: return static_cast<u32>(lut_.size() - 1);
      case 0x14: return 5;  // 2^(5 + 5) bytes a block
      case 0x18: return index_;
      case 0x1c: {
        const u32 value = lut_[index_];
        if ((control_ & kAutoIncrement) != 0) index_ = (index_ + 1) % static_cast<u32>(lut_.size());
        return value;
      }
      case 0x20: return status_;
      case 0x28: return enable_;
      case 0x2c: return refused_address_;
      case 0x30: return refused_;
      default: return component_id(at, 0x860);
    }
  }

  Machine& machine_;
  u32 base_;
  u64 size_;
  unsigned bit_;
  std::function<void()> changed_, owner_changed_;
  u32 control_ = kAutoIncrement, index_ = 0, enable_ = 1;
  u32 status_ = 0, refused_address_ = 0, refused_ = 0;  // 1: something was refused; the first
  std::vector<u32> lut_;
};

/// The security control block, and what it and the wiring say about addresses.
class Sse final : public Device, public WordRegisters, public SecurityMap {
 public:
  struct Shadow {
    u32 base, at, size;  // what is at `at` shows at `base` too
  };
  /// A peripheral behind a peripheral protection controller: Non-secure transactions reach it while its bit
  /// is set in the register that says so, Secure ones while it is not (DDI 0574, section 3.6: xxxNSPPCn).
  /// Unprivileged ones need a second register's bit. Offset 0: no controller, and Secure for good.
  struct Port {
    u32 base, size, offset, bit;
  };
  struct Lines {
    IrqLine gates, ports;
  };
  Sse(std::string name, Machine& machine, std::vector<Shadow> shadows, std::vector<Port> ports, Lines lines)
      : Device(std::move(name)),
        WordRegisters(NarrowWrites::Ignore),
        machine_(machine),
        shadows_(std::move(shadows)),
        ports_(std::move(ports)),
        lines_(lines),
        non_secure_(*this) {}

  void add_gate(Gate* gate) {
    gates_.push_back(gate);
    gate->on_interrupt([this] { lines_.gates.set(gates_status() != 0); });
    gate->on_owner([this] { tell_cpus(); });
  }
  MmioHandler* nothing() { return &nothing_; }
  MmioHandler* non_secure_half() { return &non_secure_; }

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

  void reset() override {
    words_.fill(0);
    non_secure_words_.fill(0);
    update_ports_line();
    tell_cpus();
  }
  void state(Archive& ar) override {
    ar.field("words", words_);
    ar.field("non_secure_words", non_secure_words_);
    tell_cpus();
  }

  void write_word(u32 at, u32 value) override {
    if (at / 4 >= words_.size()) return;
    switch (at) {
      case kResponse: words_[kResponse / 4] = value & 1; return;
      case kCallable: words_[kCallable / 4] = value & 3; break;
      case kPortsClear: words_[kPortsStatus / 4] &= ~value; return update_ports_line();
      case kPortsEnable: words_[kPortsEnable / 4] = value; return update_ports_line();
      default:
        if (at < kFirstPort) return;
        words_[at / 4] = value;
    }
    machine_.flush_translations();
    tell_cpus();
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
  bool allows(u32 address, u32 secure, bool privileged) const override {
    const GuestAddr at = physical(address);
    for (const Gate* gate : gates_)
      if (!gate->allows(at, secure)) return false;
    const Port* port = port_at(at);
    if (port == nullptr) return true;
    const bool non_secure = this->non_secure(*port);
    if (non_secure != (secure == kNonSecure)) return false;
    if (privileged || port->offset == 0) return true;
    const auto& words = non_secure ? non_secure_words_ : words_;
    return (words[(port->offset + kUnprivileged) / 4] >> port->bit & 1) != 0;
  }
  bool watches_secure() const override {
    return std::any_of(gates_.begin(), gates_.end(), [](const Gate* gate) { return !gate->all_secure(); }) ||
           std::any_of(ports_.begin(), ports_.end(), [this](const Port& port) { return non_secure(port); });
  }
  std::optional<GuestAddr> refuse(u32 address, u32 secure, bool) override {
    const GuestAddr at = physical(address);
    bool faults = true;
    const auto gate =
        std::find_if(gates_.begin(), gates_.end(), [&](Gate* g) { return !g->allows(at, secure); });
    if (gate != gates_.end()) {
      faults = (*gate)->refuse(at, secure);
    } else if (const Port* port = port_at(at); port != nullptr && port->offset != 0) {
      words_[kPortsStatus / 4] |= 1u << status_bit(port->offset);
      update_ports_line();
      faults = (words_[kResponse / 4] & 1) != 0;
    }
    return faults ? std::nullopt : std::optional(Nothing::place(address));
  }
  u64 granule(u32 address) const override {
    const GuestAddr at = physical(address);
    for (const Gate* gate : gates_)
      if (gate->holds(at)) return gate->granule(at);
    return AddressSpace::kPage;
  }

 private:
  /// Where CPUs without security extension, which translate nothing, find shadowed memory.
  class View final : public MmioHandler {
   public:
    View(Sse& sse, GuestAddr at) : sse_(sse), at_(at) {}
    u64 mmio_read(u64 offset, unsigned size) override {
      u64 value = 0;
      sse_.machine_.memory().read(at_ + offset, size, &value);
      return value;
    }
    void mmio_write(u64 offset, unsigned size, u64 value) override {
      sse_.machine_.memory().write(at_ + offset, size, value);
    }

   private:
    Sse& sse_;
    GuestAddr at_;
  };

  /// What the Non-secure state says about its unprivileged code: the same registers as the Secure half's.
  class NonSecureHalf final : public WordRegisters {
   public:
    explicit NonSecureHalf(Sse& sse) : WordRegisters(NarrowWrites::Ignore), sse_(sse) {}
    u32 read_word(u32 at) override {
      const auto& words = sse_.non_secure_words_;
      return at / 4 < words.size() ? words[at / 4] : component_id(at, 0x853);
    }
    void write_word(u32 at, u32 value) override {
      if (at < kFirstUnprivileged || at > kLastUnprivileged) return;
      sse_.non_secure_words_[at / 4] = value;
      sse_.machine_.flush_translations();
    }

   private:
    Sse& sse_;
  };

  static constexpr u32 kResponse = 0x10, kCallable = 0x14, kGatesStatus = 0x1c, kPortsStatus = 0x20,
                       kPortsClear = 0x24, kPortsEnable = 0x28, kFirstPort = 0x50, kFirstUnprivileged = 0x90,
                       kLastUnprivileged = 0xcc;
  static constexpr u32 kUnprivileged =
      0x40;  // from a register of ports to what opens them to unprivileged code

  u32 read_word(u32 at) override {
    if (at == kGatesStatus) return gates_status();
    return at / 4 < words_.size() ? words_[at / 4] : component_id(at, 0x852);
  }
  u32 gates_status() const {
    u32 status = 0;
    for (const Gate* gate : gates_) status |= u32{gate->interrupting()} << gate->bit();
    return status;
  }
  bool non_secure(const Port& port) const { return (words_[port.offset / 4] >> port.bit & 1) != 0; }
  void tell_cpus() {
    const u32 gated = watches_secure() ? 1 : 0;
    for (unsigned i = 0; i < machine_.vcpu_count(); ++i) {
      Vcpu& vcpu = machine_.vcpu(i);
      ArmState& s = vcpu.state<ArmState>();
      if (s.gated == gated) continue;
      s.gated = gated;
      vcpu.request_exit();  // its code is translated for the other case
    }
  }
  const Port* port_at(GuestAddr at) const {
    for (const Port& port : ports_)
      if (at - port.base < port.size) return &port;
    return nullptr;
  }
  /// Of the controller with that register, in the status of interrupts: those of the AHB outside the
  /// subsystem, of the APB in it, of the APB outside.
  static unsigned status_bit(u32 offset) {
    const unsigned n = offset % 16 / 4;
    return offset < 0x70 ? 20 + n : offset < 0x80 ? n : 4 + n;
  }
  void update_ports_line() { lines_.ports.set((words_[kPortsStatus / 4] & words_[kPortsEnable / 4]) != 0); }

  Machine& machine_;
  std::vector<Shadow> shadows_;
  std::vector<Port> ports_;
  Lines lines_;
  NonSecureHalf non_secure_;
  Nothing nothing_;
  std::vector<std::unique_ptr<View>> views_;
  std::vector<Gate*> gates_;
  std::array<u32, kSseRegisters / 4> words_{}, non_secure_words_{};
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
    if (gated[i + 2] >= kSseRegisters - 0x40 || gated[i + 3] > 31)
      site.fail("has hindcast,ports with a register or bit that is not there");
    ports.push_back({gated[i], gated[i + 1], gated[i + 2], gated[i + 3]});
  }
  const loader::DtRange& reg = site.reg(0, kSseRegisters);
  auto& sse = site.machine.add_device<Sse>(site.name, site.machine, std::move(shadows), std::move(ports),
                                           Sse::Lines{site.irq(0), site.irq(1)});
  site.machine.memory().add_device(site.name, reg.base, reg.size, &sse);
  site.machine.memory().add_device(site.name + ".nothing", Nothing::kBase, Nothing::kSize, sse.nothing());
  site.machine.set_extension(kSecurityMap,
                             std::shared_ptr<void>(std::shared_ptr<void>(), static_cast<SecurityMap*>(&sse)));
  return nullptr;
}

IrqSink* build_sse_non_secure(const DeviceSite& site) {
  auto* sse = dynamic_cast<Sse*>(security_map(site.machine.vcpu(0)));
  if (sse == nullptr) site.fail("belongs behind the security controller of the subsystem");
  const loader::DtRange& reg = site.reg(0, kSseRegisters);
  site.machine.memory().add_device(site.name, reg.base, reg.size, sse->non_secure_half());
  return nullptr;
}

IrqSink* build_mpc(const DeviceSite& site) {
  auto* sse = dynamic_cast<Sse*>(security_map(site.machine.vcpu(0)));
  if (sse == nullptr) site.fail("belongs behind the security controller of the subsystem");
  const std::vector<u32> gated = site.node.cells("hindcast,gates");
  if (gated.size() != 2 || gated[1] == 0 || (gated[0] | gated[1]) % AddressSpace::kPage != 0)
    site.fail("needs hindcast,gates = <address size> of whole pages");
  const u32 bit = site.cell("hindcast,status-bit", 0);
  if (bit > 31) site.fail("has a hindcast,status-bit beyond 31");
  auto& gate = site.machine.add_device<Gate>(site.name, site.machine, gated[0], u64{gated[1]}, bit);
  site.machine.memory().add_device(site.name, site.reg(0, 0x100).base, site.reg(0, 0x100).size, &gate);
  sse->add_gate(&gate);
  return nullptr;
}

}  // namespace hindcast::arm
