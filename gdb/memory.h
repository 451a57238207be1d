// Guest memory as a debugger reads it: virtual addresses of a vCPU. RAM, ROM, and the registers of devices
// that can show them without a change (MmioHandler::can_peek()); reading those of others would change the
// run.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/machine.h"

namespace hindcast::gdb {

/// What addresses mean.
enum class Space : u8 { Virtual, Physical };

/// At most `size` bytes from `va`, fewer where the readable memory ends.
std::string read_memory(Vcpu& vcpu, Space space, GuestAddr va, u64 size);
/// Where [va, va + size) is, piece by piece: (physical address, bytes). Nullopt if not all of it is RAM or
/// ROM.
std::optional<std::vector<std::pair<GuestAddr, u64>>> physical_pieces(Vcpu& vcpu, Space space, GuestAddr va,
                                                                      u64 size);
/// The address of the first occurrence of `pattern` that lies in [va, va + size).
std::optional<GuestAddr> search_memory(Vcpu& vcpu, Space space, GuestAddr va, u64 size,
                                       const std::string& pattern);
/// The CRC of qCRC (polynomial 0x04c11db7, most significant bit first, from all ones). Nullopt if not all of
/// it is readable.
std::optional<u32> crc_memory(Vcpu& vcpu, Space space, GuestAddr va, u64 size);

}  // namespace hindcast::gdb
