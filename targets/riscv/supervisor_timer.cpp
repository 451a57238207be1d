#include "targets/riscv/supervisor_timer.h"

#include <fmt/format.h>

#include "engine/machine.h"
#include "targets/devices/clint.h"
#include "targets/riscv/csr.h"

namespace hindcast::riscv {
namespace {

constexpr const char* kExtension = "riscv.sstc";

const RiscvArch& arch_of(const Vcpu& vcpu) { return static_cast<const RiscvArch&>(vcpu.arch()); }

/// Has the clock's deadlines; what is compared with is in the vCPUs.
class SupervisorTimers final : public Device {
 public:
  explicit SupervisorTimers(Machine& machine) : Device("sstc"), machine_(machine) {
    for (unsigned i = 0; i < machine.vcpu_count(); ++i)
      timers_.push_back(machine.clock().add_timer(fmt::format("sstc.timer{}", i), [this, i] { update(i); }));
    if (!static_cast<const RiscvArch&>(machine.arch()).features().has(ext::H)) return;
    for (unsigned i = 0; i < machine.vcpu_count(); ++i)
      guest_timers_.push_back(
          machine.clock().add_timer(fmt::format("sstc.guest_timer{}", i), [this, i] { update(i); }));
  }

  void reset() override {
    for (const auto* timers : {&timers_, &guest_timers_})
      for (const VirtualClock::TimerId timer : *timers) machine_.clock().arm(timer, kNever);
  }
  void state(Archive&) override {}

  void update(unsigned hart) {
    Vcpu& vcpu = machine_.vcpu(hart);
    const RiscvState& s = vcpu.state<RiscvState>();
    const u64 now = time_ticks(vcpu);
    set(vcpu, timers_[hart], irq::kSupervisorTimer, (s.menvcfg & envcfg::kStce) != 0, s.stimecmp, now);
    if (!guest_timers_.empty())
      set(vcpu, guest_timers_[hart], irq::kGuestTimer, (s.henvcfg & envcfg::kStce) != 0, s.vstimecmp,
          now + s.htimedelta);
  }

 private:
  /// The line and the deadline of one of them, by whose clock it is `now`.
  void set(Vcpu& vcpu, VirtualClock::TimerId timer, unsigned line, bool used, u64 compare, u64 now) {
    vcpu.set_irq(line, used && now >= compare);
    VirtualNs when = kNever;
    if (used && now < compare) {
      // In 128 bits: "never" is written as the largest value. A tick ends at a multiple of its length.
      const VirtualNs tick = time_tick_ns(machine_);
      const u128 due = (u128{machine_.clock().now() / tick} + (compare - now)) * tick;
      if (due < kNever) when = static_cast<VirtualNs>(due);
    }
    machine_.clock().arm(timer, when);
  }

  Machine& machine_;
  std::vector<VirtualClock::TimerId> timers_, guest_timers_;
};

}  // namespace

void add_supervisor_timers(Machine& machine) {
  if (!static_cast<const RiscvArch&>(machine.arch()).features().has(ext::Sstc)) return;
  auto& timers = machine.add_device<SupervisorTimers>(machine);
  machine.set_extension(kExtension, std::shared_ptr<void>(std::shared_ptr<void>(), &timers));
  if (auto* clint = machine.extension<devices::Clint>("riscv.clint")) {
    clint->on_time_written([&timers, &machine] {
      for (unsigned i = 0; i < machine.vcpu_count(); ++i) timers.update(i);
    });
  }
}

void update_supervisor_timer(Vcpu& vcpu) {
  if (!arch_of(vcpu).features().has(ext::Sstc)) return;
  if (auto* timers = vcpu.machine().extension<SupervisorTimers>(kExtension)) timers->update(vcpu.index());
}

u64 supervisor_line_mask(const RiscvArch& arch) {
  u64 mask = 0;
  if (arch.features().has(ext::S)) mask |= u64{1} << irq::kSupervisorExternal;
  if (arch.features().has(ext::Sstc)) mask |= u64{1} << irq::kSupervisorTimer;
  return mask;
}

u64 guest_line_mask(const RiscvArch& arch) {
  return arch.features().has(ext::H | ext::Sstc) ? u64{1} << irq::kGuestTimer : 0;
}

}  // namespace hindcast::riscv
