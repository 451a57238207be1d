// Guest physical memory: RAM, ROM and devices, and the flat window through which translated code reaches RAM.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "engine/device.h"
#include "engine/table_pages.h"
#include "engine/types.h"

namespace hindcast {

/// A block of RAM or ROM backed by a memfd that is mapped twice: in the window (what the guest's code uses,
/// page-protected to notice stores) and in an alias that the host always may write.
struct RamBlock {
  static constexpr u64 kPage = 4096;
  std::string name;
  GuestAddr base = 0;
  u64 size = 0;        // base and size need not be multiples of a page (kUnmapped)
  bool rom = false;    // guest stores do not change it (see `device`)
  u8* host = nullptr;  // the alias; always readable and writable
  int fd = -1;
  MmioHandler* device = nullptr;  // ROM: receives stores (flash commands); null: stores fault
  bool direct = true;             // ROM: reads see the bytes; else they go to `device`
  /// Page bits, one byte a page. Translated code looks at them.
  static constexpr u8 kCode = 1;  // translations were made from it: stores are noticed
  static constexpr u8 kWatchStores = 2;
  static constexpr u8 kWatchLoads = 4;
  static constexpr u8 kTable =
      8;  // walks have read it as a page table: stores are noticed (not in the window)
  /// Not in the window, which has whole pages only: the block fills a part of this one, or begins within a
  /// page. Accesses are checked against the block's end and go through the alias.
  static constexpr u8 kUnmapped = 16;
  /// Of a block that shows at several addresses: translations were made from it at this one (kCode: at any of
  /// them).
  static constexpr u8 kCodeHere = 32;
  bool has_code = false;       // a page may have kCode
  std::vector<u8> page_flags;  // of the guest's pages, from the one on that holds `base`
  TablePages tables{0};
  /// All watched stores lie in this range of offsets; empty if there are none. Translated code looks at it
  /// too.
  struct {
    u64 begin = 0, end = 0;
  } watched_stores;
  bool mirror = false;            // its bytes are another block's, which has been there before
  std::vector<RamBlock*> others;  // the same bytes at other addresses

  /// Bytes of the first page that lie before the block.
  u64 lead() const { return base % kPage; }
  /// The number in page_flags of the page that holds the byte at `offset`.
  u64 page_of(u64 offset) const { return (offset + lead()) / kPage; }
  GuestAddr page_address(u64 page) const { return base - lead() + page * kPage; }
};

class AddressSpace {
 public:
  /// `bits`: width of physical addresses (32: the window covers everything).
  explicit AddressSpace(unsigned bits);
  ~AddressSpace();
  AddressSpace(const AddressSpace&) = delete;
  AddressSpace& operator=(const AddressSpace&) = delete;

  // Building. Ranges must not overlap (Fatal). RAM and ROM begin and end on multiples of kUnit; what fills
  // whole pages is fast.
  static constexpr u64 kUnit = 8;
  RamBlock& add_ram(std::string name, GuestAddr base, u64 size);
  RamBlock& add_rom(std::string name, GuestAddr base, u64 size, MmioHandler* stores = nullptr);
  /// The same bytes at one more address. For whole pages of RAM, or of ROM without a device. Page tables are
  /// not found in memory that has several addresses.
  RamBlock& add_mirror(std::string name, GuestAddr base, RamBlock& of);
  void add_device(std::string name, GuestAddr base, u64 size, MmioHandler* handler);
  /// Bytes of a device that no address reaches (a disk's), all zero at first: saved, hashed and restored like
  /// RAM. The block's base only tells it from others. `size`: a multiple of 4 KiB, up to 1 TiB.
  RamBlock& add_storage(std::string name, u64 size);
  /// A ROM whose device is in a command mode answers reads by MMIO instead of its bytes.
  void set_rom_direct(RamBlock& block, bool direct);

