#include "targets/devices/model_registry.h"

#include <fmt/format.h>

#include "engine/registry.h"
#include "targets/arm/scs.h"
#include "targets/arm/sse.h"
#include "targets/devices/arm_peripherals.h"
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
    {"aplic",
     "RISC-V advanced platform-level interrupt controller: one domain",
     {"riscv,aplic"},
     kNoChannel,
     build_aplic},
    {"imsic",
     "RISC-V incoming MSI controllers of one privilege level",
     {"riscv,imsics"},
     kNoChannel,
     build_imsic},
    {"finisher",
     "SiFive test finisher: exit status and reset",
     {"sifive,test1", "sifive,test0"},
     kNoChannel,
     build_finisher},
    {"rtc", "Goldfish real-time clock", {"google,goldfish-rtc"}, kClockChannels, build_goldfish_rtc},
    {"virtio",
     "virtio devices over MMIO: disk, network, entropy, console",
     {"virtio,mmio"},
     kNoChannel,
     build_virtio_mmio},
    {"pci",
     "PCI host bridge with ECAM, and virtio devices on its bus",
     {"pci-host-ecam-generic"},
     kNoChannel,
     build_pci_host},
    {"fwcfg", "Firmware configuration as QEMU has it", {"qemu,fw-cfg-mmio"}, kNoChannel, build_fw_cfg},
    {"nvic",
     "Arm M-profile system control space: NVIC, SysTick, system control block",
     {"arm,v8.1m-nvic", "arm,v8m-nvic", "arm,v7m-nvic", "arm,v6m-nvic"},
     kNoChannel,
     arm::build_scs},
    {"sse", "Security controller of Arm's SSE subsystems", {"arm,sse-security"}, kNoChannel, arm::build_sse},
    {"sse-ns",
     "Non-secure control of Arm's SSE subsystems",
     {"arm,sse-nonsecure"},
     kNoChannel,
     arm::build_sse_non_secure},
    {"sse-info",
     "Identification of Arm's SSE subsystems and their CPUs",
     {"arm,sse-information"},
     kNoChannel,
     arm::build_sse_information},
    {"sse-system",
     "System control of Arm's SSE subsystems",
     {"arm,sse-system-control"},
     kNoChannel,
     arm::build_sse_system},
    {"sse-counter",
     "System counter of Arm's SSE-300",
     {"arm,sse-counter"},
     kNoChannel,
     arm::build_sse_counter},
    {"sse-timer", "System timer of Arm's SSE-300", {"arm,sse-timer"}, kNoChannel, arm::build_sse_timer},
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
    {"watchdog", "nRF51 watchdog", {"nordic,nrf-wdt"}, kNoChannel, build_nrf_watchdog},
    {"watchdog", "STM32 independent watchdog", {"st,stm32-watchdog"}, kNoChannel, build_stm32_watchdog},
    {"nvmc", "nRF51 flash", {"nordic,nrf51-flash-controller"}, kNoChannel, build_nrf_flash},
    {"ficr", "nRF51 information pages", {"nordic,nrf-ficr"}, kNoChannel, build_nrf_information},
    {"uicr", "nRF user information page", {"nordic,nrf-uicr"}, kNoChannel, build_nrf_user_information},
    {"nrf",
     "nRF51 peripherals of which only the registers are there",
     {"nordic,nrf-radio", "nordic,nrf-gpiote", "nordic,nrf-ppi", "nordic,nrf-ecb", "nordic,nrf-ccm",
      "nordic,nrf-qdec", "nordic,nrf-lpcomp"},
     kNoChannel,
     build_nrf_plain},
    {"timer", "CMSDK and SP804 dual timer", {"arm,cmsdk-dtimer", "arm,sp804"}, kNoChannel, build_sp804},
    {"watchdog",
     "CMSDK, SP805 and Stellaris watchdog",
     {"arm,cmsdk-watchdog", "arm,sp805", "ti,stellaris-watchdog"},
     kNoChannel,
     build_sp805},
    {"gpio", "CMSDK pins", {"arm,cmsdk-gpio"}, kNoChannel, build_cmsdk_gpio},
    {"gpio", "PL061 pins", {"arm,pl061", "ti,stellaris-gpio"}, kNoChannel, build_pl061},
    {"ssp", "PL022 serial bus without partners", {"arm,pl022", "ti,stellaris-ssi"}, kNoChannel, build_pl022},
    {"sbcon", "Versatile two-wire bus without partners", {"arm,versatile-i2c"}, kNoChannel, build_sbcon_i2c},
    {"fpgaio", "MPS2 board I/O: lights and counters", {"arm,mps2-fpgaio"}, kNoChannel, build_mps2_fpgaio},
    {"scc", "MPS2 serial configuration controller", {"arm,mps2-scc"}, kNoChannel, build_mps2_scc},
    {"ethernet", "LAN9118 and LAN9220", {"smsc,lan9118", "smsc,lan9220"}, kNetworkChannels, build_lan9118},
    {"sysctl", "Stellaris system control", {"ti,stellaris-sysctl"}, kNoChannel, build_stellaris_system},
    {"timer", "Stellaris general-purpose timers", {"ti,stellaris-gptm"}, kNoChannel, build_stellaris_gptm},
    {"i2c", "Stellaris two-wire bus without partners", {"ti,stellaris-i2c"}, kNoChannel, build_stellaris_i2c},
    {"adc", "Stellaris analog-to-digital converter", {"ti,stellaris-adc"}, kNoChannel, build_stellaris_adc},
    {"ethernet", "Stellaris Ethernet", {"ti,stellaris-ethernet"}, kNetworkChannels, build_stellaris_ethernet},
    {"flashctl",
     "Stellaris flash control",
     {"ti,stellaris-flash-controller"},
     kNoChannel,
     build_stellaris_flash},
    {"timer", "STM32 timers", {"st,stm32-timers"}, kNoChannel, build_stm32_timer},
    {"rcc", "STM32 F2 and F4 clock control", {"st,stm32-rcc", "st,stm32f4-rcc"}, kNoChannel, build_stm32_rcc},
    {"stm32f1-rcc", "STM32 F1 clock control", {"st,stm32f1-rcc"}, kNoChannel, build_stm32f1_rcc},
    {"pwr", "STM32 power control", {"st,stm32-pwr"}, kNoChannel, build_stm32_pwr},
    {"stm32-flash",
     "STM32 F2 and F4 flash interface",
     {"st,stm32f4-flash-controller", "st,stm32-flash-controller"},
     kNoChannel,
     build_stm32_flash},
    {"syscfg", "STM32 system configuration", {"st,stm32-syscfg"}, kNoChannel, build_stm32_syscfg},
    {"exti", "STM32 external interrupts", {"st,stm32-exti"}, kNoChannel, build_stm32_exti},
    {"gpio", "STM32 pins", {"st,stm32-gpio"}, kNoChannel, build_stm32_gpio},
    {"stm32-adc",
     "STM32 analog-to-digital converter",
     {"st,stm32f4-adc", "st,stm32-adc"},
     kNoChannel,
     build_stm32_adc},
    {"stm32-spi", "STM32 serial bus without partners", {"st,stm32-spi"}, kNoChannel, build_stm32_spi},
    {"stm32-i2c", "STM32 two-wire bus without partners", {"st,stm32-i2c-v1"}, kNoChannel, build_stm32_i2c},
    {"rng", "STM32 random number generator", {"st,stm32-rng"}, kEntropyChannels, build_stm32_rng},
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

u32 DeviceSite::clock_hz(u32 otherwise) const {
  const u32 hz = cell("clock-frequency", otherwise);
  if (hz == 0) fail("has a clock that stands still");
  return hz;
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
