// How much memory a checkpoint would have to look at.
#include "engine/registry.h"
#include "replay/checkpoint.h"
#include "replay/live_port.h"
#include "tests/replay/world.h"

namespace hindcast::replay::test {
namespace {

TEST(TouchedBytes, GrowsByWhatIsWritten) {
  MachineConfig config = machine_of(Bytes(64));
  config.memory_bytes = u64{1} << 30;
  LivePort port({});
  const auto machine = Registry::instance().build(config, {}, port);
  port.bind(machine.get());
  const u64 before = touched_bytes(*machine);
  EXPECT_GT(before, 0u);
  EXPECT_LT(before, u64{16} << 20);
  for (unsigned i = 0; i < 10; ++i)
    ASSERT_TRUE(machine->memory().host_write(0x90000000 + (u64{i} << 20), "x", 1));
  const u64 after = touched_bytes(*machine);
  EXPECT_GE(after, before + 10 * 4096);
  EXPECT_LT(after, u64{64} << 20);  // whatever the pages of the host
}

}  // namespace
}  // namespace hindcast::replay::test
