// The `monitor` commands: what gdb has no word for.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "gdb/motion.h"
#include "replay/navigator.h"

namespace hindcast::gdb {

class Monitor {
 public:
  /// `recording`: the path, for the event log; empty: there is none.
  Monitor(replay::Navigator& navigator, Motion& motion, std::string recording)
      : navigator_(navigator), motion_(motion), recording_(std::move(recording)) {}

  /// Runs one line for the vCPU that the user has selected; the answer is text for the user, lines ending in
  /// '\n'. What cannot be done is said in the answer.
  std::string run(std::string_view line, unsigned vcpu);

 private:
  std::string when(unsigned vcpu);
  std::string seek(const std::string& to, unsigned vcpu);
  std::string events(const std::string& count);
  std::string last_write(const std::vector<std::string>& words, unsigned vcpu);
  std::string checkpoint(const std::vector<std::string>& words);
  std::string devices(const std::string& name);
  /// The position that `text` names; throws Fatal with the reason if it names none.
  Icount parse_position(const std::string& text);
  std::string where(Icount icount) const;

  replay::Navigator& navigator_;
  Motion& motion_;
  std::string recording_;
  std::vector<Icount> checkpoints_;  // number 1 first
};

}  // namespace hindcast::gdb
