// printf of agent expressions: the format string as it stands in the source, the values as they came off the
// stack.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "gdb/agent.h"

namespace hindcast::gdb {

/// Takes the integer conversions, %c, %s (read from the guest's memory) and %p, with flags, width and
/// precision, and C's escapes. Nullopt for anything else, for arguments that are too few, and for strings
/// that are not in memory, and for more than 10,000 characters.
std::optional<std::string> format_text(std::string_view format, std::span<const u64> arguments,
                                       AgentWorld& world);

}  // namespace hindcast::gdb
