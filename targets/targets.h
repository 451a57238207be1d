// The one line of registration that an architecture costs outside its folder.
#pragma once

namespace hindcast::targets {

/// Registers every target's machines, CPUs and device models (engine/registry.h). Called once, by the
/// command and by tests.
void register_all();

}  // namespace hindcast::targets
