// A recording may come from anyone: whatever a checkpoint says about a device or a hart, loading it is
// refused or leads to a machine that can be used. The sanitizers' build of this test sees what goes out of
// bounds.
#include <random>
#include <set>
#include <typeindex>

#include "semihost/service.h"
#include "targets/devices/htif.h"
#include "targets/devices/model_registry.h"
#include "tests/devices/elf_builder.h"
#include "tests/devices/virt_fixture.h"

namespace hindcast::test {
namespace {

using Random = std::mt19937_64;

/// A state that differs from `good`: all of it made up, some bytes changed, or cut short.
Bytes mutate(const Bytes& good, Random& random) {
  Bytes state = good;
  const unsigned how = random() % 8;
  if (how == 0) {
    for (u8& byte : state) byte = static_cast<u8>(random());
  } else if (how == 1) {
    std::fill(state.begin(), state.end(), u8{0xff});
  } else if (how == 2) {
    state.resize(random() % (state.size() + 1));
  } else if (!state.empty()) {
    for (u64 n = 1 + random() % 16; n != 0; --n)
      state[random() % state.size()] = random() % 3 == 0 ? u8{0xff} : static_cast<u8>(random());
  }
  return state;
}

/// True: accepted, and all of it read.
template <typename T>
bool load(T& object, const Bytes& state) {
  LoadArchive ar(state);
  return fatal_message([&] { object.state(ar); }).empty() && ar.at_end();
}

template <typename T>
Bytes saved(T& object) {
  SaveArchive ar;
  object.state(ar);
  return ar.take();
}

/// What a guest, its wires and the outside can do to the devices of a machine.
class User {
 public:
  User(Machine& machine, FakePort& port, Random& random) : machine_(machine), port_(port), random_(random) {
    for (const auto& range : machine.memory().devices()) ranges_.push_back({range.base, range.size});
    for (const auto& block : machine.memory().ram_blocks())
      if (block->device != nullptr) ranges_.push_back({block->base, block->size});
  }

  void use(unsigned steps) {
    for (unsigned i = 0; i < steps; ++i) {
      switch (random_() % 8) {
        case 0: pass_time(); break;
        case 1: type(); break;
        case 2: wire(); break;
        default: access(); break;
      }
    }
  }

 private:
  void access() {
    const auto [base, size] = ranges_[random_() % ranges_.size()];
    const unsigned bytes = 1u << random_() % 4;
    // Registers lie close to the start; interrupt controllers and flash go on behind.
    const u64 within = random_() % 2 == 0 ? std::min<u64>(size, 0x40) : size;
    const GuestAddr at = base + random_() % within / bytes * bytes;
    u64 value = random_() % 4 == 0 ? 0xd0 : random_();
    if (random_() % 2 == 0)
      machine_.memory().read(at, bytes, &value);
    else
      machine_.memory().write(at, bytes, value);
  }
  void pass_time() {
    machine_.warp_to(machine_.clock().now() + (random_() % 4 == 0 ? random_() % (u64{1} << 40) : 1000));
    machine_.clock().fire_due();
  }
  void type() {
    for (auto& [channel, sink] : port_.sinks)
      port_.type(channel, std::string(random_() % (sink.first == InputKind::Network ? 1600 : 20), '\xff'));
  }
  void wire() {
    for (const auto& device : machine_.devices())
      if (auto* sink = dynamic_cast<IrqSink*>(device.get()))
        sink->set_irq(static_cast<unsigned>(random_() % 128), random_() % 2 == 0);
  }

