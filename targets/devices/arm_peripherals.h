// The builders of what microcontrollers with Arm cores have around them (the nRF51's are in nrf51.h).
#pragma once
#include "targets/devices/model_registry.h"

namespace hindcast::devices {

// sp804.cpp, sp805.cpp, lan9118.cpp
IrqSink* build_sp804(const DeviceSite& site);
IrqSink* build_sp805(const DeviceSite& site);
IrqSink* build_lan9118(const DeviceSite& site);
// mps2.cpp, mps2_scc.cpp
IrqSink* build_mps2_scc(const DeviceSite& site);
IrqSink* build_mps2_fpgaio(const DeviceSite& site);
IrqSink* build_cmsdk_gpio(const DeviceSite& site);
IrqSink* build_sbcon_i2c(const DeviceSite& site);
IrqSink* build_pl022(const DeviceSite& site);
// stellaris.cpp
IrqSink* build_stellaris_system(const DeviceSite& site);
IrqSink* build_stellaris_gptm(const DeviceSite& site);
IrqSink* build_stellaris_i2c(const DeviceSite& site);
IrqSink* build_stellaris_adc(const DeviceSite& site);
IrqSink* build_stellaris_flash(const DeviceSite& site);
IrqSink* build_pl061(const DeviceSite& site);
// stellaris_ethernet.cpp
IrqSink* build_stellaris_ethernet(const DeviceSite& site);
// stm32_timer.cpp, stm32_soc.cpp
IrqSink* build_stm32_timer(const DeviceSite& site);
IrqSink* build_stm32_watchdog(const DeviceSite& site);
IrqSink* build_stm32_rcc(const DeviceSite& site);
IrqSink* build_stm32f1_rcc(const DeviceSite& site);
IrqSink* build_stm32_pwr(const DeviceSite& site);
IrqSink* build_stm32_flash(const DeviceSite& site);
IrqSink* build_stm32_syscfg(const DeviceSite& site);
IrqSink* build_stm32_exti(const DeviceSite& site);
IrqSink* build_stm32_gpio(const DeviceSite& site);
IrqSink* build_stm32_adc(const DeviceSite& site);
IrqSink* build_stm32_spi(const DeviceSite& site);
IrqSink* build_stm32_i2c(const DeviceSite& site);
IrqSink* build_stm32_rng(const DeviceSite& site);

}  // namespace hindcast::devices
