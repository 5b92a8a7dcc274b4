/* What runs before main: the vector table, memory, the floating-point unit. A fault ends the program with 3. */
#include <stdint.h>

#include "semihosting.h"

extern uint32_t stack_top[], data_begin[], data_end[], bss_begin[], bss_end[];
extern const uint32_t data_stored[];
int main(void);
void reset(void);

static void fault(void)
{
    say("fault: the stack is too small (make STACK=…), or a pointer is wrong\n");
    leave(3);
}

__attribute__((section(".vectors"), used)) static void (*const VECTORS[])(void) = {
    (void (*)(void))stack_top, reset, fault, fault, fault, fault, fault, fault,
    fault, fault, fault, fault, fault, fault, fault, fault,
};

/* Naked of any floating-point register until the unit is on: CPACR, coprocessors 10 and 11 (Armv7-M manual, B3.2.20;
   on Armv8.1-M they are MVE, too). */
void reset(void)
{
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20;
    __asm volatile("dsb\n\tisb" ::: "memory");
    const uint32_t *from = data_stored;
    for (uint32_t *to = data_begin; to < data_end;) { *to++ = *from++; }
    for (uint32_t *to = bss_begin; to < bss_end;) { *to++ = 0; }
    leave(main());
}
