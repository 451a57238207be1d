// What checkpoints take: room for the pages that changed, however large the machine's memory is.
#include <gtest/gtest.h>

#include "tests/cli/guest.h"
#include "tests/cli/process.h"

namespace hindcast::cli_test {
namespace {

struct Size {
  std::uint64_t checkpoints = 0, pages = 0, bytes = 0;
};

std::uint64_t fact(const std::string& json, const std::string& name) {
  const std::size_t at = json.find("\"" + name + "\": ");
  return at == std::string::npos ? 0 : std::stoull(json.substr(at + name.size() + 4));
}

/// Stores to `pages` pages, each in turn, 512 times: a page every few dozen instructions.
std::string toucher_program(unsigned pages) {
  using A = Assembler;
  A a;
  a.li(A::s2, 0);
  a.li(A::s3, 512);
  const unsigned loop = a.here();
  a.li(A::t0, 0x10000);
  a.add(A::t0, A::t0, A::s1);
  a.li(A::t1, static_cast<int>(pages));
  const unsigned next = a.here();
  a.sd(A::s2, A::t0, 8);
  a.sd(A::t0, A::t0, 16);  // no page is like another
  a.li(A::t2, 0x1000);
  a.add(A::t0, A::t0, A::t2);
  a.addi(A::t1, A::t1, -1);
  a.li(A::t2, 30);
  const unsigned wait = a.here();
  a.addi(A::t2, A::t2, -1);
  a.bne(A::t2, A::zero, wait);
  a.bne(A::t1, A::zero, next);
  a.addi(A::s2, A::s2, 1);
  a.bne(A::s2, A::s3, loop);
  a.li(A::t2, 0);
  a.exit(A::t2);
  return a.elf();
}

Size size_of(const std::string& memory, unsigned pages) {
  TempFolder folder;
  write_file(folder / "guest.elf", toucher_program(pages));
  const Outcome out = hindcast(
      {"record", "-o", folder / "rec", "-m", memory, "--checkpoints", "every=20000", folder / "guest.elf"});
  EXPECT_EQ(out.status, 0) << out.describe();
  const std::string json = hindcast({"info", "--json", folder / "rec"}).out;
  return {fact(json, "checkpoints"), fact(json, "pages"), fact(json, "page_bytes")};
}

TEST(Checkpoints, GrowWithThePagesThatChangedAndNotWithMemory) {
  const Size small = size_of("64M", 4), large = size_of("1G", 4), busy = size_of("64M", 64);
  ASSERT_GE(small.checkpoints, 5u);
  EXPECT_EQ(large.checkpoints, small.checkpoints);
  // A larger memory has a higher tree of hashes above the pages, no more.
  EXPECT_LE(large.pages, small.pages + 2 * small.checkpoints);
  EXPECT_LE(large.bytes, small.bytes + 200 * small.checkpoints);
  // For each checkpoint, at least these pages more.
  EXPECT_GE(busy.pages / busy.checkpoints, small.pages / small.checkpoints + 50);
}

}  // namespace
}  // namespace hindcast::cli_test
