// Instrumentation: operations that an observer hangs on guest blocks, instructions and memory accesses. They
// are compiled into translations of their own, beside the plain ones, which stay as they are.
//
// What happens, and in which order, is a function of the guest's course alone: not of the executor, of
// slices, of caches that were dropped, or of whether the run is live. Nothing here changes anything that the
// guest can see.
//
// A block is what begins where control has arrived (the target of a jump, an exception's or interrupt's
// entry, the first instruction ever) and goes on to the next instruction that may transfer control, the end
// of its page, or kMaxInsns. A stop in between (a deadline, a debugger) does not divide it.
#pragma once
#include <array>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/types.h"

namespace hindcast {

class Vcpu;

/// A 64-bit counter of the observer's. vCPU i's is at base + i * stride; stride 0: one for all of them. It
/// must live as long as any block that names it.
struct InstrCounter {
  u8* base = nullptr;
  u64 stride = 0;
  u8* of(unsigned vcpu) const { return base + u64{vcpu} * stride; }
};

/// One operation.
struct InstrOp {
  enum class Kind : u8 {
    Add,    // counter += imm
    Store,  // counter = imm
    Call,   // fn(...), if `when` holds
  };
  /// Of the counter against imm, unsigned.
  enum class When : u8 { Always, Equal, NotEqual, Below, NotAbove, Above, NotBelow };
  using ExecFn = void (*)(unsigned vcpu, void* data);
  using AccessFn = void (*)(unsigned vcpu, u32 access, u64 address, void* data);

  Kind kind = Kind::Add;
  When when = When::Always;
  bool on_load = false, on_store = false;  // of an access: which kinds it is for
  bool wants_value = false;                // of an access: machine.accessed_value() will be asked for
  /// Its function may ask for a change of the guest (Machine::request_change()): it is called before those
  /// that do not, and the change is made between the two. Blocks that hold one are interpreted.
  bool changes = false;
  const void* owner = nullptr;  // whose it is: Machine::forget_operations()
  InstrCounter counter;
  u64 imm = 0;
  ExecFn exec = nullptr;      // for blocks and instructions
  AccessFn access = nullptr;  // for accesses; their `when` is Always
  void* data = nullptr;
};

/// An addition to the observer's memory, or a value that is put there.
struct InstrEffect {
  u8* at = nullptr;
  u64 amount = 0;
  u8 size = 8;  // bytes: 1, 2, 4, 8
  bool set = false;
};

/// What a call is known to do, and nothing else, as long as all of `reads` hold; they do now.
struct InstrForeseen {
  struct Read {
    const u8* at = nullptr;
    u64 value = 0;
    u8 size = 8;
    bool differs = false;  // holds if anything else is there
  };
  std::vector<InstrEffect> effects;
  std::vector<Read> reads;
};

/// The word that describes an access to an AccessFn.
struct InstrAccess {
  unsigned size_shift = 0;  // size = 1 << size_shift bytes
  bool sign_extended = false, big_endian = false, store = false;
  u32 pack() const { return size_shift | u32{sign_extended} << 4 | u32{big_endian} << 5 | u32{store} << 6; }
  static InstrAccess unpack(u32 v) {
    return {v & 15, (v >> 4 & 1) != 0, (v >> 5 & 1) != 0, (v >> 6 & 1) != 0};
  }
};

struct InstrInsn {
  GuestAddr pc = 0;
  GuestAddr physical = 0;  // of its first byte
  u8 length = 0;
  std::array<u8, 16> bytes{};
  std::vector<InstrOp> exec;    // before it is executed, at each attempt
  std::vector<InstrOp> access;  // after each data access of it that did not fault
};

struct InstrBlock {
  static constexpr unsigned kMaxInsns = 64;
  GuestAddr pc = 0;
  u64 context = 0;
  std::vector<InstrOp> entry;  // before the first instruction's
  std::vector<InstrInsn> insns;
  // The engine's own: the bytes in memory are known to be those above.
  bool valid = false;
};

enum class Discontinuity : u8 { Interrupt, Exception, HostCall };

/// The observer. Its functions are called on the machine's thread, with exact state, and throw nothing.
class Instrumentation {
 public:
  virtual ~Instrumentation() = default;
  /// The block is about to be executed for the first time, or for the first time since its bytes have
  /// changed: fills in the operations.
  virtual void translated(Vcpu& vcpu, InstrBlock& block) = 0;
  /// `from`: where the vCPU was, `to`: where it is now.
  virtual void discontinuity(Vcpu& vcpu, Discontinuity kind, GuestAddr from, GuestAddr to) = 0;
  /// The vCPU waits; it goes on.
  virtual void idle(Vcpu& vcpu) = 0;
  virtual void resumed(Vcpu& vcpu) = 0;
  /// Whether it is known what a call of `op` by the vCPU does (`access`: its word, if it is an access's), so
  /// that translated code may do that instead, together with what other calls do, before anybody can see it.
  /// `before`: what will be in some places by then, whatever is there now.
  virtual bool foresee(const InstrOp& op, unsigned vcpu, u32 access, std::span<const InstrEffect> before,
                       InstrForeseen& out) {
    (void)op, (void)vcpu, (void)access, (void)before, (void)out;
    return false;
  }
  /// All blocks have been forgotten (Machine::forget_observed()): those that run again are announced again.
  virtual void forgotten() = 0;
};

/// Where a vCPU is in its block; between blocks `block` is null.
struct InstrCursor {
  std::shared_ptr<InstrBlock> block;
  u32 next = 0;          // the instruction executed next
  bool begun = false;    // its operations of `exec` have been done
  bool changed = false;  // those of them that may change the guest have
  u32 told = 0;          // of its accesses, those whose operations have been done
  void leave() {
    block.reset();
    next = 0;
    begun = changed = false;
    told = 0;
  }
};

/// What translated code and its observer share, one for each vCPU; in low memory where there is any, so that
/// code reaches it by a 32-bit address.
struct InstrFrame {
  static constexpr u32 kNoSite = ~u32{0};
  u64 budget = 0;      // of the vCPU, after the running block was charged
  u64 value = 0;       // of the last access, if somebody wants it
  u32 site = kNoSite;  // the place of the running callback
  /// Where the interpreter is: no callback, one of `exec`, one of `access`.
  enum class Place : u8 { None, Exec, Access } place = Place::None;
};

/// Zeroed memory, below 2 GiB if there is room; Fatal if there is none at all. Freed by its destructor.
class LowMemory {
 public:
  explicit LowMemory(std::size_t size);
  ~LowMemory();
  LowMemory(const LowMemory&) = delete;
  LowMemory& operator=(const LowMemory&) = delete;
  u8* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  u8* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace hindcast
