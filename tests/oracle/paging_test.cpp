// Random address translation (paging/README.md): against what QEMU printed once, and against QEMU itself.
#include <gtest/gtest.h>

#include "tests/oracle/random_guest.h"

namespace hindcast::oracle {
namespace {

class Paging : public ::testing::TestWithParam<unsigned> {
 protected:
  void SetUp() override {
    if (!guest_.built()) GTEST_SKIP() << "guest programs were not built (no riscv64-unknown-elf-gcc)";
  }
  const bool wide_ = GetParam() == 64;
  const std::string cpu_ =
      "rv" + std::to_string(GetParam()) + ",svadu=on,svinval=on" + (wide_ ? ",svnapot=on,svpbmt=on" : "");
  const RandomGuest guest_{{.name = "paging",
                            .xlen = GetParam(),
                            .machine = "virt",
                            .cpu = cpu_,
                            .qemu_cpu = cpu_ + ",h=off",
                            .features = wide_ ? u64{63} : u64{41}}};
};

TEST_P(Paging, DoesWhatQemuDid) {
  guest_.expect_what_qemu_did(150, "expected-rv" + std::to_string(GetParam()) + ".txt");
}

TEST_P(Paging, AgreesWithQemu) {
  guest_.choose(2, 0);
  const testing::CommandResult trial = guest_.in_qemu();
  if (trial.status != 0)
    GTEST_SKIP() << "no " << guest_.qemu() << " that knows all of " << cpu_
                 << " (8.2 or newer): " << trial.err;
  guest_.expect_what_qemu_does(1500);
}

INSTANTIATE_TEST_SUITE_P(RiscV, Paging, ::testing::Values(32u, 64u),
                         [](const auto& info) { return "rv" + std::to_string(info.param); });

}  // namespace
}  // namespace hindcast::oracle
