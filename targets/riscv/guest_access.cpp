// HLV, HLVX and HSV: accesses that a hypervisor makes as its guest would (Privileged, section 8.2.1
// and 8.3.1); and what traps tell of the instruction that made an access (8.6.3).
#include <utility>

#include "engine/ir/access.h"
#include "engine/machine.h"
#include "targets/riscv/hypervisor.h"
#include "targets/riscv/paging.h"
#include "targets/riscv/traps.h"

namespace hindcast::riscv {
namespace {

unsigned access_size(u64 bits) { return 1u << (bits >> 26 & 3); }

Verdict guest_access_verdict(const RiscvState& s) {
  if (s.virt != 0) return Verdict::Virtual;
  return s.privilege == kUser && (s.hstatus & hstatus::kHu) == 0 ? Verdict::Illegal : Verdict::Allowed;
}

/// While it lives, loads and stores are the guest's, and the soft TLB, which has others, is out of reach.
class ActAsGuest {
 public:
  ActAsGuest(Vcpu& vcpu, bool executes) : vcpu_(vcpu), tlb_(std::exchange(vcpu.header().tlb, nullptr)) {
    RiscvState& s = vcpu.state<RiscvState>();
    const u64 privilege = (s.hstatus & hstatus::kSpvp) != 0 ? kSupervisor : kUser;
    s.acting = Actor{.privilege = privilege, .guest = true, .executes = executes}.encoded();
  }
  ~ActAsGuest() {
    vcpu_.state<RiscvState>().acting = 0;
    vcpu_.header().tlb = tlb_;
  }
  ActAsGuest(const ActAsGuest&) = delete;
  ActAsGuest& operator=(const ActAsGuest&) = delete;

