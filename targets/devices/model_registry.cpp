#include "targets/devices/model_registry.h"

#include <fmt/format.h>

#include "engine/registry.h"

namespace hindcast::devices {
namespace {

const DeviceModel kModels[] = {
    {"uart", "16550A serial port", {"ns16550a", "ns16550"}, kSerialChannels, build_uart16550},
    {"clint",
     "RISC-V core-local interruptor: timer and software interrupts",
     {"sifive,clint0", "riscv,clint0"},
     kNoChannel,
     build_clint},
    {"plic",
     "RISC-V platform-level interrupt controller",
     {"sifive,plic-1.0.0", "riscv,plic0"},
     kNoChannel,
     build_plic},
    {"finisher",
     "SiFive test finisher: exit status and reset",
     {"sifive,test1", "sifive,test0"},
     kNoChannel,
     build_finisher},
    {"rtc", "Goldfish real-time clock", {"google,goldfish-rtc"}, kClockChannels, build_goldfish_rtc},
    {"flash", "CFI parallel NOR flash, Intel command set", {"cfi-flash"}, kNoChannel, build_cfi_flash},
};

}  // namespace

const loader::DtRange& DeviceSite::reg(std::size_t n, u64 least) const {
  if (n >= regs.size()) fail("has too few register ranges");
  if (regs[n].size < least || regs[n].base + (regs[n].size - 1) < regs[n].base)
    fail(
        fmt::format("has a register range of 0x{:x} bytes; at least 0x{:x} are needed", regs[n].size, least));
  return regs[n];
}

void DeviceSite::fail(const std::string& what) const {
  throw Fatal(fmt::format("device tree: {} ({}) {}", node.path(), name, what));
}

std::span<const DeviceModel> device_models() { return kModels; }

const DeviceModel* find_model(const loader::DtNode& node) {
  for (const std::string& wanted : node.strings("compatible"))
    for (const DeviceModel& model : kModels)
      for (const char* name : model.compatible)
        if (wanted == name) return &model;
  return nullptr;
}

void register_models() {
  for (const DeviceModel& model : kModels)
    Registry::instance().add_device(*model.compatible.begin(), model.description);
}

}  // namespace hindcast::devices
