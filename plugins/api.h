// Shared by the files that implement the interface's functions.
#pragma once
#include "plugins/host.h"
#include "plugins/include/qemu-plugin.h"

namespace hindcast::plugins {

/// The host. Its absence is an error in our own code: plugins are loaded by it.
PluginHost& host_of(const char* what);

}  // namespace hindcast::plugins
