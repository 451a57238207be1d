// `monitor registers`: names and values of device registers, and that looking at them is no access of the
// guest's.
#include "gdb/register_view.h"

#include <gtest/gtest.h>

#include "engine/register_names.h"
#include "tests/gdb/fake_navigator.h"

namespace hindcast::gdb {
namespace {

constexpr GuestAddr kUart = 0x10000000;

Bytes state_of(Machine& machine) {
  SaveArchive save;
  machine.state(save);
  return save.take();
}

TEST(RegisterView, WithoutNamesItSaysWhereTheyComeFrom) {
  FakeNavigator navigator;
  EXPECT_NE(register_view(navigator.machine(), "").find("--svd FILE"), std::string::npos);
}

TEST(RegisterView, ShowsValuesAndChangesNothing) {
  FakeNavigator navigator;
  Machine& machine = navigator.machine();
  auto names = std::make_shared<RegisterNames>();
  const u32 uart = names->add(RegisterNames::Peripheral{"UART", kUart, "serial port"});
  names->add(RegisterNames::Register{kUart, 1, uart, "RBR", "what has come"});
  names->add(RegisterNames::Register{kUart + 5, 1, uart, "LSR", "line status"});
  names->add(RegisterNames::Register{0x18000000, 4, uart, "GONE", ""});
  names->finish();
  machine.set_extension(RegisterNames::kExtension, names);

  EXPECT_EQ(register_view(machine, ""), "0x10000000 UART             serial port\n");
  // Reading RBR takes the byte that has come.
  machine.memory().write(kUart + 4, 1, 0x10);
  machine.memory().write(kUart, 1, 'x');
  const Bytes before = state_of(machine);
  const std::string view = register_view(machine, "UART");
  EXPECT_NE(view.find("0x10000000 RBR                      0x78 what has come\n"), std::string::npos) << view;
  EXPECT_NE(view.find("0x10000005 LSR                      0x61 line status\n"), std::string::npos) << view;
  EXPECT_NE(view.find("0x18000000 GONE                              - \n"), std::string::npos) << view;
  EXPECT_EQ(state_of(machine), before);
  EXPECT_EQ(register_view(machine, "UART.LSR"), "0x10000005 LSR                      0x61 line status\n");
  EXPECT_NE(register_view(machine, "OTHER").find("no peripheral or register is called that"),
            std::string::npos);
}

}  // namespace
}  // namespace hindcast::gdb
