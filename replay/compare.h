// Where two runs part: two recordings, or one recording on two builds, down to the first instruction after
// which the state of the machine (registers, memory, devices) differs.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "engine/machine.h"
#include "replay/session.h"

namespace hindcast::replay {

struct CompareOptions {
  EngineOptions engine_a, engine_b;
  /// Instead of a second recording: the program that runs the second side, another build of hindcast.
  std::string other_program;
  std::size_t max_words = 64;  // of memory in the report
};

struct CompareReport {
  enum class Verdict : u8 {
    Same,     // equal to the end
    Differ,   // see `icount`
    Lengths,  // equal as far as both go; one ends earlier, at `icount`
  };
  /// A value on both sides; empty: not there.
  struct Difference {
    std::string name, a, b;
  };
  struct Word {
    std::string block;
    GuestAddr address = 0;  // physical, a multiple of 8
    u64 a = 0, b = 0;       // little-endian
  };

  Verdict verdict = Verdict::Same;
  Icount end_a = 0, end_b = 0;
  /// Instructions that each side executed in order to find out; 0 if it does not say.
  u64 executed_a = 0, executed_b = 0;
  /// The states are the same at `icount` and differ at icount + 1; the instruction runs in between. If
  /// `from_start`, they differ before anything has run.
  Icount icount = 0;
  bool from_start = false;
  unsigned vcpu = 0;
  GuestAddr pc = 0;
  std::string insn;                   // disassembled
  bool interrupt = false;             // an interrupt was about to be taken instead
  std::vector<Difference> registers;  // "vcpu0.x10"
  std::vector<Difference> fields;     // state of devices and of the CPU beside its registers: "uart0.lcr"
  std::vector<Word> words;
  u64 differing_pages = 0;
  /// One side left its recording's path on this instruction and cannot be shown.
  std::string left_path;
  /// The sides got different input after that instruction, at icount + 1: not the instruction is to blame.
  bool by_input = false;
  /// The last input before the difference on either side.
  std::optional<EventLine> input_a, input_b;
};

/// Each side executes at most two replays' worth of instructions. Throws Fatal or storage::StoreError when it
/// cannot tell. The first input that differs and a grid of
/// hashes narrow the place down, then replays of both sides; a difference between two builds that vanishes
/// again without a trace before the next of the states looked at is not found.
CompareReport compare(const std::string& path_a, const std::string& path_b, const CompareOptions& options);

}  // namespace hindcast::replay
