// --net: what the user wrote, and what it means.
#pragma once
#include <string>
#include <vector>

#include "engine/registry.h"
#include "replay/network.h"

namespace hindcast::cli {

/// One --net: the guest's end and the host's.
struct NetworkText {
  NetworkAdapter adapter;
  replay::NetworkOptions options;
};

/// In their order; "none" adds nothing. Throws Fatal with one line that names the option.
std::vector<NetworkText> parse_networks(const std::vector<std::string>& texts);

}  // namespace hindcast::cli
