// A small network stack, bare: gets an address by DHCP, pings its router, then answers ARP, pings and UDP on
// port 7 (echo) until it is sent "quit" there. Works from the receive interrupt and sleeps between. One file
// for the Ethernet controllers of several boards.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
#define REG(address) (*(volatile u32*)(address))

enum { kMaxFrame = 1536, kSlots = 16 };
static u8 mac[6];
static u32 own_ip, server_ip, router_ip;
// Received frames, put there by the interrupt.
static u8 slots[kSlots][kMaxFrame];
static volatile u32 lengths[kSlots], head, tail;
static u8 out[kMaxFrame];
static u8 scratch[kMaxFrame];

#if defined(LAN9118)
enum { kUart = 0x40004000, kNet = 0x40200000, kNetIrq = 13 };
static void uart_start(void) {
  REG(kUart + 0x10) = 16;
  REG(kUart + 0x08) = 1;
}
static void uart_put(char c) {
  while ((REG(kUart + 4) & 1) != 0) {
  }
  REG(kUart) = (u32)c;
}
static u32 mac_read(u32 n) {
  REG(kNet + 0xa4) = 0xc0000000 | n;
  while ((REG(kNet + 0xa4) & 0x80000000) != 0) {
  }
  return REG(kNet + 0xa8);
}
static void mac_write(u32 n, u32 value) {
  REG(kNet + 0xa8) = value;
  REG(kNet + 0xa4) = 0x80000000 | n;
  while ((REG(kNet + 0xa4) & 0x80000000) != 0) {
  }
}
static u32 phy_read(u32 n) {
  mac_write(6, 1 << 11 | n << 6);
  return mac_read(7);
}
static int net_start(void) {
  if (REG(kNet + 0x50) >> 16 != 0x118 || REG(kNet + 0x64) != 0x87654321) return 0;
  REG(kNet + 0x74) = 1;
  while ((REG(kNet + 0x74) & 1) != 0) {
  }
  REG(kNet + 0x74) = 0x00050000;
  if ((phy_read(1) & 4) == 0) return 0;
  u32 low = mac_read(3), high = mac_read(2);
  for (int i = 0; i < 4; ++i) mac[i] = (u8)(low >> 8 * i);
  for (int i = 0; i < 2; ++i) mac[4 + i] = (u8)(high >> 8 * i);
  REG(kNet + 0x68) = 0x48000000;
  REG(kNet + 0x70) = 2;                     // TX_ON
  mac_write(1, 1 << 20 | 1 << 3 | 1 << 2);  // full duplex, sender and receiver
  REG(kNet + 0x58) = 0xffffffff;
  REG(kNet + 0x5c) = 1 << 3;  // receive status level
  REG(kNet + 0x54) = 0x22000111;
  return 1;
}
static void net_send(const u8* frame, u32 length) {
  // The data begins at any byte of its first word.
  const u32 skip = length & 3, words = (skip + length + 3) / 4;
  while ((REG(kNet + 0x80) & 0xffff) < 4 * words + 8) {
  }
  REG(kNet + 0x20) = skip << 16 | 1 << 13 | 1 << 12 | length;
  REG(kNet + 0x20) = length << 16 | length;
  for (u32 w = 0; w < words; ++w) {
    u32 word = 0;
    for (u32 i = 0; i < 4; ++i) {
      u32 at = 4 * w + i - skip;
      if (4 * w + i >= skip && at < length) word |= (u32)frame[at] << 8 * i;
    }
    REG(kNet + 0x20) = word;
  }
  while ((REG(kNet + 0x80) >> 16 & 0xff) == 0) {
  }
  (void)REG(kNet + 0x48);
}
static u32 net_take(u8* to) {
  if ((REG(kNet + 0x7c) >> 16 & 0xff) == 0) return 0;
  const u32 status = REG(kNet + 0x40), length = status >> 16 & 0x3fff;
  for (u32 w = 0; w < (length + 3) / 4; ++w) {
    u32 word = REG(kNet);
    for (u32 i = 0; i < 4; ++i)
      if (4 * w + i < kMaxFrame) to[4 * w + i] = (u8)(word >> 8 * i);
  }
  return length > kMaxFrame ? 0 : length;
}
static void net_acknowledge(void) { REG(kNet + 0x58) = 1 << 3; }
#elif defined(STELLARIS)
enum { kUart = 0x4000c000, kNet = 0x40048000, kNetIrq = 42 };
static void uart_start(void) { REG(kUart + 0x30) = 1 | 1 << 8; }
static void uart_put(char c) {
  while ((REG(kUart + 0x18) & 1 << 5) != 0) {
  }
  REG(kUart) = (u32)c;
}
static int net_start(void) {
  u32 low = REG(kNet + 0x14), high = REG(kNet + 0x18);
  for (int i = 0; i < 4; ++i) mac[i] = (u8)(low >> 8 * i);
  for (int i = 0; i < 2; ++i) mac[4 + i] = (u8)(high >> 8 * i);
  REG(kNet + 0x04) = 1;  // interrupts: received
  REG(kNet + 0x08) = 0x10;
  REG(kNet + 0x08) = 1 | 8;
  REG(kNet + 0x0c) = 1 | 2 | 4 | 0x10;
  REG(kNet + 0x00) = 0x7f;
  return 1;
}
static void net_send(const u8* frame, u32 length) {
  while ((REG(kNet + 0x38) & 1) != 0) {
  }
  const u32 payload = length - 14, bytes = 2 + length;
  for (u32 at = 0; at < bytes; at += 4) {
    u32 word = 0;
    for (u32 i = at; i < at + 4 && i < bytes; ++i)
      word |= (i < 2 ? payload >> 8 * i & 0xff : (u32)frame[i - 2]) << 8 * (i - at);
    REG(kNet + 0x10) = word;
  }
  REG(kNet + 0x38) = 1;
}
static u32 net_take(u8* to) {
  if ((REG(kNet + 0x34) & 0x3f) == 0) return 0;
  u32 word = REG(kNet + 0x10);
  const u32 total = word & 0xffff;
  for (u32 at = 0; at < total;) {
    for (u32 i = 0; i < 4; ++i, ++at)
      if (at >= 2 && at < total && at - 2 < kMaxFrame) to[at - 2] = (u8)(word >> 8 * i);
    if (at < total) word = REG(kNet + 0x10);
  }
  return total - 2 > kMaxFrame ? 0 : total - 2;
}
static void net_acknowledge(void) { REG(kNet + 0x00) = 1; }
#endif

