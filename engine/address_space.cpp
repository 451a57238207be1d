#include "engine/address_space.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace hindcast {
namespace {

// Offsets of loads and stores that the JIT leaves unchecked stay within one guard of a checked base.
constexpr u64 kGuard = u64{1} << 20;

// Beyond every physical address.
constexpr GuestAddr kStorageBase = u64{1} << 63;
constexpr u64 kStorageStep = u64{1} << 40;

std::string hex(u64 v) {
  char buf[32];
  std::snprintf(buf, sizeof buf, "0x%llx", static_cast<unsigned long long>(v));
  return buf;
}

[[noreturn]] void fail(const std::string& what) { throw Fatal(what + ": " + std::strerror(errno)); }

u64 load_le(const u8* p, unsigned size) {
  u64 v = 0;
  std::memcpy(&v, p, size);
  return v;
}

}  // namespace

AddressSpace::AddressSpace(unsigned bits) : bits_(bits) {}

AddressSpace::~AddressSpace() {
  if (window_map_ != nullptr) ::munmap(window_map_, window_map_size_);
  for (RamBlock* block : saved_blocks()) {
    if (block->host != nullptr) ::munmap(block->host, block->size);
    if (block->fd >= 0) ::close(block->fd);
  }
}

void AddressSpace::check_free(const std::string& name, GuestAddr base, u64 size) const {
  if (size == 0 || base + size - 1 < base || (bits_ < 64 && (base + size - 1) >> bits_ != 0))
    throw Fatal("'" + name + "' at " + hex(base) + " does not fit the physical address space");
  auto overlaps = [&](GuestAddr b, u64 s) { return base <= b + (s - 1) && b <= base + (size - 1); };
  for (const auto& r : ram_)
    if (overlaps(r->base, r->size))
      throw Fatal("'" + name + "' at " + hex(base) + " overlaps '" + r->name + "'");
  for (const auto& d : devices_)
    if (overlaps(d.base, d.size))
      throw Fatal("'" + name + "' at " + hex(base) + " overlaps '" + d.name + "'");
}

std::unique_ptr<RamBlock> AddressSpace::allocate(std::string name, GuestAddr base, u64 size) {
  if (base % kUnit != 0 || size % kUnit != 0)
    throw Fatal("'" + name + "' at " + hex(base) + " (" + hex(size) +
                " bytes): base and size must be multiples of 8");
  auto block = std::make_unique<RamBlock>();
  block->name = std::move(name);
  block->base = base;
  block->size = size;
  block->fd = ::memfd_create("hindcast-ram", MFD_CLOEXEC);
  if (block->fd < 0 || ::ftruncate(block->fd, static_cast<off_t>(size)) != 0)
    fail("no memory for " + hex(size) + " bytes of '" + block->name +
         (errno == EFBIG ? "', a file to the host: raise the limit on their size, ulimit -f" : "'"));
  void* p = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, block->fd, 0);
  if (p == MAP_FAILED) fail("no memory for " + hex(size) + " bytes of '" + block->name + "'");
  block->host = static_cast<u8*>(p);
  return block;
}

RamBlock& AddressSpace::add_block(std::string name, GuestAddr base, u64 size, bool rom, MmioHandler* stores) {
  check_free(name, base, size);
  std::unique_ptr<RamBlock> block = allocate(std::move(name), base, size);
  block->rom = rom;
  block->device = stores;
  const u64 pages = block->page_of(size - 1) + 1;
  block->page_flags.assign(pages, block->lead() != 0 ? RamBlock::kUnmapped : 0);
  if (size % kPage != 0) block->page_flags.back() = RamBlock::kUnmapped;
  block->tables = TablePages(pages);
  borders_ += borders(*block, 0, pages);
  ram_.push_back(std::move(block));
  return *ram_.back();
}

RamBlock& AddressSpace::add_ram(std::string name, GuestAddr base, u64 size) {
  return add_block(std::move(name), base, size, false, nullptr);
}

