#include "targets/arm/frames.h"

#include "engine/machine.h"
#include "targets/arm/exceptions.h"
#include "targets/arm/fp_state.h"

namespace hindcast::arm {
namespace {

constexpr u32 kFrameBytes = 32, kCalleeBytes = 40;
constexpr u32 kFpFrameBytes = 72, kFpCalleeBytes = 64;
constexpr u32 kXpsrAligned = 1 << 9;    // in a stacked xPSR: 4 bytes were skipped
constexpr u32 kXpsrSfpa = 1 << 20;      // and CONTROL.SFPA
constexpr u32 kIntegrity = 0xfefa125a;  // bit 0: no floating-point frame

GuestFault stack_bus_fault(Stacking why) {
  const u32 status = why == Stacking::Push  ? cfsr::kStkErr
                     : why == Stacking::Pop ? cfsr::kUnstkErr
                                            : cfsr::kLspErr;
  return {fault_cause(exc::kBusFault, status), 0};
}

/// A translation's fault as one of stacking.
GuestFault stack_fault(const Translation& t, const View& view, Stacking why, u32 at) {
  const unsigned exception = static_cast<unsigned>(t.cause & 0xffff);
  if (exception == exc::kSecureFault) {
    const u32 status = why == Stacking::Lazy ? sfsr::kLsPerr : sfsr::kAuViol | sfsr::kSfarValid;
    return {fault_cause(exc::kSecureFault, status), at};
  }
  if (exception != exc::kMemManage) return stack_bus_fault(why);
  const u32 status = why == Stacking::Push  ? cfsr::kMstkErr
                     : why == Stacking::Pop ? cfsr::kMunstkErr
                                            : cfsr::kMlspErr;
  return {fault_cause(exc::kMemManage, status) | (view.secure == kSecure ? kCauseSecure : 0), 0};
}

/// Calls fn(physical, index, count) for pieces of words that have one translation. In Armv8-M
/// CCR.BFHFNMIGN is about stacks too (DDI 0553, MemA_with_priv()): the piece is left out.
template <typename Fn>
GuestFault for_each_piece(Vcpu& vcpu, const View& view, u32 at, unsigned count, Access access, Stacking why,
                          Fn fn) {
  const ArmArch& arch = arch_of(vcpu);
  const auto goes_on = [&](const GuestFault& fault) {
    return arch.has(ext::V8) && why != Stacking::Lazy && ignores_bus_fault(vcpu, fault, view.secure);
  };
  for (unsigned i = 0; i < count;) {
    const Translation t = translate_for(arch, vcpu, view, at + 4 * i, 4, access);
    if (!t.ok) {
      const GuestFault fault = stack_fault(t, view, why, at + 4 * i);
      if (!goes_on(fault)) return fault;
      ++i;
      continue;
    }
    const u64 granule = std::max<u64>(t.granule, 4);
    const u64 left = (granule - ((at + 4 * i) & (granule - 1))) / 4;
    unsigned words = static_cast<unsigned>(std::min<u64>(left, count - i));
    // Memories may begin and end within a granule.
    if (const RamBlock* block = vcpu.machine().memory().find_ram(t.physical))
      words = std::min(words, std::max(1u, static_cast<unsigned>(std::min<u64>(
                                               count, (block->base + block->size - t.physical) / 4))));
    if (!fn(t.physical, i, words) && !goes_on(stack_bus_fault(why))) return stack_bus_fault(why);
    i += words;
  }
  return {};
}

bool has_fp(const ArmArch& arch, const ArmState& s) {
  return arch.has(ext::Vfp) && (s.fp_context & control::kFpca) != 0;
}

u32 integrity(const ArmArch& arch, u32 value) {
  return !arch.has(ext::Vfp) || (value & exc_return::kNoFp) != 0 ? kIntegrity | 1 : kIntegrity;
}

/// A stack pointer fell below its limit.
void stack_overflow(Vcpu& vcpu, u32 secure) {
  pend_guest_fault(vcpu,
                   {fault_cause(exc::kUsageFault, cfsr::kStkOf) | (secure == kSecure ? kCauseSecure : 0), 0});
}

}  // namespace

GuestFault write_stack(Vcpu& vcpu, const View& view, u32 at, const u32* words, unsigned count, Stacking why) {
  AddressSpace& memory = vcpu.machine().memory();
  const auto writable = [&](GuestAddr pa, unsigned, unsigned n) {
    const RamBlock* block = memory.find_ram(pa);
    return block != nullptr && !block->rom && memory.peek(pa, 4 * n) != nullptr;
  };
  const GuestFault fault = for_each_piece(vcpu, view, at, count, Access::Write, why, writable);
  if (fault.cause != 0) return fault;
  return for_each_piece(vcpu, view, at, count, Access::Write, why, [&](GuestAddr pa, unsigned i, unsigned n) {
    if (!memory.watching()) return memory.host_write(pa, words + i, 4 * n);
    bool done = true;
    for (unsigned k = 0; k < n; ++k) done = memory.write(pa + 4 * k, 4, words[i + k]) && done;
    return done;
  });
}

GuestFault read_stack(Vcpu& vcpu, const View& view, u32 at, u32* words, unsigned count) {
  AddressSpace& memory = vcpu.machine().memory();
  const auto read = [&](GuestAddr pa, unsigned i, unsigned n) {
    if (!memory.host_read(pa, words + i, 4 * n)) return false;
    u64 word = 0;  // who watches hears of them one by one
    for (unsigned k = 0; k < n && memory.watching(); ++k) memory.read(pa + 4 * k, 4, &word);
    return true;
  };
  return for_each_piece(vcpu, view, at, count, Access::Read, Stacking::Pop, read);
}

bool push_frame(Vcpu& vcpu, u32 return_address) {
  const ArmArch& arch = arch_of(vcpu);
  ArmState& s = vcpu.state<ArmState>();
  const View view = current_view(s);
  const bool fp = has_fp(arch, s);
  const bool fp_stored = fp && (s.secure == kSecure || fp_allowed_to_non_secure(s));
  const bool fp_callee = fp_stored && s.secure == kSecure && (s.bank().fpccr & fpccr::kTs) != 0;
  const bool align = fp || (s.bank().ccr & ccr::kStkAlign) != 0;
  const u32 skipped = align ? s.r[kSp] & 4 : 0;
  const u32 bytes = kFrameBytes + (fp_stored ? kFpFrameBytes : 0) + (fp_callee ? kFpCalleeBytes : 0);
  const u32 at = s.r[kSp] - skipped - bytes;
  u32 xpsr = read_xpsr(s) & ~(kXpsrAligned | (s.has_security != 0 ? kXpsrSfpa : 0));
  if (skipped != 0) xpsr |= kXpsrAligned;
  if (s.secure == kSecure && (s.fp_context & control::kSfpa) != 0) xpsr |= kXpsrSfpa;
  const bool overflows = at < s.stack_limit && stack_limit_applies(s, s.secure);
  bool stored = !overflows;
  if (overflows) {
    stack_overflow(vcpu, s.secure);
  } else {
    const u32 frame[8] = {s.r[0], s.r[1], s.r[2], s.r[3], s.r[12], s.r[kLr], return_address, xpsr};
    const GuestFault fault = write_stack(vcpu, view, at, frame, 8, Stacking::Push);
    if (fault.cause != 0) pend_guest_fault(vcpu, fault);
    stored = fault.cause == 0;
  }
  if (fp && !push_fp_frame(vcpu, at + kFrameBytes, stored)) stored = false;
  s.r[kSp] = overflows ? s.stack_limit : at;
  return stored;
}

bool push_callee_frame(Vcpu& vcpu, u32 value, bool chained, bool quiet) {
  ArmState& s = vcpu.state<ArmState>();
  View view = current_view(s);
  bool process = process_sp_in_use(s);
  if (chained) {
    const bool thread = (value & exc_return::kThread) != 0;
    view = {kSecure, !thread || (s.banks[kSecure].control & control::kNpriv) == 0};
    process = thread && (value & exc_return::kProcessSp) != 0;
  }
  u32& sp = stack_pointer(s, kSecure, process);
  const u32 limit = s.banks[kSecure].sp_limit[process ? 1 : 0], at = sp - kCalleeBytes;
  if (at < limit && stack_limit_applies(s, kSecure)) {
    if (!quiet) stack_overflow(vcpu, kSecure);
    sp = limit;
    return false;
  }
  const u32 first = integrity(arch_of(vcpu), value);
  GuestFault fault = write_stack(vcpu, view, at, &first, 1, Stacking::Push);
  if (fault.cause == 0) fault = write_stack(vcpu, view, at + 8, &s.r[4], 8, Stacking::Push);
  sp = at;
  if (fault.cause != 0 && !quiet) pend_guest_fault(vcpu, fault);
  return fault.cause == 0;
}

namespace {

/// The part of a return that unstacks; sets *fault, or restores all but stack pointer and xPSR.
struct Unstacked {
  u32 at = 0;  // the stack pointer behind it
  u32 xpsr = 0;
  GuestFault fault;
};
Unstacked unstack(Vcpu& vcpu, u32 value, u32 at) {
  const ArmArch& arch = arch_of(vcpu);
  ArmState& s = vcpu.state<ArmState>();
  Unstacked out;
  const bool thread = (value & exc_return::kThread) != 0;
  const bool v8 = arch.has(ext::V8);
  const View view{s.secure, !thread || (s.bank().control & control::kNpriv) == 0};
  constexpr u32 kSaved = exc_return::kSecureHandler | exc_return::kCalleeNotSaved;
  if (s.secure == kSecure && (value & kSaved) != kSaved) {
    u32 signature = 0;
    out.fault = read_stack(vcpu, view, at, &signature, 1);
    if (out.fault.cause == 0 && signature != integrity(arch, value))
      out.fault = {fault_cause(exc::kSecureFault, sfsr::kInvIs), 0};
    if (out.fault.cause == 0) out.fault = read_stack(vcpu, view, at + 8, &s.r[4], 8);
    if (out.fault.cause != 0) return out;
    at += kCalleeBytes;
  }
  u32 frame[8] = {};
  out.fault = read_stack(vcpu, view, at, frame, 8);
  if (out.fault.cause != 0) return out;
  out.xpsr = frame[7];
  const auto usage = [&](u32 status) {
    return GuestFault{fault_cause(exc::kUsageFault, status) | (s.secure == kSecure ? kCauseSecure : 0), 0};
  };
  if (v8 && thread != ((out.xpsr & 0x1ff) == 0)) {
    out.fault = usage(cfsr::kInvPc);
    return out;
  }
  const bool fp = arch.has(ext::Vfp) && (value & exc_return::kNoFp) == 0;
  const bool fp_callee = fp && s.secure == kSecure && (s.bank().fpccr & fpccr::kTs) != 0;
  if (fp) out.fault = pop_fp_frame(vcpu, view, at + kFrameBytes);
  if (out.fault.cause != 0) return out;
  for (unsigned i = 0; i < 4; ++i) s.r[i] = frame[i];
  s.r[12] = frame[4];
  s.r[kLr] = frame[5];
  s.pc = frame[6] & ~u32{1};
  out.at = at + kFrameBytes + (fp ? kFpFrameBytes : 0) + (fp_callee ? kFpCalleeBytes : 0);
  const bool align = fp || (s.bank().ccr & ccr::kStkAlign) != 0;
  if (align && (out.xpsr & kXpsrAligned) != 0) out.at |= 4;
  s.fp_context = fp ? s.fp_context | control::kFpca : s.fp_context & ~control::kFpca;
  return out;
}

}  // namespace

Popped pop_frame(Vcpu& vcpu, u32 value) {
  ArmState& s = vcpu.state<ArmState>();
  const bool thread = (value & exc_return::kThread) != 0;
  const bool process = thread && (s.bank().control & control::kSpsel) != 0;
  u32& sp = stack_pointer(s, s.secure, process);
  const Unstacked frame = unstack(vcpu, value, sp);
  if (frame.fault.cause != 0) return pend_guest_fault(vcpu, frame.fault) ? Popped::Fault : Popped::LockUp;
  sp = frame.at & ~u32{3};
  change_stack(s, [&] { write_xpsr(s, frame.xpsr); });
  if (s.secure == kSecure) {
    const bool sfpa = (frame.xpsr & kXpsrSfpa) != 0;
    s.fp_context = (s.fp_context & ~control::kSfpa) | (sfpa ? control::kSfpa : 0);
  }
  return thread == !is_handler(s) ? Popped::Done : Popped::BadMode;
}

}  // namespace hindcast::arm
