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
  /// For translated code: an access that lies within a page and raises no exception (`possible`), before
  /// anything has happened that making it would not do.
  struct Reached {
    bool possible = false;
    GuestAddr physical = 0;
    u8* host = nullptr;  // where the bytes are, if nobody needs to be told of the access
  };
  Reached reach(GuestAddr va, unsigned size, Access access) const;

 private:
  struct Place {
    GuestAddr va = 0;
    GuestAddr physical[2] = {};  // of the first byte, and of the first byte in the second page
    unsigned first_size = 0;     // bytes before the second page; the access's size if there is none
  };
  bool try_load(u64 address, unsigned size, MemAttr attr, u64& value, GuestFault& fault) const;
  bool try_store(u64 address, unsigned size, MemAttr attr, u64 value, GuestFault& fault) const;
  bool place(u64 address, unsigned size, MemAttr attr, Access access, Place& place, GuestFault& fault) const;
  bool translate(GuestAddr va, unsigned size, Access access, GuestAddr& physical, GuestFault& fault) const;
  /// Lets translated code reach the page directly next time.
  void remember(GuestAddr va, const Translation& t, Access access) const;
};

/// What the sum of an access's operand and offset is cut down to: the architecture's address width.
u64 address_mask(const Architecture& arch);
/// `value` with the low `size` bytes reversed.
u64 swap_bytes(u64 value, unsigned size);

}  // namespace hindcast::ir
