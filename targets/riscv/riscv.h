// The RISC-V architecture: RV32 and RV64, unprivileged ISA 20191213 with the ratified extensions of
// features.h, and the machine, supervisor and user modes of the Privileged Architecture 1.12.
#pragma once
#include <memory>
#include <string_view>
#include <vector>

#include "engine/arch.h"
#include "targets/riscv/features.h"
#include "targets/riscv/rows.h"
#include "targets/riscv/state.h"

namespace hindcast::riscv {

/// Lists the CPU models in the process's registry.
void register_cpus();

class RiscvArch;
/// A CPU as parse_cpu() understands it. `xlen` is what the image needs: 32, 64, or 0 for what `cpu` says.
std::unique_ptr<RiscvArch> make_riscv_arch(std::string_view cpu, unsigned xlen = 0);

class RiscvArch final : public Architecture {
 public:
  explicit RiscvArch(Features features);
  ~RiscvArch() override;

  const Features& features() const { return cpu_; }
  unsigned xlen() const { return cpu_.xlen; }
  ir::Type xtype() const { return cpu_.xlen == 32 ? ir::Type::I32 : ir::Type::I64; }
  /// `value` as an XLEN-bit register holds it: RV32 keeps the low half.
  u64 truncate(u64 value) const { return cpu_.xlen == 32 ? static_cast<u32>(value) : value; }

  /// The row of an instruction on this CPU, null for an illegal one. `bits` of a 16-bit instruction: only the
  /// low half is looked at. `operands` (may be null) receives the decoded operands.
  const InsnRow* decode(u32 bits, Operands* operands = nullptr) const;

  // Rows that IR names.
  unsigned x_row(unsigned n) const { return n; }
  unsigned f_row(unsigned n) const { return first_f_row_ + n; }
  unsigned reservation_row() const { return reservation_row_; }
  unsigned reservation_valid_row() const { return reservation_row_ + 1; }
  unsigned mstatus_row() const { return mstatus_row_; }

  // Description.
  const char* name() const override { return cpu_.xlen == 32 ? "riscv32" : "riscv64"; }
  std::string cpu_description() const override { return cpu_.description(); }
  std::span<const RegisterRow> registers() const override { return registers_; }
  unsigned pc_register() const override { return pc_row_; }
  unsigned address_bits() const override { return cpu_.xlen; }
  unsigned insn_alignment() const override { return cpu_.has(ext::C) ? 2 : 4; }
  unsigned max_insn_bytes() const override { return 4; }
  std::size_t state_bytes() const override { return sizeof(RiscvState); }

  // State.
  void reset(Vcpu& vcpu, GuestAddr entry) const override;
  void state(Vcpu& vcpu, Archive& ar) const override;
  u64 read_register(const Vcpu& vcpu, unsigned row) const override;
  bool write_register(Vcpu& vcpu, unsigned row, u64 value) const override;

  // Translation.
  u64 context(const Vcpu& vcpu) const override;
  MemoryMode memory_mode(u64 context) const override;
  bool fetch_mapped(u64 context) const override { return (context & context::kMapped) != 0; }
  u64 data_space(const Vcpu& vcpu) const override;
  u64 fetch_space(const Vcpu& vcpu) const override;
  bool table_entries_used(ByteView entries) const override;
  ir::Round rounding(u64 context) const override;
  InsnInfo translate_insn(ir::Builder& b, GuestAddr pc, ByteView code) const override;
  unsigned disassemble(GuestAddr pc, ByteView code, std::string& text) const override;
  const char* insn_class(ByteView code) const override;
  std::vector<const char*> insn_classes() const override;
  Translation translate(Vcpu& vcpu, GuestAddr va, unsigned size, Access access) const override;
  Translation probe(Vcpu& vcpu, GuestAddr va, unsigned size, Access access) const override;

  // Exceptions and interrupts.
  void enter_exception(Vcpu& vcpu, const GuestFault& fault) const override;
  GuestFault bus_fault(GuestAddr va, Access access) const override;
  GuestFault misaligned_fault(GuestAddr va, Access access) const override;
  void set_irq(Vcpu& vcpu, unsigned line, bool level) const override;
  bool interrupt_pending(const Vcpu& vcpu) const override;
  void enter_interrupt(Vcpu& vcpu) const override;
  bool wakes(const Vcpu& vcpu) const override;
  void on_deadline(Vcpu& vcpu) const override;
  void on_switch(Vcpu& vcpu) const override;

  // Debuggers.
  const char* gdb_architecture() const override { return cpu_.xlen == 32 ? "riscv:rv32" : "riscv:rv64"; }
  bool gdb_watch_traps_before() const override { return true; }
  /// As loads see it, but for permissions: those of pages and PMP are not a debugger's concern.
  bool debug_translate(Vcpu& vcpu, GuestAddr va, GuestAddr* physical) const override;
  std::string describe_translation(Vcpu& vcpu, GuestAddr address) const override;

 private:
  void build_registers();
  void build_decoder();

  Features cpu_;
  std::vector<RegisterRow> registers_;
  std::vector<u16> csr_of_row_;  // CSR number of each register row, kNoCsr for the others
  unsigned pc_row_ = 0, reservation_row_ = 0, first_f_row_ = 0, mstatus_row_ = 0, vsstatus_row_ = 0;
  /// Candidates, most specific first: 16-bit instructions by funct3 and quadrant, then 32-bit ones by opcode
  /// and funct3.
  std::vector<std::vector<const InsnRow*>> buckets_;
};

/// An instruction's bits and its length in bytes (2 or 4); length 0 if `code` ends inside it.
struct Fetched {
  u32 bits = 0;
  unsigned length = 0;
};
Fetched fetch(ByteView code);

/// Puts the result of a semihosting call where the convention has it (semihost::Options::set_result).
void set_semihosting_result(Vcpu& vcpu, u64 value);

/// Interrupts that are pending, as mip shows them. With mvien's bit set what software has written of
/// supervisor mode's external interrupt is no part of it.
inline u64 pending_of(const RiscvState& s) {
  return (s.mip & ~(s.mvien & u64{1} << irq::kSupervisorExternal)) | s.supervisor_lines | s.hvip |
         s.guest_lines;
}

/// The privilege that loads and stores use now: MPP's while mstatus.MPRV is set.
u64 data_privilege(const RiscvState& s);

}  // namespace hindcast::riscv
