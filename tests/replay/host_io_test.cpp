// Writing to descriptors that others share, and that may never take what is written.
#include "replay/host_io.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <thread>

namespace hindcast::replay::test {
namespace {

class Pipe : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(::pipe(fds_), 0); }
  void TearDown() override {
    ::close(fds_[0]);
    ::close(fds_[1]);
  }
  int fds_[2];
};

ByteView view(const std::string& text) { return {reinterpret_cast<const u8*>(text.data()), text.size()}; }

TEST_F(Pipe, AFullOneIsGivenUpThoughTheSignalCameBefore) {
  const std::string much(std::size_t{1} << 20, 'x');
  ::alarm(20);  // instead of a test that never ends
  EXPECT_TRUE(write_all(fds_[1], view(much), [] { return true; }));
  ::alarm(0);
}

TEST_F(Pipe, ASlowReaderGetsEverything) {
  std::string much;
  for (unsigned i = 0; much.size() < 400'000; i++) much += std::to_string(i);
  std::string got;
  std::thread reader([&] {
    char buffer[1000];
    for (ssize_t n; got.size() < much.size() && (n = ::read(fds_[0], buffer, sizeof buffer)) > 0;)
      got.append(buffer, static_cast<std::size_t>(n));
  });
  EXPECT_TRUE(write_all(fds_[1], view(much), [] { return false; }));
  reader.join();
  EXPECT_EQ(got, much);
}

}  // namespace
}  // namespace hindcast::replay::test
