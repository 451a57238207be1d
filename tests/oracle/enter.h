// The way into other modes and back (enter.S).
#pragma once
#include "guest.h"

// Must be as in enter.S.
struct context {
  word saved[16];
  word pc, address, value, status;
  word result, cause, epc, tval, status_after;
};
extern void enter(struct context *), enter_in_machine_mode(struct context *);
