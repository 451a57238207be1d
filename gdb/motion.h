// Breakpoints and watchpoints, and moving until one of them stops the run: the navigator's moves with the
// conditions, and the stopping places, that gdb expects.
#pragma once
#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "gdb/description.h"
#include "replay/navigator.h"

namespace hindcast::gdb {

/// The numbers are those of the packets Z0 to Z4.
enum class PointKind : u8 { Software = 0, Hardware = 1, Write = 2, Read = 3, Access = 4 };

struct Point {
  PointKind kind = PointKind::Software;
  GuestAddr address = 0;
  u64 size = 0;  // watchpoints: bytes watched; breakpoints: what gdb calls the kind
  // Agent expressions. The point counts if one of the conditions is true, or there is none.
  std::vector<Bytes> conditions;
  // What is done instead of stopping (dprintf), going forward.
  std::vector<Bytes> commands;

  /// Of all expressions.
  std::size_t expression_bytes() const;
};

/// How a move ended.
struct Outcome {
  replay::NavStop stop;
  std::optional<PointKind> point;  // which kind of point stopped it
  GuestAddr address = 0;           // watchpoints: the first watched byte that was touched
};

/// A store that was found.
struct Store {
  Icount icount = 0;  // the position before it
  unsigned vcpu = 0;
  GuestAddr pc = 0;
  AddressSpace::WatchHit hit;
};

/// Trace state variables, by gdb's number.
using Variables = std::map<unsigned, u64>;

class Motion {
 public:
  static constexpr std::size_t kMaxPoints = 10'000;
  static constexpr u64 kMaxWatchBytes = u64{1} << 32;
  /// Of all points together, and of all tracepoints.
  static constexpr std::size_t kMaxExpressionBytes = 8u << 20;

  Motion(replay::Navigator& navigator, const RegisterMap& registers);
  Motion(const Motion&) = delete;
  Motion& operator=(const Motion&) = delete;

  /// Replaces a point of the same kind, address and size. False: too many, too large, or not at any
  /// memory.
  bool insert(Point point);
  void remove(PointKind kind, GuestAddr address, u64 size);
  void clear();
  /// Receives what commands of points print.
  void on_print(std::function<void(const std::string&)> fn) { print_ = std::move(fn); }

  // Moves. A write watchpoint counts only stores that change a watched byte. A stop at a watchpoint is where
  // gdb expects it on this architecture, so that it sees the value change.
  Outcome forward();
  Outcome step(unsigned vcpu);
  /// Steps while the vCPU's pc is in [start, end).
  Outcome step_range(unsigned vcpu, GuestAddr start, GuestAddr end);
  Outcome back();
  Outcome step_back(unsigned vcpu);
  /// Without looking at points. Interrupted: the cursor is on the way.
  replay::NavStop seek(Icount icount);
  /// Likewise, and arrives: interrupt() ended what came before.
  void return_to(Icount icount);

  /// Whether one of the point's conditions is true, or there is none.
  bool holds(const Point& point, Vcpu& vcpu) const;
  /// Goes over everything that is recorded, from the beginning, and calls `fn` at every hit of these points
  /// until it returns false. `fn` may move the navigator and come back. The cursor stays where it is. False:
  /// interrupt() was called.
  bool every_hit(std::vector<Point> points, const std::function<bool(const replay::NavStop&)>& fn);
  /// What expressions call by number, and what may change it: trace state variables.
  Variables& variables() { return variables_; }
  /// Executes expressions for their effects on them.
  void act(const std::vector<Bytes>& actions, Vcpu& vcpu);
  /// One instruction of the vCPU (or the entry of an interrupt), whatever points there are. False: the end,
  /// or interrupt() was called.
  bool step_silently(unsigned vcpu);
  /// Calls `fn` with the vCPU's pc before each of its last `count` instructions before the cursor, and at the
  /// cursor. The cursor stays where it is. False: interrupt() was called, and some of them are missing.
  bool walk_here(unsigned vcpu, u64 count, const std::function<void(GuestAddr)>& fn);

  /// The last store before the cursor that touched one of these bytes. The cursor stays where it is. Nullopt:
  /// there is none, or interrupt() was called.
  std::optional<Store> last_store(Vcpu& vcpu, GuestAddr va, u64 size);

  /// From any thread: the move under way ends soon. To be repeated until it has.
  void interrupt();
  /// It was called during the last move.
  bool interrupted() const { return interrupted_; }

 private:
  void prepare();
  /// Tells the navigator of points_ if it does not know them.
  void set_points();
  /// Takes them all away from the navigator, until set_points().
  void without_points();
  /// Makes a search, which may throw, and comes back to where the cursor is.
  template <typename Search>
  void from_here(const Search& search);
  /// Makes the move again if it ended by a request that came too late for the move before, or at an access
  /// that no watchpoint is about.
  replay::NavStop move(const std::function<replay::NavStop()>& make);
  replay::NavStop one_step(unsigned vcpu);
  /// To the last stop before the cursor, the access that was just made included.
  replay::NavStop run_back();
  bool counts(Machine& machine, const replay::NavStop& stop) const;
  /// The vCPU has executed one instruction since forward() began.
  bool first_since_resumed(const Vcpu& vcpu) const;
  void run_commands(const Point& point, Vcpu& vcpu) const;
  Outcome finish(const replay::NavStop& stop, bool forwards);

  struct Watched {
    const Point* point;
    GuestAddr physical;
  };
  /// The point that a stop at a watchpoint is about.
  const Watched* touched(const replay::NavStop& stop) const;

  replay::Navigator& navigator_;
  const RegisterMap& registers_;
  std::vector<Point> points_;
  std::vector<Watched> watched_;
  Variables variables_;
  bool changed_ = true;          // the navigator does not know points_ yet
  std::vector<u64> resumed_at_;  // during forward(): what each vCPU had executed before
  bool any_store_ = false;       // last_store() is searching
  bool forwards_ = false;        // what runs is what the client asked for, not a search
  std::function<void(const std::string&)> print_;
  std::atomic<bool> interrupted_ = false;
};

}  // namespace hindcast::gdb
