// `monitor registers`: the registers of devices by the names of the user's SVD file.
#pragma once
#include <string>

#include "engine/machine.h"

namespace hindcast::gdb {

/// Without a name the peripherals; else the registers of the peripheral of that name, or the one register of
/// "PERIPHERAL.REGISTER", with values where something is. Looking changes nothing that the guest could see.
std::string register_view(Machine& machine, const std::string& name);

}  // namespace hindcast::gdb
