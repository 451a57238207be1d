#include "targets/riscv/riscv.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/machine.h"
#include "engine/registry.h"
#include "targets/riscv/aia.h"
#include "targets/riscv/csr.h"
#include "targets/riscv/emitter.h"
#include "targets/riscv/hpm.h"
#include "targets/riscv/hypervisor.h"
#include "targets/riscv/paging.h"
#include "targets/riscv/pmp.h"

namespace hindcast::riscv {

#ifdef HINDCAST_SEEDED_BUGS
/// In a command of the tests only: one of the bugs that `compare` has to find (tests/cli/seeded).
void emit_with_bug(const InsnRow& row, Emitter& e);
#endif

namespace {

constexpr unsigned kCompressedBuckets = 32;  // funct3 and quadrant
constexpr unsigned kBuckets = kCompressedBuckets + 256;

/// The bucket of an instruction: the bits that nearly all rows fix.
unsigned bucket_of(u32 bits) {
  if ((bits & 3) != 3) return (bits >> 13 & 7) << 2 | (bits & 3);
  return kCompressedBuckets + ((bits >> 2 & 31) << 3 | (bits >> 12 & 7));
}

}  // namespace

Fetched fetch(ByteView code) {
  if (code.size() < 2) return {};
  const u32 low = code[0] | u32{code[1]} << 8;
  if ((low & 3) != 3) return {low, 2};
  if (code.size() < 4) return {};
  return {low | u32{code[2]} << 16 | u32{code[3]} << 24, 4};
}

RiscvArch::RiscvArch(Features features) : cpu_(features) {
  helpers();
  build_registers();
  build_decoder();
}

RiscvArch::~RiscvArch() = default;

std::unique_ptr<RiscvArch> make_riscv_arch(std::string_view cpu, unsigned xlen) {
  return std::make_unique<RiscvArch>(parse_cpu(cpu, xlen));
}

void register_cpus() {
  for (const unsigned xlen : {32u, 64u}) {
    Registry::instance().add_cpu(
        "riscv", "rv" + std::to_string(xlen),
        std::to_string(xlen) +
            "-bit, machine, supervisor and user mode; features (feature=on/off): " + known_features());
  }
  Registry::instance().add_cpu("riscv", "max",
                               "as wide as the image, with every feature but e, h, svade and zkr");
  Registry::instance().add_cpu("riscv", "max32", "the same with 32 bits");
}

// ---- decoding
// ------------------------------------------------------------------------------------------------------

void RiscvArch::build_decoder() {
  buckets_.resize(kBuckets);
  for (const InsnRow* row : all_rows()) {
    if (!cpu_.has(row->needs) || !cpu_.in(row->xlen)) continue;
    for (unsigned i = 0; i < kBuckets; ++i) {
      // The bucket's own bits; the row belongs to it unless one of them is fixed otherwise.
      const bool compressed = i < kCompressedBuckets;
      const u32 j = compressed ? i : i - kCompressedBuckets;
      const u32 bits = compressed ? (j >> 2) << 13 | (j & 3) : (j >> 3) << 2 | (j & 7) << 12 | 3;
      const u32 known = compressed ? 0xe003 : 0x707f;
      if ((row->length == 2) != compressed || ((bits ^ row->match) & row->mask & known) != 0) continue;
      buckets_[i].push_back(row);
    }
  }
  for (auto& bucket : buckets_) {
    std::stable_sort(bucket.begin(), bucket.end(), [](const InsnRow* a, const InsnRow* b) {
      return std::popcount(a->mask) > std::popcount(b->mask);
    });
  }
}

const InsnRow* RiscvArch::decode(u32 bits, Operands* operands) const {
  if ((bits & 3) != 3) bits &= 0xffff;
  for (const InsnRow* row : buckets_[bucket_of(bits)]) {
    if (!row->matches(bits)) continue;
    const Operands o = row->decode(bits);
    if (!row->allows(o, cpu_)) continue;
    if (operands != nullptr) *operands = o;
    return row;
  }
  return nullptr;
}

std::vector<const char*> RiscvArch::insn_classes() const {
  std::vector<const char*> names = class_names();
  names.push_back("Illegal");
  return names;
}

const char* RiscvArch::insn_class(ByteView code) const {
  const Fetched insn = fetch(code);
  const InsnRow* row = insn.length == 0 ? nullptr : decode(insn.bits);
  return row == nullptr ? "Illegal" : to_string(row->insn_class);
}

// ---- translation
// ---------------------------------------------------------------------------------------------------

u64 RiscvArch::context(const Vcpu& vcpu) const {
  const RiscvState& s = vcpu.state<RiscvState>();
  const u64 fs = (s.mstatus & mstatus::kFs) >> mstatus::kFsShift;
  const u64 data = data_privilege(s);
  u64 c = s.privilege | data << context::kDataPrivShift | s.frm << context::kFrmShift;
  if (fs != 0) c |= context::kFsOn;
  if (fs == 3) c |= context::kFsDirty;
  if (s.virt != 0) {
    const u64 guest_fs = s.vsstatus & mstatus::kFs;
    if (guest_fs == 0) c &= ~context::kFsOn;
    if (guest_fs != mstatus::kFs) c &= ~context::kFsDirty;
    c |= context::kVirtual;
  }
  const auto& fetching = pmp_summary(*this, vcpu, s.privilege);
  if (fetching.restricts != 0 || pmp_summary(*this, vcpu, data).restricts != 0)
    c |= context::kChecked | fetching.executable << context::kExecutableShift;
  if (paged(*this, s, fetch_actor(s))) c |= context::kMapped;
  if (paged(*this, s, data_actor(s)) || vcpu.machine().memory().tables_read()) c |= context::kLookedUp;
  return c;
}

MemoryMode RiscvArch::memory_mode(u64 context) const {
  return (context & (context::kChecked | context::kLookedUp)) != 0 ? MemoryMode::Translated
                                                                   : MemoryMode::Flat;
}

ir::Round RiscvArch::rounding(u64 context) const {
  const u64 frm = context >> context::kFrmShift & 7;
  // With an invalid frm the instructions that use it are illegal.
  return frm < 5 ? static_cast<ir::Round>(frm) : ir::Round::NearestEven;
}

InsnInfo RiscvArch::translate_insn(ir::Builder& b, GuestAddr pc, ByteView code) const {
  const Fetched insn = fetch(code);
  if (insn.length == 0) return {};
  Operands operands;
  operands.bits = insn.bits;
  const InsnRow* row = decode(insn.bits, &operands);
  Emitter e(b, *this, operands, pc, insn.length);
  const bool fp_off =
      row != nullptr && (row->needs & ext::kFloat) != 0 && (b.context() & context::kFsOn) == 0;
  if (row == nullptr || fp_off) {
    e.illegal();
  } else {
#ifdef HINDCAST_SEEDED_BUGS
    emit_with_bug(*row, e);
#else
    row->emit(e);
#endif
  }
  if (e.fs_dirty && !e.ended && (b.context() & context::kFsDirty) == 0) {
    b.set(mstatus_row_, b.bor(b.get(mstatus_row_), b.konst(xtype(), mstatus::kFs)));
    if ((b.context() & context::kVirtual) != 0)
      b.set(vsstatus_row_, b.bor(b.get(vsstatus_row_), b.konst(xtype(), mstatus::kFs)));
    e.dispatch_next();
  }
  return {insn.length, e.ended};
}

// ---- state
// ---------------------------------------------------------------------------------------------------------

void RiscvArch::reset(Vcpu& vcpu, GuestAddr entry) const {
  RiscvState& s = vcpu.state<RiscvState>();
  // All that is the architecture's; the rest of the header belongs to the engine.
  std::memset(reinterpret_cast<u8*>(&s) + sizeof(CpuHeader), 0, sizeof s - sizeof(CpuHeader));
  s.fp_flags = 0;
  s.pc = truncate(entry);
  s.privilege = kMachine;
  if (!cpu_.has(ext::U)) s.mstatus |= mstatus::kMpp;
  if (cpu_.has(ext::H)) s.mideleg = irq::kGuestAll;
  if (cpu_.has(ext::Svadu) && !cpu_.has(ext::Svade)) s.menvcfg |= envcfg::kAdue;
  s.mcycle_offset = u64{0} - vcpu.icount();
  s.minstret_offset = u64{0} - vcpu.executed();
  for (HpmCounter& counter : s.hpm) counter.due = kNever;
  vcpu.set_deadlines({});
  pmp_changed(vcpu);
}

void RiscvArch::state(Vcpu& vcpu, Archive& ar) const {
  RiscvState& s = vcpu.state<RiscvState>();
  ar.field("mcycle_offset", s.mcycle_offset);
  ar.field("minstret_offset", s.minstret_offset);
  ar.field("not_retired", s.not_retired);
  ar.field("supervisor_lines", s.supervisor_lines);
  hpm_state(*this, s, ar);
  aia_state(*this, s, ar);
  hypervisor_state(*this, s, ar);
  if (!ar.loading()) return;
  // The last of the vCPU's state; the registers were loaded before it.
  const bool legal = keep_legal(*this, s);
  hpm_arm(*this, vcpu);
  pmp_changed(vcpu);
  if (!legal)
    throw Fatal("saved state: the registers of vCPU " + std::to_string(vcpu.index()) +
                " hold what they cannot hold");
}

void RiscvArch::on_deadline(Vcpu& vcpu) const { hpm_check(*this, vcpu); }

void RiscvArch::on_switch(Vcpu& vcpu) const { vcpu.state<RiscvState>().reservation_valid = 0; }

}  // namespace hindcast::riscv
