// The IR interpreter: the oracle of the differential tests, the engine of --engine interp, and what runs the
// last instructions before an exact stop and those that translated code could not finish.
#pragma once
#include "engine/arch.h"
#include "engine/ir/ir.h"

namespace hindcast {
class AddressSpace;
class Vcpu;
struct InstrCursor;
struct InstrFrame;
}  // namespace hindcast

namespace hindcast::ir {

struct InterpExit {
  enum class Kind : u8 {
    Boundary,     // stopped before the instruction at header().pc: the run loop must look at interrupts,
                  // deadlines and requests (a device was reached, code was written, or
                  // header().exit_request is set)
    Limit,        // likewise, but only since as many as asked for were executed
    BlockEnd,     // the unit was left for header().pc in the same context
    Dispatch,     // likewise, but context or interrupt state may have changed
    Fault,        // the instruction at header().pc raised `fault`; no register of it was set
    NeedsInterp,  // the instruction at header().pc needs a unit translated with interpreting(); it has not
                  // begun
  };
  Kind kind = Kind::Boundary;
  u32 executed = 0;  // attempts, a faulting one included; header().budget is less by as many
  GuestFault fault;
};

/// Executes units. Keeps nothing from one run to the next but its memory; one for each thread.
class Interpreter {
 public:
  /// Executes at most `max_insns` guest instructions of `unit`, from its beginning. The unit must satisfy
  /// verify() and outlive the call, also when an instruction of it rewrites the code it was made from:
  /// whoever drops translations keeps it until run() has returned. As each instruction begins header().pc
  /// becomes its pc and header().budget is decremented; the first one is executed even if
  /// header().exit_request is set.
  InterpExit run(const Unit& unit, Vcpu& vcpu, AddressSpace& memory, u32 max_insns);
  /// Likewise, and does the operations of the instrumented block that the unit is part of: `cursor.next` is
  /// the unit's first instruction, and moves on as each begins. The block must hold all that are executed.
  InterpExit run_instrumented(const Unit& unit, Vcpu& vcpu, AddressSpace& memory, u32 max_insns,
                              InstrCursor& cursor, InstrFrame& frame);

 private:
  std::vector<u64> values_;
};

}  // namespace hindcast::ir
