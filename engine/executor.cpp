#include "engine/executor.h"

#include <algorithm>

#include "engine/instrumented.h"
#include "engine/ir/access.h"
#include "engine/jit/jit.h"

namespace hindcast {

using jit::ExitKind;
using jit::Jit;

namespace {
constexpr unsigned kBlockInsns = 64;   // longest translated block, in guest instructions
constexpr unsigned kInterpInsns = 32;  // the same where only the interpreter runs
constexpr unsigned kTailInsns = 4;     // units made for a few instructions
constexpr u64 kPage = AddressSpace::kPage;
}  // namespace

Executor::Executor(Machine& machine) : machine_(machine), chaos_(machine.options().engine.chaos_seed) {
  if (machine.options().engine.jit) {
    jit_ = std::make_unique<Jit>(machine);
    if (!jit_->usable()) jit_.reset();
  }
  if (jit_) jit_->on_clear([this] { drop_all(jit_.get()); });
  AddressSpace& memory = machine.memory();
  memory.on_code_write([this](GuestAddr pa, std::size_t size) { code_written(pa, size); });
  memory.on_table_write([this](GuestAddr pa, std::size_t size) { table_written(pa, size); });
  memory.on_direct_access_ends([this](GuestAddr pa, u64 size) { direct_access_ends(pa, size); });
}

Executor::~Executor() {
  machine_.memory().on_code_write({});
  machine_.memory().on_table_write({});
  machine_.memory().on_direct_access_ends({});
}

/// For tests: decisions about caches and tiers taken at random must change nothing.
u64 Executor::random() {
  chaos_ ^= chaos_ << 13;
  chaos_ ^= chaos_ >> 7;
  chaos_ ^= chaos_ << 17;
  return chaos_;
}

// ---- the front end
// -----------------------------------------------------------------------------------------------

namespace {

InstrInsn describe_insn(GuestAddr pc, GuestAddr physical, ByteView code) {
  InstrInsn insn;
  insn.pc = pc;
  insn.physical = physical;
  insn.length = static_cast<u8>(code.size());
  std::copy(code.begin(), code.end(), insn.bytes.begin());
  return insn;
}

/// The bytes of code around a vCPU's pc: a piece of one page at a time.
class CodeBytes {
 public:
  CodeBytes(Machine& machine, Vcpu& vcpu)
      : machine_(machine), vcpu_(vcpu), mask_(ir::address_mask(machine.arch())) {}

  u64 address_mask() const { return mask_; }
  /// Makes `available` bytes of the instruction at `pc` up to `wanted`, as far as they can be fetched; else
  /// `why`.
  unsigned read(GuestAddr pc, u8* code, unsigned available, unsigned wanted, GuestFault& why) {
    while (available < wanted && locate((pc + available) & mask_, &why)) {
      const GuestAddr va = (pc + available) & mask_;
      const unsigned take = static_cast<unsigned>(std::min<u64>(wanted - available, end_ - va));
      std::copy_n(bytes_ + (va - va_), take, code + available);
      available += take;
    }
    return available;
  }
  GuestAddr physical(GuestAddr va) { return locate(va, nullptr) ? pa_ + (va - va_) : 0; }
  /// Adds an instruction to the extent of a unit that begins at `start`: its second piece is in the next
  /// page, which page tables may have put anywhere.
  void cover(jit::Extent& extent, GuestAddr start, GuestAddr pc, unsigned size) {
    for (unsigned k = 0; k < size; ++k) {
      const GuestAddr va = (pc + k) & mask_;
      if (!locate(va, nullptr)) return;
      const GuestAddr pa = pa_ + (va - va_);
      const int i = ((va ^ start) & ~(kPage - 1)) == 0 ? 0 : 1;
      if (extent.size[i] == 0) extent.pa[i] = pa;
      extent.size[i] = static_cast<u32>(pa - extent.pa[i] + 1);
    }
  }