 private:
  Vcpu& vcpu_;
  SoftTlb* const tlb_;
};

void finish(Vcpu& vcpu, bool done, GuestFault fault) {
  AddressSpace& memory = vcpu.machine().memory();
  if (memory.take_touched_device() || memory.watch_hit()) vcpu.request_exit();
  if (done) return;
  const bool page = fault.cause == cause::kLoadGuestPage || fault.cause == cause::kStoreGuestPage;
  if (!page) fault.detail |= fault_detail::kGuestAddress;
  vcpu.raise(fault);
}

constexpr u32 kRd = 31u << 7, kRs1 = 31u << 15, kRs2 = 31u << 20, kFunct3 = 7u << 12, kOpcode = 0x7f;
constexpr u32 kLoad = 0x03, kLoadFp = 0x07, kStore = 0x23, kStoreFp = 0x27, kAtomic = 0x2f, kSystem = 0x73;

/// The 32-bit instruction that a compressed load or store stands for, without its address.
u32 expanded(const RiscvArch& arch, u32 bits, const Operands& o) {
  const bool wide = arch.xlen() == 64;
  const auto load = [&](u32 opcode, u32 funct3) { return opcode | u32{o.rd} << 7 | funct3 << 12; };
  const auto store = [&](u32 opcode, u32 funct3) { return opcode | u32{o.rs2} << 20 | funct3 << 12; };
  const unsigned funct3 = bits >> 13 & 7;
  switch (funct3) {
    case 1: return load(kLoadFp, 3);
    case 2: return load(kLoad, 2);
    case 3: return wide ? load(kLoad, 3) : load(kLoadFp, 2);
    case 5: return store(kStoreFp, 3);
    case 6: return store(kStore, 2);
    case 7: return wide ? store(kStore, 3) : store(kStoreFp, 2);
    default: break;
  }
  // Zcb: bytes and halfwords.
  switch (bits >> 10 & 7) {
    case 0: return load(kLoad, 4);
    case 1: return load(kLoad, (bits >> 6 & 1) != 0 ? 1 : 5);
    case 2: return store(kStore, 0);
    default: return store(kStore, 1);
  }
}

/// The instruction without what makes its address; 0: it is none whose form the manual gives.
u32 without_address(u32 bits) {
  const u32 opcode = bits & kOpcode;
  switch (opcode) {
    case kLoad:
    case kLoadFp: return bits & (kRd | kFunct3 | kOpcode);
    case kStore:
    case kStoreFp: return bits & (kRs2 | kFunct3 | kOpcode);
    case kAtomic: return bits & ~kRs1;
    case kSystem: return (bits & kFunct3) == 4u << 12 ? bits & ~kRs1 : 0;
    default: return 0;
  }
}

}  // namespace

u64 guest_load_helper(Vcpu& vcpu, u64 bits, u64 address, u64) {
  if (const Verdict verdict = guest_access_verdict(vcpu.state<RiscvState>()); verdict != Verdict::Allowed)
    return refuse(vcpu, verdict, bits);
  const unsigned size = access_size(bits), kind = bits >> 20 & 3;  // 0: signed, 1: unsigned, 3: HLVX
  u64 value = 0;
  GuestFault fault;
  bool done = false;
  {
    const ActAsGuest guest(vcpu, kind == 3);
    const ir::DataAccess access{vcpu, vcpu.machine().memory(), MemoryMode::Translated};
    done = access.load(address, size, {}, value, fault);
  }
  finish(vcpu, done, fault);
  if (!done) return 0;
  const unsigned unused = 64 - 8 * size;
  return kind == 0 ? static_cast<u64>(static_cast<i64>(value << unused) >> unused) : value;
}

u64 guest_store_helper(Vcpu& vcpu, u64 bits, u64 address, u64 value) {
  if (const Verdict verdict = guest_access_verdict(vcpu.state<RiscvState>()); verdict != Verdict::Allowed)
    return refuse(vcpu, verdict, bits);
  GuestFault fault;
  bool done = false;
  {
    const ActAsGuest guest(vcpu, false);
    const ir::DataAccess access{vcpu, vcpu.machine().memory(), MemoryMode::Translated};
    done = access.store(address, access_size(bits), {}, value, fault);
  }
  finish(vcpu, done, fault);
  return 0;
}

u64 trap_instruction(const RiscvArch& arch, Vcpu& vcpu, const GuestFault& fault) {
  const RiscvState& s = vcpu.state<RiscvState>();
  bool misaligned = false;
  switch (fault.cause) {
    case cause::kLoadMisaligned:
    case cause::kStoreMisaligned: misaligned = true; break;
    case cause::kLoadAccess:
    case cause::kStoreAccess:
    case cause::kLoadPage:
    case cause::kStorePage: break;
    case cause::kFetchGuestPage:
    case cause::kLoadGuestPage:
    case cause::kStoreGuestPage:
      if ((fault.detail & (fault_detail::kTableRead | fault_detail::kTableWrite)) != 0) {
        const u64 write = (fault.detail & fault_detail::kTableWrite) != 0 ? 0x20 : 0;
        return (arch.xlen() == 32 ? 0x2000 : 0x3000) | write;
      }
      if (fault.cause == cause::kFetchGuestPage) return 0;
      break;
    default: return 0;
  }
  // The instruction was fetched, so it is still where the pc says.
  u8 code[4] = {};
  unsigned have = 0;
  for (; have < sizeof code; have += 2) {
    const Translation t = arch.probe(vcpu, arch.truncate(s.pc + have), 2, Access::Execute);
    const u8* bytes = t.ok ? vcpu.machine().memory().peek(t.physical, 2) : nullptr;
    if (bytes == nullptr) break;
    code[have] = bytes[0];
    code[have + 1] = bytes[1];
  }
  const Fetched insn = fetch({code, have});
  Operands o;
  if (insn.length == 0 || arch.decode(insn.bits, &o) == nullptr) return 0;
  const bool compressed = insn.length == 2;
  u32 told = without_address(compressed ? expanded(arch, insn.bits, o) : insn.bits);
  if (told == 0) return 0;
  // How far into the access the fault is.
  const u64 begin = arch.truncate(s.x[o.rs1] + static_cast<u64>(o.imm));
  if (!misaligned) told |= static_cast<u32>(fault.value - begin) << 15 & kRs1;
  return compressed ? told & ~u32{2} : told;
}

}  // namespace hindcast::riscv
