// The incoming MSI controllers of a machine's harts, at one privilege level ("RISC-V Advanced Interrupt
// Architecture" 1.0, chapter 3): an interrupt file for each hart, with a page to which MSIs are written, and
// registers that the hart reaches through its CSRs. No guest interrupt files; eidelivery is 0 or 1.
#pragma once
#include <vector>

#include "engine/machine.h"
#include "targets/devices/external_interrupts.h"
#include "targets/devices/msi.h"

namespace hindcast::devices {

class Imsic final : public Device, public MmioHandler, public MsiTarget, public ExternalPriorities {
 public:
  /// Names of the machine's extensions for the two levels.
  static constexpr const char* kMachineFiles = "riscv.imsic.machine";
  static constexpr const char* kSupervisorFiles = "riscv.imsic.supervisor";
  static constexpr u64 kPage = 0x1000;
  static constexpr unsigned kMostIds = 2047;
  /// Numbers of indirect registers.
  static constexpr unsigned kFirstRegister = 0x70, kLastRegister = 0xff;

  /// `ids`: the highest identity, one less than a multiple of 64. `harts`: where each file's interrupt goes.
  Imsic(std::string name, unsigned ids, std::vector<IrqLine> harts);

  void reset() override;
  void state(Archive& ar) override;
  u64 mmio_read(u64 offset, unsigned size) override;
  void mmio_write(u64 offset, unsigned size, u64 value) override;
  void msi(u64 offset, u32 data) override;
  unsigned external_priority(unsigned hart) const override { return top(hart); }

  // For the hart's CSRs. `hart` must have a file.
  unsigned hart_count() const { return static_cast<unsigned>(files_.size()); }
  /// The first identity that is pending and enabled, and lets through by the threshold; 0: none.
  unsigned top(unsigned hart) const;
  void claim(unsigned hart);
  /// Registers `number` (kFirstRegister to kLastRegister) of 32 or 64 bits; odd ones of the arrays are 32
  /// bits wide only. Those that do not exist are 0.
  u64 read(unsigned hart, unsigned number, unsigned xlen) const;
  void write(unsigned hart, unsigned number, unsigned xlen, u64 value);

 private:
  struct File {
    IrqLine line;
    u32 delivery = 0, threshold = 0;
    std::vector<u32> pending, enabled;  // a bit for each identity
  };
  /// The bits of a word of either array that stand for identities.
  u32 existing(std::size_t word) const;
  void update(File& file);

  unsigned ids_;
  u32 threshold_mask_;
  std::vector<File> files_;
};

}  // namespace hindcast::devices
