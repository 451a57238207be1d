// One row per register: general registers, what the condition flags are made from, special registers.
#include <cstddef>
#include <cstring>

#include "targets/arm/arm.h"
#include "targets/arm/exceptions.h"
#include "targets/arm/fp_state.h"

namespace hindcast::arm {
namespace {

constexpr const char* kCore = "org.gnu.gdb.arm.m-profile";
constexpr const char* kSystem = "org.gnu.gdb.arm.m-system";
constexpr const char* kVfp = "org.gnu.gdb.arm.vfp";

/// Pin orders: how often compiled Thumb code uses the registers.
struct Name {
  const char* name;
  u8 pin_order;
};
constexpr Name kGeneral[] = {{"r0", 3},   {"r1", 5},   {"r2", 4},   {"r3", 1},  {"r4", 6},
                             {"r5", 7},   {"r6", 8},   {"r7", 9},   {"r8", 12}, {"r9", 13},
                             {"r10", 14}, {"r11", 15}, {"r12", 11}, {"sp", 10}, {"lr", 16}};
constexpr u8 kNzPinOrder = 2;

/// Special registers in the order of their rows: those that need more than their storage say so by being
/// here.
enum Special : unsigned { kXpsr, kMsp, kPsp, kPrimask, kBasepri, kFaultmask, kControl, kFpscr };

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"  // one base class without virtual functions
#define AT(field) static_cast<u16>(offsetof(ArmState, field))
constexpr u16 kOffsetR = AT(r), kOffsetPc = AT(pc), kOffsetS = AT(s);
struct Internal {
  const char* name;
  ir::Type type;
  u16 offset;
};
/// In the order of the row numbers in arm.h.
constexpr Internal kInternal[] = {
    {"nz", ir::Type::I64, AT(nz)},
    {"cc_x", ir::Type::I32, AT(cc_x)},
    {"cc_y", ir::Type::I32, AT(cc_y)},
    {"cc_kind", ir::Type::I32, AT(cc_kind)},
    {"cc_c", ir::Type::I32, AT(cc_c)},
    {"q", ir::Type::I32, AT(q)},
    {"ge", ir::Type::I32, AT(ge)},
    {"it", ir::Type::I32, AT(it)},
    {"thumb", ir::Type::I32, AT(thumb)},
    {"exc_return", ir::Type::I32, AT(exc_return)},
    {"exclusive_address", ir::Type::I32, AT(exclusive_address)},
    {"exclusive", ir::Type::I32, AT(exclusive)},
    {"event", ir::Type::I32, AT(event)},
    {"fp_nzcv", ir::Type::I32, AT(fp_nzcv)},
};
struct SpecialRow {
  const char* name;
  u16 offset;
  const char* feature;
  i32 gdb_number;
};
/// xPSR and the stack pointers are put together from several places; their rows' storage is one of them.
constexpr SpecialRow kSpecial[] = {
    {"xpsr", AT(ipsr), kCore, 25},         {"msp", AT(other_sp), kSystem, -1},
    {"psp", AT(other_sp), kSystem, -1},    {"primask", AT(primask), kSystem, -1},
    {"basepri", AT(basepri), kSystem, -1}, {"faultmask", AT(faultmask), kSystem, -1},
    {"control", AT(control), kSystem, -1}, {"fpscr", AT(fpscr), kVfp, -1},
};
#undef AT
#pragma GCC diagnostic pop

constexpr const char* kSingles[] = {"s0",  "s1",  "s2",  "s3",  "s4",  "s5",  "s6",  "s7",
                                    "s8",  "s9",  "s10", "s11", "s12", "s13", "s14", "s15",
                                    "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23",
                                    "s24", "s25", "s26", "s27", "s28", "s29", "s30", "s31"};

/// As debuggers see them: pairs of the above, without storage of their own.
constexpr const char* kDoubles[] = {"d0", "d1", "d2",  "d3",  "d4",  "d5",  "d6",  "d7",
                                    "d8", "d9", "d10", "d11", "d12", "d13", "d14", "d15"};

}  // namespace

void ArmArch::build_registers() {
  for (u16 i = 0; i < 15; ++i) {
    registers_.push_back({kGeneral[i].name, kGeneral[i].name, ir::Type::I32,
                          static_cast<u16>(kOffsetR + 4 * i), "general", kCore, i, kGeneral[i].pin_order,
                          false});
  }
  registers_.push_back({"pc", "pc", ir::Type::I32, kOffsetPc, "general", kCore, 15, 0, false});
  internal_row_ = static_cast<unsigned>(registers_.size());
  for (const Internal& row : kInternal) {
    const u8 pin = row.name == kInternal[0].name ? kNzPinOrder : u8{0};
    registers_.push_back({row.name, row.name, row.type, row.offset, "internal", nullptr, -1, pin, false});
  }
  first_special_row_ = static_cast<unsigned>(registers_.size());
  for (const SpecialRow& row : kSpecial) {
    if (row.feature == kVfp && !has(ext::Vfp)) continue;
    registers_.push_back(
        {row.name, row.name, ir::Type::I32, row.offset, "control", row.feature, row.gdb_number, 0, false});
  }
  first_s_row_ = static_cast<unsigned>(registers_.size());
  if (!has(ext::Vfp)) return;
  for (u16 i = 0; i < 32; ++i) {
    registers_.push_back({kSingles[i], kSingles[i], ir::Type::F32, static_cast<u16>(kOffsetS + 8 * i),
                          "float", nullptr, -1, static_cast<u8>(i + 1), false});
  }
  for (u16 i = 0; i < 16; ++i) {
    registers_.push_back({kDoubles[i], kDoubles[i], ir::Type::F64, static_cast<u16>(kOffsetS + 16 * i),
                          "float", kVfp, -1, 0, true});
  }
}

u64 ArmArch::read_register(const Vcpu& vcpu, unsigned row) const {
  const ArmState& s = vcpu.state<ArmState>();
  if (row >= first_special_row_ && row < first_s_row_) {
    switch (row - first_special_row_) {
      case kXpsr: return read_xpsr(s);
      case kMsp: return read_sp(s, false);
      case kPsp: return read_sp(s, true);
      case kFpscr: return read_fpscr(s);
      default: break;
    }
  }
  const RegisterRow& r = registers_[row];
  if (row >= first_s_row_ + 32) {
    const unsigned low = 2 * (row - first_s_row_ - 32);
    return static_cast<u32>(s.s[low]) | s.s[low + 1] << 32;
  }
  u64 value = 0;
  std::memcpy(&value, reinterpret_cast<const u8*>(&vcpu.header()) + r.offset, ir::bits_of(r.type) / 8);
  return value;
}

bool ArmArch::write_register(Vcpu& vcpu, unsigned row, u64 value) const {
  ArmState& s = vcpu.state<ArmState>();
  const u32 word = static_cast<u32>(value);
  if (row == kPc) {
    s.pc = word & ~u32{1};
    return true;
  }
  if (row == kSp) {
    s.r[kSp] = word & ~u32{3};
    return true;
  }
  if (row >= first_special_row_ && row < first_s_row_) {
    switch (row - first_special_row_) {
      case kXpsr: {
        // The mode, and with it the stack pointer in use, stays: it hangs together with the active
        // exceptions.
        const u32 ipsr = s.ipsr;
        write_xpsr(s, word);
        s.ipsr = ipsr;
        return (word & 0x1ff) == ipsr;
      }
      case kMsp: write_sp(s, false, word); return true;
      case kPsp: write_sp(s, true, word); return true;
      case kPrimask: s.primask = word & 1; return true;
      case kBasepri: s.basepri = word & 0xff; return true;
      case kFaultmask: s.faultmask = word & 1; return true;
      case kControl:
        if (!is_handler(s)) select_sp(s, (word & control::kSpsel) != 0);
        s.control = (s.control & control::kSpsel) | (word & (control::kNpriv | control::kFpca));
        return true;
      default: write_fpscr(s, word); return true;
    }
  }
  const RegisterRow& r = registers_[row];
  if (row >= first_s_row_ + 32) {
    const unsigned low = 2 * (row - first_s_row_ - 32);
    s.s[low] = word;
    s.s[low + 1] = value >> 32;
    return true;
  }
  std::memcpy(reinterpret_cast<u8*>(&s) + r.offset, &value, ir::bits_of(r.type) / 8);
  return true;
}

void ArmArch::state(Vcpu& vcpu, Archive& ar) const {
  ArmState& s = vcpu.state<ArmState>();
  const auto word = [&](const char* name, u32& value) { ar.field(name, value); };
  if (!has(ext::Vfp)) word("fpscr", s.fpscr);
  word("waits_for_event", s.waits_for_event);
  word("lockup", s.lockup);
  word("vtor", s.vtor);
  word("prigroup", s.aircr_prigroup);
  word("scr", s.scr);
  word("ccr", s.ccr);
  word("cpacr", s.cpacr);
  word("shcsr", s.shcsr_enable);
  word("cfsr", s.cfsr);
  word("hfsr", s.hfsr);
  word("dfsr", s.dfsr);
  word("mmfar", s.mmfar);
  word("bfar", s.bfar);
  word("fpccr", s.fpccr);
  word("fpcar", s.fpcar);
  word("fpdscr", s.fpdscr);
  word("mpu_ctrl", s.mpu_ctrl);
  word("mpu_rnr", s.mpu_rnr);
  ar.field("mpu_rbar", s.mpu_rbar);
  ar.field("mpu_rasr", s.mpu_rasr);
  ar.field("enabled", s.enabled.words);
  ar.field("pending", s.pending.words);
  ar.field("active", s.active.words);
  ar.field("level", s.level.words);
  ar.field("priority", s.priority);
  if (!ar.loading()) return;
  // A hostile file may say anything: what is used as an index stays within bounds.
  s.ipsr &= kExceptions - 1;
  s.aircr_prigroup &= 7;
  s.mpu_rnr &= 15;
  s.it &= 0xff;
  s.r[kSp] &= ~u32{3};
  update_exceptions(s);
}

}  // namespace hindcast::arm
