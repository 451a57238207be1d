// -M NAME,aia=...: the controllers of RISC-V's Advanced Interrupt Architecture in the place of a board's
// PLIC.
#pragma once
#include "targets/loader/device_tree.h"
#include "targets/riscv/features.h"

namespace hindcast::machines {

enum class Aia : u8 { None, Aplic, AplicImsic };

/// The CPU that goes with them: files of incoming MSIs are reached through CSRs of Smaia and Ssaia. Throws
/// Fatal for one without supervisor mode.
riscv::Features with_aia(riscv::Features features, Aia aia);

/// Replaces the PLIC of a board that says where these controllers go (`hindcast,aia` of the PLIC: the
/// addresses of the APLIC's two domains and of the IMSICs of both levels), and connects what was connected to
/// it to the supervisor domain. The board has one hart at that moment, and will have `harts`. Throws Fatal if
/// it has no such PLIC.
void replace_plic(loader::DeviceTree& tree, Aia aia, u32 harts);

}  // namespace hindcast::machines
