#include "engine/ir/interp.h"

#include <cstring>

#include "engine/helpers.h"
#include "engine/instrument_ops.h"
#include "engine/ir/access.h"
#include "engine/ir/eval.h"
#include "engine/ir/eval_fp.h"
#include "engine/soft_tlb.h"
#include "engine/vcpu.h"

namespace hindcast::ir {

namespace {

/// Everything that one run needs, so that the loop's parts can be functions.
class Frame {
 public:
  Frame(const Unit& unit, Vcpu& vcpu, AddressSpace& memory, u64* values, const InstrRun* instr = nullptr)
      : instr_(instr),
        unit_(unit),
        insts_(unit.insts.data()),
        values_(values),
        vcpu_(vcpu),
        header_(vcpu.header()),
        memory_(memory),
        rows_(vcpu.arch().registers().data()),
        state_(reinterpret_cast<u8*>(&vcpu.header())),
        access_{vcpu, memory, vcpu.arch().memory_mode(unit.context)},
        flat_(access_.mode == MemoryMode::Flat),
        tlb_(flat_ ? nullptr : vcpu.header().tlb),
        page_bits_(vcpu.arch().page_bits()),
        address_mask_(address_mask(vcpu.arch())) {}

  /// With `Instrumented`, does the operations of instr_ on the way.
  template <bool Instrumented>
  InterpExit run(u32 max_insns);

 private:
  u64 arg(const Inst& inst, unsigned i) const { return values_[inst.args[i]]; }
  u64 optional_arg(const Inst& inst, unsigned i) const { return inst.args[i] == kNoValue ? 0 : arg(inst, i); }
  Type arg_type(const Inst& inst, unsigned i) const { return result_type(insts_[inst.args[i]]); }

  template <Op op>
  u64 pure(const Inst& inst) const;
  u64 read_register(const Inst& inst) const;
  void write_register(const Inst& inst);
  u64 fp(const Inst& inst);
  bool load(const Inst& inst, u64& value, GuestFault& fault);
  bool store(const Inst& inst, GuestFault& fault);
  bool plain(const Inst& inst, const MemAttr& attr, unsigned size, GuestAddr& pa) const;
  bool find_ram(GuestAddr pa, unsigned size);
  u8* known(const Inst& inst, const MemAttr& attr, unsigned size, bool write) const;
  void accessed(const Inst& inst, u64 value) const;