RamBlock& AddressSpace::add_rom(std::string name, GuestAddr base, u64 size, MmioHandler* stores) {
  return add_block(std::move(name), base, size, true, stores);
}

RamBlock& AddressSpace::add_mirror(std::string name, GuestAddr base, RamBlock& of) {
  check_free(name, base, of.size);
  if (base % kPage != 0 || of.base % kPage != 0 || of.size % kPage != 0 || of.device != nullptr)
    throw Fatal("'" + name + "' at " + hex(base) + ": only whole pages of memory can show at two addresses");
  auto block = std::make_unique<RamBlock>();
  block->name = std::move(name);
  block->base = base;
  block->size = of.size;
  block->rom = of.rom;
  block->host = of.host;
  block->fd = of.fd;
  block->mirror = true;
  block->page_flags.assign(of.page_flags.size(), 0);
  block->tables = TablePages(of.page_flags.size());
  block->others = of.others;
  block->others.push_back(&of);
  for (RamBlock* other : block->others) other->others.push_back(block.get());
  ram_.push_back(std::move(block));
  return *ram_.back();
}

RamBlock& AddressSpace::add_storage(std::string name, u64 size) {
  if (size == 0 || size > kStorageStep || size % kPage != 0)
    throw Fatal("'" + name + "': storage of " + hex(size) +
                " bytes; multiples of 4 KiB up to 1 TiB are possible");
  storage_.push_back(allocate(std::move(name), kStorageBase + storage_.size() * kStorageStep, size));
  return *storage_.back();
}

std::vector<RamBlock*> AddressSpace::saved_blocks() const {
  std::vector<RamBlock*> blocks;
  for (const auto* list : {&ram_, &storage_})
    for (const auto& block : *list)
      if (!block->mirror) blocks.push_back(block.get());
  return blocks;
}

void AddressSpace::add_device(std::string name, GuestAddr base, u64 size, MmioHandler* handler) {
  check_free(name, base, size);
  devices_.push_back({std::move(name), base, size, handler});
}

void AddressSpace::set_rom_direct(RamBlock& block, bool direct) {
  if (block.direct == direct) return;
  const u64 pages = block.page_flags.size();
  borders_ -= borders(block, 0, pages);
  block.direct = direct;
  borders_ += borders(block, 0, pages);
  if (!direct && code_write_) code_write_(block.base, block.size);
  if (direct_ends_) direct_ends_(block.base, block.size);
  if (window_ != nullptr) protect(block, 0, pages);
}

RamBlock* AddressSpace::ram_at(GuestAddr pa) const {
  for (const auto& r : ram_)
    if (pa - r->base < r->size) return r.get();
  return nullptr;
}

const RamBlock* AddressSpace::find_ram(GuestAddr pa) const { return ram_at(pa); }

const AddressSpace::DeviceRange* AddressSpace::find_device(GuestAddr pa) const {
  for (const auto& d : devices_)
    if (pa - d.base < d.size) return &d;
  return nullptr;
}

std::string AddressSpace::name_at(GuestAddr pa) const {
  if (const RamBlock* r = ram_at(pa)) return r->name;
  const DeviceRange* device = find_device(pa);
  return device != nullptr ? device->name : std::string();
}

// ---- the guest's slow path

bool AddressSpace::access_device(GuestAddr pa, unsigned size, u64* value, bool write) {
  for (const auto& d : devices_) {
    if (pa - d.base >= d.size) continue;
    if (pa - d.base + size > d.size) return false;
    touched_device_ = true;
    if (write)
      d.handler->mmio_write(pa - d.base, size, *value);
    else
      *value = d.handler->mmio_read(pa - d.base, size);
    if (watching()) note_watch(pa, size, write, *value, *value);
    return true;
  }
  return false;
}

