// CMSIS-SVD: what a microcontroller's peripherals and registers are called, as its maker publishes it in XML.
#pragma once
#include <memory>
#include <string>

#include "engine/machine.h"
#include "engine/register_names.h"
#include "engine/registry.h"

namespace hindcast::loader {

/// Reads an SVD file: peripherals (also those derived from others), clusters and registers, also as arrays.
/// Throws Fatal with one line that says what is wrong, and where it can, at which byte. `name`: the file's,
/// for messages.
std::shared_ptr<RegisterNames> read_svd(const std::string& name, ByteView data);

/// Gives the machine the names that the configuration's file of role "svd" holds, if there is one.
void add_register_names(Machine& machine, const MachineConfig& config);

}  // namespace hindcast::loader