  const InstrRun* instr_;
  const Unit& unit_;
  const Inst* insts_;
  u64* values_;
  Vcpu& vcpu_;
  CpuHeader& header_;
  AddressSpace& memory_;
  const RegisterRow* rows_;
  u8* state_;
  DataAccess access_;
  bool flat_;
  const SoftTlb* tlb_;  // null: none
  unsigned page_bits_;
  u64 address_mask_;
  bool stop_ = false;              // at the next instruction boundary
  const RamBlock* ram_ = nullptr;  // the block last accessed
};

template <Op op>
u64 Frame::pure(const Inst& inst) const {
  constexpr std::size_t operands = [] {
    constexpr std::size_t counts[] = {
#define OP(name, result, operands, effects, meaning) sizeof(operands) - 1,
#include "engine/ir/ops.def"
#undef OP
    };
    return counts[static_cast<unsigned>(op)];
  }();
  if constexpr (op == Op::Const) {
    return inst.imm;
  } else if constexpr (op == Op::CallPure) {
    const Helper& callee = helper(static_cast<u32>(inst.imm));
    return callee.pure(optional_arg(inst, 0), optional_arg(inst, 1), optional_arg(inst, 2));
  } else if constexpr (operands == 1) {
    // Only SExt asks for its operand's type, and that is no comparison's, whose type is not its result's.
    const Type a_type = op == Op::SExt ? insts_[inst.args[0]].type : inst.type;
    return eval_pure(op, inst.type, a_type, arg(inst, 0));
  } else if constexpr (operands == 2) {
    return eval_pure(op, inst.type, inst.type, arg(inst, 0), arg(inst, 1));
  } else {
    return eval_pure(op, inst.type, inst.type, arg(inst, 0), arg(inst, 1), arg(inst, 2));
  }
}

template <typename T>
u64 read_as(const u8* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

u64 read_sized(const u8* at, unsigned bits) {
  switch (bits) {
    case 8: return *at;
    case 16: return read_as<u16>(at);
    case 32: return read_as<u32>(at);
    default: return read_as<u64>(at);
  }
}

void write_sized(u8* at, unsigned bits, u64 value) {
  switch (bits) {  // constant sizes become single stores
    case 8: std::memcpy(at, &value, 1); break;
    case 16: std::memcpy(at, &value, 2); break;
    case 32: std::memcpy(at, &value, 4); break;
    default: std::memcpy(at, &value, 8); break;
  }
}

u64 Frame::read_register(const Inst& inst) const {
  const RegisterRow& row = rows_[inst.imm];
  return row.zero ? 0 : read_sized(state_ + row.offset, bits_of(inst.type));
}

void Frame::write_register(const Inst& inst) {
  const RegisterRow& row = rows_[inst.imm];
  if (!row.zero) write_sized(state_ + row.offset, bits_of(inst.type), arg(inst, 0));
}

u64 Frame::fp(const Inst& inst) {
  const Round dynamic = static_cast<Round>(inst.aux) == Round::Dynamic ? vcpu_.arch().rounding(unit_.context)
                                                                       : Round::NearestEven;
  return eval_fp(inst, arg_type(inst, 0), dynamic, vcpu_.arch().fp_rules(unit_.context), arg(inst, 0),
                 optional_arg(inst, 1), optional_arg(inst, 2), header_.fp_flags);
}

/// Whether an access goes to physical memory at `pa` as it is.
bool Frame::plain(const Inst& inst, const MemAttr& attr, unsigned size, GuestAddr& pa) const {
  pa = (arg(inst, 0) + static_cast<u64>(i64{attr.offset})) & address_mask_;
  return flat_ && attr.space == 0 && (!attr.must_align || (pa & (size - 1)) == 0);
}

/// Where the bytes of an access are that the soft TLB knows; null: it does not.
u8* Frame::known(const Inst& inst, const MemAttr& attr, unsigned size, bool write) const {
  if (tlb_ == nullptr || attr.space != 0) return nullptr;
  const GuestAddr va = (arg(inst, 0) + static_cast<u64>(i64{attr.offset})) & address_mask_;
  if (attr.must_align && (va & (size - 1)) != 0) return nullptr;
  return tlb_->find(va, size, page_bits_, write);
}

/// Points ram_ at the block that holds the whole access, if there is one.
bool Frame::find_ram(GuestAddr pa, unsigned size) {
  if (ram_ == nullptr || pa - ram_->base > ram_->size - size) ram_ = memory_.find_ram(pa);
  return ram_ != nullptr && pa - ram_->base <= ram_->size - size;
}

bool Frame::load(const Inst& inst, u64& value, GuestFault& fault) {
  const MemAttr attr = MemAttr::unpack(inst.imm);
  const unsigned bits = bits_of(inst.type);
  if (GuestAddr pa = 0; plain(inst, attr, bits / 8, pa)) {
    if (!memory_.watching() && find_ram(pa, bits / 8) && ram_->direct) {
      value = read_sized(ram_->host + (pa - ram_->base), bits);
      if (attr.big_endian) value = swap_bytes(value, bits / 8);
      return true;
    }
  }
  if (const u8* at = known(inst, attr, bits / 8, attr.store_intent)) {
    value = read_sized(at, bits);
    if (attr.big_endian) value = swap_bytes(value, bits / 8);
    return true;
  }
  const bool done = access_.load(arg(inst, 0), bits / 8, attr, value, fault);
  if (memory_.take_touched_device()) stop_ = true;
  return done;
}

bool Frame::store(const Inst& inst, GuestFault& fault) {
  const MemAttr attr = MemAttr::unpack(inst.imm);
  const unsigned bits = bits_of(inst.type);
  u64 value = arg(inst, 1);
  if (GuestAddr pa = 0; plain(inst, attr, bits / 8, pa)) {
    if (find_ram(pa, bits / 8) && !ram_->rom) {
      const u64 at = pa - ram_->base;
      const std::vector<u8>& flags = ram_->page_flags;
      if (((flags[ram_->page_of(at)] | flags[ram_->page_of(at + bits / 8 - 1)]) & ~RamBlock::kUnmapped) ==
          0) {
        if (attr.big_endian) value = swap_bytes(value, bits / 8);
        write_sized(ram_->host + at, bits, value);
        return true;
      }
    }
  }
  if (u8* at = known(inst, attr, bits / 8, true)) {
    write_sized(at, bits, attr.big_endian ? swap_bytes(value, bits / 8) : value);
    return true;
  }
  const bool done = access_.store(arg(inst, 0), bits / 8, attr, value, fault);
  if (memory_.take_touched_device()) stop_ = true;
  return done;
}

/// The operations of the access just made; a store's `value` is what was stored.
void Frame::accessed(const Inst& inst, u64 value) const {
  const MemAttr attr = MemAttr::unpack(inst.imm);
  const u64 address = (arg(inst, 0) + static_cast<u64>(i64{attr.offset})) & address_mask_;
  instr_->accessed(access_word(unit_, static_cast<Value>(&inst - insts_)), address, value);
}

template <bool Instrumented>
InterpExit Frame::run(u32 max_insns) {
  using Kind = InterpExit::Kind;
  InterpExit out;
  const auto leave = [&](Kind kind, GuestAddr pc) {
    header_.pc = pc;
    out.kind = kind == Kind::BlockEnd && (stop_ || header_.exit_request != 0) ? Kind::Boundary : kind;
    return out;
  };
  memory_.take_touched_device();  // what was reached before is not this run's business
  const Inst* inst = insts_;
  for (;; ++inst) {
    u64& value = values_[inst - insts_];
    switch (inst->op) {
#define CASE_Pure(name)            \
  case Op::name:                   \
    value = pure<Op::name>(*inst); \
    break;
#define CASE_Fp(name)  \
  case Op::name:       \
    value = fp(*inst); \
    break;
#define CASE_State(name)
#define CASE_Memory(name)
#define CASE_Call(name)
#define CASE_Mark(name)
#define CASE_End(name)
#define OP(name, result, operands, effects, meaning) CASE_##effects(name)
#include "engine/ir/ops.def"
#undef OP
#undef CASE_Pure
#undef CASE_Fp
#undef CASE_State
#undef CASE_Memory
#undef CASE_Call
#undef CASE_Mark
#undef CASE_End
      case Op::GetReg: value = read_register(*inst); break;
      case Op::SetReg: write_register(*inst); break;
      case Op::FpGetFlags: value = header_.fp_flags; break;
      case Op::FpSetFlags: header_.fp_flags = static_cast<u32>(arg(*inst, 0)); break;
      case Op::Load:
        if (!load(*inst, value, out.fault)) return leave(Kind::Fault, header_.pc);
        if constexpr (Instrumented) accessed(*inst, value);
        break;
      case Op::Store:
        if (!store(*inst, out.fault)) return leave(Kind::Fault, header_.pc);
        if constexpr (Instrumented) accessed(*inst, arg(*inst, 1));
        break;
      case Op::Call: {
        const Helper& callee = helper(static_cast<u32>(inst->imm));
        value = callee.fn(vcpu_, optional_arg(*inst, 0), optional_arg(*inst, 1), optional_arg(*inst, 2));
        if (memory_.take_touched_device()) stop_ = true;
        if (vcpu_.take_fault(out.fault)) return leave(Kind::Fault, header_.pc);
        break;
      }
      case Op::InsnStart:
        if (const bool look = stop_ || header_.exit_request != 0;
            out.executed == max_insns || (out.executed != 0 && look))
          return leave(look ? Kind::Boundary : Kind::Limit, inst->imm);
        ++out.executed;
        --header_.budget;
        header_.pc = inst->imm;
        if constexpr (Instrumented) {
          if (!instr_->begin(header_.exit_request)) {
            --out.executed;  // it has not
            ++header_.budget;
            return leave(Kind::Boundary, inst->imm);
          }
        }
        break;
      case Op::Jump: inst = insts_ + unit_.blocks[inst->aux].first - 1; break;
      case Op::Branch: {
        const u64 block = arg(*inst, 0) != 0 ? inst->aux : inst->imm;
        inst = insts_ + unit_.blocks[block].first - 1;
        break;
      }
      case Op::ExitPc: return leave(Kind::BlockEnd, inst->imm);
      case Op::ExitIndirect: return leave(Kind::BlockEnd, arg(*inst, 0));
      case Op::ExitDispatch: return leave(Kind::Dispatch, arg(*inst, 0));
      case Op::ExitInterp:
        // The attempt is counted when the instruction is executed.
        if (out.executed != 0 && header_.pc == inst->imm) {
          --out.executed;
          ++header_.budget;
        }
        return leave(Kind::NeedsInterp, inst->imm);
    }
  }
}

}  // namespace

InterpExit Interpreter::run(const Unit& unit, Vcpu& vcpu, AddressSpace& memory, u32 max_insns) {
  if (values_.size() < unit.insts.size()) values_.resize(unit.insts.size());
  return Frame(unit, vcpu, memory, values_.data()).run<false>(max_insns);
}

InterpExit Interpreter::run_instrumented(const Unit& unit, Vcpu& vcpu, AddressSpace& memory, u32 max_insns,
                                         InstrCursor& cursor, InstrFrame& frame) {
  if (values_.size() < unit.insts.size()) values_.resize(unit.insts.size());
  const InstrRun instr{cursor, frame, vcpu.index()};
  return Frame(unit, vcpu, memory, values_.data(), &instr).run<true>(max_insns);
}

}  // namespace hindcast::ir