  Machine& machine_;
  FakePort& port_;
  Random& random_;
  std::vector<std::pair<GuestAddr, u64>> ranges_;
};

void load_and_use(Machine& machine, FakePort& port, Random& random, unsigned rounds) {
  User user(machine, port, random);
  for (unsigned round = 0; round < rounds; ++round) {
    machine.reset();
    user.use(30);
    for (const auto& device : machine.devices()) load(*device, mutate(saved(*device), random));
    user.use(60);
  }
}

TEST(HostileState, EveryDeviceOfEveryBoard) {
  targets::register_all();
  Random random(1);
  // A table of registers is a model by its name: those have one type.
  std::set<std::pair<std::type_index, std::string>> types;
  struct Board {
    const MachineKind* kind;
    const char* aia;
  };
  std::vector<Board> boards;
  for (const MachineKind& kind : Registry::instance().machines()) {
    boards.push_back({&kind, nullptr});
    if (kind.name != "virt") continue;
    for (const char* aia : {"aplic", "aplic-imsic"}) boards.push_back({&kind, aia});
  }
  for (const auto& [kind_of_board, aia] : boards) {
    const MachineKind& kind = *kind_of_board;
    SCOPED_TRACE(kind.name);
    FakePort port;
    MachineConfig config;
    config.machine = kind.name;
    config.files.push_back({"kernel", "image", kNever, Bytes(256)});
    if (kind.name == "board") config.files.push_back({"board", "small_board.dts", kNever, small_board()});
    if (kind.name == "virt") {
      port.drives.emplace_back(10'000 * 512);
      config.drives.push_back({"disk.img", 10'000 * 512, false, false});
      config.machine_options["rng"] = "on";
    }
    if (aia != nullptr) {
      config.machine_options["aia"] = aia;
      config.machine_options["virtio"] = "pci";
      config.smp = 2;
    }
    EngineOptions engine;
    engine.jit = false;
    std::unique_ptr<Machine> machine;
    // With a cable, where there is an adapter for one.
    config.networks.push_back({});
    if (fatal_message([&] { machine = kind.build(config, engine, port); }) != "") {
      config.networks.clear();
      ASSERT_EQ(fatal_message([&] { machine = kind.build(config, engine, port); }), "");
    }
    for (const auto& device : machine->devices())
      types.insert(
          {typeid(*device), device->name().substr(0, device->name().find_last_not_of("0123456789") + 1)});
    load_and_use(*machine, port, random, 200);
  }
  EXPECT_GE(types.size(), devices::device_models().size()) << "a model that no board has needs a board here";
}

/// HTIF and semihosting, which no tree has, are on a board with everything else.
class HostileBoard : public VirtTest {
 protected:
  void build_all(bool jit, const char* cpu) {
    ElfBuilder elf;
    elf.wide = std::string_view(cpu).starts_with("rv64");
    Bytes program;
    // Atomics, floating point, traps and CSRs, for ever; the trap vector is the start.
    for (u32 insn :
         {0x00000297u, 0x30529073u, 0x1002a32fu, 0x00a585d3u, 0x30047073u, 0x00000073u, 0xfe9ff06fu})
      append32(program, insn);
    elf.segment(kRam, program).segment(kRam + 0x10000, Bytes(64));
    elf.symbols = {{"tohost", kRam + 0x10000, 8, 0x11}, {"fromhost", kRam + 0x10008, 8, 0x11}};
    MachineConfig c = config(elf.build());
    c.memory_bytes = 1u << 20;
    c.semihosting = true;
    c.smp = 2;
    c.cpu = cpu;
    if (c.cpu.find("smaia") != std::string::npos) c.machine_options["aia"] = "aplic-imsic";
    targets::register_all();
    EngineOptions engine;
    engine.jit = jit;
    engine.code_cache_bytes = 1u << 20;
    machine = Registry::instance().build(c, engine, port);
  }
};

TEST_F(HostileBoard, DevicesThatNoTreeNames) {
  Random random(2);
  build_all(false, "rv64");
  ASSERT_NE(machine->extension<semihost::Service>("semihosting"), nullptr);
  bool htif = false;
  for (const auto& device : machine->devices()) htif |= dynamic_cast<devices::Htif*>(device.get()) != nullptr;
  ASSERT_TRUE(htif);
  load_and_use(*machine, port, random, 100);
}

TEST_F(HostileBoard, HartsAndClock) {
  Random random(3);
  for (const char* cpu : {"rv64", "rv32", "rv64,smaia=on,ssaia=on,smstateen=on"}) {
    for (bool jit : {false, true}) {
      build_all(jit, cpu);
      machine->run(machine->icount() + 1000);
      const Bytes good = saved(*machine);
      unsigned accepted = 0;
      for (unsigned round = 0; round < 400; ++round) {
        Bytes state = mutate(good, random);
        // Names of sections are what most of the bytes would be refused for; the start holds harts and clock.
        if (round % 2 == 0 && state.size() == good.size())
          std::copy(good.begin() + 1500, good.end(), state.begin() + 1500);
        if (load(*machine, state)) ++accepted;
        const Icount begin = machine->icount();
        machine->run(begin + 300);
        EXPECT_LE(machine->icount() - begin, 300u);
        ASSERT_TRUE(load(*machine, good));
      }
      EXPECT_GT(accepted, 20u);
    }
  }
}

}  // namespace
}  // namespace hindcast::test
