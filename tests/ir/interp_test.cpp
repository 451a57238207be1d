// The interpreter on a machine without instructions: units from text.
#include "engine/ir/interp.h"

#include <gtest/gtest.h>

#include <array>

#include "engine/helpers.h"
#include "engine/machine.h"
#include "engine/softfloat/fp.h"
#include "tests/ir/fake_arch.h"

namespace hindcast::ir {
namespace {

using test::FakeArch;
using test::FakeState;
using Kind = InterpExit::Kind;

constexpr GuestAddr kRam = 0x1000, kRamSize = 0x4000, kRom = 0x8000, kDevice = 0xa000;

u64 sum_helper(u64 a, u64 b, u64 c) { return a + b + c; }
u64 raise_helper(Vcpu& vcpu, u64 a, u64 b, u64) {
  if (a != 0) vcpu.raise({a, b});
  return 77;
}
u64 exit_helper(Vcpu& vcpu, u64, u64, u64) {
  vcpu.request_exit();
  return 0;
}
u64 budget_helper(Vcpu& vcpu, u64, u64, u64) {
  return static_cast<u64>(vcpu.header().budget) << 32 | vcpu.pc();
}
const u32 kHelpers[] = {
    register_pure_helper("interp_test.sum", sum_helper), register_helper("interp_test.raise", raise_helper),
    register_helper("interp_test.exit", exit_helper), register_helper("interp_test.budget", budget_helper)};

struct Latch : MmioHandler {
  u64 mmio_read(u64 offset, unsigned) override { return value + offset; }
  void mmio_write(u64, unsigned, u64 v) override { value = v; }
  u64 value = 0;
};

class InterpTest : public testing::Test {
 protected:
  InterpTest() {
    machine.memory().add_ram("ram", kRam, kRamSize);
    machine.memory().add_rom("rom", kRom, 0x1000);
    machine.memory().add_device("latch", kDevice, 0x1000, &latch);
    vcpu.header().budget = 1000;
    EXPECT_EQ(std::size(kHelpers), 4u);
  }

  InterpExit run(const std::string& ops, u32 max_insns = 100, u64 context = 0) {
    const Unit unit = parse("unit pc=0x1000 context=" + std::to_string(context) +
                            "\nblock 0\nInsnStart pc=0x1000 len=4\n" + ops);
    EXPECT_EQ(verify(unit), "");
    return interpreter.run(unit, vcpu, machine.memory(), max_insns);
  }
  /// Runs `ops`, which leave the unit's result as %r, and gives it.
  u64 result(const std::string& ops) {
    const InterpExit exit = run(ops + "\nSetReg.I64 %r reg=2\nExitPc pc=0x1004");
    EXPECT_EQ(exit.executed, 1u);
    return state().x[0];
  }
  test::FakeRegisters& state() { return vcpu.state<FakeState>().r; }
  u64 memory(GuestAddr pa, unsigned size) {
    u64 v = 0;
    EXPECT_TRUE(machine.memory().host_read(pa, &v, size));
    return v;
  }
  void set_memory(GuestAddr pa, u64 v) { EXPECT_TRUE(machine.memory().host_write(pa, &v, 8)); }

