// A locked-up CPU looks to its user like none that waits.
#include <gtest/gtest.h>

#include "tests/cli/process.h"

namespace hindcast::cli_test {
namespace {

TEST(Lockup, IsSaidToBeOne) {
  TempFolder folder;
  const std::string image = folder / "image.bin";
  // The stack and the reset vector (the hard fault has none); then "wfi" and a branch to it.
  const std::string to_nowhere("\x00\x10\x00\x20\x01\x00\x00\x70", 8),
      waits("\x00\x10\x00\x20\x09\x00\x00\x00\x30\xbf\xfd\xe7", 12);
  write_file(image, to_nowhere);
  const Outcome locked = hindcast({"run", "-M", "mps2-an385", image});
  EXPECT_EQ(locked.status, 124);
  EXPECT_EQ(
      locked.err,
      "hindcast: the guest is locked up (a fault where none can be taken: CFSR 0x20100, HFSR 0x40000000) "
      "at icount 2, and no input can come\n");
  write_file(image, waits);
  const Outcome waiting = hindcast({"run", "-M", "mps2-an385", image});
  EXPECT_EQ(waiting.err, "hindcast: the guest waits for ever at icount 1, and no input can come\n");
}

}  // namespace
}  // namespace hindcast::cli_test
