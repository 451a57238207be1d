// The description of a guest architecture: what a folder under targets/ supplies.
#pragma once
#include <string>

#include "engine/device.h"
#include "engine/ir/builder.h"
#include "engine/ir/fp_rules.h"
#include "engine/ir/ir.h"
#include "engine/types.h"

namespace hindcast {

class Vcpu;
class Machine;

/// One row per register: the state layout, gdb's target description, snapshots, hashes, dumps and comparisons
/// derive from it.
struct RegisterRow {
  const char* name;         // architectural ("x10")
  const char* abi_name;     // as people say it ("a0"); may equal name
  ir::Type type;            // I8..I64, F64
  u16 offset;               // bytes from the start of the state block; beyond its end: computed, no state
  const char* group;        // "general", "float", "control", "vector"
  const char* gdb_feature;  // "org.gnu.gdb.riscv.cpu"; null: not shown to gdb
  i32 gdb_number;           // -1: gdb assigns
  u8 pin_order;             // 1 is pinned to a host register first; 0: never
  bool zero;                // reads as zero, writes are ignored
};

enum class Access : u8 { Read, Write, Execute };

/// The result of a virtual-to-physical translation, protection included.
struct Translation {
  bool ok = false;
  GuestAddr physical = 0;
  /// The translation and its permissions hold for the whole aligned block of this many bytes around the
  /// address (a power of two). Below the page size: never cached.
  u64 granule = 1;
  /// When !ok: the architecture's exception code and trap value.
  u64 cause = 0;
  u64 value = 0;
  u64 detail = 0;  // GuestFault::detail
};

/// A synchronous exception, in the architecture's own numbering.
struct GuestFault {
  u64 cause = 0;
  u64 value = 0;
  u64 detail = 0;  // what else the architecture wants to know of it; the engine only hands it on
};

/// How loads and stores of a context reach memory.
enum class MemoryMode : u8 {
  Flat,        // guest address = physical address, all RAM accessible: straight to the window
  Translated,  // through Architecture::translate (paging or protection), with the soft TLB
};

/// What the translator says about the instruction it has just translated.
struct InsnInfo {
  unsigned length =
      0;  // bytes; 0: more bytes are needed than were readable (the engine raises the fetch fault)
  bool ends_block = false;
};

/// A guest architecture variant (for instance RV32 or RV64 with a set of extensions). Immutable after
/// construction and shared by all vCPUs of a machine; per-vCPU state is in the Vcpu's state block.
class Architecture {
 public:
  virtual ~Architecture() = default;

  // Description.
  virtual const char* name() const = 0;             // "riscv64"
  virtual std::string cpu_description() const = 0;  // model and features, part of a recording's configuration
  virtual std::span<const RegisterRow> registers() const = 0;
  virtual unsigned pc_register() const = 0;   // a row whose offset is CpuHeader::pc
  virtual unsigned address_bits() const = 0;  // 32 or 64: width of data addresses
  virtual bool big_endian() const { return false; }
  virtual unsigned insn_alignment() const = 0;  // in bytes, a power of two
  virtual unsigned max_insn_bytes() const = 0;
  virtual std::size_t state_bytes() const = 0;  // CpuHeader included
  virtual unsigned page_bits() const { return 12; }

  // State.
  virtual void reset(Vcpu& vcpu, GuestAddr entry) const = 0;
  /// Guest-visible state that is not a register row.
  virtual void state(Vcpu& vcpu, Archive& ar) const = 0;
  /// A row's value and assignment as debuggers mean it; write may be refused (false).
  virtual u64 read_register(const Vcpu& vcpu, unsigned row) const = 0;
  virtual bool write_register(Vcpu& vcpu, unsigned row, u64 value) const = 0;

