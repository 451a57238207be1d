// One data access of the guest: what the Load and Store ops mean, shared by all executors' slow paths.
#pragma once
#include "engine/address_space.h"
#include "engine/arch.h"
#include "engine/ir/ir.h"

namespace hindcast::ir {

/// A data access at address operand + offset. `size` is 1, 2, 4 or 8; the value is in the low bits. False:
/// the access raises `fault` (which the architecture has not ignored) and has changed nothing (an access that
/// crosses a page is translated for both pages before anything is read or written). A device may have been
/// reached: AddressSpace::take_touched_device().
struct DataAccess {
  Vcpu& vcpu;
  AddressSpace& memory;
  MemoryMode mode;

  bool load(u64 address, unsigned size, MemAttr attr, u64& value, GuestFault& fault) const;
  bool store(u64 address, unsigned size, MemAttr attr, u64 value, GuestFault& fault) const;
  /// For translated code that is about to make the access and misses it in the soft TLB: whether it is there
  /// now. If not, nothing has happened that making the access would not do.
  bool prepare(GuestAddr va, unsigned size, Access access) const;
  /// Likewise for a store that need not go through the soft TLB: where it may be made, once, for which
  /// everybody has been told. Null: it is the interpreter's.
  u8* prepare_store(GuestAddr va, unsigned size) const;

 private:
  struct Place {
    GuestAddr va = 0;
    GuestAddr physical[2] = {};  // of the first byte, and of the first byte in the second page
    unsigned first_size = 0;     // bytes before the second page; the access's size if there is none
  };
  bool try_load(u64 address, unsigned size, MemAttr attr, u64& value, GuestFault& fault) const;
  bool try_store(u64 address, unsigned size, MemAttr attr, u64 value, GuestFault& fault) const;
  bool place(u64 address, unsigned size, MemAttr attr, Access access, Place& place, GuestFault& fault) const;
  /// For an access that does not cross a page: puts it into the soft TLB and says where it is in memory, if
  /// neither raises an exception nor asks for the run loop.
  bool look_up(GuestAddr va, unsigned size, Access access, GuestAddr& physical) const;
  bool translate(GuestAddr va, unsigned size, Access access, GuestAddr& physical, GuestFault& fault) const;
  /// Lets translated code reach the page directly next time.
  void remember(GuestAddr va, const Translation& t, Access access) const;
};

/// What the sum of an access's operand and offset is cut down to: the architecture's address width.
u64 address_mask(const Architecture& arch);
/// `value` with the low `size` bytes reversed.
u64 swap_bytes(u64 value, unsigned size);

}  // namespace hindcast::ir
