// What the memory protection unit lets be executed, as a number: part of the context of translated code, so
// that a unit that is programmed anew takes away no translation.
#include <algorithm>
#include <vector>

#include "engine/machine.h"
#include "targets/arm/mpu.h"

namespace hindcast::arm {
namespace {

/// Translated code can only be where code has been: in pieces of the address space of this size, a memory or
/// a part of one each. What threads have of their own (a stack that is not for execution) mostly lies
/// elsewhere, and then they share their translations.
constexpr unsigned kPieceBits = 24;
constexpr u64 kPieceSize = u64{1} << kPieceBits;

/// Bytes of the address space, in the pieces that are of interest.
class ByteSet {
 public:
  explicit ByteSet(const u64 (&pieces)[kCodePieceWords]) : edges_(std::begin(pieces), std::end(pieces)) {
    for (u64 word = 0; word < kCodePieceWords; ++word)
      for (u64 rest = pieces[word]; rest != 0; rest &= rest - 1)
        pieces_.push_back((64 * word + static_cast<u64>(__builtin_ctzll(rest))) << kPieceBits);
  }

  const std::vector<u64>& pieces() const { return pieces_; }
  /// The pieces, and begin, end, begin, end, ... of what is in it: ascending, no range touches the next.
  std::span<const u64> description() const { return edges_; }
  void set(u64 first, u64 end, bool in) {
    for (const u64 piece : pieces_) set_within(std::max(first, piece), std::min(end, piece + kPieceSize), in);
  }

 private:
  void set_within(u64 first, u64 end, bool in) {
    if (first >= end) return;
    const auto begin = edges_.begin() + kCodePieceWords;
    const auto from = std::lower_bound(begin, edges_.end(), first),
               to = std::upper_bound(from, edges_.end(), end);
    // An odd number of edges before a byte: it is in the set.
    u64 added[2];
    std::size_t count = 0;
    if (((from - begin) % 2 != 0) != in) added[count++] = first;
    if (((to - begin) % 2 != 0) != in) added[count++] = end;
    const auto at = edges_.erase(from, to);
    edges_.insert(at, added, added + count);
  }

  std::vector<u64> pieces_;  // where they begin
  std::vector<u64> edges_;
};

struct Range {
  u64 first, end;
};

/// Armv6-M and v7-M: the region with the highest number decides.
void add_regions_v7(ByteSet& set, const Bank& bank, bool privileged) {
  for (unsigned n = 0; n < kMostRegions; ++n) {
    const Region r = region(bank, n);
    if (!r.enabled()) continue;
    const bool execute = permission_of(r.rasr, privileged).execute;
    const u64 size = u64{1} << r.bits, part = r.piece();
    for (u64 at = 0; at < size; at += part)
      if (r.contains(static_cast<u32>(r.base + at))) set.set(r.base + at, r.base + at + part, execute);
  }
}

/// Armv8-M: what is in two regions is in none.
void add_regions_v8(ByteSet& set, const Bank& bank, bool privileged) {
  Range used[kMostRegions];
  std::size_t count = 0;
  for (unsigned n = 0; n < kMostRegions; ++n) {
    if (!region_v8_enabled(bank, n)) continue;
    const u64 first = region_v8_base(bank, n), end = u64{region_v8_limit(bank, n)} + 1;
    if (first >= end) continue;
    set.set(first, end, permission_v8(bank, n, privileged).execute);
    used[count++] = {first, end};
  }
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t k = 0; k < i; ++k)
      set.set(std::max(used[i].first, used[k].first), std::min(used[i].end, used[k].end), false);
}

}  // namespace

u64 executable_number(const ArmArch& arch, const Vcpu& vcpu) {
  ArmState& s = vcpu.state<ArmState>();
  const bool privileged = is_privileged(s);
  auto& known = s.executable[s.secure][privileged ? 1 : 0];
  if (known != 0) return known;
  const Bank& bank = s.bank();
  ByteSet set(s.code_pieces);
  if (privileged && (bank.mpu_ctrl & mpu_ctrl::kPrivdefena) != 0)
    for (const u64 piece : set.pieces())
      set.set(piece, piece + kPieceSize, default_map_executable(static_cast<u32>(piece)));
  arch.has(ext::V8) ? add_regions_v8(set, bank, privileged) : add_regions_v7(set, bank, privileged);
  return known = vcpu.machine().context_numbers().number(set.description());
}

void mpu_changed(Vcpu& vcpu) {
  ArmState& s = vcpu.state<ArmState>();
  for (auto& of_state : s.executable)
    for (u64& number : of_state) number = 0;
  vcpu.protection_changed();
  vcpu.request_exit();
}

void note_code(Vcpu& vcpu, u32 address) {
  ArmState& s = vcpu.state<ArmState>();
  u64& word = s.code_pieces[address >> kPieceBits >> 6];
  const u64 bit = u64{1} << (address >> kPieceBits & 63);
  if ((word & bit) != 0) return;
  word |= bit;
  // Numbers of before say nothing about this piece. The running context's is never given again, so what is
  // translated until it is left harms nobody.
  mpu_changed(vcpu);
}

}  // namespace hindcast::arm
