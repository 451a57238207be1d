/* Uses files and the console through semihosting: copies "in.txt" to "out.txt" twice, the second time behind the
   first, renames it to "kept.txt", removes "gone.txt", asks for a line of input and shows it. Exits with 0, or the
   number of the step that failed. */
#include <semihost.h>
#include <stdio.h>
#include <string.h>

static char bytes[40000];

static void say(const char *text) { sys_semihost_write0(text); }

int main(void) {
  char line[40];
  uintptr_t left = 0;
  say("begin\n");
  int in = sys_semihost_open("in.txt", 1);
  if (in < 0) {
    sprintf(line, "in.txt: error %d\n", sys_semihost_errno());
    say(line);
    return 1;
  }
  uintptr_t size = sys_semihost_flen(in);
  if (size > sizeof bytes) return 2;
  left = sys_semihost_read(in, bytes, size);
  if (left != 0) return 3;
  for (int round = 0; round < 2; ++round) {
    int out = sys_semihost_open("out.txt", round == 0 ? 5 : 9);
    if (out < 0) return 4;
    if (sys_semihost_write(out, bytes, size) != 0) return 5;
    if (sys_semihost_flen(out) != (round + 1) * size) return 6;
    if (sys_semihost_close(out) != 0) return 7;
  }
  /* From the middle again. */
  char tail[6] = {0};
  if (sys_semihost_seek(in, size - 5) != 0 || sys_semihost_read(in, tail, 5) != 0) return 8;
  if (memcmp(tail, bytes + size - 5, 5) != 0) return 9;
  if (sys_semihost_close(in) != 0) return 10;
  if (sys_semihost_rename("out.txt", "kept.txt") != 0) return 11;
  if (sys_semihost_remove("gone.txt") != 0 || sys_semihost_remove("gone.txt") == 0) return 12;
  if (sys_semihost_open("no/such/file", 1) >= 0) return 13;
  sprintf(line, "copied %u bytes\n", (unsigned)size);
  say(line);
  int console = sys_semihost_open(":tt", 0);
  left = sys_semihost_read(console, bytes, 30);
  if (left > 30) return 14;
  bytes[30 - left] = '\0';
  say("read: ");
  say(bytes);
  return 0;
}
