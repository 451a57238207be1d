// The text by which device trees name a CPU's extensions ("The RISC-V Instruction Set Manual", volume I,
// chapter 27).
#pragma once
#include <string>
#include <vector>

#include "targets/riscv/features.h"

namespace hindcast::riscv {

/// "rv64imafdc_zicntr_zicsr_...": single letters in canonical order, then the Z extensions by category, then
/// the privileged ones.
std::string isa_string(const Features& features);
/// The same as a list: "i", "m", ..., "zicntr", ...
std::vector<std::string> isa_extensions(const Features& features);

/// The largest addresses that pages translate: "riscv,sv57"; "riscv,none" without supervisor mode.
std::string mmu_type(const Features& features);

/// The CPU that such texts name, as parse_cpu() reads it ("rv64,f=off,d=off"). What the letters do not
/// cover (user mode, PMP, counters, CSRs) is there, and paging unless `mmu` is "riscv,none" (empty: nothing
/// is said); extensions that are not implemented are passed over. Throws Fatal for a text that does not begin
/// like one.
std::string cpu_of_isa(std::string_view isa, std::string_view mmu = {});

}  // namespace hindcast::riscv
