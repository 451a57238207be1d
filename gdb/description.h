// What gdb is told of the machine: registers by number, the target description, the memory map and the
// threads, all generated from the architecture's register rows and the machine.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/machine.h"

namespace hindcast::gdb {

/// gdb's register numbers. Values travel in the guest's byte order. Keeps no reference to `arch`: a navigator
/// may build the machine anew.
class RegisterMap {
 public:
  explicit RegisterMap(const Architecture& arch);

  /// The row of gdb's register `number`.
  std::optional<unsigned> row(u64 number) const {
    if (number >= rows_.size() || rows_[number] < 0) return std::nullopt;
    return static_cast<unsigned>(rows_[number]);
  }
  /// The rows of a 'g' packet: the general registers, which come first in gdb's numbering.
  const std::vector<unsigned>& general() const { return general_; }
  /// The gdb number of the pc.
  unsigned pc_number() const { return pc_number_; }
  /// The value as hexadecimal digits.
  std::string read(const Vcpu& vcpu, unsigned row) const;
  /// The value of `hex`, in the guest's byte order. Nullopt unless it is as long as the register.
  std::optional<u64> parse(const Architecture& arch, unsigned row, std::string_view hex) const;
  /// The document for qXfer:features:read:target.xml.
  std::string target_xml(const Architecture& arch) const;

 private:
  struct Entry {
    unsigned number;
    unsigned row;
  };
  std::vector<Entry> entries_;  // by number
  std::vector<int> rows_;       // of each number; -1: none. Conditions ask at every hit
  std::vector<unsigned> general_;
  unsigned pc_number_ = 0;
};

/// `size` bytes of `value` in the guest's byte order.
std::string guest_bytes(const Architecture& arch, u64 value, unsigned size);
u64 guest_value(const Architecture& arch, std::string_view bytes);

/// Text as XML has it; what is not printable becomes '?'.
std::string xml_text(std::string_view text);
/// Erasing goes by this many bytes for gdb, whatever the guest's commands do.
inline constexpr u64 kFlashBlock = 4096;
bool is_flash(const RamBlock& block);
std::string memory_map_xml(Machine& machine);
std::string threads_xml(Machine& machine);
/// "running", "halted" (a wait instruction), "parked" (waits for an answer from outside).
std::string vcpu_state(Machine& machine, unsigned vcpu);

}  // namespace hindcast::gdb