static void say(const char* text) {
  while (*text != 0) uart_put(*text++);
}
static void say_number(u32 n) {
  if (n >= 10) say_number(n / 10);
  uart_put((char)('0' + n % 10));
}
static void say_ip(u32 ip) {
  for (int i = 24; i >= 0; i -= 8) {
    say_number(ip >> i & 0xff);
    if (i != 0) uart_put('.');
  }
}
static void end(u32 reason) {
  register u32 call __asm__("r0") = 0x18;
  register u32 why __asm__("r1") = reason;
  __asm__ volatile("bkpt 0xab" : "+r"(call) : "r"(why) : "memory");
  for (;;) {
  }
}
static void fail(const char* text) {
  say(text);
  uart_put('\n');
  end(0x20023);
}

static u32 get16(const u8* p) { return (u32)p[0] << 8 | p[1]; }
static u32 get32(const u8* p) { return get16(p) << 16 | get16(p + 2); }
static void put16(u8* p, u32 v) {
  p[0] = (u8)(v >> 8);
  p[1] = (u8)v;
}
static void put32(u8* p, u32 v) {
  put16(p, v >> 16);
  put16(p + 2, v);
}
static void copy(u8* to, const u8* from, u32 n) {
  while (n-- != 0) *to++ = *from++;
}
static void fill(u8* to, u8 value, u32 n) {
  while (n-- != 0) *to++ = value;
}
static u32 check(const u8* data, u32 size) {
  u32 r = 0xffffffff;
  for (u32 i = 0; i < size; ++i) {
    r ^= data[i];
    for (int bit = 0; bit < 8; ++bit) r = (r & 1) != 0 ? r >> 1 ^ 0xedb88320 : r >> 1;
  }
  return ~r;
}
static u32 sum(const u8* p, u32 n, u32 start) {
  u32 s = start;
  for (u32 i = 0; i + 1 < n; i += 2) s += get16(p + i);
  if ((n & 1) != 0) s += (u32)p[n - 1] << 8;
  while (s >> 16 != 0) s = (s & 0xffff) + (s >> 16);
  return ~s & 0xffff;
}

