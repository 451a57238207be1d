// CRC-32 three ways, bit by bit, by byte table and by nibble table: they must agree.
#include "kernels.h"

static uint32_t table[256];
static uint8_t data[4096];

static uint32_t by_bit(const uint8_t* p, size_t n) {
  uint32_t crc = ~0u;
  for (; n > 0; n--) {
    crc ^= *p++;
    for (int i = 0; i < 8; i++) crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
  }
  return ~crc;
}

static uint32_t by_byte(const uint8_t* p, size_t n) {
  uint32_t crc = ~0u;
  for (; n > 0; n--) crc = crc >> 8 ^ table[(crc ^ *p++) & 255];
  return ~crc;
}

static uint32_t by_nibble(const uint8_t* p, size_t n) {
  uint32_t crc = ~0u;
  for (; n > 0; n--) {
    crc ^= *p++;
    // Multiplying the table's index by 16 gives the entry of the byte whose high nibble is zero.
    crc = crc >> 4 ^ table[(crc & 15) << 4];
    crc = crc >> 4 ^ table[(crc & 15) << 4];
  }
  return ~crc;
}

uint32_t kernel_crc(uint32_t scale) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t crc = i;
    for (int j = 0; j < 8; j++) crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    table[i] = crc;
  }
  uint32_t random = 1, sum = 0;
  for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)next_random(&random);
  for (uint32_t round = 0; round < scale * 6; round++) {
    uint32_t a = by_byte(data, sizeof data), b = by_nibble(data, sizeof data), c = by_bit(data, sizeof data);
    if (a != b || a != c) return 0xbadbadu;
    sum = mix(sum, a);
    data[round % sizeof data] ^= (uint8_t)(round + 1);
  }
  return sum;
}
