#include "targets/riscv/csr.h"

#include <array>
#include <cstddef>
#include <cstring>
#include <deque>
#include <utility>

#include "engine/softfloat/fp.h"
#include "targets/riscv/aia.h"
#include "targets/riscv/hpm.h"
#include "targets/riscv/hypervisor.h"
#include "targets/riscv/paging.h"
#include "targets/riscv/pmp.h"
#include "targets/riscv/supervisor_timer.h"
#include "targets/riscv/traps.h"

namespace hindcast::riscv {

u32 fflags_of(u32 fp_flags) {
  return ((fp_flags & fp::kInexact) != 0 ? 1u : 0) | ((fp_flags & fp::kUnderflow) != 0 ? 2u : 0) |
         ((fp_flags & fp::kOverflow) != 0 ? 4u : 0) | ((fp_flags & fp::kDivByZero) != 0 ? 8u : 0) |
         ((fp_flags & fp::kInvalid) != 0 ? 16u : 0);
}

u32 fp_flags_of(u32 fflags) {
  return ((fflags & 1) != 0 ? u32{fp::kInexact} : 0) | ((fflags & 2) != 0 ? u32{fp::kUnderflow} : 0) |
         ((fflags & 4) != 0 ? u32{fp::kOverflow} : 0) | ((fflags & 8) != 0 ? u32{fp::kDivByZero} : 0) |
         ((fflags & 16) != 0 ? u32{fp::kInvalid} : 0);
}

namespace {

RiscvState& state_of(const Vcpu& vcpu) { return vcpu.state<RiscvState>(); }

constexpr unsigned kSstatus = 0x100, kSatp = 0x180, kVsstatus = 0x200, kMstatus = 0x300, kMip = 0x344,
                   kHgatp = 0x680;

u64 read_zero(const RiscvArch&, const Vcpu&, unsigned) { return 0; }

template <u64 RiscvState::*field>
u64 read_field(const RiscvArch&, const Vcpu& vcpu, unsigned) {
  return state_of(vcpu).*field;
}
/// A register of which the bits in `mask` can be written.
template <u64 RiscvState::*field, u64 mask>
void write_masked(const RiscvArch& arch, Vcpu& vcpu, unsigned, u64 value) {
  state_of(vcpu).*field = arch.truncate(value) & mask;
}

// ---- floating point (unprivileged manual, section 11.2)

u64 read_fflags(const RiscvArch&, const Vcpu& vcpu, unsigned) { return fflags_of(state_of(vcpu).fp_flags); }
u64 read_frm(const RiscvArch&, const Vcpu& vcpu, unsigned) { return state_of(vcpu).frm; }
u64 read_fcsr(const RiscvArch& arch, const Vcpu& vcpu, unsigned) {
  return read_frm(arch, vcpu, 0) << 5 | read_fflags(arch, vcpu, 0);
}

void make_fs_dirty(RiscvState& s) {
  s.mstatus |= mstatus::kFs;
  if (s.virt != 0) s.vsstatus |= mstatus::kFs;
}
void write_fflags(const RiscvArch&, Vcpu& vcpu, unsigned, u64 value) {
  state_of(vcpu).fp_flags = fp_flags_of(value & 31);
  make_fs_dirty(state_of(vcpu));
}
void write_frm(const RiscvArch&, Vcpu& vcpu, unsigned, u64 value) {
  state_of(vcpu).frm = value & 7;
  make_fs_dirty(state_of(vcpu));
}
void write_fcsr(const RiscvArch& arch, Vcpu& vcpu, unsigned, u64 value) {
  write_fflags(arch, vcpu, 0, value);
  write_frm(arch, vcpu, 0, value >> 5);
}

// ---- machine mode (Privileged, section 3.1)

u64 read_mstatus(const RiscvArch& arch, const Vcpu& vcpu, unsigned) {
  u64 value = state_of(vcpu).mstatus;
  if (arch.xlen() == 64) value |= state_of(vcpu).virtual_status;
  if (arch.xlen() == 64 && arch.features().has(ext::U)) value |= u64{2} << mstatus::kUxlShift;
  if (arch.xlen() == 64 && arch.features().has(ext::S)) value |= u64{2} << mstatus::kSxlShift;
  if ((value & mstatus::kFs) == mstatus::kFs) value |= u64{1} << (arch.xlen() - 1);  // SD
  return value;
}

/// What sstatus has of mstatus, beside FS.
constexpr u64 kSstatusBits = mstatus::kSie | mstatus::kSpie | mstatus::kSpp | mstatus::kSum | mstatus::kMxr;

/// The bits that this CPU has.
u64 mstatus_mask(const RiscvArch& arch) {
  u64 mask = mstatus::kMie | mstatus::kMpie | mstatus::kMpp;
  if (arch.features().has(ext::F)) mask |= mstatus::kFs;
  if (arch.features().has(ext::U)) mask |= mstatus::kMprv | mstatus::kTw;
  if (arch.features().has(ext::S)) mask |= kSstatusBits | mstatus::kTvm | mstatus::kTsr;
  return mask;
}

bool has_privilege(const RiscvArch& arch, u64 privilege) {
  return privilege == kMachine || (privilege == kUser && arch.features().has(ext::U)) ||
         (privilege == kSupervisor && arch.features().has(ext::S));
}

void write_virtual_status(const RiscvArch& arch, Vcpu& vcpu, u64 value) {
  if (!arch.features().has(ext::H)) return;
  RiscvState& s = state_of(vcpu);
  const u64 old = std::exchange(s.virtual_status, value & (vstatus::kGva | vstatus::kMpv));
  // What MPRV makes of loads and stores has changed.
  if (((old ^ s.virtual_status) & vstatus::kMpv) != 0) vcpu.request_exit();
}

void write_mstatus(const RiscvArch& arch, Vcpu& vcpu, unsigned, u64 value) {
  RiscvState& s = state_of(vcpu);
  u64 mask = mstatus_mask(arch);
  // A mode that there is not leaves MPP as it is.
  if (!has_privilege(arch, (value & mstatus::kMpp) >> mstatus::kMppShift)) mask &= ~mstatus::kMpp;
  s.mstatus = (s.mstatus & ~mask) | (value & mask);
  if (arch.xlen() == 64) write_virtual_status(arch, vcpu, value);
}

u64 read_mstatush(const RiscvArch&, const Vcpu& vcpu, unsigned) {
  return state_of(vcpu).virtual_status >> 32;
}
void write_mstatush(const RiscvArch& arch, Vcpu& vcpu, unsigned, u64 value) {
  write_virtual_status(arch, vcpu, value << 32);
}

u64 read_misa(const RiscvArch& arch, const Vcpu&, unsigned) {
  const Features& cpu = arch.features();
  u64 value = u64{arch.xlen() == 32 ? 1u : 2u} << (arch.xlen() - 2);
  const auto letter = [&](char c, u64 needs) {
    if (cpu.has(needs)) value |= u64{1} << (c - 'A');
  };
  letter(cpu.has(ext::E) ? 'E' : 'I', ext::I);
  letter('M', ext::M);
  letter('A', ext::A);
  letter('F', ext::F);
  letter('D', ext::D);
  letter('C', ext::C);
  letter('H', ext::H);
  letter('S', ext::S);
  letter('U', ext::U);
  return value;
}

void write_mtvec(const RiscvArch& arch, Vcpu& vcpu, unsigned, u64 value) {
  if ((value & 3) < 2)
    state_of(vcpu).mtvec = arch.truncate(value);  // direct and vectored; the others are reserved
}

void write_mepc(const RiscvArch& arch, Vcpu& vcpu, unsigned, u64 value) {
  state_of(vcpu).mepc = arch.truncate(value) & ~u64{arch.insn_alignment() - 1};
}

u64 read_mhartid(const RiscvArch&, const Vcpu& vcpu, unsigned) { return vcpu.index(); }

/// Of interrupts, by what the CPU has.
u64 overflow_irq(const RiscvArch& arch) {
  return arch.features().has(ext::Sscofpmf) ? u64{1} << irq::kCounterOverflow : 0;
}
u64 delegable_irqs(const RiscvArch& arch) {
  if (!arch.features().has(ext::S)) return 0;
  return irq::kSupervisorAll | overflow_irq(arch);
}
u64 guest_irqs(const RiscvArch& arch) { return arch.features().has(ext::H) ? irq::kGuestAll : 0; }
u64 mip_mask(const RiscvArch& arch) { return irq::kMachineLines | delegable_irqs(arch) | overflow_irq(arch); }
u64 mie_mask(const RiscvArch& arch) { return mip_mask(arch) | guest_irqs(arch); }
void write_mie(const RiscvArch& arch, Vcpu& vcpu, unsigned, u64 value) {
  state_of(vcpu).mie = value & mie_mask(arch);
}
u64 read_mip(const RiscvArch&, const Vcpu& vcpu, unsigned) { return pending_of(state_of(vcpu)); }
/// Software raises supervisor mode's interrupts and takes back that of a counter; the others are levels of
/// lines.
void write_mip(const RiscvArch& arch, Vcpu& vcpu, unsigned, u64 value) {
  RiscvState& s = state_of(vcpu);
  u64 mask = delegable_irqs(arch) | overflow_irq(arch);
  if ((s.menvcfg & envcfg::kStce) != 0) mask &= ~(u64{1} << irq::kSupervisorTimer);  // stimecmp's alone
  mask &= ~(s.mvien & u64{1} << irq::kSupervisorExternal);                           // mvip's
  s.mip = (s.mip & ~mask) | (value & mask);
  if (arch.features().has(ext::H)) hip_write(arch, vcpu, 0, value);
}
u64 delegable(const RiscvArch& arch) {
  if (!arch.features().has(ext::S)) return 0;
  return cause::kDelegable | (arch.features().has(ext::H) ? cause::kDelegableOfGuests : 0);
}
void write_medeleg(const RiscvArch& arch, Vcpu& vcpu, unsigned, u64 value) {
  state_of(vcpu).medeleg = value & delegable(arch);
}
void write_mideleg(const RiscvArch& arch, Vcpu& vcpu, unsigned, u64 value) {
  state_of(vcpu).mideleg =
      (value & delegable_irqs(arch)) | guest_irqs(arch);  // those are never machine mode's
}
constexpr auto write_mscratch = write_masked<&RiscvState::mscratch, ~u64{0}>;
constexpr auto write_mcause = write_masked<&RiscvState::mcause, ~u64{0}>;
constexpr auto write_mtval = write_masked<&RiscvState::mtval, ~u64{0}>;
constexpr u64 kCounterEnable = 0xffff'ffff;
constexpr auto write_mcounteren = write_masked<&RiscvState::mcounteren, kCounterEnable>;

// ---- supervisor mode (Privileged, section 4.1)

u64 read_sstatus(const RiscvArch& arch, const Vcpu& vcpu, unsigned) {
  const u64 sd = u64{1} << (arch.xlen() - 1), uxl = arch.xlen() == 64 ? u64{3} << mstatus::kUxlShift : 0;
  return read_mstatus(arch, vcpu, 0) & (kSstatusBits | mstatus::kFs | sd | uxl);
}
void write_sstatus(const RiscvArch& arch, Vcpu& vcpu, unsigned, u64 value) {
  constexpr u64 kMine = kSstatusBits | mstatus::kFs;
  const u64 others = state_of(vcpu).mstatus & ~kMine;
  write_mstatus(arch, vcpu, 0, others | state_of(vcpu).virtual_status | (value & kMine));
}
u64 read_sie(const RiscvArch& arch, const Vcpu& vcpu, unsigned) {
  return arch.truncate(supervisor_enabled(state_of(vcpu))) & ~irq::kGuestAll;
}
/// RV32's lower half leaves the upper one (sieh, siph) as it is.
u64 with_upper(const RiscvArch& arch, u64 old, u64 value) {
  return arch.xlen() == 32 ? (old & ~u64{0xffff'ffff}) | static_cast<u32>(value) : value;
}
void write_sie(const RiscvArch& arch, Vcpu& vcpu, unsigned, u64 value) {
  RiscvState& s = state_of(vcpu);
  const u64 mine = s.mideleg & ~irq::kGuestAll;
  s.mie = (s.mie & ~mine) | (value & mine);
  write_virtual_enabled(s, with_upper(arch, supervisor_enabled(s), value));
}
u64 read_sip(const RiscvArch& arch, const Vcpu& vcpu, unsigned) {
  return arch.truncate(supervisor_pending(state_of(vcpu))) & ~irq::kGuestAll;
}
void write_sip(const RiscvArch& arch, Vcpu& vcpu, unsigned, u64 value) {
  RiscvState& s = state_of(vcpu);
  write_virtual_pending(s, with_upper(arch, supervisor_pending(s), value));
  const u64 mine = s.mideleg & (u64{1} << irq::kSupervisorSoftware | u64{1} << irq::kCounterOverflow);
  s.mip = (s.mip & ~mine) | (value & mine);
}
template <u64 RiscvState::*field>
void write_vector(const RiscvArch& arch, Vcpu& vcpu, unsigned, u64 value) {
  if ((value & 3) < 2) state_of(vcpu).*field = arch.truncate(value);
}
template <u64 RiscvState::*field>
void write_pc(const RiscvArch& arch, Vcpu& vcpu, unsigned, u64 value) {
  state_of(vcpu).*field = arch.truncate(value) & ~u64{arch.insn_alignment() - 1};
}
constexpr auto write_stvec = write_vector<&RiscvState::stvec>;
constexpr auto write_sepc = write_pc<&RiscvState::sepc>;
constexpr auto write_sscratch = write_masked<&RiscvState::sscratch, ~u64{0}>;
constexpr auto write_scause = write_masked<&RiscvState::scause, ~u64{0}>;
constexpr auto write_stval = write_masked<&RiscvState::stval, ~u64{0}>;
constexpr auto write_scounteren = write_masked<&RiscvState::scounteren, kCounterEnable>;

/// A mode that there is not leaves all of satp as it is.
void write_satp(const RiscvArch& arch, Vcpu& vcpu, unsigned, u64 value) {
  if (satp_mode_exists(arch, value)) state_of(vcpu).satp = arch.truncate(value);
}

// ---- hypervisor (what hypervisor.h does not have: plain storage)

template <u64 RiscvState::*field>
constexpr auto write_all = write_masked<field, ~u64{0}>;
constexpr auto write_hedeleg = write_masked<&RiscvState::hedeleg, cause::kDelegableToGuest>;
constexpr auto write_hideleg = write_masked<&RiscvState::hideleg, irq::kGuestAll>;
constexpr auto write_hvip = write_masked<&RiscvState::hvip, irq::kGuestAll>;
constexpr auto write_hcounteren = write_masked<&RiscvState::hcounteren, kCounterEnable>;

// ---- the table

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"  // one base class without virtual functions
std::span<const CsrRow> rows() {
  using namespace ext;
  constexpr u16 kNone = 0;
#define AT(member) static_cast<u16>(offsetof(RiscvState, member))
#define FIELD(member) read_field<&RiscvState::member>
#define CSR(number, count, first, name, needs, xlen, ends, offset, read, write) \
  {number, count, first, name, needs, Xlen::xlen, ends, offset, read, write},
  static constexpr CsrRow table[] = {
#include "targets/riscv/csrs.inc"
  };
#undef CSR
#undef FIELD
#undef AT
  return table;
}
#pragma GCC diagnostic pop

/// The table spread out over all CSR numbers, with the names of the numbered ones.
struct Index {
  std::array<const CsrRow*, 4096> row{};
  std::array<const char*, 4096> name{};
  std::deque<std::string> texts;

  Index() {
    for (const CsrRow& r : rows()) {
      for (unsigned i = 0; i < r.count; ++i) {
        std::string text = r.name;
        if (const std::size_t hash = text.find('#'); hash != std::string::npos) {
          text.replace(hash, 1, std::to_string(r.first + i));
        }
        if (row[r.number + i] != nullptr) throw Fatal("internal error: two rows for CSR " + text);
        row[r.number + i] = &r;
        name[r.number + i] = texts.emplace_back(std::move(text)).c_str();
      }
    }
  }
};

const Index& index() {
  static const Index built;
  return built;
}

/// Whether the instruction may do this at a privilege while V is 0; the manual's conditions for
/// illegal-instruction. `trapping`: whether mstatus.TVM is to be looked at.
bool permitted(const RiscvArch& arch, const Vcpu& vcpu, const CsrRow* row, const CsrAccess& access,
               u64 privilege, bool trapping) {
  const RiscvState& s = state_of(vcpu);
  if (row == nullptr) return false;
  const unsigned level = access.number >> 8 & 3;
  constexpr unsigned kHypervisorLevel = 2;
  if ((level == kHypervisorLevel ? kSupervisor : level) > privilege) return false;
  if (access.writes && access.number >> 10 == 3) return false;  // read-only
  if ((row->needs & ext::kFloat) != 0 && (s.mstatus & mstatus::kFs) == 0) return false;
  const bool user_counter = (access.number & 0xf60) == 0xc00;
  const auto refuses = [&](u64 enabled) {
    return user_counter && (enabled >> (access.number & 31) & 1) == 0;
  };
  if (privilege != kMachine && refuses(s.mcounteren)) return false;
  if (privilege == kUser && arch.features().has(ext::S) && refuses(s.scounteren)) return false;
  const bool trapped = trapping && privilege == kSupervisor && (s.mstatus & mstatus::kTvm) != 0;
  if (trapped && (access.number == kSatp || access.number == kHgatp)) return false;
  if ((row->needs & (ext::Smaia | ext::Ssaia)) != 0 && !aia_permits(arch, vcpu, access)) return false;
  return csr_configured(arch, s, access, privilege);
}

Verdict verdict(const RiscvArch& arch, const Vcpu& vcpu, const CsrRow* row, const CsrAccess& access) {
  const RiscvState& s = state_of(vcpu);
  if (s.virt == 0)
    return permitted(arch, vcpu, row, access, s.privilege, true) ? Verdict::Allowed : Verdict::Illegal;
  return guest_csr_verdict(arch, s, access, permitted(arch, vcpu, row, access, kSupervisor, false));
}

/// Whether a write that has changed these bits of mstatus can have had no other effect on what runs next than
/// by interrupts: kernels switch them off and on all the time.
bool only_masks_interrupts(unsigned number, u64 changed) {
  constexpr u64 kStack = mstatus::kSie | mstatus::kMie | mstatus::kSpie | mstatus::kMpie | mstatus::kSpp;
  return (number == kSstatus || number == kMstatus || number == kVsstatus) && (changed & ~kStack) == 0;
}

}  // namespace

std::span<const CsrRow> all_csrs() { return rows(); }

const CsrRow* find_csr(unsigned number) { return number < 4096 ? index().row[number] : nullptr; }

const CsrRow* find_csr(const RiscvArch& arch, unsigned number) {
  const CsrRow* row = find_csr(number);
  return row != nullptr && arch.features().has(row->needs) && arch.features().in(row->xlen) ? row : nullptr;
}

const char* csr_name(unsigned number) { return number < 4096 ? index().name[number] : nullptr; }

bool csr_write_ends_block(unsigned number) {
  const CsrRow* row = find_csr(number);
  return row != nullptr && row->ends_block;
}

CsrAccess csr_access(u32 bits) {
  const unsigned op = bits >> 12 & 3;  // 1: write, 2: set, 3: clear
  const bool rd = (bits >> 7 & 31) != 0, rs1 = (bits >> 15 & 31) != 0;
  return {static_cast<u16>(bits >> 20), op != 1 || rd, op == 1 || rs1};
}

bool keep_legal(const RiscvArch& arch, RiscvState& s) {
  bool legal = true;
  const auto set = [&](u64& field, u64 value) {
    legal = legal && field == value;
    field = value;
  };
  const auto keep = [&](u64& field, u64 mask) { set(field, arch.truncate(field) & mask); };
  keep(s.pc, ~u64{arch.insn_alignment() - 1});
  keep(s.mepc, ~u64{arch.insn_alignment() - 1});
  keep(s.mstatus, mstatus_mask(arch));
  if (!has_privilege(arch, (s.mstatus & mstatus::kMpp) >> mstatus::kMppShift))
    set(s.mstatus, s.mstatus | mstatus::kMpp);
  if (!has_privilege(arch, s.privilege)) set(s.privilege, kMachine);
  if ((s.mtvec & 3) >= 2) set(s.mtvec, s.mtvec & ~u64{3});
  keep(s.frm, 7);
  keep(s.mie, mie_mask(arch));
  keep(s.mip, mip_mask(arch));
  keep(s.mcounteren, kCounterEnable);
  keep(s.mcountinhibit, inhibitable(arch));
  legal = hpm_keep_legal(arch, s) && legal;
  legal = keep_configuration(arch, s) && legal;
  legal = aia_keep_legal(arch, s) && legal;
  legal = hypervisor_keep_legal(arch, s) && legal;
  const bool supervisor = arch.features().has(ext::S);
  keep(s.medeleg, delegable(arch));
  keep(s.mideleg, delegable_irqs(arch) | guest_irqs(arch));
  set(s.mideleg, s.mideleg | guest_irqs(arch));
  keep(s.sepc, ~u64{arch.insn_alignment() - 1});
  if ((s.stvec & 3) >= 2) set(s.stvec, s.stvec & ~u64{3});
  keep(s.scounteren, kCounterEnable);
  keep(s.satp, supervisor ? ~u64{0} : 0);
  if (!satp_mode_exists(arch, s.satp)) set(s.satp, 0);
  keep(s.supervisor_lines, supervisor_line_mask(arch));
  legal = legal && (s.fp_flags & ~u32{fp::kAllFlags}) == 0;
  s.fp_flags &= fp::kAllFlags;
  return pmp_keep_legal(arch, s) && legal;
}

u64 csr_helper(Vcpu& vcpu, u64 bits, u64 operand, u64) {
  const auto& arch = static_cast<const RiscvArch&>(vcpu.arch());
  CsrAccess access = csr_access(static_cast<u32>(bits));
  const CsrRow* row = find_csr(arch, access.number);
  if (const Verdict found = verdict(arch, vcpu, row, access); found != Verdict::Allowed)
    return refuse(vcpu, found, bits);
  if (access.number == kSeed) return seed_read(vcpu);
  RiscvState& s = state_of(vcpu);
  if (s.virt != 0) {
    access.number = static_cast<u16>(guest_csr(access.number));
    row = find_csr(arch, access.number);
  }
  const u64 old = access.reads ? row->read(arch, vcpu, access.number) : 0;
  if (access.writes && row->write != nullptr) {
    const unsigned op = bits >> 12 & 3;
    // Setting and clearing bits of mip leaves out what a line adds to it (3.1.9).
    const u64 before = access.number == kMip ? s.mip | s.hvip : old;
    const u64 value = op == 1 ? operand : op == 2 ? before | operand : before & ~operand;
    const u64 status = s.mstatus ^ s.vsstatus;  // one of them changes, or both in the same bits
    row->write(arch, vcpu, access.number, value);
    if (row->ends_block && (!only_masks_interrupts(access.number, status ^ s.mstatus ^ s.vsstatus) ||
                            arch.interrupt_pending(vcpu)))
      vcpu.request_exit();
  }
  return old;
}

}  // namespace hindcast::riscv
