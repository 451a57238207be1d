#include "engine/ir/access.h"

#include "engine/soft_tlb.h"
#include "engine/vcpu.h"

namespace hindcast::ir {

u64 address_mask(const Architecture& arch) {
  return arch.address_bits() >= 64 ? ~u64{0} : (u64{1} << arch.address_bits()) - 1;
}

u64 swap_bytes(u64 value, unsigned size) { return __builtin_bswap64(value) >> (64 - 8 * size); }

bool DataAccess::translate(GuestAddr va, unsigned size, Access access, GuestAddr& physical,
                           GuestFault& fault) const {
  const Translation t = vcpu.arch().translate(vcpu, va, size, access);
  if (!t.ok) fault = {t.cause, t.value, t.detail};
  physical = t.physical;
  if (t.ok && vcpu.header().tlb != nullptr) remember(va, t, access);
  return t.ok;
}

void DataAccess::remember(GuestAddr va, const Translation& t, Access access) const {
  const unsigned page_bits = vcpu.arch().page_bits();
  const u64 page = u64{1} << page_bits;
  if (t.granule < page) return;
  const GuestAddr physical = t.physical & ~(page - 1);
  const RamBlock* ram = memory.find_ram(physical);
  if (ram == nullptr || physical < ram->base || physical + page > ram->base + ram->size) return;
  // Larger pages than the host's have flags in several places; smaller ones share theirs.
  const bool write = access == Access::Write;
  for (u64 at = 0; at < page; at += AddressSpace::kPage)
    if (!AddressSpace::may_be_direct(*ram, ram->page_of(physical + at - ram->base), write)) return;
  vcpu.header().tlb->fill(va & ~(page - 1), page_bits, ram->host + (physical - ram->base), write);
}

DataAccess::Reached DataAccess::reach(GuestAddr va, unsigned size, Access access) const {
  Reached out;
  const bool flat = mode == MemoryMode::Flat;
  const u64 page = u64{1} << vcpu.arch().page_bits();
  if ((va & (page - 1)) + size > page) return out;
  if (flat) {
    out.physical = va;
  } else {
    const Translation t = vcpu.arch().translate(vcpu, va, size, access);
    if (!t.ok) return out;
    if (vcpu.header().tlb != nullptr) remember(va, t, access);
    out.physical = t.physical;
  }
  out.possible = true;
  const RamBlock* ram = memory.find_ram(out.physical);
  if (ram == nullptr || size > ram->size - (out.physical - ram->base)) return out;
  const u64 at = out.physical - ram->base;
  if (AddressSpace::may_be_direct(*ram, ram->page_of(at), access == Access::Write)) out.host = ram->host + at;
  return out;
}

bool DataAccess::place(u64 address, unsigned size, MemAttr attr, Access access, Place& place,
                       GuestFault& fault) const {
  const Architecture& arch = vcpu.arch();
  if (attr.space != 0) throw Fatal("memory space " + std::to_string(attr.space) + " is not implemented");
  const u64 mask = address_mask(arch);
  const GuestAddr va = place.va = (address + static_cast<u64>(i64{attr.offset})) & mask;
  if (attr.must_align && (va & (size - 1)) != 0) {
    fault = arch.misaligned_fault(va, access);
    return false;
  }
  // Without translation only the end of the address space divides an access, and what follows it is its
  // beginning.
  const bool flat = mode == MemoryMode::Flat;
  const u64 page_mask = flat ? mask : (u64{1} << arch.page_bits()) - 1;
  const u64 rest_of_page = page_mask - (va & page_mask);  // less one
  place.first_size = rest_of_page < size - 1 ? static_cast<unsigned>(rest_of_page) + 1 : size;
  const GuestAddr second = (va + place.first_size) & mask;
  if (flat) {
    place.physical[0] = va;
    place.physical[1] = second;
    return true;
  }
  if (!translate(va, place.first_size, access, place.physical[0], fault)) return false;
  return place.first_size == size ||
         translate(second, size - place.first_size, access, place.physical[1], fault);
}

bool DataAccess::load(u64 address, unsigned size, MemAttr attr, u64& value, GuestFault& fault) const {
  if (try_load(address, size, attr, value, fault)) return true;
  value = 0;
  return vcpu.arch().ignores_fault(vcpu, fault);
}

bool DataAccess::store(u64 address, unsigned size, MemAttr attr, u64 value, GuestFault& fault) const {
  return try_store(address, size, attr, value, fault) || vcpu.arch().ignores_fault(vcpu, fault);
}

bool DataAccess::try_load(u64 address, unsigned size, MemAttr attr, u64& value, GuestFault& fault) const {
  const Access access = attr.store_intent ? Access::Write : Access::Read;
  Place at;
  if (!place(address, size, attr, access, at, fault)) return false;
  bool done = true;
  if (at.first_size == size) {
    done = memory.read(at.physical[0], size, &value);
  } else {
    done = !memory.name_at(at.physical[0]).empty() && !memory.name_at(at.physical[1]).empty();
    value = 0;
    for (unsigned i = 0; i < size && done; ++i) {
      const bool first = i < at.first_size;
      u64 byte = 0;
      done = memory.read(first ? at.physical[0] + i : at.physical[1] + (i - at.first_size), 1, &byte);
      value |= (byte & 0xff) << (8 * i);
    }
  }
  if (!done) {
    fault = vcpu.arch().bus_fault(at.va, access);
    return false;
  }
  if (attr.big_endian) {
    value = swap_bytes(value, size);
  } else if (size < 8) {
    value &= (u64{1} << (8 * size)) - 1;  // a device may answer more than was asked
  }
  return true;
}

bool DataAccess::try_store(u64 address, unsigned size, MemAttr attr, u64 value, GuestFault& fault) const {
  Place at;
  if (!place(address, size, attr, Access::Write, at, fault)) return false;
  if (attr.big_endian) value = swap_bytes(value, size);
  bool done = true;
  if (at.first_size == size) {
    done = memory.write(at.physical[0], size, value);
  } else {
    done = memory.accepts_stores(at.physical[0]) && memory.accepts_stores(at.physical[1]);
    for (unsigned i = 0; i < size && done; ++i) {
      const bool first = i < at.first_size;
      done = memory.write(first ? at.physical[0] + i : at.physical[1] + (i - at.first_size), 1,
                          value >> (8 * i) & 0xff);
    }
  }
  if (!done) fault = vcpu.arch().bus_fault(at.va, Access::Write);
  return done;
}

}  // namespace hindcast::ir
