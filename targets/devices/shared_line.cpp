#include "targets/devices/shared_line.h"

#include <algorithm>

namespace hindcast::devices {

IrqLine SharedLine::add_wire() {
  levels_.push_back(0);
  return {this, static_cast<unsigned>(levels_.size() - 1)};
}

void SharedLine::state(Archive& ar) {
  for (u8& level : levels_) ar.field("level", level);  // any but 0 is high
}

void SharedLine::set_irq(unsigned line, bool level) {
  if (line >= levels_.size()) return;
  levels_[line] = level ? 1 : 0;
  out_.set(std::any_of(levels_.begin(), levels_.end(), [](u8 l) { return l != 0; }));
}

}  // namespace hindcast::devices
