// Network frames in words, for event lists.
#pragma once
#include <string>

#include "engine/types.h"

namespace hindcast::replay {

/// One line: "52:55:0a:00:02:02 > 52:54:00:12:34:56 UDP 10.0.2.2:67 > 10.0.2.15:68". Any bytes are looked at
/// within bounds; what is not understood is said by its type's number.
std::string frame_text(ByteView frame);

}  // namespace hindcast::replay