// Ethernet and IP headers; returns where the IP payload goes.
static u8* begin_ip(const u8* to_mac, u32 to_ip, u32 protocol, u32 payload) {
  copy(out, to_mac, 6);
  copy(out + 6, mac, 6);
  put16(out + 12, 0x800);
  u8* ip = out + 14;
  fill(ip, 0, 20);
  ip[0] = 0x45;
  put16(ip + 2, 20 + payload);
  ip[8] = 64;
  ip[9] = (u8)protocol;
  put32(ip + 12, own_ip);
  put32(ip + 16, to_ip);
  put16(ip + 10, sum(ip, 20, 0));
  return ip + 20;
}
static void send_udp(const u8* to_mac, u32 to_ip, u32 from_port, u32 to_port, const u8* data, u32 size) {
  u8* udp = begin_ip(to_mac, to_ip, 17, 8 + size);
  put16(udp, from_port);
  put16(udp + 2, to_port);
  put16(udp + 4, 8 + size);
  put16(udp + 6, 0);
  copy(udp + 8, data, size);
  net_send(out, 14 + 20 + 8 + size);
}

static const u8 kBroadcast[6] = {255, 255, 255, 255, 255, 255};
static void send_dhcp(u32 type) {
  u8* p = scratch;
  fill(p, 0, 300);
  p[0] = 1;
  p[1] = 1;
  p[2] = 6;
  put32(p + 4, 0x12345678);
  copy(p + 28, mac, 6);
  put32(p + 236, 0x63825363);
  u8* option = p + 240;
  *option++ = 53;
  *option++ = 1;
  *option++ = (u8)type;
  if (type == 3) {
    *option++ = 50;
    *option++ = 4;
    put32(option, own_ip);
    option += 4;
    *option++ = 54;
    *option++ = 4;
    put32(option, server_ip);
    option += 4;
  }
  *option++ = 255;
  const u32 ip = own_ip;
  own_ip = 0;  // not ours yet
  send_udp(kBroadcast, 0xffffffff, 68, 67, p, 300);
  own_ip = ip;
}
static void send_arp(u32 operation, const u8* to_mac, u32 to_ip) {
  fill(out, 0, 60);
  copy(out, operation == 1 ? kBroadcast : to_mac, 6);
  copy(out + 6, mac, 6);
  put16(out + 12, 0x806);
  u8* p = out + 14;
  put16(p, 1);
  put16(p + 2, 0x800);
  p[4] = 6;
  p[5] = 4;
  put16(p + 6, operation);
  copy(p + 8, mac, 6);
  put32(p + 14, own_ip);
  copy(p + 18, to_mac, 6);
  put32(p + 24, to_ip);
  net_send(out, 60);
}

