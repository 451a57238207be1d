#include "engine/vcpu.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "engine/machine.h"

namespace hindcast {

Vcpu::Vcpu(Machine& machine, const Architecture& arch, unsigned index)
    : machine_(machine), arch_(arch), index_(index) {
  constexpr std::size_t kAlign = 64;
  storage_ = std::make_unique<u8[]>(arch.state_bytes() + kAlign);
  auto at = (reinterpret_cast<std::uintptr_t>(storage_.get()) + kAlign - 1) & ~(kAlign - 1);
  std::memset(reinterpret_cast<void*>(at), 0, arch.state_bytes());
  header_ = new (reinterpret_cast<void*>(at)) CpuHeader;
  header_->vcpu = this;
}

Vcpu::~Vcpu() = default;

Icount Vcpu::icount() const {
  if (!running_) return machine_.clock().icount();
  return slice_start_ + static_cast<u64>(slice_budget_ - header_->budget) - 1;
}

u64 Vcpu::executed() const {
  if (!running_) return executed_base_;
  return executed_base_ + static_cast<u64>(slice_budget_ - header_->budget) - 1;
}

void Vcpu::set_irq(unsigned line, bool level) {
  arch_.set_irq(*this, line, level);
  // Whoever runs now may be the one that has to take it.
  header_->exit_request |= kExitBoundary;
}

namespace {

/// Calls fn(physical, offset, bytes) for each piece, which ends with its page; false as soon as a piece is
/// not accessible.
template <typename Fn>
bool for_each_piece(Vcpu& vcpu, GuestAddr va, std::size_t size, Access access, Fn fn) {
  const u64 page = u64{1} << vcpu.arch().page_bits();
  for (std::size_t done = 0; done < size;) {
    std::size_t piece = std::min<std::size_t>(size - done, page - ((va + done) & (page - 1)));
    Translation t = vcpu.arch().probe(vcpu, va + done, 1, access);
    if (!t.ok) return false;
    if (t.granule < page) piece = std::min<std::size_t>(piece, t.granule - ((va + done) & (t.granule - 1)));
    // A page may be in two memories.
    if (const RamBlock* block = vcpu.machine().memory().find_ram(t.physical))
      piece = std::min<std::size_t>(piece, block->size - (t.physical - block->base));
    if (!fn(t.physical, done, piece)) return false;
    done += piece;
  }
  return true;
}

}  // namespace

bool Vcpu::read_memory(GuestAddr va, void* out, std::size_t size) {
  u8* to = static_cast<u8*>(out);
  return for_each_piece(*this, va, size, Access::Read, [&](GuestAddr pa, std::size_t done, std::size_t n) {
    return machine_.memory().host_read(pa, to + done, n);
  });
}

bool Vcpu::write_memory(GuestAddr va, const void* data, std::size_t size) {
  const u8* from = static_cast<const u8*>(data);
  AddressSpace& memory = machine_.memory();
  auto writable = [&](GuestAddr pa, std::size_t, std::size_t n) {
    const RamBlock* block = memory.find_ram(pa);
    return block != nullptr && !block->rom && memory.peek(pa, n) != nullptr;
  };
  if (!for_each_piece(*this, va, size, Access::Write, writable)) return false;
  return for_each_piece(*this, va, size, Access::Write, [&](GuestAddr pa, std::size_t done, std::size_t n) {
    return memory.host_write(pa, from + done, n);
  });
}

void Vcpu::save_or_load(Archive& ar) {
  ar.section("vcpu" + std::to_string(index_));
  u8* base = reinterpret_cast<u8*>(header_);
  for (const RegisterRow& row : arch_.registers()) {
    if (row.zero || row.offset >= arch_.state_bytes()) continue;
    ar.raw(row.name, base + row.offset, std::max(1u, ir::bits_of(row.type) / 8));
  }
  ar.field("fp_flags", header_->fp_flags);
  ar.field("halted", halted_);
  ar.field("parked", parked_);
  ar.field("executed", executed_base_);
  arch_.state(*this, ar);
}

}  // namespace hindcast
