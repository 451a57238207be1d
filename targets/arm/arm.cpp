#include "targets/arm/arm.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/machine.h"
#include "engine/registry.h"
#include "targets/arm/emit_common.h"
#include "targets/arm/exceptions.h"
#include "targets/arm/flags.h"
#include "targets/arm/fp_state.h"
#include "targets/arm/mpu.h"
#include "targets/arm/security.h"

namespace hindcast::arm {
namespace {

constexpr unsigned kShortBuckets = 128, kBuckets = kShortBuckets + 512;

/// The bucket of an instruction: bits that nearly all rows fix.
unsigned bucket_of(u32 bits, unsigned length) {
  return length == 2 ? bits >> 9 : kShortBuckets + (bits >> 20 & 0x1ff);
}

/// Made conditional by choosing between results, without a branch: nothing but registers changes.
bool only_writes_registers(const InsnRow& row, const Operands& o) {
  switch (row.insn_class) {
    case InsnClass::Arithmetic:
    case InsnClass::Logical:
    case InsnClass::Shift:
    case InsnClass::Move:
    case InsnClass::Bitfield:
    case InsnClass::Multiply: return !o.s && o.d != kPc;
    default: return false;
  }
}

/// Whether an instruction that no row has is one of a coprocessor. From Armv8.1-M on the space of the vector
/// extension is.
bool is_coprocessor(const Features& cpu, u32 bits) {
  if (cpu.baseline() || (bits >> 24 & 0xec) != 0xec) return false;
  return cpu.has(ext::V81) || (bits >> 24 & 0xf) != 0xf;
}
/// Whether that is the floating-point unit, as far as access to it goes.
bool is_floating(const Features& cpu, u32 bits) {
  if (!cpu.has(ext::Vfp)) return false;
  const u32 number = bits >> 8 & 15;
  if (number == 10 || number == 11) return true;
  return cpu.has(ext::V81) && ((bits >> 24 & 0xf) == 0xf || number == 8 || number == 9 || number >= 14);
}

}  // namespace

Fetched fetch(ByteView code) {
  if (code.size() < 2) return {};
  const u32 first = code[0] | u32{code[1]} << 8;
  if (first >> 11 < 0x1d) return {first, 2};
  if (code.size() < 4) return {};
  return {first << 16 | code[2] | u32{code[3]} << 8, 4};
}

ArmArch::ArmArch(Features features) : cpu_(features) {
  helpers();
  build_registers();
  build_decoder();
}

ArmArch::~ArmArch() = default;

const ArmArch& arch_of(const Vcpu& vcpu) { return static_cast<const ArmArch&>(vcpu.arch()); }

void register_cpus() {
  for (const Model& m : models()) Registry::instance().add_cpu("arm", m.name, m.description);
}

// ---- decoding
// ------------------------------------------------------------------------------------------------------

void ArmArch::build_decoder() {
  buckets_.resize(kBuckets);
  for (const InsnRow* row : all_rows()) {
    if (!cpu_.has(row->needs)) continue;
    for (unsigned i = 0; i < kBuckets; ++i) {
      // The bucket's own bits; the row belongs to it unless one of them is fixed otherwise.
      const bool is_short = i < kShortBuckets;
      const u32 bits = is_short ? i << 9 : (i - kShortBuckets) << 20;
      const u32 known = is_short ? 0xfe00 : u32{0x1ff} << 20;
      if ((row->length == 2) != is_short || ((bits ^ row->match) & row->mask & known) != 0) continue;
      buckets_[i].push_back(row);
    }
  }
  for (auto& bucket : buckets_) {
    std::stable_sort(bucket.begin(), bucket.end(), [](const InsnRow* a, const InsnRow* b) {
      return std::popcount(a->mask) > std::popcount(b->mask);
    });
  }
}

const InsnRow* ArmArch::decode(u32 bits, unsigned length, Operands* operands) const {
  for (const InsnRow* row : buckets_[bucket_of(bits, length)]) {
    if (!row->matches(bits)) continue;
    const Operands o = row->decode(bits);
    if (row->pc_is_another && o.n == 15) continue;
    if (!row->allows(o)) return nullptr;  // unpredictable: undefined here
    if (operands != nullptr) *operands = o;
    return row;
  }
  return nullptr;
}

std::vector<const char*> ArmArch::insn_classes() const {
  std::vector<const char*> names = class_names();
  names.push_back("Undefined");
  return names;
}

const char* ArmArch::insn_class(ByteView code) const {
  const Fetched insn = fetch(code);
  const InsnRow* row = insn.length == 0 ? nullptr : decode(insn.bits, insn.length);
  return row == nullptr ? "Undefined" : to_string(row->insn_class);
}

// ---- translation
// ---------------------------------------------------------------------------------------------------

u64 ArmArch::context(const Vcpu& vcpu) const {
  const ArmState& s = vcpu.state<ArmState>();
  u64 c = s.it;
  if (s.thumb == 0) c |= context::kNotThumb;
  if (is_handler(s)) c |= context::kHandler;
  if (!is_privileged(s)) c |= context::kUnprivileged | context::kChecked;
  if (cpu_.baseline() || (s.bank().ccr & ccr::kUnalignTrap) != 0) c |= context::kAlignTrap;
  if ((s.bank().ccr & ccr::kDiv0Trap) != 0) c |= context::kDiv0Trap;
  if (mpu_active(s, s.secure)) {
    c |= context::kMpuActive | context::kChecked;
    c |= executable_number(*this, vcpu) << context::kExecutableShift;
  }
  if (s.secure == kSecure) {
    // With the SAU on, Secure code may make Non-secure transactions.
    c |= context::kSecure | ((s.gated | s.shadowed | s.sau_ctrl) != 0 ? context::kChecked : 0);
  } else if (s.has_security != 0) {
    c |= context::kChecked;
  }
  if (s.stack_limit != 0 && stack_limit_applies(s, s.secure)) c |= context::kStackLimit;
  if (has(ext::Vfp)) {
    if (fp_active(s)) c |= context::kFpActive;
    c |= u64{s.fpscr >> fpscr::kRmodeShift & 3} << context::kRmodeShift;
    if ((s.fpscr & fpscr::kFz) != 0) c |= context::kFz;
    if ((s.fpscr & fpscr::kDn) != 0) c |= context::kDn;
  }
  return c;
}

MemoryMode ArmArch::memory_mode(u64 context) const {
  return (context & context::kChecked) != 0 ? MemoryMode::Translated : MemoryMode::Flat;
}

u64 ArmArch::data_space(const Vcpu& vcpu) const {
  const ArmState& s = vcpu.state<ArmState>();
  return (is_privileged(s) ? 0 : context::kUnprivileged) | (s.secure == kSecure ? context::kSecure : 0) |
         (mpu_active(s, s.secure) ? context::kMpuActive : 0);
}

ir::Round ArmArch::rounding(u64 context) const {
  constexpr ir::Round kModes[] = {ir::Round::NearestEven, ir::Round::Up, ir::Round::Down,
                                  ir::Round::TowardZero};
  return kModes[context >> context::kRmodeShift & 3];
}

ir::FpRules ArmArch::fp_rules(u64 context) const {
  ir::FpRules rules;
  rules.nan = (context & context::kDn) != 0 ? ir::FpRules::Nan::Default : ir::FpRules::Nan::SignalingFirst;
  rules.signaling_min_max = true;
  rules.nan_to_zero = true;
  rules.tiny_before_rounding = true;
  rules.flush_to_zero = (context & context::kFz) != 0;
  return rules;
}

InsnInfo ArmArch::translate_insn(ir::Builder& b, GuestAddr pc, ByteView code) const {
  const Fetched insn = fetch(code);
  if (insn.length == 0) return {};
  Operands operands;
  operands.bits = insn.bits;
  const InsnRow* row = decode(insn.bits, insn.length, &operands);
  Emitter e(b, *this, operands, pc, insn.length);
  if ((b.context() & context::kNotThumb) != 0) {
    e.raise(helpers().invalid_state);
    return {insn.length, true};
  }
  const auto emit = [&] {
    // What Armv8.1-M has for the floating-point context of calls decides that for itself.
    const bool activates = row != nullptr && (row->needs & (ext::Vfp | ext::V81)) == ext::Vfp;
    if (activates && (b.context() & context::kFpActive) == 0) {
      // Then once more, in a context in which it is.
      b.call(helpers().fp_activate);
      b.exit_dispatch(b.i64(pc));
      e.ended = true;
      return;
    }
    if (row != nullptr) return row->emit(e);
    if (insn.length == 4 && is_coprocessor(cpu_, insn.bits))
      return e.raise(helpers().no_coprocessor, b.i64(is_floating(cpu_, insn.bits) ? 1 : 0));
    e.undefined();
  };
  // BKPT is unconditional wherever it is.
  if (!e.in_it() || e.it >> 4 >= 14 || (row != nullptr && row->emit == &bkpt)) {
    emit();
    if (!e.ended && e.in_it()) e.leave_insn();
    return {insn.length, e.ended};
  }
  // In an IT block: conditional.
  const Value condition = e.condition(static_cast<unsigned>(e.it >> 4));
  if (row != nullptr && only_writes_registers(*row, operands)) {
    e.predicate = condition;
    emit();
    if (!e.ended) e.leave_insn();
    return {insn.length, e.ended};
  }
  const u32 executes = b.new_block(), skips = b.new_block();
  b.branch(condition, executes, skips);
  b.begin_block(executes);
  emit();
  if (!e.ended) b.jump(skips);
  b.begin_block(skips);
  e.leave_insn();
  return {insn.length, false};
}

// ---- state
// ---------------------------------------------------------------------------------------------------------

void ArmArch::reset(Vcpu& vcpu, GuestAddr entry) const {
  ArmState& s = vcpu.state<ArmState>();
  // All that is the architecture's; the rest of the header belongs to the engine. DFSR is the debug logic's,
  // which power-on alone resets.
  const u32 dfsr = s.dfsr;
  std::memset(reinterpret_cast<u8*>(&s) + sizeof(CpuHeader), 0, sizeof s - sizeof(CpuHeader));
  s.dfsr = dfsr;
  s.fp_flags = 0;
  write_nzcv(s, 0);
  const u32 vectors_at = static_cast<u32>(entry);
  s.has_security = has(ext::Sec) ? 1 : 0;
  s.fpscr_mask = fpscr::kControl | (has(ext::Fp16) ? fpscr::kFz16 : 0);
  s.fpscr_ones = has(ext::V81) && has(ext::Vfp) ? fpscr::kNoTail : 0;
  const u32* board_bits = vcpu.machine().extension<u32>(kPriorityBits);
  s.priority_mask = 0xff & ~(0xffu >> (board_bits != nullptr ? *board_bits : cpu_.model->priority_bits));
  s.secure = has(ext::Sec) ? kSecure : kNonSecure;
  const bool v8 = has(ext::V8);
  const u32 common = has(ext::Sec) ? kSecure : kNonSecure;
  for (Bank& bank : s.banks) {
    bank.ccr = ccr::kStkAlign | (cpu_.baseline() ? ccr::kUnalignTrap : 0) | (v8 ? ccr::kNonBaseThread : 0);
    bank.fpccr = has(ext::Vfp) ? fpccr::kAspen : 0;
  }
  if (has(ext::Vfp)) s.banks[common].fpccr |= fpccr::kLspen | (has(ext::Sec) ? fpccr::kSecure : 0);
  s.bank().vtor = vectors_at;
  s.aircr = has(ext::Sec) ? 0 : aircr::kBfhfnmins;
  s.r[kLr] = 0xffffffff;
  s.enabled.set(exc::kNmi, true);
  for (const unsigned n : {exc::kHardFault, exc::kSvc, exc::kPendSv, exc::kSysTick}) {
    s.enabled.set(n, true);
    if (has(ext::Sec)) s.enabled.set(kSecureSlots + n, true);
  }
  if (has(ext::Sec)) s.enabled.set(exc::kHardFault, false);  // until AIRCR.BFHFNMINS
  const SecurityMap* map = has(ext::Sec) ? security_map(vcpu) : nullptr;
  s.gated = map != nullptr && map->watches_secure() ? 1 : 0;
  u32 vectors[2] = {};
  for (u32 i = 0; i < 2; ++i) {
    const GuestAddr at = map != nullptr ? map->physical(vectors_at + 4 * i) : vectors_at + 4 * i;
    vcpu.machine().memory().host_read(at, &vectors[i], 4);
  }
  s.r[kSp] = vectors[0] & ~u32{3};
  s.pc = vectors[1] & ~u32{1};
  s.thumb = vectors[1] & 1;
  const auto shadowed = [map](u32 address) { return map != nullptr && map->physical(address) != address; };
  s.shadowed = shadowed(s.pc) || shadowed(s.r[kSp]) ? 1 : 0;
  update_exceptions(s);
  vcpu.machine().flush_translations();
}

}  // namespace hindcast::arm
