// Security on boards with Arm's SSE subsystems (IoT Kit, SSE-200, SSE-300): bit 28 of an address says whose
// it is, memory shows again at a second address, and controllers gate memory and peripherals (DDI 0574,
// chapters 3 and 5).
#include <algorithm>
#include <optional>
#include <vector>

#include "targets/arm/security.h"
#include "targets/arm/sse.h"
#include "targets/arm/sse_gate.h"
#include "targets/arm/sse_ports.h"
#include "targets/arm/sse_shadows.h"
#include "targets/devices/component_id.h"
#include "targets/devices/word_registers.h"

namespace hindcast::arm {
namespace {

using devices::component_id;
using devices::DeviceSite;
using devices::NarrowWrites;
using devices::WordRegisters;

/// What refused transactions meet where they are not to end in a bus fault. It lies in a reserved part of the
/// private peripherals, where nothing is protected and nothing is found by an address gone wrong.
class Nothing final : public MmioHandler {
 public:
  static constexpr GuestAddr kBase = 0xe0008000;
  static constexpr u64 kSize = 0x2000;
  u64 mmio_read(u64, unsigned) override { return 0; }
  void mmio_write(u64, unsigned, u64) override {}
  static GuestAddr place(u32 address) { return kBase + address % 0x1000; }
};

/// The security control block, and what it and the wiring say about addresses.
class Sse final : public Device, public WordRegisters, public SecurityMap {
 public:
  struct Lines {
    IrqLine gates, ports;
  };
  Sse(std::string name, Machine& machine, std::vector<Shadows::Shadow> shadows,
      std::vector<Ports::Port> ports, Lines lines)
      : Device(std::move(name)),
        WordRegisters(NarrowWrites::Ignore),
        machine_(machine),
        shadows_(std::move(shadows)),
        ports_(std::move(ports), words_),
        lines_(lines),
        non_secure_(*this) {}

  void add_gate(Gate* gate) {
    gates_.push_back(gate);
    gate->on_interrupt([this] { lines_.gates.set(gates_status() != 0); });
    gate->on_owner([this] { tell_cpus(); });
  }
  MmioHandler* nothing() { return &nothing_; }
  MmioHandler* non_secure_half() { return &non_secure_; }

  void add_shadows() override { shadows_.add(machine_.memory(), name() + ".shadow"); }

  void reset() override {
    words_ = {};
    update_ports_line();
    tell_cpus();
  }
  void state(Archive& ar) override {
    ar.field("words", words_.secure);
    ar.field("non_secure_words", words_.non_secure);
    tell_cpus();
  }

