#include "targets/machines/boot.h"

#include <fmt/format.h>

#include <algorithm>

#include "targets/devices/htif.h"

namespace hindcast::machines {
namespace {

using loader::Image;
using loader::Segment;

constexpr u64 kMiB = 1u << 20;
constexpr u64 kPage = AddressSpace::kPage;

GuestAddr align_up(GuestAddr value, u64 unit) { return (value + (unit - 1)) & ~(unit - 1); }
GuestAddr align_down(GuestAddr value, u64 unit) { return value & ~(unit - 1); }

const MachineFile* find_file(const MachineConfig& config, std::initializer_list<std::string_view> roles) {
  for (const MachineFile& file : config.files)
    if (std::find(roles.begin(), roles.end(), file.role) != roles.end()) return &file;
  return nullptr;
}

/// What to do about an image that is for another board.
std::string board_that_claims(const MachineFile& file) {
  for (const MachineKind& kind : Registry::instance().machines())
    if (kind.claims(file.data)) return fmt::format("; -M {} is for it", kind.name);
  return "";
}

Image parse(const MachineFile& file, GuestAddr raw_address, unsigned elf_machine) {
  Image image = loader::parse_image(file.name, file.data, raw_address);
  if (image.format == loader::Format::Elf && (image.elf_machine != elf_machine || image.big_endian))
    throw Fatal(fmt::format("'{}' is a program for {}{}, and this board runs {}{}", file.name,
                            image.big_endian ? "big-endian " : "",
                            loader::elf_machine_name(image.elf_machine),
                            loader::elf_machine_name(elf_machine), board_that_claims(file)));
  return image;
}

void place(BootPlan& plan, const std::string& owner, std::vector<Segment> segments) {
  for (Segment& segment : segments) plan.placed.push_back({owner, std::move(segment)});
}

void place_image(BootPlan& plan, const std::string& owner, Image image) {
  place(plan, owner, std::move(image.segments));
  plan.symbols.insert(plan.symbols.end(), std::make_move_iterator(image.symbols.begin()),
                      std::make_move_iterator(image.symbols.end()));
}

bool overlap(GuestAddr a, u64 a_size, GuestAddr b, u64 b_size) {
  return a < b ? b - a < a_size : a - b < b_size;
}

void check_overlaps(const BootPlan& plan) {
  std::vector<const Placed*> sorted;
  for (const Placed& p : plan.placed)
    if (!p.segment.data.empty()) sorted.push_back(&p);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](auto* a, auto* b) { return a->segment.address < b->segment.address; });
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    const Placed &a = *sorted[i - 1], &b = *sorted[i];
    if (b.segment.address - a.segment.address < a.segment.data.size())
      throw Fatal(fmt::format("'{}' and '{}' overlap in memory at 0x{:x}; load one of them elsewhere",
                              a.owner, b.owner, b.segment.address));
  }
}

/// End of what images take, zeros included, of those that start in the range.
GuestAddr images_end(const BootPlan& plan, GuestAddr base, u64 size) {
  GuestAddr end = base;
  for (const Placed& p : plan.placed)
    if (p.segment.address - base < size) end = std::max(end, p.segment.address + p.segment.memory_size);
  return end;
}

GuestAddr image_end(const Image& image) {
  GuestAddr end = 0;
  for (const Segment& s : image.segments) end = std::max(end, s.address + s.memory_size);
  return end;
}

void place_initrd(BootPlan& plan, const MachineFile& file, GuestAddr kernel, GuestAddr ram_base,
                  u64 ram_size) {
  // Half of memory, but not more than 512 MiB, is left to a kernel that unpacks itself.
  GuestAddr begin = align_up(std::max(kernel, ram_base) + std::min(ram_size / 2, 512 * kMiB), kPage);
  if (begin < ram_base || begin - ram_base > ram_size || file.data.size() > ram_size - (begin - ram_base))
    throw Fatal(fmt::format("'{}' ({} bytes) does not fit the memory; give the board more with -m", file.name,
                            file.data.size()));
  plan.initrd_begin = begin;
  plan.initrd_end = begin + file.data.size();
  place(plan, file.name, {Segment{begin, file.data.size(), file.data}});
}

}  // namespace

unsigned image_address_bits(const MachineConfig& config) {
  for (const char* role : {"bios", "kernel", "image"})
    if (const MachineFile* file = find_file(config, {role}))
      if (auto id = loader::identify_elf(file->data)) return id->address_bits;
  return 0;
}

