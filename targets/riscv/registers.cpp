// One row per register. Integer, floating-point and internal registers are generated here; control registers
// come from the rows of csrs.inc: first those that have storage, and, last of all, those whose value is made
// of other state, for debuggers.
#include <cstddef>
#include <cstring>

#include "targets/riscv/csr.h"
#include "targets/riscv/hpm.h"
#include "targets/riscv/riscv.h"

namespace hindcast::riscv {
namespace {

constexpr const char* kCpuFeature = "org.gnu.gdb.riscv.cpu";
constexpr const char* kFpuFeature = "org.gnu.gdb.riscv.fpu";
constexpr const char* kCsrFeature = "org.gnu.gdb.riscv.csr";
constexpr const char* kVirtualFeature = "org.gnu.gdb.riscv.virtual";
constexpr i32 kGdbPc = 32, kGdbFirstF = 33, kGdbFirstCsr = 65, kGdbPrivilege = 65 + 4096;
constexpr u16 kNoCsr = 0xffff;
constexpr u16 kComputed = 0xffff;  // no place in the state block

struct Name {
  const char* name;
  const char* abi_name;
  u8 pin_order;
};

// Pin orders: how often compiled C uses the registers. Arguments and accumulators come first, then what
// survives calls.
constexpr Name kX[32] = {
    {"x0", "zero", 0}, {"x1", "ra", 14},   {"x2", "sp", 6},    {"x3", "gp", 27},  {"x4", "tp", 31},
    {"x5", "t0", 19},  {"x6", "t1", 15},   {"x7", "t2", 20},   {"x8", "s0", 8},   {"x9", "s1", 10},
    {"x10", "a0", 3},  {"x11", "a1", 7},   {"x12", "a2", 5},   {"x13", "a3", 4},  {"x14", "a4", 2},
    {"x15", "a5", 1},  {"x16", "a6", 9},   {"x17", "a7", 11},  {"x18", "s2", 12}, {"x19", "s3", 13},
    {"x20", "s4", 17}, {"x21", "s5", 18},  {"x22", "s6", 21},  {"x23", "s7", 22}, {"x24", "s8", 24},
    {"x25", "s9", 26}, {"x26", "s10", 28}, {"x27", "s11", 29}, {"x28", "t3", 16}, {"x29", "t4", 23},
    {"x30", "t5", 25}, {"x31", "t6", 30},
};

constexpr Name kF[32] = {
    {"f0", "ft0", 9},    {"f1", "ft1", 10},   {"f2", "ft2", 13},   {"f3", "ft3", 14},  {"f4", "ft4", 17},
    {"f5", "ft5", 18},   {"f6", "ft6", 19},   {"f7", "ft7", 20},   {"f8", "fs0", 11},  {"f9", "fs1", 12},
    {"f10", "fa0", 3},   {"f11", "fa1", 5},   {"f12", "fa2", 6},   {"f13", "fa3", 4},  {"f14", "fa4", 2},
    {"f15", "fa5", 1},   {"f16", "fa6", 7},   {"f17", "fa7", 8},   {"f18", "fs2", 15}, {"f19", "fs3", 16},
    {"f20", "fs4", 21},  {"f21", "fs5", 22},  {"f22", "fs6", 23},  {"f23", "fs7", 24}, {"f24", "fs8", 29},
    {"f25", "fs9", 30},  {"f26", "fs10", 31}, {"f27", "fs11", 32}, {"f28", "ft8", 25}, {"f29", "ft9", 26},
    {"f30", "ft10", 27}, {"f31", "ft11", 28},
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"  // one base class without virtual functions
constexpr u16 kOffsetX = offsetof(RiscvState, x), kOffsetF = offsetof(RiscvState, f);
constexpr u16 kOffsetPc = offsetof(RiscvState, pc), kOffsetFlags = offsetof(RiscvState, fp_flags);
constexpr u16 kOffsetReservation = offsetof(RiscvState, reservation);
constexpr u16 kOffsetReservationValid = offsetof(RiscvState, reservation_valid);
constexpr u16 kOffsetPrivilege = offsetof(RiscvState, privilege), kOffsetFrm = offsetof(RiscvState, frm);
constexpr u16 kOffsetVirt = offsetof(RiscvState, virt);
#pragma GCC diagnostic pop

/// A counter that instructions move: mcycle, cycle, their neighbours and halves.
bool is_counter(unsigned number) { return (number & 0xf60) == 0xb00 || (number & 0xf60) == 0xc00; }

/// Whether a CSR without storage of its own is there to be looked at. Not `seed`: reading it uses it up, and
/// nothing can be known of it before. Nor counters that always read as zero.
bool is_computed(const RiscvArch& arch, unsigned number) {
  constexpr unsigned kFcsr = 3;  // and the two parts of it have rows of their own
  if (number <= kFcsr || number == kSeed) return false;
  const CsrRow* row = find_csr(arch, number);
  if (row == nullptr || row->offset != 0) return false;
  return (row->read != hpm_read && row->read != hpm_event_read) || hpm_is_counter(arch, number);
}

}  // namespace

void RiscvArch::build_registers() {
  const ir::Type xt = xtype();
  const auto add = [&](const RegisterRow& row, u16 csr = kNoCsr) {
    registers_.push_back(row);
    csr_of_row_.push_back(csr);
    return static_cast<unsigned>(registers_.size() - 1);
  };
  for (u16 i = 0; i < 32; ++i) {
    const bool exists = i < 16 || !cpu_.has(ext::E);
    add({kX[i].name, kX[i].abi_name, xt, static_cast<u16>(kOffsetX + 8 * i), "general",
         exists ? kCpuFeature : nullptr, i, exists ? kX[i].pin_order : u8{0}, i == 0});
  }
  pc_row_ = add({"pc", "pc", xt, kOffsetPc, "general", kCpuFeature, kGdbPc, 0, false});
  reservation_row_ = add(
      {"reservation", "reservation", ir::Type::I64, kOffsetReservation, "internal", nullptr, -1, 0, false});
  add({"reservation_valid", "reservation_valid", ir::Type::I64, kOffsetReservationValid, "internal", nullptr,
       -1, 0, false});
  first_f_row_ = static_cast<unsigned>(registers_.size());
  if (cpu_.has(ext::F)) {
    for (u16 i = 0; i < 32; ++i) {
      add({kF[i].name, kF[i].abi_name, ir::Type::F64, static_cast<u16>(kOffsetF + 8 * i), "float",
           kFpuFeature, kGdbFirstF + i, kF[i].pin_order, false});
    }
    // fcsr is both of these; its row shows where the flags are.
    const auto add_control = [&](const char* name, u16 offset, u16 csr) {
      add({name, name, ir::Type::I32, offset, "control", kCsrFeature, kGdbFirstCsr + csr, 0, false}, csr);
    };
    add_control("fflags", kOffsetFlags, 1);
    add_control("frm", kOffsetFrm, 2);
    add_control("fcsr", kOffsetFlags, 3);
  }
  for (const CsrRow& row : all_csrs()) {
    if (row.offset == 0) continue;
    for (u16 i = 0; i < row.count; ++i) {
      const u16 number = static_cast<u16>(row.number + i);
      if (find_csr(*this, number) == nullptr) continue;
      const char* name = csr_name(number);
      const unsigned added = add({name, name, xt, static_cast<u16>(row.offset + 8 * i), "control",
                                  kCsrFeature, kGdbFirstCsr + number, 0, false},
                                 number);
      if (number == 0x300) mstatus_row_ = added;
      if (number == 0x200) vsstatus_row_ = added;
    }
  }
  add({"priv", "priv", ir::Type::I8, kOffsetPrivilege, "control", kVirtualFeature, kGdbPrivilege, 0, false});
  if (cpu_.has(ext::H))
    add({"virt", "virt", ir::Type::I8, kOffsetVirt, "control", kVirtualFeature, kGdbPrivilege + 1, 0, false});
  // At the end: recordings have a debugger's writes by the number of the row.
  for (u16 number = 0; number < 4096; ++number) {
    if (!is_computed(*this, number)) continue;
    const char* name = csr_name(number);
    add({name, name, xt, kComputed, "control", kCsrFeature, kGdbFirstCsr + number, 0, false}, number);
  }
}

u64 RiscvArch::read_register(const Vcpu& vcpu, unsigned row) const {
  const RegisterRow& r = registers_[row];
  if (r.zero) return 0;
  if (csr_of_row_[row] != kNoCsr) return find_csr(csr_of_row_[row])->read(*this, vcpu, csr_of_row_[row]);
  u64 value = 0;
  std::memcpy(&value, reinterpret_cast<const u8*>(&vcpu.header()) + r.offset, ir::bits_of(r.type) / 8);
  return value;
}

bool RiscvArch::write_register(Vcpu& vcpu, unsigned row, u64 value) const {
  const RegisterRow& r = registers_[row];
  RiscvState& s = vcpu.state<RiscvState>();
  if (const u16 csr = csr_of_row_[row]; csr != kNoCsr) {
    const CsrRow* csr_row = find_csr(csr);
    // A counter's write is defined within an instruction, which counts too.
    if (csr_row->write == nullptr || is_counter(csr)) return false;
    csr_row->write(*this, vcpu, csr, value);
    return true;
  }
  if (r.offset == kOffsetPrivilege) {
    const bool exists = value == kMachine || (value == kUser && cpu_.has(ext::U)) ||
                        (value == kSupervisor && cpu_.has(ext::S));
    if (!exists) return false;
    s.privilege = value;
    if (value == kMachine) s.virt = 0;
    return true;
  }
  if (r.offset == kOffsetVirt) {
    if (value > 1 || (value == 1 && s.privilege == kMachine)) return false;
    s.virt = value;
    return true;
  }
  if (row == pc_row_) {
    s.pc = truncate(value) & ~u64{insn_alignment() - 1};
    return true;
  }
  if (r.zero) return value == 0;
  // The whole slot: RV32's upper halves stay zero.
  const u64 whole = r.type == ir::Type::F64 ? value : truncate(value);
  std::memcpy(reinterpret_cast<u8*>(&s) + r.offset, &whole, 8);
  return true;
}

}  // namespace hindcast::riscv