  void write_word(u32 at, u32 value) override {
    if (at >= kSseRegisters) return;
    switch (at) {
      case kResponse: word(at) = value & 1; return;
      case kCallable: word(at) = value & 3; break;
      case kPortsClear: word(kPortsStatus) &= ~value; return update_ports_line();
      case kPortsEnable: word(at) = value; return update_ports_line();
      default:
        if (at < Ports::kFirst) return;
        word(at) = value;
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
    const u32 callable = words_.secure[kCallable / 4];
    a.callable = (region == 1 && (callable & 1) != 0) || (region == 3 && (callable & 2) != 0);
    return a;
  }
  GuestAddr physical(u32 address) const override { return shadows_.physical(address); }
  bool allows(u32 address, u32 secure, bool privileged) const override {
    const GuestAddr at = physical(address);
    return gate_refusing(at, secure) == nullptr && ports_.allows(at, secure, privileged);
  }
  bool watches_secure() const override {
    return !ports_.all_secure() ||
           std::any_of(gates_.begin(), gates_.end(), [](const Gate* gate) { return !gate->all_secure(); });
  }
  std::optional<GuestAddr> refuse(u32 address, u32 secure, bool) override {
    const GuestAddr at = physical(address);
    bool faults = true;
    if (Gate* gate = gate_refusing(at, secure)) {
      faults = gate->refuse(at, secure);
    } else if (const Ports::Port* port = ports_.at(at); port != nullptr && port->offset != 0) {
      word(kPortsStatus) |= 1u << Ports::status_bit(*port);
      update_ports_line();
      faults = (word(kResponse) & 1) != 0;
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
  /// What the Non-secure state says about its unprivileged code: the same registers as the Secure half's.
  class NonSecureHalf final : public WordRegisters {
   public:
    explicit NonSecureHalf(Sse& sse) : WordRegisters(NarrowWrites::Ignore), sse_(sse) {}
    u32 read_word(u32 at) override {
      const auto& words = sse_.words_.non_secure;
      return at / 4 < words.size() ? words[at / 4] : component_id(at, 0x853);
    }
    void write_word(u32 at, u32 value) override {
      if (at < Ports::kFirstUnprivileged || at > Ports::kLast) return;
      sse_.words_.non_secure[at / 4] = value;
      sse_.machine_.flush_translations();
    }

   private:
    Sse& sse_;
  };

  static constexpr u32 kResponse = 0x10, kCallable = 0x14, kGatesStatus = 0x1c, kPortsStatus = 0x20,
                       kPortsClear = 0x24, kPortsEnable = 0x28;

  u32 read_word(u32 at) override {
    if (at == kGatesStatus) return gates_status();
    return at < kSseRegisters ? word(at) : component_id(at, 0x852);
  }
  u32& word(u32 at) { return words_.secure[at / 4]; }
  Gate* gate_refusing(GuestAddr at, u32 secure) const {
    const auto gate =
        std::find_if(gates_.begin(), gates_.end(), [&](const Gate* g) { return !g->allows(at, secure); });
    return gate != gates_.end() ? *gate : nullptr;
  }
  u32 gates_status() const {
    u32 status = 0;
    for (const Gate* gate : gates_) status |= u32{gate->interrupting()} << gate->bit();
    return status;
  }
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
  void update_ports_line() { lines_.ports.set((word(kPortsStatus) & word(kPortsEnable)) != 0); }

  Machine& machine_;
  Shadows shadows_;
  SseWords words_;
  Ports ports_;
  Lines lines_;
  NonSecureHalf non_secure_;
  Nothing nothing_;
  std::vector<Gate*> gates_;
};

Sse& controller(const DeviceSite& site) {
  auto* sse = dynamic_cast<Sse*>(security_map(site.machine.vcpu(0)));
  if (sse == nullptr) site.fail("belongs behind the security controller of the subsystem");
  return *sse;
}

}  // namespace

IrqSink* build_sse(const DeviceSite& site) {
  std::vector<Shadows::Shadow> shadows;
  const std::vector<u32> cells = site.node.cells("hindcast,shadows");
  if (cells.size() % 3 != 0) site.fail("has hindcast,shadows that are no triples of address, place and size");
  for (std::size_t i = 0; i < cells.size(); i += 3) shadows.push_back({cells[i], cells[i + 1], cells[i + 2]});
  std::vector<Ports::Port> ports;
  const std::vector<u32> gated = site.node.cells("hindcast,ports");
  if (gated.size() % 4 != 0)
    site.fail("has hindcast,ports that are not address, size, register and bit, once or more");
  for (std::size_t i = 0; i < gated.size(); i += 4) {
    if (gated[i + 2] >= kSseRegisters - Ports::kUnprivileged || gated[i + 3] > 31)
      site.fail("has hindcast,ports with a register or bit that is not there");
    ports.push_back({gated[i], gated[i + 1], gated[i + 2], gated[i + 3]});
  }
  auto& sse = devices::place<Sse>(site, kSseRegisters, site.machine, std::move(shadows), std::move(ports),
                                  Sse::Lines{site.irq(0), site.irq(1)});
  site.machine.memory().add_device(site.name + ".nothing", Nothing::kBase, Nothing::kSize, sse.nothing());
  site.machine.set_extension(kSecurityMap,
                             std::shared_ptr<void>(std::shared_ptr<void>(), static_cast<SecurityMap*>(&sse)));
  return nullptr;
}

IrqSink* build_sse_non_secure(const DeviceSite& site) {
  Sse& sse = controller(site);
  const loader::DtRange& reg = site.reg(0, kSseRegisters);
  site.machine.memory().add_device(site.name, reg.base, reg.size, sse.non_secure_half());
  return nullptr;
}

IrqSink* build_mpc(const DeviceSite& site) {
  Sse& sse = controller(site);
  const std::vector<u32> gated = site.node.cells("hindcast,gates");
  if (gated.size() != 2 || gated[1] == 0 || (gated[0] | gated[1]) % AddressSpace::kPage != 0)
    site.fail("needs hindcast,gates = <address size> of whole pages");
  const u32 bit = site.cell("hindcast,status-bit", 0);
  if (bit > 31) site.fail("has a hindcast,status-bit beyond 31");
  sse.add_gate(&devices::place<Gate>(site, 0x100, site.machine, gated[0], u64{gated[1]}, bit));
  return nullptr;
}

}  // namespace hindcast::arm
