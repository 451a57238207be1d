#include "targets/devices/model_registry.h"

#include <fmt/format.h>

#include "engine/registry.h"
#include "targets/arm/scs.h"
#include "targets/arm/sse.h"
#include "targets/devices/nrf51.h"

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
    {"nvic",
     "Arm M-profile system control space: NVIC, SysTick, system control block",
     {"arm,v8m-nvic", "arm,v7m-nvic", "arm,v6m-nvic"},
     kNoChannel,
     arm::build_scs},
    {"sse", "Security controller of Arm's SSE subsystems", {"arm,sse-security"}, kNoChannel, arm::build_sse},
    {"mpc", "Arm TrustZone memory protection controller", {"arm,tz-mpc"}, kNoChannel, arm::build_mpc},
    {"uart", "PL011 serial port", {"arm,pl011", "ti,stellaris-uart"}, kSerialChannels, build_pl011},
    {"uart", "CMSDK APB serial port", {"arm,cmsdk-uart"}, kSerialChannels, build_cmsdk_uart},
    {"uart",
     "STM32 F2 and F4 serial port",
     {"st,stm32-usart", "st,stm32-uart"},
     kSerialChannels,
     build_stm32_uart},
    {"timer", "CMSDK APB timer", {"arm,cmsdk-timer"}, kNoChannel, build_cmsdk_timer},
    {"clock", "nRF51 clock and power control", {"nordic,nrf-clock"}, kNoChannel, build_nrf_clock},
    {"uart", "nRF51 serial port", {"nordic,nrf-uart"}, kSerialChannels, build_nrf_uart},
    {"timer", "nRF51 timer", {"nordic,nrf-timer"}, kNoChannel, build_nrf_timer},
    {"rtc", "nRF51 real-time counter", {"nordic,nrf-rtc"}, kNoChannel, build_nrf_rtc},
    {"rng", "nRF51 random number generator", {"nordic,nrf-rng"}, kEntropyChannels, build_nrf_rng},
    {"temp", "nRF51 temperature sensor", {"nordic,nrf-temp"}, kNoChannel, build_nrf_temp},
    {"adc", "nRF51 analog-to-digital converter", {"nordic,nrf-adc"}, kNoChannel, build_nrf_adc},
    {"gpio", "nRF51 pins", {"nordic,nrf-gpio"}, kNoChannel, build_nrf_gpio},
    {"twi", "nRF51 two-wire interface", {"nordic,nrf-twi"}, kNoChannel, build_nrf_twi},
    {"nvmc", "nRF51 flash", {"nordic,nrf51-flash-controller"}, kNoChannel, build_nrf_flash},
    {"ficr", "nRF51 information pages", {"nordic,nrf-ficr"}, kNoChannel, build_nrf_information},
    {"nrf",
     "nRF51 peripherals of which only the registers are there",
     {"nordic,nrf-radio", "nordic,nrf-gpiote", "nordic,nrf-ppi", "nordic,nrf-wdt", "nordic,nrf-ecb",
      "nordic,nrf-ccm", "nordic,nrf-qdec", "nordic,nrf-lpcomp"},
     kNoChannel,
     build_nrf_plain},
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
