// A `virt` machine under test, and the comparison of two of them: all of the state, all of the RAM.
#pragma once
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "engine/registry.h"
#include "tests/engine/assembler.h"

namespace hindcast::test {

inline constexpr GuestAddr kRam = 0x8000'0000, kClint = 0x0200'0000, kUart = 0x1000'0000,
                           kFinisher = 0x10'0000, kMtime = kClint + 0xbff8, kMtimecmp = kClint + 0x4000;

/// What is built, but for the engine.
struct Board {
  Bytes image = {};  // ELF, or raw bytes for the start of RAM
  std::string cpu = "rv64";
  unsigned smp = 1;
  u64 memory = 256u << 10;
  unsigned icount_shift = 3;
  bool semihosting = false;
  std::vector<std::string> args = {};
  std::string tree = {};  // source text of a device tree; empty: the virt board
};

/// The outside world: keeps the output, has nothing to say.
class QuietPort final : public SilentPort {
 public:
  void output(Channel, ByteView data) override { text.append(data.begin(), data.end()); }
  std::string text;
};

class Guest {
 public:
  Guest(const Board& board, const EngineOptions& engine);

  Machine& machine() { return *machine_; }
  Icount icount() const { return machine_->icount(); }
  /// Runs until the icount is `limit` exactly, or the guest has ended. An idle guest's time jumps to the next
  /// timer; with no timer it stays where it is.
  StopReason run_to(Icount limit);
  Bytes state();
  void load(const Bytes& state);
  /// A register by either of its names.
  u64 reg(const std::string& name, unsigned vcpu = 0);
  u64 x(unsigned n, unsigned vcpu = 0);
  u64 pc(unsigned vcpu = 0) { return machine_->vcpu(vcpu).pc(); }
  u32 word(GuestAddr pa);
  void set_word(GuestAddr pa, u32 value);
  const std::string& output() const { return port_.text; }
  /// The writable memory, block by block.
  std::vector<ByteView> ram();
  void copy_ram_from(Guest& other);

 private:
  QuietPort port_;
  std::unique_ptr<Machine> machine_;
};

EngineOptions jit();
EngineOptions interpreter();
/// The JIT with caches dropped and tiers changed at random.
EngineOptions chaos(u64 seed);

/// Every way of executing that must not be visible, with a name: caches of several sizes, host features off.
struct Engine {
  std::string name;
  EngineOptions options;
};
std::vector<Engine> engines();

/// Empty if the two machines are equal in state, RAM and output; else what differs.
std::string difference(Guest& got, Guest& want);

/// Runs both to `limit` and compares. Stops at the first difference.
#define EXPECT_SAME_AT(got, want, limit)                                                          \
  do {                                                                                            \
    const Icount at_ = (limit);                                                                   \
    const StopReason got_reason_ = (got).run_to(at_), want_reason_ = (want).run_to(at_);          \
    ASSERT_EQ(static_cast<int>(got_reason_), static_cast<int>(want_reason_)) << "icount " << at_; \
    ASSERT_EQ(difference((got), (want)), "") << "icount " << at_;                                 \
  } while (false)

/// The ELF of a guest program; empty if it was not built.
Bytes guest_elf(const std::string& name);

}  // namespace hindcast::test
