// A FreeRTOS program for the MPS2's Cortex-M3 with memory protection: tasks without privileges, each with its
// own regions, one of which keeps touching what it may not; a queue, a software timer, and a task that
// reports. Built by scripts/freertos-arm with the kernel and the start-up code of a FreeRTOS checkout.
#include <stdio.h>

#include "FreeRTOS.h"
#include "app_main.h"
#include "queue.h"
#include "task.h"
#include "timers.h"

#define REG(address) (*(volatile uint32_t*)(address))
enum { kUart = 0x40004000, kReports = 20, kPeriod = 100 };

struct shared {
  uint32_t written, read, allowed;
} __attribute__((aligned(32)));
static struct shared shared;
static volatile uint32_t expecting __attribute__((aligned(32)));
static uint32_t padding[7] __attribute__((used));

static uint32_t faults, fault_status, timer_calls, ticks, surprises;
static QueueHandle_t queue;

static void say(const char* text) {
  for (; *text != 0; ++text) {
    while ((REG(kUart + 4) & 1) != 0) {
    }
    REG(kUart) = (uint8_t)*text;
  }
}
static void say_number(const char* what, uint32_t value) {
  char digits[11];
  char* at = digits + sizeof digits - 1;
  *at = 0;
  do *--at = (char)('0' + value % 10);
  while ((value /= 10) != 0);
  say(what);
  say(at);
}
static void end(uint32_t reason) {
  register uint32_t call __asm__("r0") = 0x18;
  register uint32_t why __asm__("r1") = reason;
  __asm__ volatile("bkpt 0xab" : "+r"(call) : "r"(why) : "memory");
  for (;;) {
  }
}

// Only reads what it shares; its writes fault, and the handler skips them.
static void reader(void* unused) {
  (void)unused;
  for (;;) {
    volatile uint32_t* const written = &shared.written;
    const uint32_t before = *written;
    expecting = 1;
    *written = before + 1000;
    vTaskDelay(10);
  }
}
// Writes what it shares, and sends it.
static void writer(void* its_queue) {
  for (;;) {
    ++shared.written;
    const uint32_t value = shared.written;
    xQueueSend((QueueHandle_t)its_queue, &value, portMAX_DELAY);
    vTaskDelay(3);
  }
}
static void timer_called(TimerHandle_t timer) {
  (void)timer;
  ++timer_calls;
}
static void report(void* unused) {
  uint32_t received = 0, sum = 0, value;
  (void)unused;
  TickType_t next = 0;
  for (unsigned n = 1; n <= kReports; ++n) {
    next += kPeriod;
    while (xTaskGetTickCount() < next)
      if (xQueueReceive(queue, &value, next - xTaskGetTickCount()) == pdTRUE) {
        ++received;
        sum += value;
      }
    say_number("report ", n);
    say_number(": received ", received);
    say_number(", sum ", sum);
    say_number(", faults ", faults);
    say_number(", status ", fault_status);
    say_number(", timer ", timer_calls);
    say_number(", surprises ", surprises);
    say("\n");
  }
  end(faults > 0 && surprises == 0 ? 0x20026 : 0x20023);
}

// Called by the start-up code's fault handlers.
void vHandleMemoryFault(uint32_t* frame) {
  fault_status = REG(0xe000ed28);
  REG(0xe000ed28) = fault_status;
  ++faults;
  if (expecting == 0 || REG(0xe000ed34) != (uint32_t)&shared.written) {
    ++surprises;
    say("an unexpected fault\n");
    end(0x20023);
  }
  expecting = 0;
  const uint16_t first = *(uint16_t*)frame[6];
  frame[6] += first >> 11 >= 0x1d ? 4 : 2;
}
void vApplicationIdleHook(void) {}
void vApplicationTickHook(void) { ++ticks; }
void vAssertCalled(void) {
  say("an assertion failed\n");
  end(0x20023);
}
void vLoggingPrintf(const char* format, ...) { say(format); }

void vStartMPUDemo(void) {
  enum { kStack = 256 };
  static StackType_t reader_stack[kStack] __attribute__((aligned(kStack * sizeof(StackType_t))));
  static StackType_t writer_stack[kStack] __attribute__((aligned(kStack * sizeof(StackType_t))));
  REG(kUart + 0x10) = 16;
  REG(kUart + 8) = 1;
  queue = xQueueCreate(4, sizeof(uint32_t));
  TaskParameters_t reading = {
      .pvTaskCode = reader,
      .pcName = "reader",
      .usStackDepth = kStack,
      .uxPriority = 3,
      .puxStackBuffer = reader_stack,
      .xRegions = {{&shared, 32,
                    portMPU_REGION_PRIVILEGED_READ_WRITE_UNPRIV_READ_ONLY | portMPU_REGION_EXECUTE_NEVER},
                   {(void*)&expecting, 32, portMPU_REGION_READ_WRITE | portMPU_REGION_EXECUTE_NEVER}},
  };
  TaskParameters_t writing = {
      .pvTaskCode = writer,
      .pcName = "writer",
      .usStackDepth = kStack,
      .pvParameters = queue,
      .uxPriority = 2,
      .puxStackBuffer = writer_stack,
      .xRegions = {{&shared, 32, portMPU_REGION_READ_WRITE | portMPU_REGION_EXECUTE_NEVER}},
  };
  TaskHandle_t writer_task = NULL;
  xTaskCreateRestricted(&reading, NULL);
  xTaskCreateRestricted(&writing, &writer_task);
#if configENABLE_ACCESS_CONTROL_LIST == 1
  vGrantAccessToQueue(writer_task, queue);
#endif
  xTaskCreate(report, "report", kStack, NULL, 1 | portPRIVILEGE_BIT, NULL);
  xTimerStart(xTimerCreate("timer", 7, pdTRUE, NULL, timer_called), 0);
}

int main(void) {
  app_main();
  return 0;
}
