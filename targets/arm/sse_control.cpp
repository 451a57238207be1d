// Control and identification of Arm's SSE subsystems (DDI 0574, chapters 3 and 5; DDI 0571 of the
// IoT Kit; 102803, "System Control Register Block").
#include <fmt/format.h>

#include <array>
#include <optional>
#include <utility>

#include "targets/arm/sse.h"
#include "targets/arm/state.h"
#include "targets/devices/component_id.h"
#include "targets/devices/reset_control.h"
#include "targets/devices/word_registers.h"

namespace hindcast::arm {
namespace {

using devices::component_id;
using devices::DeviceSite;
using devices::NarrowWrites;
using devices::ResetCause;
using devices::ResetControl;
using devices::WordRegisters;

constexpr std::size_t kSystemWords = 0x220 / 4;

/// Words that never change.
class Information final : public Device, public WordRegisters {
 public:
  struct Words {
    std::vector<u32> first;
    u32 implementer = 0;  // IIDR; 0: the subsystem has none
    u16 part = 0;
    u8 revision = 0;
  };
  Information(std::string name, Words words)
      : Device(std::move(name)), WordRegisters(NarrowWrites::Ignore), words_(std::move(words)) {}
  void reset() override {}
  void state(Archive&) override {}

 private:
  static constexpr u32 kImplementer = 0xfc8;
  u32 read_word(u32 at) override {
    if (at / 4 < words_.first.size()) return words_.first[at / 4];
    return at == kImplementer ? words_.implementer : component_id(at, words_.part, words_.revision);
  }
  void write_word(u32, u32) override {}

  Words words_;
};

/// What the generations have at different places.
struct Generation {
  u32 software, processor, outside, lockup;  // bits of RESET_SYNDROME
  u32 mask;                                  // RESET_MASK after a reset
  u8 revision;
  u8 cpus;  // in hardware: the first is the one that has a model
};
constexpr Generation kIotKit = {1 << 9, 1 << 4, 1 << 8, 1 << 6, 0x30, 0, 1};
constexpr Generation kSse200 = {1 << 9, 1 << 4, 1 << 8, 1 << 6, 0x30, 1, 2};
constexpr Generation kSse300 = {1 << 5, 1 << 8, 1 << 4, 1 << 12, 0x100, 1, 1};

/// Clocks and power domains are as they are told to be; resets are asked for, masked and remembered. A reset
/// by the processor (AIRCR) is a warm one, the others are cold.
class SystemControl final : public Device, public WordRegisters, public ResetControl {
 public:
  struct Reset {
    u32 offset, value;  // of a register that is not 0 after a reset
  };
  SystemControl(std::string name, Machine& machine, const Generation& generation, std::vector<Reset> resets)
      : Device(std::move(name)),
        WordRegisters(NarrowWrites::Ignore),
        machine_(machine),
        generation_(generation),
        resets_(std::move(resets)) {}

  void reset() override {
    const ResetCause cause = std::exchange(cause_, ResetCause::Outside);
    const u32 syndrome = words_[kSyndrome / 4], retained = words_[kRetention / 4],
              vectors = words_[kVectors / 4];
    words_.fill(0);
    words_[kResetMask / 4] = generation_.mask;
    for (const Reset& r : resets_) words_[r.offset / 4] = r.value;
    if (cause == ResetCause::PowerOn) {
      words_[kSyndrome / 4] = bit(cause);
      return;
    }
    // Devices are reset before the CPUs are.
    const bool locked_up = machine_.vcpu(0).state<ArmState>().lockup != 0;
    words_[kSyndrome / 4] = syndrome | bit(cause) | (locked_up ? generation_.lockup : 0);
    if (cause == ResetCause::Processor) words_[kRetention / 4] = retained;
    // The document has cold resets put the default back; QEMU begins at the new vectors, and so do we.
    if (cause != ResetCause::Outside) words_[kVectors / 4] = vectors & ~kLocked;
  }
  void state(Archive& ar) override {
    ar.field("words", words_);
    ar.field("cause", cause_);
    if (ar.loading() && cause_ > ResetCause::Outside) throw Fatal("saved state: a reset without a cause");
  }

