// The calling convention of semihosting: which ebreak is a call, and where its operands and result are.
#include <gtest/gtest.h>

#include "engine/input_port.h"
#include "semihost/service.h"
#include "tests/riscv/encode.h"
#include "tests/riscv/test_machine.h"

namespace hindcast::test {
namespace {

using namespace rv;
constexpr u32 kBefore = 0x01f01013, kAfter = 0x40705013;  // slli x0,x0,0x1f and srai x0,x0,7
constexpr GuestAddr kVector = kCode + 0x4000;

/// Keeps what leaves the machine; nothing comes in.
class OutputOnly final : public InputPort {
 public:
  Bytes answer(InputKind, Channel, ByteView) override { return {}; }
  void ask(InputKind, Channel, ByteView) override {}
  void attach(Channel, InputKind, InputSink*) override {}
  void ready(Channel) override {}
  void output(Channel, ByteView data) override { text.append(data.begin(), data.end()); }
  std::string text;
};

struct SemihostMachine : TestMachine {
  SemihostMachine(const char* cpu, bool jit) : TestMachine(cpu, jit) {
    machine.set_port(&port);
    semihost::Options options;
    options.set_result = &riscv::set_semihosting_result;
    machine.set_extension("semihosting", std::make_shared<semihost::Service>(machine, options));
    state().mtvec = kVector;
  }
  OutputOnly port;
};

class Semihosting : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Engines, Semihosting, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "jit" : "interp"; });

TEST_P(Semihosting, TheSequenceIsACallAndAnEbreakAloneIsNot) {
  for (const char* cpu : {"rv32", "rv64"}) {
    SemihostMachine m(cpu, GetParam());
    m.put(kData, {0x6948});  // "Hi"
    m.x(a0) = 4;             // SYS_WRITE0
    m.x(a1) = kData;
    m.put(kCode, {kBefore, kEbreak, kAfter, addi(a2, zero, 7), kEbreak});
    m.run(4);
    EXPECT_EQ(m.port.text, "Hi");
    EXPECT_EQ(m.x(a2), 7u);
    EXPECT_EQ(m.pc(), kCode + 16);
    m.run(1);
    EXPECT_EQ(m.pc(), kVector);
    EXPECT_EQ(m.state().mcause, 3u);
    EXPECT_EQ(m.state().mepc, kCode + 16);
  }
}

TEST_P(Semihosting, ResultsAreInA0AndExitsEndTheRun) {
  SemihostMachine m("rv64", GetParam());
  m.x(a0) = 0x08;  // SYS_ISERROR of -1 is true
  m.x(a1) = kData;
  m.put(kData, {0xffff'ffff, 0xffff'ffff, 0x20026, 0, 42, 0});
  m.put(kCode, {kBefore, kEbreak, kAfter, addi(a3, a0, 0), addi(a0, zero, 0x20), addi(a1, a1, 8), kBefore,
                kEbreak, kAfter});
  EXPECT_EQ(m.run(100), StopReason::Exit);
  EXPECT_NE(m.x(a3), 0u);
  EXPECT_EQ(m.machine.exit_code(), 42);
  EXPECT_EQ(m.pc(), kCode + 32);
}

}  // namespace
}  // namespace hindcast::test
