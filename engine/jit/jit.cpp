#include "engine/jit/jit.h"

#include <asm/prctl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "engine/instrument_ops.h"

namespace hindcast::jit {

using namespace asmjit;
using x86::Gp;

namespace {

// ---- host faults
// -------------------------------------------------------------------------------------------------

/// The Jit whose code this thread is running; null outside translated code.
thread_local Jit* running_jit = nullptr;
struct sigaction previous_segv, previous_bus;

void on_host_fault(int signal, siginfo_t* info, void* context) {
  auto* uc = static_cast<ucontext_t*>(context);
  auto& regs = uc->uc_mcontext.gregs;
  if (running_jit != nullptr) {
    u64 rax = 0;
    if (const u8* go = running_jit->handle_fault(reinterpret_cast<const u8*>(regs[REG_RIP]), &rax)) {
      regs[REG_RAX] = static_cast<greg_t>(rax);
      regs[REG_RIP] = reinterpret_cast<greg_t>(go);
      return;
    }
  }
  // Not ours: as if we had never been here.
  const struct sigaction& previous = signal == SIGSEGV ? previous_segv : previous_bus;
  if ((previous.sa_flags & SA_SIGINFO) != 0 && previous.sa_sigaction != nullptr) {
    previous.sa_sigaction(signal, info, context);
    return;
  }
  ::sigaction(signal, &previous, nullptr);  // the access is repeated and takes the previous disposition
}

void install_fault_handler() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action = {};
    action.sa_sigaction = on_host_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    ::sigaction(SIGSEGV, &action, &previous_segv);
    ::sigaction(SIGBUS, &action, &previous_bus);
  });
}

/// Of sites, links and blocks: what fits beside an ExitKind.
constexpr u64 kMostNumbers = AccessWord::kSites;

/// The gs base of this thread, as last set here.
thread_local u64 current_gs = 0;

std::size_t count_ops(const InstrBlock& block) {
  std::size_t n = block.entry.size();
  for (const InstrInsn& insn : block.insns) n += insn.exec.size() + insn.access.size();
  return n;
}

}  // namespace

Jit::Jit(Machine& machine, Variant variant) : machine_(machine), variant_(variant) {
  const EngineOptions& options = machine.options().engine;
  host_ = detect_host(options.host_features_off);
  if (!host_.usable) return;
  arena_ = std::make_unique<Arena>(
      std::clamp(options.code_cache_bytes, EngineOptions::kLeastCodeCache, EngineOptions::kMostCodeCache));
  if (variant_ == Variant::Counting && host_.avx) {
    lanes_ = std::make_unique<Lanes>();
    if (!lanes_->usable()) lanes_.reset();
  }
  environment_ = Environment::host();
  for (unsigned align = machine.arch().insn_alignment(); align > 1; align >>= 1) ++insn_shift_;
  homes_ = standard_homes();
  for (const auto& block : machine.memory().ram_blocks())
    if (!block->rom && (main_ram_ == nullptr || block->size > main_ram_->size)) main_ram_ = block.get();
  gs_base_ = reinterpret_cast<u64>(machine.memory().window());
  install_fault_handler();
  emit_stubs();
  access_ = emit_access_stub(false);
  access_quick_ = variant_ == Variant::Calling ? emit_access_stub(true) : access_;
}

Jit::~Jit() = default;

void Context::use_view(unsigned vcpu, u64 space) {
  auto it = views.find({vcpu, space});
  if (it == views.end()) {
    if (views.size() >= kMostViews) views.clear();
    it = views.emplace(std::pair{vcpu, space}, std::make_unique<CodeView>()).first;
  }
  view = it->second.get();
}

