// The Arm M-profile architectures: Armv6-M (DDI 0419), Armv7-M (DDI 0403) and Armv8-M (DDI 0553).
#pragma once
#include <memory>
#include <string_view>
#include <vector>

#include "engine/arch.h"
#include "targets/arm/features.h"
#include "targets/arm/rows.h"
#include "targets/arm/state.h"

namespace hindcast::arm {

/// Lists the CPU models in the process's registry.
void register_cpus();

class ArmArch final : public Architecture {
 public:
  explicit ArmArch(Features features);
  ~ArmArch() override;

  const Features& features() const { return cpu_; }
  bool has(u64 needs) const { return cpu_.has(needs); }

  /// The row of an instruction on this CPU, null for an undefined one. `bits`: a 16-bit instruction, or both
  /// half-words with the first on top. `operands` (may be null) receives the decoded operands.
  const InsnRow* decode(u32 bits, unsigned length, Operands* operands = nullptr) const;

  // Rows that IR names.
  unsigned r_row(unsigned n) const { return n; }
  unsigned s_row(unsigned n) const { return first_s_row_ + n; }
  unsigned nz_row() const { return internal_row_; }
  unsigned cc_x_row() const { return internal_row_ + 1; }
  unsigned cc_y_row() const { return internal_row_ + 2; }
  unsigned cc_kind_row() const { return internal_row_ + 3; }
  unsigned cc_c_row() const { return internal_row_ + 4; }
  unsigned q_row() const { return internal_row_ + 5; }
  unsigned ge_row() const { return internal_row_ + 6; }
  unsigned it_row() const { return internal_row_ + 7; }
  unsigned thumb_row() const { return internal_row_ + 8; }
  unsigned exc_return_row() const { return internal_row_ + 9; }
  unsigned exclusive_address_row() const { return internal_row_ + 10; }
  unsigned exclusive_row() const { return internal_row_ + 11; }
  unsigned event_row() const { return internal_row_ + 12; }
  unsigned fp_nzcv_row() const { return internal_row_ + 13; }
  unsigned stack_limit_row() const { return internal_row_ + 14; }

  // Description.
  const char* name() const override { return "arm"; }
  std::string cpu_description() const override { return cpu_.description(); }
  std::span<const RegisterRow> registers() const override { return registers_; }
  unsigned pc_register() const override { return kPc; }
  unsigned address_bits() const override { return 32; }
  unsigned insn_alignment() const override { return 2; }
  /// An RTOS gives each task its own regions, often of 1 KiB; smaller ones are looked up at each access.
  unsigned page_bits() const override { return 10; }
  unsigned max_insn_bytes() const override { return 4; }
  std::size_t state_bytes() const override { return sizeof(ArmState); }

  // State.
  /// `entry` is the vector table's address: stack pointer and pc come from there.
  void reset(Vcpu& vcpu, GuestAddr entry) const override;
  void state(Vcpu& vcpu, Archive& ar) const override;
  u64 read_register(const Vcpu& vcpu, unsigned row) const override;
  bool write_register(Vcpu& vcpu, unsigned row, u64 value) const override;

  // Translation.
  u64 context(const Vcpu& vcpu) const override;
  MemoryMode memory_mode(u64 context) const override;
  u64 data_space(const Vcpu& vcpu) const override;
  ir::Round rounding(u64 context) const override;
  ir::FpRules fp_rules(u64 context) const override;
  InsnInfo translate_insn(ir::Builder& b, GuestAddr pc, ByteView code) const override;
  unsigned disassemble(GuestAddr pc, ByteView code, std::string& text) const override;
  const char* insn_class(ByteView code) const override;
  std::vector<const char*> insn_classes() const override;
  Translation translate(Vcpu& vcpu, GuestAddr va, unsigned size, Access access) const override;

  // Exceptions and interrupts.
  void enter_exception(Vcpu& vcpu, const GuestFault& fault) const override;
  GuestFault bus_fault(GuestAddr va, Access access) const override;
  bool ignores_fault(Vcpu& vcpu, const GuestFault& fault) const override;
  GuestFault misaligned_fault(GuestAddr va, Access access) const override;
  /// Lines are interrupt numbers; see kNmiLine.
  void set_irq(Vcpu& vcpu, unsigned line, bool level) const override;
  bool interrupt_pending(const Vcpu& vcpu) const override;
  void enter_interrupt(Vcpu& vcpu) const override;
  bool wakes(const Vcpu& vcpu) const override;
  std::string why_halted(const Vcpu& vcpu) const override;

  // Debuggers.
  const char* gdb_architecture() const override { return "arm"; }
  bool debug_translate(Vcpu& vcpu, GuestAddr va, GuestAddr* physical) const override;

  static constexpr unsigned kNmiLine = kExceptions;

 private:
  void build_registers();
  void build_decoder();

  Features cpu_;
  std::vector<RegisterRow> registers_;
  unsigned internal_row_ = 0, first_s_row_ = 0, first_special_row_ = 0;
  /// Candidates, most specific first: 16-bit instructions by their upper 7 bits, then 32-bit ones by the
  /// first half-word's bits 12 to 4.
  std::vector<std::vector<const InsnRow*>> buckets_;
};

const ArmArch& arch_of(const Vcpu& vcpu);

/// The machine's extension of this name, a u32: how many bits of priorities its chip has, if it says so.
inline constexpr const char* kPriorityBits = "arm.priority-bits";
/// Likewise: how many regions its MPU has.
inline constexpr const char* kMpuRegions = "arm.mpu-regions";

/// An instruction's bits and its length in bytes (2 or 4); length 0 if `code` ends inside it.
struct Fetched {
  u32 bits = 0;
  unsigned length = 0;
};
Fetched fetch(ByteView code);

/// Puts the result of a semihosting call where the convention has it (semihost::Options::set_result).
void set_semihosting_result(Vcpu& vcpu, u64 value);

}  // namespace hindcast::arm
