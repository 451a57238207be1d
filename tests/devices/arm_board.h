// A board of the Arm family with a program that does nothing, for tests of its peripherals.
#pragma once
#include <gtest/gtest.h>

#include "engine/registry.h"
#include "targets/devices/model_registry.h"
#include "targets/targets.h"
#include "tests/devices/fake_port.h"

namespace hindcast::test {

inline constexpr Channel kWire = devices::kNetworkChannels;

/// The board's configuration: a program that does nothing (b .), and so many cables.
inline MachineConfig arm_config(const char* name, unsigned cables = 0) {
  targets::register_all();
  MachineConfig config;
  config.machine = name;
  for (unsigned i = 0; i < cables; ++i) config.networks.push_back({{0x52, 0x54, 0x00, 0x12, 0x34, 0x56}});
  Bytes image(0x102, 0);
  image[1] = 0x10;
  image[3] = 0x20;
  for (const unsigned vector : {1u, 2u, 3u}) image[4 * vector] = image[4 * vector + 1] = 1;
  if (std::string(name).find("stm32") != std::string::npos || std::string(name) == "netduinoplus2")
    image[7] = image[11] = image[15] = 8;
  image[0x100] = 0xfe;
  image[0x101] = 0xe7;
  config.files.push_back({"load", "program", image[7] == 8 ? GuestAddr{0x08000000} : GuestAddr{0}, image});
  return config;
}

class Board {
 public:
  explicit Board(const char* name, std::map<std::string, std::string> machine_options = {},
                 unsigned cables = 0) {
    MachineConfig config = arm_config(name, cables);
    config.machine_options = std::move(machine_options);
    EngineOptions engine;
    engine.jit = false;
    engine.note = [this](const std::string& line) { notes.push_back(line); };
    machine = Registry::instance().build(config, engine, port);
  }
  u32 read(GuestAddr at, unsigned size = 4) {
    u64 value = 0;
    EXPECT_TRUE(machine->memory().read(at, size, &value)) << std::hex << at;
    return static_cast<u32>(value);
  }
  void write(GuestAddr at, u32 value, unsigned size = 4) {
    EXPECT_TRUE(machine->memory().write(at, size, value)) << std::hex << at;
  }
  /// Virtual nanoseconds pass: 8 for each instruction.
  void pass(u64 ns) { machine->run(machine->icount() + ns / 8); }
  bool pending(unsigned irq) { return (read(0xe000e200 + irq / 32 * 4) >> irq % 32 & 1) != 0; }
  void take_back(unsigned irq) { write(0xe000e280 + irq / 32 * 4, 1u << irq % 32); }

  /// A frame comes from the first cable. True: it fitted.
  bool arrive(const Bytes& frame) {
    InputSink* sink = port.sinks.at(kWire).second;
    if (frame.size() > sink->receivable()) return false;
    sink->receive(InputKind::Network, frame);
    return true;
  }
  /// What has left by it since the last call.
  std::string sent() { return std::exchange(port.outputs[kWire], {}); }

  FakePort port;
  std::vector<std::string> notes;
  std::unique_ptr<Machine> machine;
};

}  // namespace hindcast::test
