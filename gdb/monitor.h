// The `monitor` commands: what gdb has no word for.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "gdb/memory.h"
#include "gdb/motion.h"
#include "gdb/plugin_commands.h"
#include "gdb/tracing.h"
#include "replay/timeline.h"

namespace hindcast::gdb {

class Monitor {
 public:
  /// `timeline`: the navigator again, with its recording; null: there is no event log, and no branch.
  /// `plugins`: null: there can be none.
  Monitor(replay::Navigator& navigator, Motion& motion, Tracing& tracing, replay::Timeline* timeline,
          PluginCommands* plugins)
      : navigator_(navigator), motion_(motion), tracing_(tracing), timeline_(timeline), plugins_(plugins) {}

  /// Runs one line for the vCPU that the user has selected; the answer is text for the user, lines ending in
  /// '\n'. What cannot be done is said in the answer.
  std::string run(std::string_view line, unsigned vcpu);
  /// The position that `text` names, as for `seek`; throws Fatal with the reason if it names none.
  Icount parse_position(const std::string& text);
  /// What the addresses mean that gdb reads and writes.
  Space space() const { return space_; }
  void set_space(Space space) { space_ = space; }

 private:
  std::string when(unsigned vcpu);
  std::string seek(const std::string& to, unsigned vcpu);
  std::string events(const std::string& count);
  std::string last_write(const std::vector<std::string>& words, unsigned vcpu);
  std::string checkpoint(const std::vector<std::string>& words);
  std::string branch(const std::string& folder);
  std::string devices(const std::string& name);
  std::string page(const std::string& address, unsigned vcpu);
  std::string physical(const std::string& word);
  std::string plugin(const std::vector<std::string>& words);
  std::string where(Icount icount) const;

  replay::Navigator& navigator_;
  Motion& motion_;
  Tracing& tracing_;
  replay::Timeline* timeline_;
  PluginCommands* plugins_;
  std::vector<Icount> checkpoints_;  // number 1 first
  Space space_ = Space::Virtual;
};

}  // namespace hindcast::gdb
