// kernels [NAME [SCALE]]: prints "name checksum" for the named kernel, or for all of them at scale 1.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

static const struct {
  const char* name;
  KernelFn run;
} kernels[] = {
#define KERNEL(name) {#name, kernel_##name},
#include "kernels.inc"
#undef KERNEL
};
enum { kKernels = sizeof kernels / sizeof kernels[0] };

static void run(int index, uint32_t scale) {
  printf("%s %08lx\n", kernels[index].name, (unsigned long)kernels[index].run(scale));
}

int main(int argc, char** argv) {
  // Start-up code disagrees on whether the first word of a semihosting command line, the image's name, is
  // argv[0] or argv[1]: the arguments begin at the first word that names a kernel.
  for (int at = 1; at < argc; at++) {
    for (int i = 0; i < kKernels; i++) {
      if (strcmp(argv[at], kernels[i].name) != 0) continue;
      run(i, at + 1 < argc ? (uint32_t)strtoul(argv[at + 1], NULL, 10) : 1);
      return 0;
    }
  }
  if (argc > 2) {
    printf("no such kernel: %s\n", argv[argc - 1]);
    return 2;
  }
  for (int i = 0; i < kKernels; i++) run(i, 1);
  return 0;
}
