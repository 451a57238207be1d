// Plugins on what a debugger moves on: loaded and unloaded while it stands still.
//
// A live run is watched as it goes, once; what the debugger does in its past is not seen. A recording is
// watched by a player of its own, which follows the cursor whenever that is further than it has ever been: so
// each instruction is seen once, in order, exactly as by an analysis, wherever the cursor has been meanwhile.
#pragma once
#include <atomic>
#include <memory>
#include <string>

#include "plugins/host.h"
#include "replay/player.h"
#include "replay/timeline.h"

namespace hindcast::plugins {

class Attachment {
 public:
  /// `timeline`: a recording, which the host's plugins watch from its beginning; or a live run, of which the
  /// host is the observer. Throws Fatal if a plugin refuses.
  Attachment(PluginHost& host, replay::Timeline& timeline, EngineOptions engine);
  /// Of a recording: the plugins report.
  ~Attachment();
  Attachment(const Attachment&) = delete;
  Attachment& operator=(const Attachment&) = delete;

  // Lines for the user; Fatal with one if it cannot be done.
  /// As after -p. Seen is what is executed from the next instruction on, or, beside other plugins, from the
  /// next block.
  std::string load(const std::string& text);
  /// It reports, as at the end of a run, and sees nothing more.
  std::string unload(unsigned number);
  std::string list() const;

  /// The cursor has come to rest somewhere.
  void follow();
  /// From any thread: follow() returns soon; the next one goes on.
  void interrupt() { interrupted_ = true; }

 private:
  void watch_recording(Icount from);
  void stop_watching();

  PluginHost& host_;
  replay::Timeline& timeline_;
  EngineOptions engine_;
  const std::string path_;
  const bool live_;
  std::unique_ptr<replay::Player> player_;
  std::atomic<bool> interrupted_ = false;
};

}  // namespace hindcast::plugins
