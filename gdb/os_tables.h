// What is beside the guest's program as tables of gdb's `info os` (qXfer:osdata:read, "Operating System
// Information" in the gdb manual): devices, vCPUs, recorded events.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "replay/timeline.h"

namespace hindcast::gdb {

/// The document for `info os NAME`; an empty name: the list of tables. Nullopt: there is no such table.
/// `timeline`: the navigator again, with its recording; null: there is no table of events.
std::optional<std::string> os_table(std::string_view name, replay::Navigator& navigator,
                                    replay::Timeline* timeline);

}  // namespace hindcast::gdb
