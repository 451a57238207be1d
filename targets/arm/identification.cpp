// What a CPU says of itself: ID_PFR0 to ID_ISAR5 and the cache registers (DDI 0403, B4.1; DDI 0553, D1.2),
// for what the CPU is built with. README.md says where QEMU has other values.
#include "targets/arm/scs.h"

namespace hindcast::arm {
namespace {

u32 identification_v7(const ArmArch& a, u32 offset) {
  // The Cortex-M7 says nothing of coprocessors, nor of multiple transfers that are continued after an
  // interrupt.
  const bool dsp = a.has(ext::Dsp), m7 = (a.features().model->cpuid >> 4 & 0xfff) == 0xc27;
  switch (offset) {
    case 0xd40: return 0x30;
    case 0xd44: return 0x200;
    case 0xd48: return 0x00100000;
    case 0xd50: return a.has(ext::Mpu) ? 0x00100030 : 0;
    case 0xd58: return 0x01000000;
    case 0xd60: return dsp && !m7 ? 0x01141110 : 0x01101110;
    case 0xd64: return dsp ? 0x02112000 : 0x02111000;
    case 0xd68: return (dsp ? 0x00232231 : 0x00112231) | (m7 ? 0x20000000 : 0x21000000);
    case 0xd6c: return dsp ? 0x01111131 : 0x01111110;
    case 0xd70: return 0x01310132;
    default: return 0;
  }
}

u32 identification_v8(const ArmArch& a, u32 offset) {
  const bool dsp = a.has(ext::Dsp), v81 = a.has(ext::V81);
  switch (offset) {
    case 0xd40: return v81 ? 0x20000030 : 0x30;
    case 0xd44: return 0x200 | (!a.has(ext::Sec) ? 0 : v81 ? 0x30 : 0x10);
    case 0xd48: return v81 ? 0x10200000 : 0x00200000;
    case 0xd50: return v81 ? 0x00111040 : 0x00101f40;
    case 0xd58: return 0x01000000;
    case 0xd5c: return v81 ? 0x11 : 0;
    case 0xd60: return v81 ? 0x01103110 : 0x01101110;
    case 0xd64: return dsp ? 0x02212000 : 0x02211000;
    case 0xd68: return dsp ? 0x20232232 : 0x20112232;
    case 0xd6c: return dsp ? 0x01111131 : 0x01111110;
    case 0xd70: return 0x01310132;
    case 0xd7c: return 0x8000c000;
    default: return 0;
  }
}

}  // namespace

u32 Scs::read_identification(u32 offset) const {
  const ArmArch& a = arch();
  if (a.features().baseline()) return 0;
  return a.has(ext::V8) ? identification_v8(a, offset) : identification_v7(a, offset);
}

}  // namespace hindcast::arm
