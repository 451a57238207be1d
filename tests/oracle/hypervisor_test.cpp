// The hypervisor extension at random (hypervisor/README.md): against what QEMU printed once, and against QEMU
// itself.
#include <gtest/gtest.h>

#include "tests/oracle/random_guest.h"

namespace hindcast::oracle {
namespace {

class HypervisorOracle : public ::testing::TestWithParam<unsigned> {
 protected:
  void SetUp() override {
    if (!guest_.built()) GTEST_SKIP() << "guest programs were not built (no riscv64-unknown-elf-gcc)";
  }
  const bool wide_ = GetParam() == 64;
  const std::string cpu_ = "rv" + std::to_string(GetParam()) + ",h=on,svadu=on,svinval=on" +
                           (wide_ ? ",svnapot=on,svpbmt=on" : "");
  const RandomGuest guest_{{.name = "hypervisor",
                            .xlen = GetParam(),
                            .machine = "virt",
                            .cpu = cpu_,
                            .qemu_cpu = cpu_,
                            .features = wide_ ? u64{23} : u64{17}}};
};

TEST_P(HypervisorOracle, DoesWhatQemuDid) {
  guest_.expect_what_qemu_did(60, "expected-rv" + std::to_string(GetParam()) + ".txt");
}

TEST_P(HypervisorOracle, AgreesWithQemu) {
  if (guest_.qemu_version() < 10) GTEST_SKIP() << "no " << guest_.qemu() << " of version 10 or newer";
  guest_.expect_what_qemu_does(600);
}

INSTANTIATE_TEST_SUITE_P(RiscV, HypervisorOracle, ::testing::Values(32u, 64u),
                         [](const auto& info) { return "rv" + std::to_string(info.param); });

}  // namespace
}  // namespace hindcast::oracle
