// The semihosting services, once for all architectures: "Semihosting for AArch32 and AArch64", the
// specification whose call numbers RISC-V shares. An architecture contributes only its calling convention.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "engine/machine.h"

namespace hindcast::semihost {

/// How one architecture passes a call: its word size, and where the result goes.
struct Convention {
  unsigned word_bytes = 8;  // size of a field of the parameter block
  bool big_endian = false;
  void (*set_result)(Vcpu& vcpu, u64 value) = nullptr;  // writes the result register(s)
};

struct Options {
  std::vector<std::string> command_line;  // argv, image name first
  Channel console_channel = 0xff00;       // output of WRITEC/WRITE0/":tt" and its input
  /// SYS_HEAPINFO: RAM that is free after what was loaded. Both 0: the guest is told to use its own values.
  GuestAddr heap_base = 0, heap_limit = 0;
  /// The architecture's Convention::set_result: completes a console read that was waiting when a saved state
  /// was loaded. Null: calls that come after the load teach it (a waiting read restored before any call is an
  /// error).
  void (*set_result)(Vcpu& vcpu, u64 value) = nullptr;
};

/// The guest-side half: lives in the machine (extension "semihosting"), keeps guest-visible state (open
/// handles, errno), asks the outside only through the InputPort (kinds Semihost and SemihostConsole, channel
/// console_channel).
class Service : public Device, public InputSink {
 public:
  Service(Machine& machine, Options options);
  ~Service() override;

  /// One call: `op` and `parameter` as the architecture's registers hold them. The result is written through
  /// the convention, at once or, when the call waits for the console, later (the vCPU is parked meanwhile).
  /// The caller has already moved the pc past the trap instruction. Never throws.
  void call(Vcpu& vcpu, u64 op, u64 parameter, const Convention& convention);

  // Device, InputSink.
  void reset() override;
  void state(Archive& ar) override;
  std::size_t receivable() const override;
  void receive(InputKind kind, ByteView data) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hindcast::semihost