/// Registers in pin order get the pinned host registers, integers and floats separately.
HomeMap Jit::standard_homes() const {
  const auto rows = machine_.arch().registers();
  HomeMap map;
  map.gpr.assign(rows.size(), -1);
  map.xmm.assign(rows.size(), -1);
  auto assign = [&](bool floats, std::span<const u8> pins, std::vector<i8>& out, u32& mask) {
    std::vector<std::size_t> order;
    for (std::size_t row = 0; row < rows.size(); ++row)
      if (rows[row].pin_order != 0 && ir::is_float(rows[row].type) == floats) order.push_back(row);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return rows[a].pin_order < rows[b].pin_order; });
    for (std::size_t k = 0; k < order.size() && k < pins.size(); ++k) {
      out[order[k]] = static_cast<i8>(pins[k]);
      mask |= 1u << pins[k];
    }
  };
  std::vector<u8> gprs(std::begin(kPinnedGprs), std::end(kPinnedGprs));
  if (variant_ == Variant::Calling) std::erase_if(gprs, is_caller_saved);
  assign(false, gprs, map.gpr, map.gpr_mask);
  std::vector<u8> xmms(std::begin(kPinnedXmms), std::end(kPinnedXmms));
  if (lanes_) std::erase(xmms, Lanes::kXmm);
  if (host_.avx && variant_ != Variant::Calling) assign(true, xmms, map.xmm, map.xmm_mask);
  return map;
}

void Jit::emit_stubs() {
  const auto rows = machine_.arch().registers();
  holder_.reset();
  holder_.init(environment_);
  x86::Assembler a(&holder_);
  auto slot = [&](std::size_t row, unsigned size) {
    return x86::ptr(x86::rbp, rows[row].offset - kStateBias, size);
  };
  auto is_wide = [&](std::size_t row) { return ir::bits_of(rows[row].type) == 64; };
  constexpr i32 kBudgetAt = static_cast<i32>(offsetof(CpuHeader, budget)) - kStateBias;
  constexpr i32 kMxcsrAt = static_cast<i32>(offsetof(CpuHeader, mxcsr)) - kStateBias;
  constexpr i32 kScratchAt = static_cast<i32>(offsetof(CpuHeader, scratch)) - kStateBias;
  constexpr i32 kFlagsAt = static_cast<i32>(offsetof(CpuHeader, fp_flags)) - kStateBias;
  constexpr i32 kFrame = kSpillSlots * 8 + 8;  // keeps rsp 16-byte aligned at calls
  const x86::Mem host_mxcsr = x86::ptr(x86::rsp, kHostMxcsrSlot * 8, 4);
  const Gp saved[] = {x86::rbx, x86::rbp, x86::r12, x86::r13, x86::r14, x86::r15};

  // u64 enter(CpuHeader* state + bias, const u8* code)
  for (const Gp& r : saved) a.push(r);
  a.sub(x86::rsp, kFrame);
  a.stmxcsr(host_mxcsr);
  a.mov(x86::rbp, x86::rdi);
  a.mov(x86::rax, x86::rsi);
  a.mov(x86::r15, x86::ptr(x86::rbp, kBudgetAt, 8));
  if (variant_ != Variant::Calling) a.ldmxcsr(x86::ptr(x86::rbp, kMxcsrAt, 4));
  for (std::size_t row = 0; row < rows.size(); ++row) {
    if (i8 g = homes_.gpr[row]; g >= 0)
      a.mov(is_wide(row) ? x86::gpq(g) : Gp(x86::gpd(g)), slot(row, is_wide(row) ? 8 : 4));
    if (i8 x = homes_.xmm[row]; x >= 0) a.vmovsd(x86::xmm(x), slot(row, 8));
  }
  if (lanes_) a.vpxor(x86::xmm(Lanes::kXmm), x86::xmm(Lanes::kXmm), x86::xmm(Lanes::kXmm));
  a.jmp(x86::rax);

  const std::size_t exit_at = a.offset();
  move_homes(a, true);
  a.mov(x86::ptr(x86::rbp, kBudgetAt, 8), x86::r15);
  const std::size_t collect_at = a.offset();
  a.stmxcsr(x86::ptr(x86::rbp, kScratchAt, 4));
  a.mov(x86::ecx, x86::ptr(x86::rbp, kScratchAt, 4));
  a.and_(x86::ecx, 0x3d);
  a.or_(x86::ptr(x86::rbp, kFlagsAt, 4), x86::ecx);
  const std::size_t collected_at = a.offset();
  a.ldmxcsr(host_mxcsr);
  a.add(x86::rsp, kFrame);
  for (std::size_t k = std::size(saved); k-- > 0;) a.pop(saved[k]);
  a.ret();

  std::size_t quick_at = exit_at;
  if (variant_ == Variant::Calling) {
    // The same with the part about MXCSR left out.
    const std::vector<u8> code(a.bufferData(), a.bufferPtr());
    quick_at = code.size();
    a.embed(code.data() + exit_at, collect_at - exit_at);
    a.embed(code.data() + collected_at, code.size() - collected_at);
  }

  const CodeBuffer& code = holder_.textSection()->buffer();
  const u32 at = arena_->append(code.data(), code.size());
  enter_stub_ = arena_->exec() + at;
  exit_common_ = arena_->exec() + at + exit_at;
  exit_quick_ = arena_->exec() + at + quick_at;
  stubs_end_ = arena_->next_offset();
}

