// Tracepoints over what is recorded ("Tracepoints" and "Tracepoint Packets" in the gdb manual). tstart goes
// over the whole recording at once and keeps the position of every hit; tfind goes there. So nothing need be
// collected: in a frame all registers and all memory are there, whatever the actions of the tracepoint say.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "gdb/motion.h"
#include "gdb/packet.h"

namespace hindcast::gdb {

class Tracing {
 public:
  /// More hits than this are not kept; tstatus says that the buffer is full.
  static constexpr std::size_t kMaxFrames = 1'000'000;
  static constexpr std::size_t kMaxTracepoints = 1'000;
  static constexpr std::size_t kMaxVariables = 100;
  /// Values of variables that are kept over all frames.
  static constexpr std::size_t kMaxValues = 1'000'000;

  Tracing(replay::Navigator& navigator, Motion& motion) : navigator_(navigator), motion_(motion) {}

  /// The reply to a packet that begins with QT or qT; empty: not supported.
  std::string handle(std::string_view packet);
  /// The vCPU of the frame that is looked at. Nullopt: the cursor is where the client left it.
  std::optional<unsigned> frame_vcpu() const;
  /// Back from a frame, before anything else moves.
  void leave_frame();
  /// Forgets everything.
  void clear();
  /// Forgets what was traced: the recording is another.
  void drop_frames();

 private:
  enum class Stop : u8 { NotRun, Asked, Full, Passes, Interrupted, Failed };
  /// By gdb's number and the address: a tracepoint may have several places.
  using Key = std::pair<u64, GuestAddr>;
  struct Tracepoint {
    Point point;
    bool enabled = true;
    std::vector<Bytes> actions;  // those that may have effects
    u64 steps = 0;               // so many instructions after a hit are frames too
    u64 passes = 0;              // hits after which tracing ends; 0: never
    u64 hits = 0;
  };
  struct Frame {
    Icount icount;
    GuestAddr pc;
    u32 number;  // of the tracepoint
    u32 vcpu;
    u32 values;  // of the state variables: an index into values_
  };

  std::string define(Fields fields);
  std::string define_actions(const Key& key, Fields fields);
  std::string define_variable(Fields fields);
  std::string variable(Fields fields) const;
  /// Of all tracepoints.
  std::size_t expression_bytes() const;
  std::string enable(Fields fields, bool on);
  std::string start();
  std::string find(Fields fields);
  std::string status() const;
  std::string status_of(Fields fields) const;
  /// Whether tracing goes on.
  bool hit(const replay::NavStop& stop);
  void add_steps(const Tracepoint& tracepoint, const Frame& first);

  replay::Navigator& navigator_;
  Motion& motion_;
  std::map<Key, Tracepoint> tracepoints_;
  std::vector<Frame> frames_;
  Variables initial_;              // the state variables when tracing starts
  std::vector<Variables> values_;  // what they were, at most one for each frame
  Stop stop_ = Stop::NotRun;
  u64 stopped_by_ = 0;                // Passes: the tracepoint's number
  std::optional<std::size_t> frame_;  // that is looked at
  Icount origin_ = 0;                 // where the cursor was before
};

}  // namespace hindcast::gdb