bool AddressSpace::read(GuestAddr pa, unsigned size, u64* value) {
  if (RamBlock* r = ram_at(pa); r != nullptr && pa - r->base + size <= r->size) {
    if (!r->direct) {
      if ((pa & (size - 1)) != 0) return split(pa, size, value, false);
      touched_device_ = true;
      *value = r->device->mmio_read(pa - r->base, size);
    } else {
      *value = load_le(r->host + (pa - r->base), size);
    }
    if (watching()) note_watch(pa, size, false, *value, *value);
    return true;
  }
  if ((pa & (size - 1)) != 0) return split(pa, size, value, false);
  return access_device(pa, size, value, false);
}

bool AddressSpace::write(GuestAddr pa, unsigned size, u64 value) {
  if (RamBlock* r = ram_at(pa); r != nullptr && pa - r->base + size <= r->size) {
    if (r->rom) {
      if (r->device == nullptr) return false;
      if ((pa & (size - 1)) != 0) return split(pa, size, &value, true);
      touched_device_ = true;
      r->device->mmio_write(pa - r->base, size, value);
      return true;
    }
    note_write(*r, pa, size);
    if (watching()) note_watch(pa, size, true, load_le(r->host + (pa - r->base), size), value);
    std::memcpy(r->host + (pa - r->base), &value, size);
    return true;
  }
  if ((pa & (size - 1)) != 0) return split(pa, size, &value, true);
  return access_device(pa, size, &value, true);
}

bool AddressSpace::accepts_stores(GuestAddr pa) const {
  const RamBlock* ram = ram_at(pa);
  return ram != nullptr ? !ram->rom || ram->device != nullptr : !name_at(pa).empty();
}

bool AddressSpace::split(GuestAddr pa, unsigned size, u64* value, bool write_access) {
  // A misaligned access that is not all in one RAM block goes byte by byte, as hardware without a wider path
  // would. Nothing may happen at all if one byte has no home.
  for (unsigned i = 0; i < size; ++i)
    if (write_access ? !accepts_stores(pa + i) : name_at(pa + i).empty()) return false;
  u64 result = 0;
  for (unsigned i = 0; i < size; ++i) {
    u64 byte = *value >> (8 * i) & 0xff;
    if (!(write_access ? write(pa + i, 1, byte) : read(pa + i, 1, &byte))) return false;
    result |= (byte & 0xff) << (8 * i);
  }
  if (!write_access) *value = result;
  return true;
}

void AddressSpace::note_write(RamBlock& block, GuestAddr pa, std::size_t size) {
  u64 first = block.page_of(pa - block.base), last = block.page_of(pa - block.base + size - 1);
  bool code = false;
  for (u64 page = first; page <= last; ++page) {
    const u8 flags = block.page_flags[page];
    if ((flags & RamBlock::kTable) != 0) note_table_write(block, page, pa, size);
    if ((flags & RamBlock::kCode) == 0 || code) continue;
    code = true;
    if (!code_write_) continue;
    code_write_(pa, size);
    for (const RamBlock* other : block.others) code_write_(pa - block.base + other->base, size);
  }
}

void AddressSpace::note_table_write(RamBlock& block, u64 page, GuestAddr pa, std::size_t size) {
  const GuestAddr begin = std::max(pa, block.page_address(page));
  const GuestAddr end = std::min(pa + size, block.page_address(page + 1));
  if (table_write_) table_write_(begin, end - begin);
}

// ---- the host's side