  FakeArch arch;
  Machine machine{arch, {}, 32};
  Vcpu& vcpu = machine.vcpu(0);
  Latch latch;
  Interpreter interpreter;
};

TEST_F(InterpTest, RegistersOfEveryType) {
  state().w[0] = 0x80000001;
  state().b[1] = 0xfe;
  state().d[2] = 0x123456789abcdef0;
  const InterpExit exit =
      run("%a = GetReg.I32 reg=10\n%b = GetReg.I8 reg=17\n%c = GetReg.F64 reg=20\n%z = GetReg.I64 reg=1\n"
          "%e = SExt.I64 %a\n%f = SExt.I16 %b\n%g = Bitcast.I64 %c\n%h = Trunc.I32 %g\n%i = Bitcast.F32 %h\n"
          "SetReg.I64 %e reg=2\nSetReg.I16 %f reg=15\nSetReg.F32 %i reg=23\nSetReg.I64 %z reg=3\nSetReg.I64 "
          "%e reg=1\n"
          "%pc = GetReg.I64 reg=0\nSetReg.I64 %pc reg=4\nExitPc pc=0x1004");
  EXPECT_EQ(exit.kind, Kind::BlockEnd);
  EXPECT_EQ(state().x[0], 0xffffffff80000001);
  EXPECT_EQ(state().h[1], 0xfffe);
  EXPECT_EQ(state().h[0], 0);
  EXPECT_EQ(state().s[1], 0x9abcdef0);
  EXPECT_EQ(state().s[0], 0u);
  EXPECT_EQ(state().zero, 0u);
  EXPECT_EQ(state().x[2], 0x1000u);
  EXPECT_EQ(vcpu.pc(), 0x1004u);
  EXPECT_EQ(vcpu.header().budget, 999);
}

TEST_F(InterpTest, Exits) {
  state().x[0] = 0x4444;
  EXPECT_EQ(run("%a = GetReg.I64 reg=2\nExitIndirect %a").kind, Kind::BlockEnd);
  EXPECT_EQ(vcpu.pc(), 0x4444u);
  state().x[0] = 0x5554;
  EXPECT_EQ(run("%a = GetReg.I64 reg=2\nExitDispatch %a").kind, Kind::Dispatch);
  EXPECT_EQ(vcpu.pc(), 0x5554u);
  vcpu.header().budget = 10;
  const InterpExit exit = run("InsnStart pc=0x1004 len=4\nExitInterp pc=0x1004");
  EXPECT_EQ(exit.kind, Kind::NeedsInterp);
  EXPECT_EQ(exit.executed, 1u);
  EXPECT_EQ(vcpu.header().budget, 9);
  EXPECT_EQ(vcpu.pc(), 0x1004u);
}

const char* const kLoop =
    "Jump to=1\nblock 1\nInsnStart pc=0x1004 len=4\n%a = GetReg.I64 reg=2\n%one = Const.I64 1\n%b = Sub.I64 "
    "%a, %one\n"
    "SetReg.I64 %b reg=2\nInsnStart pc=0x1008 len=4\n%z = Const.I64 0\n%c = CmpNe.I64 %b, %z\n"
    "Branch %c then=1 else=2\nblock 2\nExitPc pc=0x100c";

TEST_F(InterpTest, LoopRunsToItsEnd) {
  state().x[0] = 10;
  const InterpExit exit = run(kLoop);
  EXPECT_EQ(exit.kind, Kind::BlockEnd);
  EXPECT_EQ(exit.executed, 21u);
  EXPECT_EQ(vcpu.header().budget, 979);
  EXPECT_EQ(vcpu.pc(), 0x100cu);
}

TEST_F(InterpTest, StopsAfterAnyNumberOfInstructions) {
  for (u32 n = 0; n <= 21; ++n) {
    state().x[0] = 10;
    vcpu.header().budget = 1000;
    const InterpExit exit = run(kLoop, n);
    EXPECT_EQ(exit.executed, n);
    EXPECT_EQ(vcpu.header().budget, 1000 - n);
    EXPECT_EQ(state().x[0], 10 - n / 2);
    if (n == 21) continue;
    EXPECT_EQ(exit.kind, Kind::Limit);
    EXPECT_EQ(vcpu.pc(), n == 0 ? 0x1000u : n % 2 == 1 ? 0x1004u : 0x1008u);
  }
}

TEST_F(InterpTest, LoadsAndStores) {
  set_memory(kRam, 0x8877665544332211);
  state().x[1] = kRam;
  const std::string at = "%p = GetReg.I64 reg=3\n";
  EXPECT_EQ(result(at + "%r = Load.I64 %p"), 0x8877665544332211);
  EXPECT_EQ(result(at + "%r = Load.I64 %p be"), 0x1122334455667788u);
  EXPECT_EQ(result(at + "%v = Load.I32 %p offset=3\n%r = ZExt.I64 %v"), 0x77665544u);
  EXPECT_EQ(result(at + "%v = Load.I16 %p offset=1 be\n%r = ZExt.I64 %v"), 0x2233u);
  EXPECT_EQ(result(at + "%v = Load.I8 %p offset=7\n%r = SExt.I64 %v"), 0xffffffffffffff88);
  EXPECT_EQ(result(at + "%v = Load.F32 %p\n%i = Bitcast.I32 %v\n%r = ZExt.I64 %i"), 0x44332211u);
  run(at + "%v = Const.I32 0xaabbccdd\nStore.I32 %p, %v offset=2 be\nExitPc pc=4");
  EXPECT_EQ(memory(kRam, 8), 0x8877ddccbbaa2211);
  run(at + "%v = Const.I16 0xeeff\nStore.I16 %p, %v offset=9\nExitPc pc=4");
  EXPECT_EQ(memory(kRam + 8, 8), 0xeeff00u);
}

TEST_F(InterpTest, MisalignedAccessFaultsWhereAsked) {
  state().x[1] = kRam + 2;
  InterpExit exit = run("%p = GetReg.I64 reg=3\n%v = Load.I32 %p align\nSetReg.I32 %v reg=10\nExitPc pc=4");
  EXPECT_EQ(exit.kind, Kind::Fault);
  EXPECT_EQ(exit.executed, 1u);
  EXPECT_EQ(exit.fault.cause, FakeArch::kMisaligned);
  EXPECT_EQ(exit.fault.value, kRam + 2);
  EXPECT_EQ(vcpu.pc(), 0x1000u);
  EXPECT_EQ(vcpu.header().budget, 999);
  exit = run("%p = GetReg.I64 reg=3\n%v = Load.I32 %p align intent\nSetReg.I32 %v reg=10\nExitPc pc=4");
  EXPECT_EQ(exit.fault.cause, FakeArch::kMisaligned + 1);
  EXPECT_EQ(run("%p = GetReg.I64 reg=3\n%v = Load.I16 %p align\nSetReg.I16 %v reg=14\nExitPc pc=4").kind,
            Kind::BlockEnd);
}

TEST_F(InterpTest, NothingThereFaults) {
  state().x[1] = 0x7000;
  InterpExit exit = run("InsnStart pc=0x1004 len=4\n%p = GetReg.I64 reg=3\n%v = Load.I8 %p\nExitPc pc=8");
  EXPECT_EQ(exit.kind, Kind::Fault);
  EXPECT_EQ(exit.executed, 2u);
  EXPECT_EQ(exit.fault.cause, FakeArch::kBusFault);
  EXPECT_EQ(vcpu.pc(), 0x1004u);
  exit = run("%p = GetReg.I64 reg=3\n%v = Const.I8 1\nStore.I8 %p, %v\nExitPc pc=8");
  EXPECT_EQ(exit.fault.cause, FakeArch::kBusFault + 1);
  state().x[1] = kRom;
  exit = run("%p = GetReg.I64 reg=3\n%v = Load.I8 %p\nStore.I8 %p, %v\nExitPc pc=8");
  EXPECT_EQ(exit.fault.cause, FakeArch::kBusFault + 1);
  EXPECT_EQ(exit.fault.value, kRom);
}

TEST_F(InterpTest, ADeviceEndsTheRunAtTheNextInstruction) {
  latch.value = 0x1000;
  state().x[1] = kDevice + 4;
  const std::string load = "%p = GetReg.I64 reg=3\n%v = Load.I8 %p\nSetReg.I8 %v reg=16\n";
  InterpExit exit = run(load + "InsnStart pc=0x1004 len=4\nExitPc pc=8");
  EXPECT_EQ(exit.kind, Kind::Boundary);
  EXPECT_EQ(exit.executed, 1u);
  EXPECT_EQ(vcpu.pc(), 0x1004u);
  EXPECT_EQ(state().b[0], 4);  // what is beyond the access's size is cut off
  exit = run(load + "ExitPc pc=8");
  EXPECT_EQ(exit.kind, Kind::Boundary);
  EXPECT_EQ(vcpu.pc(), 8u);
  exit = run(
      "%p = GetReg.I64 reg=3\n%v = Const.I32 9\nStore.I32 %p, %v\nInsnStart pc=0x1004 len=4\nExitPc pc=8");
  EXPECT_EQ(exit.kind, Kind::Boundary);
  EXPECT_EQ(latch.value, 9u);
  EXPECT_EQ(run("InsnStart pc=0x1004 len=4\nExitPc pc=8").kind, Kind::BlockEnd);  // and is forgotten
}

TEST_F(InterpTest, RequestsEndTheRunAtTheNextInstruction) {
  const std::string ops = "%a = Call.I64 @interp_test.exit\nInsnStart pc=0x1004 len=4\nExitPc pc=8";
  const InterpExit exit = run(ops);
  EXPECT_EQ(exit.kind, Kind::Boundary);
  EXPECT_EQ(vcpu.pc(), 0x1004u);
  EXPECT_EQ(run("InsnStart pc=0x1004 len=4\nExitPc pc=8").executed, 1u);  // still asked for
  vcpu.header().exit_request = 0;
  EXPECT_EQ(run("InsnStart pc=0x1004 len=4\nExitPc pc=8").executed, 2u);
}

TEST_F(InterpTest, Helpers) {
  EXPECT_EQ(result("%a = Const.I64 5\n%r = CallPure.I64 @interp_test.sum %a, %a"), 10u);
  EXPECT_EQ(result("%z = Const.I64 0\n%r = Call.I64 @interp_test.raise %z"), 77u);
  vcpu.header().budget = 50;
  EXPECT_EQ(result("%r = Call.I64 @interp_test.budget"), u64{49} << 32 | 0x1000);
  const InterpExit exit =
      run("%a = Const.I64 5\n%b = Const.I64 6\n%r = Call.I64 @interp_test.raise %a, %b\nSetReg.I64 %r "
          "reg=9\nExitPc pc=8");
  EXPECT_EQ(exit.kind, Kind::Fault);
  EXPECT_EQ(exit.fault.cause, 5u);
  EXPECT_EQ(exit.fault.value, 6u);
  EXPECT_EQ(state().x[7], 0u);
  GuestFault none;
  EXPECT_FALSE(vcpu.take_fault(none));
}

TEST_F(InterpTest, TranslatedAccesses) {
  set_memory(0x2000, 0x1111111111111111);
  set_memory(0x1ff8, 0x2222222222222222);
  // Virtual page 1 is physical page 0, 2 is 3, 3 is 2.
  state().x[1] = 0x3000;
  const std::string load = "%p = GetReg.I64 reg=3\n%v = Load.I64 %p offset=";
  run(load + "0\nSetReg.I64 %v reg=2\nExitPc pc=4", 1, FakeArch::kTranslated);
  EXPECT_EQ(state().x[0], 0x1111111111111111u);
  // Across two pages: the end of physical page 3 and the beginning of 2.
  set_memory(0x3ff8, 0x8877665544332211);
  InterpExit exit = run(load + "-3\nSetReg.I64 %v reg=2\nExitPc pc=4", 1, FakeArch::kTranslated);
  EXPECT_EQ(exit.kind, Kind::BlockEnd);
  EXPECT_EQ(state().x[0], 0x1111111111887766u);
  exit = run("%p = GetReg.I64 reg=3\n%v = Const.I32 0xddccbbaa\nStore.I32 %p, %v offset=-1\nExitPc pc=4", 1,
             FakeArch::kTranslated);
  EXPECT_EQ(exit.kind, Kind::BlockEnd);
  EXPECT_EQ(memory(0x3fff, 1), 0xaau);
  EXPECT_EQ(memory(0x2000, 4), 0x11ddccbbu);
}

TEST_F(InterpTest, ATranslationFaultInTheSecondPageChangesNothing) {
  state().x[1] = FakeArch::kUnmapped << 12;
  InterpExit exit = run("%p = GetReg.I64 reg=3\n%v = Load.I64 %p\nSetReg.I64 %v reg=2\nExitPc pc=4", 1,
                        FakeArch::kTranslated);
  EXPECT_EQ(exit.kind, Kind::Fault);
  EXPECT_EQ(exit.fault.cause, FakeArch::kPageFault);
  EXPECT_EQ(exit.fault.value, FakeArch::kUnmapped << 12);
  // The last bytes before it are mapped, to physical page 14.
  machine.memory().add_ram("high", 0xe000, 0x1000);
  exit = run("%p = GetReg.I64 reg=3\n%v = Const.I32 0xffffffff\nStore.I32 %p, %v offset=-2\nExitPc pc=4", 1,
             FakeArch::kTranslated);
  EXPECT_EQ(exit.kind, Kind::Fault);
  EXPECT_EQ(exit.fault.cause, FakeArch::kPageFault + 1);
  EXPECT_EQ(exit.fault.value, FakeArch::kUnmapped << 12);
  EXPECT_EQ(memory(0xeffe, 2), 0u);
}

TEST_F(InterpTest, AStoreAcrossPagesOfWhichOneIsNotWritableChangesNothing) {
  machine.memory().add_ram("below", 0x9000, 0x1000);  // virtual page 8; virtual page 9 is the ROM
  state().x[1] = 0x9000;
  const InterpExit exit =
      run("%p = GetReg.I64 reg=3\n%v = Const.I32 0xffffffff\nStore.I32 %p, %v offset=-2\nExitPc pc=4", 1,
          FakeArch::kTranslated);
  EXPECT_EQ(exit.kind, Kind::Fault);
  EXPECT_EQ(exit.fault.cause, FakeArch::kBusFault + 1);
  EXPECT_EQ(memory(0x9ffe, 2), 0u);
}

TEST_F(InterpTest, FloatingPoint) {
  state().d[0] = 0x3ff0000000000000;  // 1
  state().d[1] = 0x4008000000000000;  // 3
  const std::string ab = "%a = GetReg.F64 reg=18\n%b = GetReg.F64 reg=19\n";
  const auto value = [&](const std::string& ops) { return result(ab + ops + "\n%r = Bitcast.I64 %f"); };
  EXPECT_EQ(value("%f = FDiv.F64 %a, %b round=rne"), 0x3fd5555555555555u);
  EXPECT_EQ(vcpu.header().fp_flags, fp::kInexact);
  EXPECT_EQ(value("%f = FDiv.F64 %a, %b round=rup"), 0x3fd5555555555556u);
  EXPECT_EQ(value("%f = FSub.F64 %a, %b round=rne"), 0xc000000000000000);
  EXPECT_EQ(value("%f = FMulAdd.F64 %a, %b, %b round=rne"), 0x4018000000000000u);
  EXPECT_EQ(value("%f = FMulAdd.F64 %a, %b, %a round=rne neg=1"), 0xc000000000000000);
  EXPECT_EQ(value("%f = FMulAdd.F64 %a, %b, %a round=rne neg=2"), 0x4000000000000000u);
  EXPECT_EQ(value("%f = FMulAdd.F64 %a, %b, %a round=rne neg=3"), 0xc010000000000000);
  EXPECT_EQ(value("%f = FMax.F64 %a, %b round=rne"), 0x4008000000000000u);
  EXPECT_EQ(value("%s = FConvert.F32 %b round=rne\n%f = FConvert.F64 %s round=rne"), 0x4008000000000000u);
  EXPECT_EQ(result(ab + "%c = FCmpLt.F64 %a, %b round=rne\n%r = ZExt.I64 %c"), 1u);
  EXPECT_EQ(result(ab + "%c = FCmpLe.F64 %b, %a round=rne\n%r = ZExt.I64 %c"), 0u);
  EXPECT_EQ(result(ab + "%s = FSub.F64 %a, %b round=rne\n%r = FToS.I64 %s round=rtz"), u64{0} - 2);
  EXPECT_EQ(result(ab + "%s = FSub.F64 %a, %b round=rne\n%i = FToS.I32 %s round=rtz\n%r = ZExt.I64 %i"),
            0xfffffffe);
  EXPECT_EQ(result(ab + "%s = FSub.F64 %a, %b round=rne\n%i = FToU.I32 %s round=rtz\n%r = ZExt.I64 %i"), 0u);
  EXPECT_EQ(value("%i = Const.I32 0xffffffff\n%f = SToF.F64 %i round=rne"), 0xbff0000000000000);
  EXPECT_EQ(value("%i = Const.I32 0xffffffff\n%f = UToF.F64 %i round=rne"), 0x41efffffffe00000u);
  EXPECT_EQ(result("%i = FpGetFlags.I32\n%r = ZExt.I64 %i"), fp::kInexact | fp::kInvalid);
  EXPECT_EQ(run("%i = Const.I32 0\nFpSetFlags.I32 %i\nExitPc pc=4").kind, Kind::BlockEnd);
  EXPECT_EQ(vcpu.header().fp_flags, 0u);
}

TEST_F(InterpTest, DynamicRoundingIsTheContexts) {
  state().d[0] = 0x3ff0000000000000;
  state().d[1] = 0x4008000000000000;
  const std::string ops =
      "%a = GetReg.F64 reg=18\n%b = GetReg.F64 reg=19\n%f = FDiv.F64 %a, %b round=dyn\nSetReg.F64 %f "
      "reg=20\nExitPc pc=4";
  run(ops, 1, 0x300);  // up
  EXPECT_EQ(state().d[2], 0x3fd5555555555556u);
  run(ops, 1, 0x200);  // down
  EXPECT_EQ(state().d[2], 0x3fd5555555555555u);
}

/// Stores into pages that code was made from reach whoever made it, and end the run.
TEST_F(InterpTest, StoresIntoCodeAreReported) {
  GuestAddr written = 0;
  machine.memory().on_code_write([&](GuestAddr pa, std::size_t) {
    written = pa;
    vcpu.request_exit();
  });
  machine.memory().protect_code_page(0x2000);
  state().x[1] = 0x1fff;
  const std::string store =
      "%p = GetReg.I64 reg=3\n%v = Const.I16 0x5566\nStore.I16 %p, %v\nInsnStart pc=0x1004 len=4\nExitPc "
      "pc=8";
  InterpExit exit = run(store);
  EXPECT_EQ(written, 0x1fffu);
  EXPECT_EQ(exit.executed, 1u);
  EXPECT_EQ(memory(0x1fff, 2), 0x5566u);
  vcpu.header().exit_request = 0;
  written = 0;
  state().x[1] = 0x1ffe;
  exit = run(store);
  EXPECT_EQ(written, 0u);
  EXPECT_EQ(exit.executed, 2u);
}

TEST(Interp32, AddressesWrap) {
  const FakeArch arch(32);
  Machine machine(arch, {}, 32);
  machine.memory().add_ram("low", 0, 0x1000);
  machine.memory().add_ram("top", 0xfffff000, 0x1000);
  const u64 top = 0x11, low = 0x22;
  machine.memory().host_write(0xffffffff, &top, 1);
  machine.memory().host_write(0, &low, 1);
  Vcpu& vcpu = machine.vcpu(0);
  vcpu.state<FakeState>().r.w[0] = 0xfffffffe;
  const Unit unit = parse(
      "unit pc=0 context=0\nblock 0\nInsnStart pc=0 len=4\n%a = GetReg.I32 reg=10\n%b = Load.I8 %a offset=2\n"
      "%c = Load.I32 %a\nSetReg.I8 %b reg=16\nSetReg.I32 %c reg=11\n"
      "InsnStart pc=4 len=4\n%d = Const.I16 0xaabb\nStore.I16 %a, %d offset=1\nExitPc pc=4");
  ASSERT_EQ(verify(unit), "");
  Interpreter interpreter;
  EXPECT_EQ(interpreter.run(unit, vcpu, machine.memory(), 9).kind, Kind::BlockEnd);
  EXPECT_EQ(vcpu.state<FakeState>().r.b[0], 0x22);
  EXPECT_EQ(vcpu.state<FakeState>().r.w[1], 0x00221100u);
  u64 v = 0;
  machine.memory().host_read(0xffffffff, &v, 1);
  EXPECT_EQ(v, 0xbbu);
  machine.memory().host_read(0, &v, 1);
  EXPECT_EQ(v, 0xaau);
}

}  // namespace
}  // namespace hindcast::ir
