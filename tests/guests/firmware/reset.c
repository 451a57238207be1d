// Resets the board twice, then ends with exit code 42: memory outside the image survives, device registers do
// not.
#include "board.h"

// Far behind the image: a reset loads the image again, zeroed parts included.
#define magic REG32(0x80f00000)
#define boots REG32(0x80f00004)

uintptr_t trap(uintptr_t cause, uintptr_t epc, uintptr_t tval) {
  (void)epc, (void)tval;
  power_off((int)cause + 100);
}

int main(unsigned hart) {
  (void)hart;
  if (magic != 0x600df00du) {
    magic = 0x600df00du;
    boots = 0;
  }
  boots++;
  put_text("boot ");
  put_number(boots);
  put_text(" ier ");
  put_hex(UART(kIer), 2);
  put_text(" mstatus.MIE ");
  put_number(CSR_READ(mstatus) & kMstatusMie);
  put_char('\n');
  UART(kIer) = 1;
  CSR_SET(mstatus, kMstatusMie);
  if (boots < 3) board_reset();
  magic = 0;
  power_off(42);
}
