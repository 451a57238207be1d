// One row per register: general registers, what the condition flags are made from, special registers.
#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "targets/arm/arm.h"
#include "targets/arm/exceptions.h"
#include "targets/arm/fp_state.h"
#include "targets/arm/mpu.h"

namespace hindcast::arm {
namespace {

constexpr const char* kCore = "org.gnu.gdb.arm.m-profile";
constexpr const char* kSystem = "org.gnu.gdb.arm.m-system";
constexpr const char* kSecext = "org.gnu.gdb.arm.secext";
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
    {"stack_limit", ir::Type::I32, AT(stack_limit)},
};
/// Special registers. Most are put together from several places; their rows' storage is one of them.
enum class Special : u8 { Xpsr, Msp, Psp, MspLimit, PspLimit, Primask, Basepri, Faultmask, Control, Fpscr };
constexpr u32 kCurrent = 2;  // the security state that is the current one
struct SpecialRow {
  const char* name;
  Special kind;
  u32 secure;
  u16 offset;
  const char* feature;
  u64 needs;
  i32 gdb_number;
};
#define BANKED(suffix, secure, feature, needs)                                                              \
  {"msp" suffix, Special::Msp, secure, AT(banks[0].sp[0]), feature, needs, -1},                             \
      {"psp" suffix, Special::Psp, secure, AT(banks[0].sp[1]), feature, needs, -1},                         \
      {"primask" suffix, Special::Primask, secure, AT(banks[0].primask), feature, needs, -1},               \
      {"basepri" suffix, Special::Basepri, secure, AT(banks[0].basepri), feature, needs, -1},               \
      {"faultmask" suffix, Special::Faultmask, secure, AT(banks[0].faultmask), feature, needs, -1},         \
      {"control" suffix, Special::Control, secure, AT(banks[0].control), feature, needs, -1},               \
      {"msplim" suffix, Special::MspLimit, secure, AT(banks[0].sp_limit[0]), feature, needs | ext::V8, -1}, \
  {                                                                                                         \
    "psplim" suffix, Special::PspLimit, secure, AT(banks[0].sp_limit[1]), feature, needs | ext::V8, -1      \
  }
constexpr SpecialRow kSpecial[] = {
    {"xpsr", Special::Xpsr, kCurrent, AT(ipsr), kCore, 0, 25},
    BANKED("", kCurrent, kSystem, 0),
    BANKED("_ns", kNonSecure, kSecext, ext::Sec),
    BANKED("_s", kSecure, kSecext, ext::Sec),
    {"fpscr", Special::Fpscr, kCurrent, AT(fpscr), kVfp, ext::Vfp, -1},
};
#undef BANKED
/// The special register of a row, counted from the first that there is.
const SpecialRow& special(const ArmArch& arch, unsigned index) {
  for (const SpecialRow& row : kSpecial)
    if (arch.has(row.needs) && index-- == 0) return row;
  throw std::logic_error("no such special register");
}
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
    if (!has(row.needs)) continue;
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
    const SpecialRow& r = special(*this, row - first_special_row_);
    const u32 secure = r.secure == kCurrent ? s.secure : r.secure;
    const Bank& bank = s.banks[secure];
    const auto sp = [&](bool process) {
      const bool in_use = secure == s.secure && process == process_sp_in_use(s);
      return in_use ? s.r[kSp] : bank.sp[process ? 1 : 0];
    };
    switch (r.kind) {
      case Special::Xpsr: return read_xpsr(s);
      case Special::Msp: return sp(false);
      case Special::Psp: return sp(true);
      case Special::MspLimit: return bank.sp_limit[0];
      case Special::PspLimit: return bank.sp_limit[1];
      case Special::Primask: return bank.primask;
      case Special::Basepri: return bank.basepri;
      case Special::Faultmask: return bank.faultmask;
      case Special::Control:
        return bank.control | (secure == kSecure ? s.fp_context : s.fp_context & control::kFpca);
      case Special::Fpscr: return read_fpscr(s);
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

namespace {

bool write_special(ArmState& s, Special kind, u32 secure, u32 word) {
  Bank& bank = s.banks[secure];
  switch (kind) {
    case Special::Xpsr: {
      // The mode, and with it the stack pointer in use, stays: it hangs together with the active
      // exceptions.
      const u32 ipsr = s.ipsr;
      if ((word & 0x1ff) != ipsr) return false;
      write_xpsr(s, word);
      s.ipsr = ipsr;
      return true;
    }
    case Special::Msp: stack_pointer(s, secure, false) = word & ~u32{3}; return true;
    case Special::Psp: stack_pointer(s, secure, true) = word & ~u32{3}; return true;
    case Special::MspLimit:
    case Special::PspLimit:
      bank.sp_limit[kind == Special::PspLimit ? 1 : 0] = word & ~u32{7};
      update_stack_limit(s);
      return true;
    case Special::Primask: bank.primask = word & 1; return true;
    case Special::Basepri: bank.basepri = word & s.priority_mask; return true;
    case Special::Faultmask: bank.faultmask = word & 1; return true;
    case Special::Control: {
      const u32 mask = control::kFpca | (secure == kSecure ? control::kSfpa : 0);
      if (is_handler(s)) word = (word & ~control::kSpsel) | (bank.control & control::kSpsel);
      change_stack(s, [&] { bank.control = word & (control::kNpriv | control::kSpsel); });
      s.fp_context = (s.fp_context & ~mask) | (word & mask);
      return true;
    }
    case Special::Fpscr: write_fpscr(s, word); return true;
  }
  return false;
}

}  // namespace

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
    const SpecialRow& r = special(*this, row - first_special_row_);
    return write_special(s, r.kind, r.secure == kCurrent ? s.secure : r.secure, word);
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

namespace {

void bank_state(Bank& b, Archive& ar, const char* prefix) {
  const auto word = [&](const char* name, u32& value) {
    ar.field((std::string(prefix) + name).c_str(), value);
  };
  const std::pair<const char*, u32*> words[] = {{"msp", &b.sp[0]},
                                                {"psp", &b.sp[1]},
                                                {"msplim", &b.sp_limit[0]},
                                                {"psplim", &b.sp_limit[1]},
                                                {"control", &b.control},
                                                {"primask", &b.primask},
                                                {"faultmask", &b.faultmask},
                                                {"basepri", &b.basepri},
                                                {"vtor", &b.vtor},
                                                {"prigroup", &b.prigroup},
                                                {"scr", &b.scr},
                                                {"ccr", &b.ccr},
                                                {"cpacr", &b.cpacr},
                                                {"cfsr", &b.cfsr},
                                                {"mmfar", &b.mmfar},
                                                {"fpccr", &b.fpccr},
                                                {"fpcar", &b.fpcar},
                                                {"fpdscr", &b.fpdscr},
                                                {"mpu_ctrl", &b.mpu_ctrl},
                                                {"mpu_rnr", &b.mpu_rnr},
                                                {"mpu_mair0", &b.mpu_mair[0]},
                                                {"mpu_mair1", &b.mpu_mair[1]}};
  for (const auto& [name, value] : words) word(name, *value);
  ar.field((std::string(prefix) + "mpu_rbar").c_str(), b.mpu_rbar);
  ar.field((std::string(prefix) + "mpu_rasr").c_str(), b.mpu_rasr);
}

}  // namespace

void ArmArch::state(Vcpu& vcpu, Archive& ar) const {
  ArmState& s = vcpu.state<ArmState>();
  const auto word = [&](const char* name, u32& value) { ar.field(name, value); };
  if (!has(ext::Vfp)) word("fpscr", s.fpscr);
  word("fp_context", s.fp_context);
  word("waits_for_event", s.waits_for_event);
  word("lockup", s.lockup);
  word("hfsr", s.hfsr);
  word("dfsr", s.dfsr);
  word("bfar", s.bfar);
  bank_state(s.banks[kNonSecure], ar, "");
  if (has(ext::Sec)) {
    bank_state(s.banks[kSecure], ar, "s_");
    word("secure", s.secure);
    word("aircr", s.aircr);
    word("sfsr", s.sfsr);
    word("sfar", s.sfar);
    word("nsacr", s.nsacr);
    word("sau_ctrl", s.sau_ctrl);
    word("sau_rnr", s.sau_rnr);
    ar.field("sau_rbar", s.sau_rbar);
    ar.field("sau_rlar", s.sau_rlar);
    ar.field("targets_non_secure", s.targets_non_secure.words);
  }
  ar.field("enabled", s.enabled.words);
  ar.field("pending", s.pending.words);
  ar.field("active", s.active.words);
  ar.field("level", s.level.words);
  ar.field("priority", s.priority);
  if (!ar.loading()) return;
  // A hostile file may say anything: what is used as an index stays within bounds.
  s.ipsr &= kExceptions - 1;
  s.secure &= 1;
  for (Bank& b : s.banks) {
    b.prigroup &= 7;
    b.mpu_rnr &= kMostRegions - 1;
  }
  s.sau_rnr &= kSauRegions - 1;
  for (ExceptionSet* set : {&s.enabled, &s.pending, &s.active, &s.level, &s.targets_non_secure})
    set->words[kExceptionWords - 1] &= (u32{1} << (kSlots % 32)) - 1;
  s.it &= 0xff;
  s.r[kSp] &= ~u32{3};
  update_stack_limit(s);
  update_exceptions(s);
  mpu_changed(vcpu);
}

}  // namespace hindcast::arm
