// A board of the Arm family with a program that does nothing, for tests of its peripherals.
#pragma once
#include <gtest/gtest.h>

#include "engine/registry.h"
#include "targets/targets.h"
#include "tests/devices/fake_port.h"

namespace hindcast::test {

class Board {
 public:
  explicit Board(const char* name, std::map<std::string, std::string> machine_options = {}) {
    targets::register_all();
    MachineConfig config;
    config.machine = name;
    config.machine_options = std::move(machine_options);
    // Vectors, and a program that does nothing: b .
    Bytes image(0x102, 0);
    image[1] = 0x10;
    image[3] = 0x20;
    for (const unsigned vector : {1u, 2u, 3u}) image[4 * vector] = image[4 * vector + 1] = 1;
    if (std::string(name).find("stm32") != std::string::npos || std::string(name) == "netduinoplus2")
      image[7] = image[11] = image[15] = 8;
    image[0x100] = 0xfe;
    image[0x101] = 0xe7;
    config.files.push_back({"load", "program", image[7] == 8 ? GuestAddr{0x08000000} : GuestAddr{0}, image});
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

  FakePort port;
  std::vector<std::string> notes;
  std::unique_ptr<Machine> machine;
};

}  // namespace hindcast::test