  // Slow path of the guest's accesses: any size up to 8, any alignment; little-endian value. False: nothing
  // there.
  bool read(GuestAddr pa, unsigned size, u64* value);
  bool write(GuestAddr pa, unsigned size, u64 value);
  /// Whether there is something at `pa` that a store reaches.
  bool accepts_stores(GuestAddr pa) const;

  /// Writes from the host's side (loader, DMA, debugger, semihosting): into RAM and ROM, never to a device.
  /// Drops translations made from the bytes. False: not all of it is RAM or ROM (nothing was written).
  bool host_write(GuestAddr pa, const void* data, std::size_t size);
  bool host_read(GuestAddr pa, void* out, std::size_t size) const;
  /// Host pointer to `size` readable bytes of RAM or ROM, null if they are not all in one block.
  const u8* peek(GuestAddr pa, std::size_t size) const;

  const std::vector<std::unique_ptr<RamBlock>>& ram_blocks() const { return ram_; }
  const RamBlock* find_ram(GuestAddr pa) const;
  RamBlock* find_ram(GuestAddr pa) { return ram_at(pa); }
  /// All blocks whose bytes are part of the machine's state, each once: RAM and ROM, then storage.
  std::vector<RamBlock*> saved_blocks() const;
  /// Writes into a saved block from the host's side; the bytes must lie within it.
  void write_block(RamBlock& block, u64 offset, const void* data, std::size_t size);
  /// Copies a stretch of storage, without giving memory to pages that have none.
  static void read_storage(const RamBlock& block, u64 offset, void* out, std::size_t size);
  /// Makes a stretch of storage zero, and gives back the memory behind whole pages.
  static void clear_storage(RamBlock& block, u64 offset, u64 size);
  struct DeviceRange {
    std::string name;
    GuestAddr base;
    u64 size;
    MmioHandler* handler;
  };
  const std::vector<DeviceRange>& devices() const { return devices_; }
  /// The device at `pa`; null: there is none.
  const DeviceRange* find_device(GuestAddr pa) const;
  /// Name of whatever is at `pa` ("ram", "uart0"), empty for nothing.
  std::string name_at(GuestAddr pa) const;

  // Watching (debuggers). Never visible to the guest.
  struct Watch {
    GuestAddr base;
    u64 size;
    bool loads, stores;
  };
  /// Replaces what is watched (physical addresses). An access that touches a watched byte completes, and the
  /// machine then stops with StopReason::Watchpoint.
  void set_watches(std::vector<Watch> watches);
  bool watching() const { return !watches_.empty(); }
  struct WatchHit {
    GuestAddr address;  // first byte of the access
    unsigned size;
    bool store;
    u64 old_value, new_value;  // of the access, as far as it is RAM or a store
  };
  bool watch_hit() const { return watch_hit_.has_value(); }
  /// The first hit since the last call.
  std::optional<WatchHit> take_watch_hit() { return std::exchange(watch_hit_, std::nullopt); }

  // The window (engine internal).
  u8* window() const { return window_; }
  u64 window_limit() const { return window_limit_; }
  /// Creates the mapping; called once when the board is complete.
  void build_window();

  // Code tracking (engine internal): pages from which translations were made.
  static constexpr u64 kPage = RamBlock::kPage;
  /// Makes stores into the page of `pa` fault in the window from now on. False, and nothing changed: too many
  /// separate stretches of memory are protected (the host's mappings are limited); unprotect_code() makes
  /// room.
  bool protect_code_page(GuestAddr pa);
  /// Nothing is tracked in the page of `pa` any more. Where taking its protection away would cost a mapping
  /// too many, it stays.
  void unprotect_code_page(GuestAddr pa);
  void unprotect_code();
  /// Called before bytes in a code page change.
  void on_code_write(std::function<void(GuestAddr pa, std::size_t size)> callback) {
    code_write_ = std::move(callback);
  }

