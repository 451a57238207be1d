// Accesses that translated code asks for: what its own look did not find.
#include <cstring>

#include "engine/ir/access.h"
#include "engine/jit/jit.h"

namespace hindcast::jit {

using namespace asmjit;
using x86::Gp;

/// The access at `at`, a store's value in header.scratch[2]. True: the operand is at header.scratch[0] +
/// `at`; false: code is left as scratch[0] says, to the interpreter or with an exception of the host's.
bool Jit::make_access(Jit* jit, Vcpu* vcpu, u64 at, u32 packed) {
  const AccessWord word = AccessWord::unpack(packed);
  const Site& site = jit->sites_[word.site];
  CpuHeader& header = vcpu->header();
  // Exact, as for any helper. The run loop's own are set when the code is left.
  header.pc = site.pc;
  header.budget += static_cast<i64>(site.rest) - 1;
  const Context& context = *jit->blocks_[site.block].context;
  const auto leave = [&](ExitKind kind) {
    header.scratch[0] = u64{word.site} << 8 | static_cast<u64>(kind);
    return false;
  };
  try {
    if (!jit->make(word, context, *vcpu, word.in_ram ? at + jit->main_ram_->base : at, header.scratch[2]))
      return leave(ExitKind::Site);
  } catch (...) {
    vcpu->leave_with(std::current_exception());
    return leave(ExitKind::Fault);
  }
  header.scratch[0] = reinterpret_cast<u64>(&header.scratch[2]) - at;
  return true;
}

/// False: nothing has happened that the interpreter, which begins the instruction anew, would not do again.
/// So what is more than memory is reached by an instruction's last access only.
bool Jit::make(const AccessWord& word, const Context& context, Vcpu& vcpu, GuestAddr va, u64& value) {
  AddressSpace& memory = machine_.memory();
  const Architecture& arch = machine_.arch();
  const unsigned size = 1u << word.log2_size;
  if (arch.address_bits() <= 32) va = static_cast<u32>(va);
  const ir::DataAccess access{vcpu, memory, context.flat ? MemoryMode::Flat : MemoryMode::Translated};
  const auto reached = access.reach(va, size, word.write ? hindcast::Access::Write : hindcast::Access::Read);
  // Page tables were changed by the walk: what runs may have become another's.
  const bool stops = vcpu.header().exit_request != 0;
  if (stops && !word.checked) return false;
  if (reached.host != nullptr) {
    std::memcpy(word.store ? reached.host : reinterpret_cast<u8*>(&value),
                word.store ? reinterpret_cast<const u8*>(&value) : reached.host, size);
    return true;
  }
  if (memory.watching()) return false;
  if (word.checked && word.last) {
    GuestFault fault;
    bool done = false;
    if (reached.possible)
      done = word.store ? memory.write(reached.physical, size, value)
                        : memory.read(reached.physical, size, &value);
    else if (word.store)
      done = access.store(va, size, {}, value, fault);
    else
      done = access.load(va, size, {.store_intent = word.write}, value, fault);
    // A device may be a part of the processor.
    if (done && memory.take_touched_device() &&
        (arch.interrupt_pending(vcpu) || arch.context(vcpu) != context.value))
      vcpu.request_exit();
    return done;
  }
  if (word.store && word.first && word.last && reached.possible) {
    u8* const host = memory.announce_store(reached.physical, size);
    if (vcpu.header().exit_request != 0) return false;
    if (host != nullptr) {
      std::memcpy(host, &value, size);
      return true;
    }
  }
  // Its next translation asks for more, unless it only ends in an exception.
  const u64 page = u64{1} << arch.page_bits();
  const bool crosses = (va & (page - 1)) + size > page;
  if (!word.checked && (reached.possible || crosses)) access_fault_ = true;
  return false;
}

/// The guest's registers and the lanes: from host registers to memory, or back. Flags stay.
void Jit::move_homes(x86::Assembler& a, bool to_memory) const {
  const auto rows = machine_.arch().registers();
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const bool wide = ir::bits_of(rows[row].type) == 64;
    const i32 at = rows[row].offset - kStateBias;
    if (const i8 g = homes_.gpr[row]; g >= 0) {
      const Gp home = wide ? x86::gpq(g) : Gp(x86::gpd(g));
      const x86::Mem slot = x86::ptr(x86::rbp, at, wide ? 8 : 4);
      to_memory ? a.mov(slot, home) : a.mov(home, slot);
    }
    if (const i8 x = homes_.xmm[row]; x >= 0) {
      const x86::Mem slot = x86::ptr(x86::rbp, at, 8);
      to_memory ? a.vmovsd(slot, x86::xmm(x)) : a.vmovsd(x86::xmm(x), slot);
    }
  }
  if (!lanes_) return;
  x86::Mem saved(reinterpret_cast<u64>(lanes_->saved()), 16);
  saved.setAbs();
  to_memory ? a.vmovdqu(saved, x86::xmm(Lanes::kXmm)) : a.vmovdqu(x86::xmm(Lanes::kXmm), saved);
}

