// A plugin that crashes ends the process with one line that says so. A recording under way is then like one
// whose recorder was killed: complete up to what had reached the disk.
#pragma once

namespace hindcast::plugins {

/// Takes the signals of memory faults, traps and abort(); those that are not in a plugin's code go where they
/// went before. Once for the process, before machines are built.
void watch_for_crashes();

}  // namespace hindcast::plugins