u32 Jit::compile(Context& context, const ir::Unit& unit, const Extent& extent, const UnitInstr* instr) {
  // A generous bound on the code of one unit; what is really needed is known only afterwards.
  u64 room = 64 * unit.insts.size() + 4096;
  u64 numbers = std::max({sites_.size(), links_.size(), blocks_.size()}) + 8 * unit.insts.size();
  if (instr != nullptr) {
    room += 128 * count_ops(*instr->block);
    numbers += 4 * count_ops(*instr->block);
  }
  // An exit's number and its kind share 32 bits.
  if (!arena_->has_room(room) || numbers >= kMostNumbers) {
    clear();
    if (on_clear_) on_clear_();
  }
  const u32 number = static_cast<u32>(blocks_.size());
  std::optional<EmitInstr> emit_instr;
  if (instr != nullptr)
    emit_instr = {.block = instr->block.get(),
                  .plan = &instr->plan,
                  .vcpu = instr->vcpu,
                  .frame = instr->frame,
                  .calling = variant_ == Variant::Calling,
                  .exit_quick = exit_quick_,
                  .first_owed = static_cast<u32>(owed_.size()),
                  .lanes = lanes_.get()};
  const EmitEnv env{machine_.arch(),
                    machine_.memory(),
                    host_,
                    context,
                    homes_,
                    main_ram_,
                    arena_->next(),
                    exit_common_,
                    access_,
                    access_quick_,
                    static_cast<u32>(sites_.size()),
                    static_cast<u32>(links_.size()),
                    number,
                    emit_instr ? &*emit_instr : nullptr};
  prepare_holder(room);
  Emitted& out = emitted_;
  out.clear();
  {
    Emitter emitter(env, holder_, buffers_);
    if (!emitter.emit(unit, out)) return kNone;
  }
  // The assembler drops what does not fit.
  constexpr u64 kLongestInsn = 16;
  if (out.code.size() + kLongestInsn > scratch_.size() || !arena_->has_room(out.code.size())) return kNone;

  Block& block = blocks_.emplace_back();
  block.pc = unit.pc;
  block.pa = context.mapped ? extent.pa[0] : unit.pc;
  block.context = &context;
  block.extent = extent;
  block.insns = unit.insn_count;
  block.code_offset = arena_->append(out.code.data(), out.code.size());
  block.code_size = static_cast<u32>(out.code.size());
  for (const auto& access : out.accesses)
    accesses_.push_back({block.code_offset + access.begin, block.code_offset + access.end,
                         static_cast<u32>(sites_.size()) + access.site, access.quick});
  sites_.insert(sites_.end(), out.sites.begin(), out.sites.end());
  if (instr != nullptr) {
    instr_sites_.insert(instr_sites_.end(), out.instr_sites.begin(), out.instr_sites.end());
    std::move(out.owed.begin(), out.owed.end(), std::back_inserter(owed_));
    instr_blocks_.push_back(instr->block);
  }
  block.first_link = static_cast<u32>(links_.size());
  block.link_count = static_cast<u32>(out.links.size());
  for (Link l : out.links) {
    l.jump_offset += block.code_offset;
    l.stub_offset += block.code_offset;
    jump_to_stub(l);
    links_.push_back(l);
  }
  context.blocks.insert({unit.pc, block.pa}, number, extent.size[1] != 0);
  return number;
}

/// A buffer of one's own: the holder would allocate one for each unit.
void Jit::prepare_holder(u64 room) {
  constexpr u64 kLeast = 256 * 1024, kMargin = 4;
  if (scratch_.size() < kMargin * room) scratch_.resize(std::max(kLeast, kMargin * room));
  holder_.reset();
  holder_.init(environment_);
  CodeBuffer& buffer = holder_.textSection()->buffer();
  buffer._data = scratch_.data();
  buffer._capacity = scratch_.size();
  buffer._flags |= CodeBufferFlags::kIsExternal | CodeBufferFlags::kIsFixed;
}

