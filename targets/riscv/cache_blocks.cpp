// Zicbom and Zicboz (Cache-Block Management, Base 1.0.1). There are no caches: what is left of management is
// who may do it, and to what.
#include "engine/ir/access.h"
#include "engine/machine.h"
#include "engine/soft_tlb.h"
#include "targets/riscv/hypervisor.h"
#include "targets/riscv/riscv.h"
#include "targets/riscv/traps.h"

namespace hindcast::riscv {
namespace {

constexpr unsigned kInval = 0, kZero = 4;

/// Whether the envcfg registers let the current mode use the instruction.
Verdict configured(const RiscvArch& arch, const RiscvState& s, unsigned operation) {
  const auto lets = [&](u64 envcfg) {
    if (operation == kZero) return (envcfg & envcfg::kCbze) != 0;
    return (envcfg & (operation == kInval ? envcfg::kCbie : envcfg::kCbcfe)) != 0;
  };
  if (s.privilege == kMachine) return Verdict::Allowed;
  if (!lets(s.menvcfg)) return Verdict::Illegal;
  const bool user = s.privilege != kUser || !arch.features().has(ext::S) || lets(s.senvcfg);
  if (s.virt != 0) return user && lets(s.henvcfg) ? Verdict::Allowed : Verdict::Virtual;
  return user ? Verdict::Allowed : Verdict::Illegal;
}

/// Faults are a store's, at the address that was given.
void fail(Vcpu& vcpu, u64 cause, u64 address, u64 detail) {
  const bool page = cause == cause::kLoadPage || cause == cause::kStorePage;
  const bool guest_page = cause == cause::kLoadGuestPage || cause == cause::kStoreGuestPage;
  vcpu.raise({page         ? cause::kStorePage
              : guest_page ? cause::kStoreGuestPage
                           : cause::kStoreAccess,
              address, detail});
}

/// Whether the block is memory that nobody watches; the soft TLB has its page from here on, if it can.
bool access_known(Vcpu& vcpu, GuestAddr block) {
  const SoftTlb* tlb = vcpu.header().tlb;
  if (tlb == nullptr) return false;
  if (tlb->find(block, kCacheBlock, vcpu.arch().page_bits(), true) != nullptr) return true;
  const ir::DataAccess access{vcpu, vcpu.machine().memory(), MemoryMode::Translated};
  return access.reach(block, kCacheBlock, Access::Write).host != nullptr && vcpu.header().exit_request == 0;
}

}  // namespace

u64 cache_block_helper(Vcpu& vcpu, u64 bits, u64 address, u64) {
  const auto& arch = static_cast<const RiscvArch&>(vcpu.arch());
  const unsigned operation = bits >> 20 & 7;
  if (const Verdict verdict = configured(arch, vcpu.state<RiscvState>(), operation);
      verdict != Verdict::Allowed)
    return refuse(vcpu, verdict, bits);
  const u64 block = address & ~u64{kCacheBlock - 1};
  // Kernels clear pages with it: most blocks are in a page that has been looked up.
  if (operation == kZero && access_known(vcpu, block)) return block;
  // Whoever may load may also manage; a store's rights never go without a load's.
  const Access access = operation == kZero ? Access::Write : Access::Read;
  Translation t = arch.translate(vcpu, block, kCacheBlock, access);
  // What neither may be loaded nor stored is refused as a store is.
  if (!t.ok && access == Access::Read) t = arch.probe(vcpu, block, kCacheBlock, Access::Write);
  if (!t.ok)
    fail(vcpu, t.cause, address, t.detail);
  else if (operation == kZero && vcpu.machine().memory().find_ram(t.physical) == nullptr)
    fail(vcpu, cause::kStoreAccess, address, 0);
  return block;
}

}  // namespace hindcast::riscv
