// What the payloads of a recording's events mean.
//
//   answers          u32 LE, low half of xxh3-64 of the request; then the reply
//   Serial, SemihostConsole, Network   the bytes
//   Warp             u64 LE, the virtual time, in ns, to which an idle machine jumps; timers due before it
//                    fire in passing
//   Reset            nothing
//   RegisterWrite    u32 LE vCPU, u32 LE register row, u64 LE value
//   MemoryWrite      u64 LE physical address, then the bytes
//   Clock            u64 LE, the virtual time, in ns, to which it jumps; timers due by then fire there
//   Boundary         nothing. Timers due at this icount have fired and the next vCPU was chosen: a debugger
//                    or plugin stopped the run before an instruction, and what follows at this icount
//                    happened then
//   HashGrid         u64 LE hash of the machine's state without memory, u64 LE low half of the output hash
//   CheckpointRoot   the 16 bytes of storage::CheckpointInfo::root
#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "engine/input_port.h"
#include "engine/types.h"
#include "storage/store_types.h"

namespace hindcast::replay {

/// Events that are not inputs but let a replay notice that it has left the recorded path. Part of the
/// recording format.
inline constexpr u8 kHashGrid = 128;
inline constexpr u8 kCheckpointRoot = 129;
inline constexpr u8 kBoundary = 130;

/// An input that the guest asked for and got at once, inside an instruction. All other events happen between
/// instructions.
bool is_answer(u8 kind);
/// A kind that this build knows.
bool is_known(u8 kind);
/// "entropy", "serial", ..., "hash", "checkpoint"; "kind N" for others.
std::string kind_name(u8 kind);
/// The names of all kinds that this build knows, in the order of their numbers.
std::vector<std::string> kind_names();

u32 request_hash(ByteView request);

void put_le(Bytes& to, u64 value, unsigned size);
/// The `size` bytes at `offset`, which must exist.
u64 get_le(ByteView from, std::size_t offset, unsigned size);

struct HashPoint {
  u64 state = 0;
  u64 output = 0;
};
Bytes encode(const HashPoint& point);
/// Nothing if the payload has another size.
std::optional<HashPoint> decode_hash_point(ByteView payload);

std::string hex(ByteView bytes);
/// For people: printable text of an event, at most about `max` characters.
std::string describe(const storage::EventRecord& event, std::size_t max = 60);

}  // namespace hindcast::replay