  // Page tables (engine internal). Nobody may reach guest memory through the flat window while tables_read().
  /// The entry of `size` bytes at `pa`, for a walk: stores to its page are told from now on. Null: not in RAM
  /// or ROM. `covered`: the virtual addresses whose translation goes through the entry.
  const u8* read_table(GuestAddr pa, unsigned size, CoveredRange covered = {});
  /// A walk sets bits in an entry that it has read: nothing that was derived from it becomes wrong.
  void update_table(GuestAddr pa, unsigned size, u64 value);
  bool tables_read() const { return tables_ != 0; }
  /// A store within a page is about to be made straight into the host's memory: those are told who want to
  /// know before bytes in a page of code or of page tables change. Where the bytes are; null: it must be made
  /// by write().
  u8* announce_store(GuestAddr pa, unsigned size);
  /// Called before bytes in a page that walks have read change, at most a page at a time.
  void on_table_write(std::function<void(GuestAddr pa, std::size_t size)> callback) {
    table_write_ = std::move(callback);
  }
  /// Nothing that was derived from the page of `pa` (or from any) is left.
  void forget_table(GuestAddr pa);
  void forget_tables();
  /// Called when loads or stores in the range must be noticed from now on: who keeps host addresses of it
  /// drops them.
  void on_direct_access_ends(std::function<void(GuestAddr pa, u64 size)> callback) {
    direct_ends_ = std::move(callback);
  }
  /// Whether an access to the page may be made without telling anyone.
  static bool may_be_direct(const RamBlock& block, u64 page, bool write) {
    return write ? !block.rom && (block.page_flags[page] & ~RamBlock::kUnmapped) == 0
                 : block.direct && (block.page_flags[page] & RamBlock::kWatchLoads) == 0;
  }

  /// Whether a device was reached since the last call (the interpreter then ends at the instruction
  /// boundary).
  bool take_touched_device() { return std::exchange(touched_device_, false); }

 private:
  RamBlock* ram_at(GuestAddr pa) const;
  RamBlock& add_block(std::string name, GuestAddr base, u64 size, bool rom, MmioHandler* stores);
  static std::unique_ptr<RamBlock> allocate(std::string name, GuestAddr base, u64 size);
  void check_free(const std::string& name, GuestAddr base, u64 size) const;
  void note_watch(GuestAddr pa, unsigned size, bool store, u64 old_value, u64 new_value);
  int protection(const RamBlock& block, u64 page) const;
  u64 borders(const RamBlock& block, u64 first, u64 last) const;
  void tell_direct_ends(const RamBlock& block, u64 page) const;
  bool set_flags(RamBlock& block, u64 page, u8 flags, u64 max_borders);
  void note_write(RamBlock& block, GuestAddr pa, std::size_t size);
  void note_table_write(RamBlock& block, u64 page, GuestAddr pa, std::size_t size);
  std::vector<Watch> watches_of(const RamBlock& block) const;
  bool access_device(GuestAddr pa, unsigned size, u64* value, bool write);
  bool split(GuestAddr pa, unsigned size, u64* value, bool write_access);
  void protect(const RamBlock& block, u64 first, u64 count);

  unsigned bits_;
  std::vector<std::unique_ptr<RamBlock>> ram_, storage_;
  std::vector<DeviceRange> devices_;
  u8* window_ = nullptr;      // host address of guest physical 0
  u8* window_map_ = nullptr;  // including the guards
  u64 window_map_size_ = 0;
  u64 window_limit_ = 0;
  u64 borders_ = 0;  // neighbouring pages of a block with different protection: as many mappings more
  bool touched_device_ = false;
  std::vector<Watch> watches_;
  std::optional<WatchHit> watch_hit_;
  u64 tables_ = 0;  // pages with RamBlock::kTable
  std::function<void(GuestAddr, std::size_t)> code_write_, table_write_;
  std::function<void(GuestAddr, u64)> direct_ends_;
};

}  // namespace hindcast
