// Four unprivileged tasks in turn, as an RTOS has them: each has code and its own 1 KiB of memory by the MPU,
// and SVC exchanges the task's region. What benchmarks/README.md measures; it depends on no clock.
typedef unsigned int u32;
#define REG(address) (*(volatile u32*)(address))
enum { kTasks = 4, kWords = 256, kSwitches = 30000, kRounds = 40 };
static u32 memory[kTasks][kWords] __attribute__((aligned(1024)));
static volatile u32 current, switches, sum;

static void end(u32 reason) {
  register u32 number __asm__("r0") = 0x18;
  register u32 why __asm__("r1") = reason;
  __asm__ volatile("bkpt 0xab" : "+r"(number) : "r"(why) : "memory");
}

static void give(u32 task) {
  REG(0xe000ed98) = 1;
  REG(0xe000ed9c) = (u32)memory[task];
  REG(0xe000eda0) = 1 << 28 | 3 << 24 | 9 << 1 | 1;  // read and write, 1 KiB
}

static void service(void) {
  u32* frame;
  __asm__ volatile("mrs %0, psp" : "=r"(frame));
  sum += frame[0];
  if (++switches == kSwitches) end(sum == frame[1] ? 0x20026 : 0x20023);
  current = (current + 1) % kTasks;
  give(current);
  frame[0] = (u32)memory[current];
}

static void fault(void) { end(0x20023); }

/// All tasks run the same loop, on a stack of 1 KiB that is another's.
__attribute__((noreturn, used)) static void work(u32* own) {
  u32 expected = 0;
  for (;;) {
    u32 total = 0;
    for (u32 round = 0; round < kRounds; ++round)
      for (u32 i = 0; i < 16; ++i) total += own[i * 16] += i;
    expected += total;
    register u32 r0 __asm__("r0") = total;
    register u32 r1 __asm__("r1") = expected;
    __asm__ volatile("svc #0" : "+r"(r0) : "r"(r1) : "memory");
    own = (u32*)r0;
  }
}

static u32 stack[kWords] __attribute__((aligned(1024)));
void reset(void) {
  current = switches = sum = 0;
  for (u32 task = 0; task < kTasks; ++task)
    for (u32 i = 0; i < kWords; ++i) memory[task][i] = 0;
  REG(0xe000ed98) = 0;
  REG(0xe000ed9c) = 0;
  REG(0xe000eda0) = 2 << 24 | 11 << 1 | 1;  // code: 4 KiB, tasks may read it
  give(0);
  REG(0xe000ed98) = 2;
  REG(0xe000ed9c) = (u32)stack;
  REG(0xe000eda0) = 1 << 28 | 3 << 24 | 9 << 1 | 1;
  REG(0xe000ed94) = 5;
  __asm__ volatile("msr psp, %0\n\tmovs r1, #3\n\tmsr control, r1\n\tisb\n\tmov r0, %1\n\tb work"
                   :
                   : "r"(stack + kWords), "r"(memory[0])
                   : "r0", "r1", "memory");
}

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    (void (*)(void))0x20008000, reset, fault, fault, fault, fault, fault, 0, 0, 0, 0, service, 0, 0, 0, 0,
};