static int ready;
static void take_dhcp(const u8* p, u32 size) {
  if (size < 244 || get32(p + 4) != 0x12345678) return;
  u32 type = 0;
  for (u32 at = 240; at + 1 < size && p[at] != 255; at += 2 + p[at + 1]) {
    if (p[at] == 53) type = p[at + 2];
    if (p[at] == 54) server_ip = get32(p + at + 2);
    if (p[at] == 3) router_ip = get32(p + at + 2);
  }
  own_ip = get32(p + 16);
  if (type == 2) {
    send_dhcp(3);
  } else if (type == 5 && !ready) {
    ready = 1;
    say("address ");
    say_ip(own_ip);
    say(" router ");
    say_ip(router_ip);
    uart_put('\n');
    send_arp(1, kBroadcast, router_ip);
  }
}
static void ping(const u8* to_mac) {
  u8* p = begin_ip(to_mac, router_ip, 1, 8 + 32);
  fill(p, 0, 8);
  p[0] = 8;
  for (u8 i = 0; i < 32; ++i) p[8 + i] = i;
  put16(p + 2, sum(p, 40, 0));
  net_send(out, 14 + 20 + 40);
}
static u32 echoed, wrong;  // wrong: frames with a wrong checksum, of which QEMU gives all
static void take_udp(const u8* frame, const u8* udp, u32 size) {
  const u8* data = udp + 8;
  const u32 from = get32(frame + 14 + 12), port = get16(udp);
  if (get16(udp + 2) == 68) return take_dhcp(data, size);
  if (get16(udp + 2) != 7) return;
  copy(scratch, data, size);
  u8 to[6];
  copy(to, frame + 6, 6);
  send_udp(to, from, 7, port, scratch, size);
  ++echoed;
  if (size == 4 && get32(data) == 0x71756974) {
    say("echoed ");
    say_number(echoed);
    say(wrong == 0 ? "\nchecksums are right" : "\nchecksums are wrong");
    say("\nbye\n");
    end(0x20026);
  }
}
static void take_ip(const u8* frame, u32 length) {
  const u8* ip = frame + 14;
  const u32 total = get16(ip + 2), header = 4 * (ip[0] & 15);
  if (length < 14 + total || total < header + 8 || sum(ip, header, 0) != 0) return;
  const u8* p = ip + header;
  if (ip[9] == 17 && get16(p + 4) >= 8 && get16(p + 4) <= total - header)
    take_udp(frame, p, get16(p + 4) - 8);
  if (ip[9] != 1) return;
  if (p[0] == 0) say("ping answered\n");
  if (p[0] == 8) {
    const u32 size = total - header, from = get32(ip + 12);
    copy(scratch, p, size);
    scratch[0] = 0;
    put16(scratch + 2, 0);
    put16(scratch + 2, sum(scratch, size, 0));
    u8 to[6];
    copy(to, frame + 6, 6);
    copy(begin_ip(to, from, 1, size), scratch, size);
    net_send(out, 14 + 20 + size);
  }
}
static void take(const u8* frame, u32 length) {
  if (length < 64) return fail("a short frame");
  length -= 4;
  const u8* fcs = frame + length;
  if (check(frame, length) != ((u32)fcs[0] | (u32)fcs[1] << 8 | (u32)fcs[2] << 16 | (u32)fcs[3] << 24))
    ++wrong;
  if (get16(frame + 12) == 0x800) return take_ip(frame, length);
  if (get16(frame + 12) != 0x806) return;
  const u8* p = frame + 14;
  if (get16(p + 6) == 1 && get32(p + 24) == own_ip) send_arp(2, p + 8, get32(p + 14));
  if (get16(p + 6) == 2 && get32(p + 14) == router_ip) ping(p + 8);
}

static void network_interrupt(void) {
  net_acknowledge();
  for (u32 length; (head - tail) < kSlots && (length = net_take(slots[head % kSlots])) != 0;) {
    lengths[head % kSlots] = length;
    ++head;
  }
}
static void unexpected(void) { fail("unexpected exception"); }

void reset(void) {
  uart_start();
  if (!net_start()) fail("no network");
  say("mac");
  for (int i = 0; i < 6; ++i) {
    uart_put(i == 0 ? ' ' : ':');
    uart_put("0123456789abcdef"[mac[i] >> 4]);
    uart_put("0123456789abcdef"[mac[i] & 15]);
  }
  uart_put('\n');
  REG(0xe000e100 + 4 * (kNetIrq / 32)) = 1u << kNetIrq % 32;
  send_dhcp(1);
  for (;;) {
    __asm__ volatile("cpsid i" ::: "memory");
    if (head == tail) __asm__ volatile("wfi" ::: "memory");
    __asm__ volatile("cpsie i\n isb" ::: "memory");
    while (tail != head) {
      take(slots[tail % kSlots], lengths[tail % kSlots]);
      ++tail;
      // What came while all slots were full.
      __asm__ volatile("cpsid i" ::: "memory");
      network_interrupt();
      __asm__ volatile("cpsie i" ::: "memory");
    }
  }
}

#pragma GCC diagnostic ignored "-Woverride-init"
__attribute__((section(".vectors"), used)) static void (*const vectors[16 + 64])(void) = {
    (void (*)(void))0x20010000,         reset, [2 ... 15] = unexpected, [16 ... 79] = unexpected,
    [16 + kNetIrq] = network_interrupt,
};