Exit Jit::enter(Vcpu& vcpu, Context& context, const u8* code) {
  if (current_gs != gs_base_) {
    if (host_.fsgsbase)
      asm volatile("wrgsbase %0" : : "r"(gs_base_));
    else
      ::syscall(SYS_arch_prctl, ARCH_SET_GS, gs_base_);
    current_gs = gs_base_;
  }
  CpuHeader& header = vcpu.header();
  if (context.view == nullptr) context.use_view(0, 0);
  header.jumps = context.view->jumps.get();
  header.mxcsr = context.mxcsr;
  header.window_limit = machine_.memory().window_limit();
  access_fault_ = false;
  using EnterFn = u64 (*)(void*, const u8*);
  running_jit = this;
  const u64 result = reinterpret_cast<EnterFn>(reinterpret_cast<std::uintptr_t>(enter_stub_))(
      reinterpret_cast<u8*>(&header) + kStateBias, code);
  running_jit = nullptr;
  if (lanes_) lanes_->flush();
  return {static_cast<ExitKind>(result & 0xff), static_cast<u32>(result >> 8)};
}

const u8* Jit::handle_fault(const u8* pc, u64* rax) {
  if (!arena_->contains(pc)) return nullptr;
  const u32 at = static_cast<u32>(pc - arena_->exec());
  auto it = std::upper_bound(accesses_.begin(), accesses_.end(), at,
                             [](u32 offset, const Access& access) { return offset < access.begin; });
  if (it == accesses_.begin()) return nullptr;
  --it;
  if (at >= it->end) return nullptr;
  access_fault_ = true;
  *rax = u64{it->site} << 8 | static_cast<u64>(ExitKind::Site);
  return it->quick ? exit_quick_ : exit_common_;
}

void Jit::pay_owed(u32 site) {
  const u32 index = instr_sites_[site].owed;
  if (index == InstrSite::kNone) return;
  for (const InstrEffect& effect : owed_[index]) apply(effect);
}

void Jit::abandoned() { running_jit = nullptr; }

void Jit::jump_to_stub(Link& link) {
  arena_->patch32(link.jump_offset, link.stub_offset - (link.jump_offset + 4));
}

void Jit::link(u32 number, u32 to) {
  unlink(number);
  Link& l = links_[number];
  Block& target = blocks_[to];
  l.to = to;
  l.previous = kNone;
  l.next = std::exchange(target.incoming, number);
  if (l.next != kNone) links_[l.next].previous = number;
  arena_->patch32(l.jump_offset, target.code_offset - (l.jump_offset + 4));
}

void Jit::unlink(u32 number) {
  Link& l = links_[number];
  if (l.to == kNone) return;
  (l.previous == kNone ? blocks_[l.to].incoming : links_[l.previous].next) = l.next;
  if (l.next != kNone) links_[l.next].previous = l.previous;
  l.to = kNone;
  jump_to_stub(l);
}

void Jit::unlink_exits(u32 number) {
  const Block& b = blocks_[number];
  for (u32 k = 0; k < b.link_count; ++k) unlink(b.first_link + k);
}

void Jit::cache_jump(Context& context, u32 number) {
  const Block& b = blocks_[number];
  context.view->add_jump(jump_index(b.pc), b.pc, code_of(number));
}

void Jit::kill(u32 number) {
  Block& b = blocks_[number];
  if (!b.live) return;
  b.live = false;
  while (b.incoming != kNone) unlink(b.incoming);
  if (const CodeKey key{b.pc, b.pa}; b.context->blocks.find(key).block == number)
    b.context->blocks.erase(key);
  const u32 at = jump_index(b.pc);
  for (auto& [key, view] : b.context->views)
    if (view->jumps[at].pc == b.pc) view->jumps[at] = CodeView::no_jump(at);
}

void Jit::clear() {
  blocks_.clear();
  sites_.clear();
  instr_sites_.clear();
  owed_.clear();
  instr_blocks_.clear();
  links_.clear();
  accesses_.clear();
  arena_->clear_after(stubs_end_);
}

}  // namespace hindcast::jit