  // Translation.
  /// Everything that translated code depends on beside the bytes: privilege, modes, rounding, memory mode.
  virtual u64 context(const Vcpu& vcpu) const = 0;
  virtual MemoryMode memory_mode(u64 context) const = 0;
  /// Whether instruction fetch of the context goes through page tables: which bytes are at a pc then changes
  /// without the context. Translations are found by the physical address too.
  virtual bool fetch_mapped(u64 context) const {
    (void)context;
    return false;
  }
  /// What translate() depends on beside the bytes of page tables and what protection_changed() tells of:
  /// equal numbers have equal translations for this vCPU's loads and stores (data_space) or its fetches
  /// (fetch_space; asked for mapped contexts only). A page table's root and the modes that matter, for
  /// instance.
  virtual u64 data_space(const Vcpu& vcpu) const { return context(vcpu); }
  virtual u64 fetch_space(const Vcpu& vcpu) const { return context(vcpu); }
  /// Whether a walk may have used one of the page-table entries in these bytes (aligned to 8). They are about
  /// to change; from an entry that is not valid nothing is ever derived.
  virtual bool table_entries_used(ByteView entries) const {
    (void)entries;
    return true;
  }
  virtual ir::Round rounding(u64 context) const {
    (void)context;
    return ir::Round::NearestEven;
  }
  virtual ir::FpRules fp_rules(u64 context) const {
    (void)context;
    return {};
  }
  /// Emits the IR of the one instruction at `pc`, whose bytes start at code[0] (code may be shorter than
  /// max_insn_bytes() at the end of readable memory). InsnStart has been emitted. Illegal instructions are
  /// translated too: into what raises the exception.
  virtual InsnInfo translate_insn(ir::Builder& b, GuestAddr pc, ByteView code) const = 0;
  /// Text of the instruction; returns its length in bytes (0: code too short).
  virtual unsigned disassemble(GuestAddr pc, ByteView code, std::string& text) const = 0;
  /// Statistics class of the instruction ("Arithmetic", "Branch", ...).
  virtual const char* insn_class(ByteView code) const = 0;
  /// What insn_class() may answer; empty: that is not known.
  virtual std::vector<const char*> insn_classes() const { return {}; }

  /// For an access that is about to be made: sets accessed and dirty bits where the hardware would. Page
  /// tables are read through AddressSpace::read_table().
  virtual Translation translate(Vcpu& vcpu, GuestAddr va, unsigned size, Access access) const = 0;
  /// The same without side effects, for whoever looks in from outside.
  virtual Translation probe(Vcpu& vcpu, GuestAddr va, unsigned size, Access access) const {
    return translate(vcpu, va, size, access);
  }

  // Exceptions and interrupts.
  virtual void enter_exception(Vcpu& vcpu, const GuestFault& fault) const = 0;
  /// The cause of a failed physical access (nothing there, or the device refused).
  virtual GuestFault bus_fault(GuestAddr va, Access access) const = 0;
  virtual GuestFault misaligned_fault(GuestAddr va, Access access) const = 0;
  /// Whether a load or store that has met `fault` goes on without it: then it has changed nothing, and loads
  /// give 0. Asked where there is a fault; what is to be noted of it is noted here.
  virtual bool ignores_fault(Vcpu& vcpu, const GuestFault& fault) const {
    (void)vcpu, (void)fault;
    return false;
  }
  /// An interrupt line of the vCPU changed (numbering is the architecture's).
  virtual void set_irq(Vcpu& vcpu, unsigned line, bool level) const = 0;
  virtual bool interrupt_pending(const Vcpu& vcpu) const = 0;
  virtual void enter_interrupt(Vcpu& vcpu) const = 0;
  /// Whether a vCPU halted by a wait instruction continues.
  virtual bool wakes(const Vcpu& vcpu) const = 0;
  /// For people, behind "the guest ": what a halted vCPU that nothing can wake does.
  virtual std::string why_halted(const Vcpu& vcpu) const { return (void)vcpu, "waits for ever"; }
  /// One of Vcpu::deadlines() has been reached; whoever answers sets later ones, or none.
  virtual void on_deadline(Vcpu& vcpu) const { (void)vcpu; }
  /// Another vCPU is about to run (reservations of load-linked/store-conditional pairs end).
  virtual void on_switch(Vcpu& vcpu) const { (void)vcpu; }

  // Debuggers.
  /// gdb's name of the architecture; null: gdb takes what its executable says.
  virtual const char* gdb_architecture() const { return nullptr; }
  /// gdb takes a watchpoint on this architecture to trap before the access, and steps over the instruction
  /// itself before it looks at the value.
  virtual bool gdb_watch_traps_before() const { return false; }
  /// Where a debugger finds `va`, whatever protection says. False: nowhere.
  virtual bool debug_translate(Vcpu& vcpu, GuestAddr va, GuestAddr* physical) const {
    const Translation translation = probe(vcpu, va, 1, Access::Read);
    *physical = translation.physical;
    return translation.ok;
  }
  /// For a user: how the vCPU's page tables translate `va`, a line for each entry on the way. Empty: this
  /// architecture has none.
  virtual std::string describe_translation(Vcpu& vcpu, GuestAddr va) const {
    (void)vcpu;
    (void)va;
    return {};
  }
};

}  // namespace hindcast
