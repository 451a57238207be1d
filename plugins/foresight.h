// What a callback will do, read from its machine code. Most callbacks that are made often only count: they
// add to memory, perhaps after looking at what does not change. Such a one need not be called each time.
#pragma once
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "engine/instrument.h"

struct dl_phdr_info;

namespace hindcast::plugins {

class Foresight {
 public:
  /// What a function of the interface does with eight bytes; callbacks may call such a one.
  struct Known {
    enum class Does : u8 { ReturnsAddress, Returns, Adds, Sets } does;  // the latter two: its fourth argument
    unsigned arguments;
    /// Where they are for the arguments; none: the call is wrong.
    std::function<std::optional<u64>(const std::array<u64, 4>&)> where;
  };
  using Interface = std::map<const void*, Known>;

  /// `is_code`: whether an address is in a plugin's code, which is all that is read.
  explicit Foresight(std::function<bool(const void*)> is_code, Interface interface = {});
  ~Foresight();
  Foresight(const Foresight&) = delete;
  Foresight& operator=(const Foresight&) = delete;

  using Arguments = std::array<std::optional<u64>, 4>;
  /// The function's effects when it is called with these arguments (none: not known) after what is `before`,
  /// if it ends before long and does nothing but read and write memory. Not for functions in which somebody
  /// has set a breakpoint.
  bool foresee(const void* function, const Arguments& arguments, std::span<const InstrEffect> before,
               InstrForeseen& out);

  // For the walk through it (foresight_walk.cpp).
  struct Operand {
    enum class Kind : u8 { None, Register, Immediate, Memory } kind = Kind::None;
    u8 size = 0;
    i8 reg = -1;               // Register; its low bits
    i8 base = -1, index = -1;  // Memory
    u8 scale = 1;
    i64 value = 0;  // Immediate; Memory: displacement
  };
  struct Step {
    unsigned id = 0;  // X86_INS_*; 0: not understood
    u8 length = 0;
    std::array<Operand, 2> operands;
  };
  const Step& step(u64 at);
  /// The function of the interface that begins there, or null.
  const Known* known(u64 at) const;
  /// Constant: a loaded object's own, as its file has it or as it was relocated. What is Fixed cannot be
  /// written to now; whoever made it so may change that.
  enum class Memory : u8 { None, Constant, Fixed, Variable };
  /// What is mapped there.
  Memory memory(u64 at, unsigned size);

 private:
  struct Range {
    u64 begin, end;
    Memory memory;
  };
  void read_maps();
  static int add_constants(dl_phdr_info* object, std::size_t size, void* to);
  static const Range* find(const std::vector<Range>& ranges, u64 at, unsigned size);
  static bool still_mapped(u64 at, unsigned size);

  std::function<bool(const void*)> is_code_;
  Interface interface_;
  std::size_t capstone_ = 0;  // its handle; 0: it cannot be had
  std::unordered_map<u64, Step> steps_;
  std::vector<Range> maps_;       // readable, private memory
  std::vector<Range> constants_;  // loaded objects' constant segments
};

}  // namespace hindcast::plugins
