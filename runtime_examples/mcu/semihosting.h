/* Words to the host that debugs or emulates this core, and the end of the program (Arm, Semihosting for AArch32 and
   AArch64). On a board without a debugger the breakpoint is a fault: put a serial port in its place. */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

#include <stdint.h>

void say(const char *text);

/* A whole number; a number from 0 to below 4 with nine digits behind the point, `inf` for any other. */
void say_whole(uint32_t number);
void say_number(float number);

/* Leave with an exit code: 0 done, 1 the check failed, 3 a fault. */
__attribute__((noreturn)) void leave(int code);

#endif
