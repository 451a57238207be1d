// Random advanced interrupts (aia/README.md): against what QEMU printed once, and against QEMU itself.
#include <gtest/gtest.h>

#include "tests/oracle/random_guest.h"

namespace hindcast::oracle {
namespace {

struct Case {
  unsigned xlen;
  const char* aia;
};

class AiaOracle : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (!guest_.built()) GTEST_SKIP() << "guest programs were not built (no riscv64-unknown-elf-gcc)";
  }
  const std::string aia_ = GetParam().aia, cpu_ = "rv" + std::to_string(GetParam().xlen);
  const RandomGuest guest_{{.name = "aia",
                            .xlen = GetParam().xlen,
                            .machine = "virt,aia=" + aia_,
                            .cpu = cpu_,
                            .qemu_cpu = cpu_ + ",h=off",
                            .features = aia_ == "aplic-imsic" ? u64{1} : u64{0}}};
};

TEST_P(AiaOracle, DoesWhatQemuDid) {
  guest_.expect_what_qemu_did(100, "expected-" + cpu_ + "-" + aia_ + ".txt");
}

TEST_P(AiaOracle, AgreesWithQemu) {
  if (guest_.qemu_version() < 10) GTEST_SKIP() << "no " << guest_.qemu() << " of version 10 or newer";
  guest_.expect_what_qemu_does(700);
}

INSTANTIATE_TEST_SUITE_P(RiscV, AiaOracle,
                         ::testing::Values(Case{32, "aplic"}, Case{32, "aplic-imsic"}, Case{64, "aplic"},
                                           Case{64, "aplic-imsic"}),
                         [](const auto& info) {
                           std::string name = "rv" + std::to_string(info.param.xlen) + "_" + info.param.aia;
                           for (char& c : name)
                             if (c == '-') c = '_';
                           return name;
                         });

}  // namespace
}  // namespace hindcast::oracle
