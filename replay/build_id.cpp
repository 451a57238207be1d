#include "hindcast_build_id.h"
#include "replay/meta.h"

namespace hindcast::replay {

std::string build_id() { return HINDCAST_BUILD_ID; }

}  // namespace hindcast::replay
