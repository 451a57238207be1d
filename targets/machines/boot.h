// What is in memory when a board starts, and where it starts: images, device tree, initial RAM disk, and the
// mask ROM with the reset vector.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "engine/registry.h"
#include "targets/loader/image.h"

namespace hindcast::devices {
class Htif;
}

namespace hindcast::machines {

/// Bytes with a place, and whose they are (for messages).
struct Placed {
  std::string owner;
  loader::Segment segment;
};

/// Something of the plan has no memory where it belongs.
struct DoesNotFit : Fatal {
  using Fatal::Fatal;
};

/// Everything that a reset puts into memory again.
struct BootPlan {
  std::vector<Placed> placed;
  GuestAddr start = 0;  // of firmware, or of the image if there is none
  GuestAddr next = 0;   // what firmware starts afterwards; 0: nothing
  GuestAddr device_tree = 0;
  GuestAddr free_begin = 0, free_end = 0;  // RAM between the images and the device tree
  std::vector<loader::Symbol> symbols;
  std::optional<GuestAddr> initrd_begin, initrd_end;
};

/// Parses the configuration's files and decides where each goes (RAM of `ram_size` bytes at `ram_base`).
/// `elf_machine` is what ELF images must be for. Throws Fatal if there is nothing to start or two things need
/// the same place.
BootPlan plan_boot(const MachineConfig& config, GuestAddr ram_base, u64 ram_size, unsigned elf_machine);

/// The width that the configuration's images need: 32, 64, or 0 if none says.
unsigned image_address_bits(const MachineConfig& config);

/// Chooses the place of the device tree and adds it to the plan: below the end of RAM and of the first 3 GiB,
/// on a 2 MiB boundary, as software expects it; in small memories wherever it fits.
void place_device_tree(BootPlan& plan, Bytes blob, GuestAddr ram_base, u64 ram_size);

/// Puts another blob of the same size in the place of the device tree.
void replace_device_tree(BootPlan& plan, Bytes blob);

/// Writes the plan. At power-on memory is known to be zero; later `power_on` is false: then zeros are written
/// too, and ROM (flash), which keeps its contents, is left alone. Throws DoesNotFit.
void load_images(Machine& machine, const BootPlan& plan, devices::Htif* htif, bool power_on);

}  // namespace hindcast::machines