  bool asked(ResetCause cause) override {
    // Only these can be masked; of the others the mask has no bits.
    if (cause == ResetCause::NonSecureWatchdog || cause == ResetCause::Processor)
      if ((words_[kResetMask / 4] & bit(cause)) == 0) return false;
    cause_ = cause;
    return true;
  }
  std::optional<GuestAddr> vectors() const override {
    const u32 at = words_[kVectors / 4] & ~u32{0x7f};
    return at != 0 ? std::optional<GuestAddr>(at) : std::nullopt;
  }

 private:
  static constexpr u32 kDebugStatus = 0x00, kDebugSet = 0x04, kDebugClear = 0x08, kSyndrome = 0x100,
                       kResetMask = 0x104, kReset = 0x108, kRetention = 0x10c, kVectors = 0x110,
                       kWait = 0x118;
  static constexpr u32 kResetRequest = 1 << 9, kLocked = 1, kSecondWaits = 2;

  u32 bit(ResetCause cause) const {
    switch (cause) {
      case ResetCause::Software: return generation_.software;
      case ResetCause::Processor: return generation_.processor;
      case ResetCause::Outside: return generation_.outside;
      default: return 1u << static_cast<unsigned>(cause);
    }
  }
  u32 read_word(u32 at) override {
    return at / 4 < words_.size() ? words_[at / 4] : component_id(at, kPart, generation_.revision);
  }
  void write_word(u32 at, u32 value) override {
    if (at / 4 >= words_.size()) return;
    switch (at) {
      case kDebugStatus: break;
      case kDebugSet: words_[kDebugStatus / 4] |= value; break;
      case kDebugClear: words_[kDebugStatus / 4] &= ~value; break;
      case kSyndrome: words_[kSyndrome / 4] &= value; break;  // bits are written to 0
      case kReset:
        if ((value & kResetRequest) != 0) devices::request_reset(machine_, ResetCause::Software);
        break;
      case kRetention: words_[at / 4] = value & 0xffff; break;
      case kVectors:
        if ((words_[at / 4] & kLocked) == 0) words_[at / 4] = value & (~u32{0x7f} | kLocked);
        break;
      case kWait:
        if (generation_.cpus > 1 && (words_[at / 4] & ~value & kSecondWaits) != 0) tell_of_second_cpu();
        words_[at / 4] = value;
        break;
      default: words_[at / 4] = value;
    }
  }
  void tell_of_second_cpu() const {
    if (const auto& note = machine_.options().engine.note)
      note(fmt::format("{}: the second CPU, which has no model, is to run (CPUWAIT, pc {:#x}, icount {})",
                       name(), machine_.current().pc(), machine_.current().icount()));
  }

  static constexpr u16 kPart = 0x854;
  Machine& machine_;
  const Generation& generation_;
  std::vector<Reset> resets_;
  std::array<u32, kSystemWords> words_{};
  ResetCause cause_ = ResetCause::PowerOn;  // of the next reset
};

}  // namespace

IrqSink* build_sse_information(const DeviceSite& site) {
  Information::Words words;
  words.first = site.node.cells("hindcast,values");
  if (words.first.size() > 16) site.fail("has more than 16 hindcast,values");
  words.implementer = site.cell("hindcast,implementer", 0);
  words.part = static_cast<u16>(site.cell("hindcast,part", 0) & 0xfff);
  words.revision = static_cast<u8>(site.cell("hindcast,revision", 0) & 15);
  return devices::add<Information>(site, 4, std::move(words));
}

IrqSink* build_sse_system(const DeviceSite& site) {
  const u32 number = site.cell("hindcast,generation", 0);
  const Generation& generation = number == 300 ? kSse300 : number == 200 ? kSse200 : kIotKit;
  const std::vector<u32> cells = site.node.cells("hindcast,resets");
  if (cells.size() % 2 != 0) site.fail("has hindcast,resets that are no pairs of offset and value");
  std::vector<SystemControl::Reset> resets;
  for (std::size_t i = 0; i < cells.size(); i += 2) {
    if (cells[i] / 4 >= kSystemWords) site.fail("has hindcast,resets of a register that is not there");
    resets.push_back({cells[i], cells[i + 1]});
  }
  auto& device =
      devices::place<SystemControl>(site, 4 * kSystemWords, site.machine, generation, std::move(resets));
  devices::set_reset_control(site.machine, device);
  return nullptr;
}

}  // namespace hindcast::arm