BootPlan plan_boot(const MachineConfig& config, GuestAddr ram_base, u64 ram_size, unsigned elf_machine) {
  BootPlan plan;
  const MachineFile* bios = find_file(config, {"bios"});
  const MachineFile* kernel = find_file(config, {"kernel", "image"});
  std::optional<GuestAddr> start;
  GuestAddr kernel_base = ram_base;
  if (bios != nullptr) {
    Image image = parse(*bios, ram_base, elf_machine);
    start = image.start();
    // Where firmware expects a raw kernel: the next superpage after itself.
    u64 superpage = image_address_bits(config) == 32 ? 4 * kMiB : 2 * kMiB;
    kernel_base = align_up(std::max(image_end(image), ram_base), superpage);
    place_image(plan, bios->name, std::move(image));
  }
  if (kernel != nullptr) {
    Image image = parse(*kernel, kernel_base, elf_machine);
    plan.next = image.start();
    if (!start) start = plan.next;
    place_image(plan, kernel->name, std::move(image));
  }
  for (const MachineFile& file : config.files) {
    if (file.role != "load") continue;
    if (file.data.empty()) throw Fatal(fmt::format("'{}' is empty: nothing to load", file.name));
    if (file.address + (file.data.size() - 1) < file.address)
      throw Fatal(
          fmt::format("'{}' at 0x{:x} reaches beyond the end of the address space", file.name, file.address));
    place(plan, file.name, {Segment{file.address, file.data.size(), file.data}});
    // Without an image the bytes are the program: RAM first, as the board does when it finds no firmware.
    bool in_ram = file.address - ram_base < ram_size;
    if (bios == nullptr && kernel == nullptr && (!start || (in_ram && file.address == ram_base)))
      start = file.address;
  }
  if (!start) throw Fatal("nothing to start: name an image, or use --bios or --load");
  plan.start = *start;
  if (const MachineFile* initrd = find_file(config, {"initrd"}))
    place_initrd(plan, *initrd, plan.next, ram_base, ram_size);
  check_overlaps(plan);
  std::stable_sort(plan.symbols.begin(), plan.symbols.end(),
                   [](const loader::Symbol& a, const loader::Symbol& b) { return a.address < b.address; });
  plan.free_begin = align_up(images_end(plan, ram_base, ram_size), 16);
  plan.free_end = ram_base + ram_size;
  return plan;
}

void place_device_tree(BootPlan& plan, Bytes blob, GuestAddr ram_base, u64 ram_size) {
  const GuestAddr end = ram_base + ram_size;
  const GuestAddr top = ram_base < 3072 * kMiB ? std::min<GuestAddr>(end, 3072 * kMiB) : end;
  const u64 size = blob.size();
  auto fits = [&](GuestAddr at) {
    if (at < ram_base || at > end || size > end - at) return false;
    return std::none_of(plan.placed.begin(), plan.placed.end(), [&](const Placed& p) {
      return overlap(at, size, p.segment.address, p.segment.memory_size);
    });
  };
  GuestAddr at = 0;
  bool found = false;
  if (size <= ram_size) {
    for (GuestAddr candidate : {align_down(top - size, 2 * kMiB), align_down(top - size, kPage),
                                align_up(images_end(plan, ram_base, ram_size), kPage)}) {
      if (found || !fits(candidate)) continue;
      at = candidate;
      found = true;
    }
  }
  if (!found)
    throw Fatal(
        fmt::format("the device tree ({} bytes) does not fit the memory beside the image; give the board more"
                    " with -m",
                    size));
  plan.device_tree = at;
  if (at >= plan.free_begin) plan.free_end = std::min(plan.free_end, at);
  plan.placed.push_back({"the device tree", {at, size, std::move(blob)}});
}

void replace_device_tree(BootPlan& plan, Bytes blob) {
  for (Placed& p : plan.placed)
    if (p.segment.address == plan.device_tree && p.segment.data.size() == blob.size())
      p.segment.data = std::move(blob);
}

void load_images(Machine& machine, const BootPlan& plan, devices::Htif* htif, bool power_on) {
  static const Bytes kZeros(64 * 1024);
  AddressSpace& memory = machine.memory();
  /// Bytes from `at` on that lie in one piece of memory, at most `size`; 0: there is no memory.
  auto piece = [&](GuestAddr at, u64 size, bool& rom) -> u64 {
    rom = false;
    if (const RamBlock* block = memory.find_ram(at)) {
      rom = block->rom;
      return std::min(size, block->base + block->size - at);
    }
    if (htif != nullptr && at - htif->base() < htif->size())
      return std::min(size, htif->base() + htif->size() - at);
    return 0;
  };
  auto write = [&](const Placed& p, GuestAddr at, const u8* data, u64 size) {
    while (size != 0) {
      bool rom = false;
      u64 part = piece(at, size, rom);
      if (data == nullptr) part = std::min<u64>(part, kZeros.size());
      if (u64 headers = p.segment.address + p.segment.header_bytes; part == 0 && at < headers) {
        // Up to the next page, where memory may begin.
        u64 skipped = std::min({size, headers - at, kPage - at % kPage});
        at += skipped;
        size -= skipped;
        if (data != nullptr) data += skipped;
        continue;
      }
      if (part == 0 && data == nullptr && p.segment.used_elsewhere) return;
      if (part == 0)
        throw DoesNotFit(
            fmt::format("'{}' does not fit the board: 0x{:x} bytes at 0x{:x} end in no memory at 0x{:x}",
                        p.owner, p.segment.memory_size, p.segment.address, at));
      const u8* from = data == nullptr ? kZeros.data() : data;
      bool wanted = power_on ? data != nullptr : !rom;
      if (wanted && !memory.host_write(at, from, part)) htif->host_write(at, from, part);
      at += part;
      size -= part;
      if (data != nullptr) data += part;
    }
  };
  // Zeros of all first: the zeros of one segment may lie where another one has bytes.
  for (const Placed& p : plan.placed)
    if (u64 filled = p.segment.data.size(); filled < p.segment.memory_size)
      write(p, p.segment.address + filled, nullptr, p.segment.memory_size - filled);
  for (const Placed& p : plan.placed)
    write(p, p.segment.address, p.segment.data.data(), p.segment.data.size());
}

}  // namespace hindcast::machines
