// Exceptions that interrupt code with floating-point state, for debuggers to find their way back through: the
// frame is an extended one, stored lazily, and a handler either uses floating point (then it is stored) or not.
typedef unsigned int u32;
#define REG(address) (*(volatile u32*)(address))
#define APART __attribute__((noinline, noclone))

static volatile float sink = 1.5f;
static volatile u32 calls;

APART void deep_in_handler(void) { ++calls; }
APART void deep_in_fp_handler(float x) {
  sink = x;
  ++calls;
}

void svc_handler(void) {
  deep_in_handler();
  ++calls;
}
void pendsv_handler(void) {
  deep_in_fp_handler(sink * 2.0f);
  ++calls;
}

APART void worker(float x) {
  sink = x * 3.0f;
  __asm__ volatile("svc 0" ::: "memory");
  REG(0xe000ed04) = 1u << 28;
  __asm__ volatile("dsb\n isb" ::: "memory");
  sink = sink + x;
}

static void end(void) {
  register u32 call __asm__("r0") = 0x18;
  register u32 why __asm__("r1") = 0x20026;
  __asm__ volatile("bkpt 0xab" : "+r"(call) : "r"(why) : "memory");
}

APART void run_all(void) {
  worker(2.5f);
  end();
}

void reset(void) {
  REG(0xe000ed88) = 0xf << 20;
  __asm__ volatile("dsb\n isb" ::: "memory");
  run_all();
  for (;;) {
  }
}

__attribute__((section(".vectors"), used)) static const void* const vectors[16] = {
    (void*)0x20008000, (void*)reset, [11] = (void*)svc_handler, [14] = (void*)pendsv_handler};
