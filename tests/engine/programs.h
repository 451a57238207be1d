// Guest programs that several of the engine's tests run.
#pragma once
#include "tests/engine/guest.h"

namespace hindcast::test {

/// A bit of everything in an endless loop: calls, recursion, memory of every width (misaligned too), integer
/// and double arithmetic, AMOs and LR/SC, exceptions, timer interrupts, device accesses and counter reads in
/// the middle of blocks, code that rewrites itself, WFI. All of it leaves its traces in registers or RAM.
Bytes mixed_program(bool rv64);
/// The same work in user mode behind PMP entries that make every access go through the checks, with accesses
/// that are refused.
Bytes protected_program();

}  // namespace hindcast::test