namespace {

/// Writes what is large to the memory's file: pages that are written whole need not be cleared first, and are
/// mapped when the guest touches them. Returns how much was written.
std::size_t write_file(const RamBlock& block, u64 offset, const u8* data, std::size_t size) {
  constexpr std::size_t kWorthwhile = 64 * 1024;
  std::size_t done = 0;
  if (size < kWorthwhile) return done;
  while (done < size) {
    const ssize_t n = ::pwrite(block.fd, data + done, size - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

}  // namespace

bool AddressSpace::host_write(GuestAddr pa, const void* data, std::size_t size) {
  if (size == 0) return true;
  RamBlock* r = ram_at(pa);
  if (r == nullptr || size > r->size - (pa - r->base)) return false;
  note_write(*r, pa, size);
  const u64 offset = pa - r->base;
  const u8* const bytes = static_cast<const u8*>(data);
  const std::size_t done = write_file(*r, offset, bytes, size);
  std::memcpy(r->host + offset + done, bytes + done, size - done);
  return true;
}

void AddressSpace::write_block(RamBlock& block, u64 offset, const void* data, std::size_t size) {
  if (size == 0) return;
  if (!block.page_flags.empty()) note_write(block, block.base + offset, size);
  std::memcpy(block.host + offset, data, size);
}

void AddressSpace::read_storage(const RamBlock& block, u64 offset, void* out, std::size_t size) {
  // A load from a page of the mapping would allocate it.
  for (std::size_t done = 0; done < size;) {
    u8* const to = static_cast<u8*>(out) + done;
    const ssize_t n = ::pread(block.fd, to, size - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      std::memcpy(to, block.host + offset + done, size - done);
      return;
    }
    done += static_cast<std::size_t>(n);
  }
}

void AddressSpace::clear_storage(RamBlock& block, u64 offset, u64 size) {
  const u64 end = offset + size;
  const u64 first = std::min((offset + kPage - 1) / kPage * kPage, end),
            last = std::max(end / kPage * kPage, first);
  std::memset(block.host + offset, 0, first - offset);
  std::memset(block.host + last, 0, end - last);
  if (first == last) return;
  if (::fallocate(block.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(first),
                  static_cast<off_t>(last - first)) != 0)
    std::memset(block.host + first, 0, last - first);  // the file system knows no holes
}

bool AddressSpace::host_read(GuestAddr pa, void* out, std::size_t size) const {
  if (size == 0) return true;
  const u8* p = peek(pa, size);
  if (p == nullptr) return false;
  std::memcpy(out, p, size);
  return true;
}

const u8* AddressSpace::peek(GuestAddr pa, std::size_t size) const {
  const RamBlock* r = ram_at(pa);
  if (r == nullptr || size > r->size - (pa - r->base)) return nullptr;
  return r->host + (pa - r->base);
}

// ---- the window

void AddressSpace::build_window() {
  GuestAddr top = u64{1} << 32;
  if (bits_ > 32) {
    for (const auto& r : ram_) top = std::max(top, r->base + r->size);
    constexpr u64 kLargest = u64{1} << 40;
    if (top > kLargest) throw Fatal("RAM above " + hex(kLargest) + " is not supported");
  }
  window_limit_ = top;
  window_map_size_ = top + 2 * kGuard;
  void* p = ::mmap(nullptr, window_map_size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) fail("cannot reserve the guest's address window");
  window_map_ = static_cast<u8*>(p);
  window_ = window_map_ + kGuard;
  for (const auto& r : ram_) {
    const u64 mapped = r->lead() != 0 ? 0 : r->size / kPage * kPage;
    if (mapped == 0) continue;
    void* at = ::mmap(window_ + r->base, mapped, PROT_READ, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, r->fd, 0);
    if (at == MAP_FAILED) fail("cannot map '" + r->name + "'");
    protect(*r, 0, r->page_flags.size());
  }
}

/// The host's protection of a page in the window.
int AddressSpace::protection(const RamBlock& block, u64 page) const {
  const u8 flags = block.page_flags[page];
  if ((block.rom && !block.direct) || (flags & (RamBlock::kWatchLoads | RamBlock::kUnmapped)) != 0)
    return PROT_NONE;
  return block.rom || (flags & ~RamBlock::kTable) != 0 ? PROT_READ : PROT_READ | PROT_WRITE;
}

/// How many of the pages first..last differ in protection from the page before.
u64 AddressSpace::borders(const RamBlock& block, u64 first, u64 last) const {
  u64 n = 0;
  for (u64 page = std::max<u64>(first, 1); page <= last && page < block.page_flags.size(); ++page)
    n += protection(block, page) != protection(block, page - 1) ? 1 : 0;
  return n;
}

void AddressSpace::protect(const RamBlock& block, u64 first, u64 count) {
  for (const u64 end = first + count; first < end;) {
    // Runs of pages with equal protection go together.
    const int prot = protection(block, first);
    u64 run = 1;
    while (first + run < end && protection(block, first + run) == prot) ++run;
    if (::mprotect(window_ + block.page_address(first), run * kPage, prot) != 0)
      fail("cannot protect '" + block.name + "'");
    first += run;
  }
}

void AddressSpace::tell_direct_ends(const RamBlock& block, u64 page) const {
  const u64 begin = std::max(block.page_address(page), block.base) - block.base;
  const u64 end = std::min(block.page_address(page + 1) - block.base, block.size);
  if (direct_ends_) direct_ends_(block.base + begin, end - begin);
}

/// False, and nothing changed, if that would make more than `max_borders` or more mappings than the host has.
bool AddressSpace::set_flags(RamBlock& block, u64 page, u8 flags, u64 max_borders) {
  if (block.page_flags[page] == flags) return true;
  const int before = protection(block, page);
  const u64 borders_before = borders(block, page, page + 1);
  const u8 old = std::exchange(block.page_flags[page], flags);
  const int prot = protection(block, page);
  if (prot == before) {
    if ((flags & ~old) != 0) tell_direct_ends(block, page);
    return true;
  }
  const u64 more = borders_ - borders_before + borders(block, page, page + 1);
  const bool too_many = more > borders_ && more > max_borders;
  if (too_many || (window_ != nullptr && ::mprotect(window_ + block.page_address(page), kPage, prot) != 0)) {
    if (!too_many && errno != ENOMEM) fail("cannot protect '" + block.name + "'");
    block.page_flags[page] = old;
    return false;
  }
  borders_ = more;
  if ((flags & ~old) != 0) tell_direct_ends(block, page);
  return true;
}

// ---- page tables

const u8* AddressSpace::read_table(GuestAddr pa, unsigned size, CoveredRange covered) {
  RamBlock* r = ram_at(pa);
  if (r == nullptr || size > r->size - (pa - r->base) || !r->direct || !r->others.empty()) return nullptr;
  const u64 page = r->page_of(pa - r->base);
  r->tables.read(page, pa % kPage, size, covered);
  if ((r->page_flags[page] & RamBlock::kTable) == 0) {
    r->page_flags[page] |= RamBlock::kTable;
    ++tables_;
    tell_direct_ends(*r, page);
  }
  return r->host + (pa - r->base);
}

u8* AddressSpace::announce_store(GuestAddr pa, unsigned size) {
  RamBlock* r = ram_at(pa);
  if (r == nullptr || size > r->size - (pa - r->base) || r->rom || watching()) return nullptr;
  constexpr u8 kWatched = RamBlock::kWatchStores | RamBlock::kWatchLoads;
  if ((r->page_flags[r->page_of(pa - r->base)] & kWatched) != 0) return nullptr;
  note_write(*r, pa, size);
  return r->host + (pa - r->base);
}

void AddressSpace::update_table(GuestAddr pa, unsigned size, u64 value) {
  RamBlock* r = ram_at(pa);
  if ((r->page_flags[r->page_of(pa - r->base)] & RamBlock::kCode) != 0 && code_write_) code_write_(pa, size);
  if (watching()) note_watch(pa, size, true, load_le(r->host + (pa - r->base), size), value);
  std::memcpy(r->host + (pa - r->base), &value, size);
}

void AddressSpace::forget_table(GuestAddr pa) {
  RamBlock* r = ram_at(pa);
  if (r == nullptr) return;
  const u64 page = r->page_of(pa - r->base);
  if ((r->page_flags[page] & RamBlock::kTable) == 0) return;
  r->page_flags[page] &= static_cast<u8>(~RamBlock::kTable);
  r->tables.forget(page);
  --tables_;
}

void AddressSpace::forget_tables() {
  if (tables_ == 0) return;
  for (auto& block : ram_) {
    for (u8& flags : block->page_flags) flags &= static_cast<u8>(~RamBlock::kTable);
    block->tables.forget_all();
  }
  tables_ = 0;
}

}  // namespace hindcast