 private:
  bool locate(GuestAddr va, GuestFault* why) {
    if (va >= va_ && va < end_) return true;
    const Architecture& arch = machine_.arch();
    const Translation t = arch.translate(vcpu_, va, 1, Access::Execute);
    if (!t.ok) {
      if (why != nullptr) *why = {t.cause, t.value, t.detail};
      return false;
    }
    const u64 granule = std::min<u64>(std::max<u64>(t.granule, 1), kPage);
    const RamBlock* block = machine_.memory().find_ram(t.physical);
    if (block == nullptr || !block->direct) {
      if (why != nullptr) *why = arch.bus_fault(va, Access::Execute);
      return false;
    }
    // The granule, as far as the block has it.
    const u64 at = t.physical - block->base;
    const u64 before = std::min(va & (granule - 1), at);
    const u64 after = std::min(granule - (va & (granule - 1)), block->size - at);
    va_ = va - before;
    end_ = va + after;
    pa_ = t.physical - before;
    bytes_ = block->host + (at - before);
    return true;
  }

  Machine& machine_;
  Vcpu& vcpu_;
  u64 mask_;
  GuestAddr va_ = 1, end_ = 0, pa_ = 0;
  const u8* bytes_ = nullptr;
};

}  // namespace

bool Executor::build_unit(Vcpu& vcpu, jit::Context& context, unsigned max_insns, bool interpreting,
                          ir::Unit& unit, jit::Extent& extent, GuestFault& fault,
                          std::vector<InstrInsn>* insns) {
  const Architecture& arch = machine_.arch();
  const GuestAddr start = vcpu.pc();
  const unsigned longest = arch.max_insn_bytes();
  ir::Builder builder(arch, start, context.value, &builder_buffers_);
  builder.set_interpreting(interpreting);
  if (insns != nullptr) builder.keep_settings();

  CodeBytes bytes(machine_, vcpu);
  GuestAddr pc = start;
  for (unsigned n = 0; n < max_insns; ++n) {
    // Blocks stay within a page, but for one instruction that crosses into the next.
    const bool first = n == 0;
    const bool stop = insns == nullptr && machine_.breakpoints_.pcs.contains(pc);
    if (!first && (((pc ^ start) & ~(kPage - 1)) != 0 || stop)) break;
    const u64 rest_of_page = kPage - (pc & (kPage - 1));
    // The next page has traces of a fetch in its table's entry only if there was one: if the instruction at
    // hand, which is the first, has bytes there.
    if (!first && context.mapped && rest_of_page < longest) break;
    u8 code[16];
    unsigned available = 0;
    GuestFault why;
    InsnInfo info;
    auto translate = [&](unsigned wanted) {
      available = bytes.read(pc, code, available, wanted, why);
      if (available == 0) return;
      builder.insn_start(pc, 0);
      info = arch.translate_insn(builder, pc, ByteView(code, available));
      if (info.length == 0) builder.drop_insn_start();
    };
    if (context.mapped && rest_of_page < longest) {
      translate(static_cast<unsigned>(rest_of_page));
      if (info.length == 0 && available == rest_of_page) translate(longest);
    } else {
      translate(longest);
    }
    if (info.length == 0) {
      // Its bytes are not all readable.
      if (!first) break;
      fault = why;
      return false;
    }
    builder.set_insn_length(info.length);
    if (insns != nullptr) {
      insns->push_back(describe_insn(pc, bytes.physical(pc), {code, info.length}));
    }
    bytes.cover(extent, start, pc, info.length);
    pc = (pc + info.length) & bytes.address_mask();
    if (info.ends_block || builder.ended()) break;
  }
  if (!builder.ended()) builder.goto_pc(pc);
  builder.take(unit);
  return true;
}

void Executor::observe(Instrumentation* observer) {
  if (instrumented_ && &instrumented_->observer() == observer) {
    instrumented_->resume();
  } else {
    drop_all(nullptr);  // what was made for the last observer goes with it
    instrumented_.reset();
    if (observer != nullptr) instrumented_ = std::make_unique<Instrumented>(machine_, *this, *observer);
  }
  observed_ = instrumented_.get();
}

// ---- execution
// ---------------------------------------------------------------------------------------------------

void Executor::deliver(Vcpu& vcpu, const GuestFault& fault) {
  const GuestAddr from = vcpu.pc();
  machine_.arch().enter_exception(vcpu, fault);
  if (observed_ != nullptr) observed_->discontinuity(vcpu, Discontinuity::Exception, from);
}

bool Executor::interpret(Vcpu& vcpu, jit::Context& context, u32 max) {
  jit::CodeKey key{vcpu.pc(), 0};
  GuestFault why;
  const auto faults = [&] {
    vcpu.header().budget -= 1;  // the attempt
    deliver(vcpu, why);
    return false;
  };
  if (!locate(vcpu, context, key.pc, key.pa, why)) return faults();
  jit::IrBlock* block = kept(vcpu, context, key);
  if (block == nullptr) {
    auto made = std::make_unique<jit::IrBlock>();
    if (!build_unit(vcpu, context, jit_ ? kTailInsns : kInterpInsns, true, made->unit, made->extent, why))
      return faults();
    block = &keep(context, key, std::move(made));
  }
  const ir::InterpExit exit = interpreter_.run(block->unit, vcpu, machine_.memory(), max);
  switch (exit.kind) {
    case ir::InterpExit::Kind::BlockEnd: return vcpu.header().exit_request == 0;
    case ir::InterpExit::Kind::Limit: return is_current(context, vcpu);
    case ir::InterpExit::Kind::Fault: deliver(vcpu, exit.fault); return false;
    default: return false;
  }
}

bool Executor::has_breakpoint(const Vcpu& vcpu) const {
  const auto& pcs = machine_.breakpoints_.pcs;
  return !pcs.empty() && pcs.contains(vcpu.pc());
}

bool Executor::at_breakpoint(Vcpu& vcpu) {
  if (machine_.at_breakpoint_) return true;
  if (!has_breakpoint(vcpu)) return false;
  const Icount now = vcpu.slice_start_ + static_cast<u64>(vcpu.slice_budget_ - vcpu.header().budget);
  if (now == machine_.passed_at_) return false;
  if (const auto& counts = machine_.breakpoints_.counts) {
    // Whoever asks for the time now sees that of the instruction, as if it had begun.
    vcpu.header().budget -= 1;
    const bool stops = counts(vcpu);
    vcpu.header().budget += 1;
    if (!stops) {
      machine_.passed_at_ = now;
      if (machine_.stop_requested_.load(std::memory_order_relaxed)) vcpu.request_exit();
      return false;
    }
  }
  return machine_.at_breakpoint_ = true;
}

u32 Executor::find_block(Vcpu& vcpu, jit::Context& context, GuestAddr pc) {
  vcpu.set_pc(pc);
  jit::CodeKey key{pc, 0};
  GuestFault ignored;  // the interpreter will meet it
  if (!locate(vcpu, context, pc, key.pa, ignored)) return Jit::kNone;
  if (const auto known = context.blocks.find(key); known.block != Jit::kNone) {
    if (!known.reaches_on || still_there(vcpu, context, jit_->block(known.block).extent, pc))
      return known.block;
    jit_->kill(known.block);
  }
  if (context.interpreted.contains(key)) return Jit::kNone;
  // What has more values at once than translated code has room for is cut in two; an instruction that has by
  // itself is the interpreter's.
  unsigned longest = kBlockInsns;
  for (;;) {
    ir::Unit& unit = unit_;
    jit::Extent extent;
    GuestFault fault;
    if (!build_unit(vcpu, context, longest, false, unit, extent, fault)) return Jit::kNone;
    guard(extent);
    const u32 number = jit_->compile(context, unit, extent);
    if (number != Jit::kNone) {
      track(extent, context, key, true, number);
      return number;
    }
    if (unit.insn_count <= 1) break;
    longest = unit.insn_count / 2;
  }
  context.interpreted.insert(key);
  return Jit::kNone;
}

/// What translated code itself would jump to is asked first.
const u8* Executor::find_code(Vcpu& vcpu, jit::Context& context) {
  if (const u8* code = jit_->cached_jump(context, vcpu.pc())) return code;
  const u32 block = find_block(vcpu, context, vcpu.pc());
  if (block == Jit::kNone) return nullptr;
  if (!has_breakpoint(vcpu)) jit_->cache_jump(context, block);
  return jit_->code_of(block);
}

bool Executor::step_jit(Vcpu& vcpu, jit::Context& context) {
  CpuHeader& header = vcpu.header();
  const u8* code = find_code(vcpu, context);
  for (;;) {
    if (code == nullptr) return interpret(vcpu, context, 1);
    const jit::Exit exit = jit_->enter(vcpu, context, code);
    switch (exit.kind) {
      case ExitKind::Budget:
        header.pc = jit_->block(exit.index).pc;
        return interpret(vcpu, context, static_cast<u32>(std::min<i64>(header.budget, kBlockInsns)));
      case ExitKind::Link: {
        header.pc = jit_->link_at(exit.index).target;
        if (header.budget <= 0 || at_breakpoint(vcpu)) return true;
        const u64 flushes = flushes_;
        const u32 from = jit_->link_at(exit.index).from;
        const bool from_live = jit_->block(from).live;
        const u32 block = find_block(vcpu, context, header.pc);
        code = block == Jit::kNone ? nullptr : jit_->code_of(block);
        // If the arena was emptied meanwhile, the link is gone.
        if (block != Jit::kNone && from_live && flushes_ == flushes && !has_breakpoint(vcpu) &&
            may_link(context, jit_->block(from), jit_->block(block)))
          jit_->link(exit.index, block);
        continue;
      }
      case ExitKind::Indirect:
        if (header.budget <= 0 || at_breakpoint(vcpu)) return true;
        code = find_code(vcpu, context);
        continue;
      case ExitKind::Dispatch: return false;
      case ExitKind::Site: {
        const jit::Site site = jit_->site(exit.index);
        header.pc = site.pc;
        header.budget += site.rest;
        if (jit_->last_exit_was_access()) {
          // Next time this access is prepared for what it met.
          context.anywhere.insert(site.pc);
          jit_->kill(site.block);
        }
        return is_current(context, vcpu) && interpret(vcpu, context, 1);
      }
      case ExitKind::Fault: {
        const jit::Site site = jit_->site(exit.index);
        header.pc = site.pc;
        header.budget += site.rest;
        GuestFault fault;
        vcpu.take_fault(fault);
        if (std::exception_ptr error = vcpu.take_host_error()) std::rethrow_exception(error);
        deliver(vcpu, fault);
        return false;
      }
      case ExitKind::Boundary: {
        const jit::Site site = jit_->site(exit.index);
        header.pc = site.pc;
        header.budget += site.rest;
        return false;
      }
    }
  }
}

void Executor::run(Vcpu& vcpu, u64 budget) { run_slice(vcpu, budget, observed_); }

void Executor::run_unobserved(Vcpu& vcpu) { run_slice(vcpu, 1, nullptr); }

void Executor::run_slice(Vcpu& vcpu, u64 budget, Instrumented* instrumented) {
  constexpr u64 kLongest = u64{1} << 40;
  budget = std::min(budget, kLongest);
  CpuHeader& header = vcpu.header();
  VirtualClock& clock = machine_.clock();
  vcpu.slice_start_ = clock.icount();
  vcpu.slice_budget_ = header.budget = static_cast<i64>(budget);
  header.exit_request = 0;
  vcpu.running_ = true;
  clock.set_live([&vcpu] { return vcpu.icount(); });
  machine_.memory().take_touched_device();
  // Settles the counts however the slice ends, also by an exception of the host.
  struct Settle {
    Vcpu& vcpu;
    VirtualClock& clock;
    u64 budget;
    ~Settle() {
      vcpu.running_ = false;
      clock.set_live({});
      const u64 done = budget - static_cast<u64>(vcpu.header_->budget);
      vcpu.executed_base_ += done;
      clock.set_icount(vcpu.slice_start_ + done);
    }
  } settle{vcpu, clock, budget};

  jit::Context* context = nullptr;
  if (instrumented != nullptr) {
    instrumented->begin(vcpu);
  } else {
    context = &context_of(machine_.arch().context(vcpu), vcpu.index());
    enter_context(*context, vcpu);
  }
  while (header.budget > 0) {
    if (flush_requested_) drop_all(nullptr);
    graveyard_.clear();
    bool use_jit = jit_ != nullptr;
    if (chaos_ != 0) {
      const u64 r = random();
      if (r % 97 == 0) drop_all(nullptr);
      use_jit = use_jit && (r >> 20) % 3 != 0;
    }
    if (at_breakpoint(vcpu)) break;
    if (instrumented != nullptr) {
      if (!instrumented->step(vcpu, use_jit)) break;
      continue;
    }
    const u32 rest = static_cast<u32>(std::min<i64>(header.budget, kInterpInsns));
    if (!(use_jit ? step_jit(vcpu, *context) : interpret(vcpu, *context, rest))) break;
  }
}

}  // namespace hindcast