/// Of make_access(): the address is in header.scratch[0] and the access in scratch[1]. It returns if the
/// access was made. Temporaries stay as they are; the guest's registers are where C++ code may see and change
/// them.
const u8* Jit::emit_access_stub(bool quick) {
  holder_.reset();
  holder_.init(environment_);
  x86::Assembler a(&holder_);
  constexpr i32 kXmmAt = 8 * static_cast<i32>(std::size(kTempGprs));
  constexpr i32 kFrame = kXmmAt + 16 * static_cast<i32>(std::size(kTempXmms));
  static_assert((kFrame + 8) % 16 == 0);  // with the return address
  const auto at = [](std::size_t offset, unsigned size) {
    return x86::ptr(x86::rbp, static_cast<i32>(offset) - kStateBias, size);
  };
  const x86::Mem host_mxcsr = x86::ptr(x86::rsp, kFrame + 8 + kHostMxcsrSlot * 8, 4);
  a.sub(x86::rsp, kFrame);
  for (u32 k = 0; k < std::size(kTempGprs); ++k)
    a.mov(x86::ptr(x86::rsp, 8 * static_cast<i32>(k)), x86::gpq(kTempGprs[k]));
  for (u32 k = 0; k < std::size(kTempXmms); ++k)
    a.movups(x86::ptr(x86::rsp, kXmmAt + 16 * static_cast<i32>(k)), x86::xmm(kTempXmms[k]));
  move_homes(a, true);
  if (!quick) {
    const x86::Mem mxcsr = at(offsetof(CpuHeader, scratch) + 12, 4);
    a.stmxcsr(mxcsr);
    a.mov(x86::eax, mxcsr);
    a.and_(x86::eax, 0x3d);
    a.or_(at(offsetof(CpuHeader, fp_flags), 4), x86::eax);
    a.ldmxcsr(host_mxcsr);
  }
  a.mov(at(offsetof(CpuHeader, budget), 8), x86::gpq(kBudgetGpr));
  a.mov(x86::rdi, reinterpret_cast<u64>(this));
  a.mov(x86::rsi, at(offsetof(CpuHeader, vcpu), 8));
  a.mov(x86::rdx, at(offsetof(CpuHeader, scratch), 8));
  a.mov(x86::ecx, at(offsetof(CpuHeader, scratch) + 8, 4));
  a.mov(x86::rax, reinterpret_cast<u64>(&make_access));
  a.call(x86::rax);
  if (!quick) a.ldmxcsr(at(offsetof(CpuHeader, mxcsr), 4));
  a.test(x86::al, x86::al);
  move_homes(a, false);
  for (u32 k = 0; k < std::size(kTempXmms); ++k)
    a.movups(x86::xmm(kTempXmms[k]), x86::ptr(x86::rsp, kXmmAt + 16 * static_cast<i32>(k)));
  for (u32 k = 0; k < std::size(kTempGprs); ++k)
    a.mov(x86::gpq(kTempGprs[k]), x86::ptr(x86::rsp, 8 * static_cast<i32>(k)));
  a.lea(x86::rsp, x86::ptr(x86::rsp, kFrame));
  const Label leave = a.newLabel();
  a.jz(leave);
  a.ret();
  a.bind(leave);
  a.add(x86::rsp, 8);  // the return address
  a.mov(x86::rax, at(offsetof(CpuHeader, scratch), 8));
  const u8* const to = quick ? exit_quick_ : exit_common_;
  a.db(0xe9);
  a.dd(static_cast<u32>(to - (arena_->next() + a.offset() + 4)));
  const CodeBuffer& code = holder_.textSection()->buffer();
  const u32 offset = arena_->append(code.data(), code.size());
  stubs_end_ = arena_->next_offset();
  return arena_->exec() + offset;
}

}  // namespace hindcast::jit
