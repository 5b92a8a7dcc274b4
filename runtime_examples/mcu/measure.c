/* Bytes and instructions of a step. Instructions are those that the emulator executed: it counts one as a nanosecond,
   and SysTick counts nanoseconds. They are not cycles. */
#include "measure.h"

#include "golden.h"
#include "semihosting.h"

#define SYSTICK ((volatile uint32_t *)0xE000E010u) /* control, reload, current */
enum { PAINT = 0x5AFEC0DE, MOST_STEPS = 16, LARGEST_COUNT = 0xFFFFFF };

extern uint32_t stack_limit[];
extern const char network_begin[], network_end[], weights_begin[], weights_end[];

static uint32_t *stack_pointer(void)
{
    uint32_t *pointer;
    __asm volatile("mov %0, sp" : "=r"(pointer));
    return pointer;
}

/* All below the stack pointer; in assembly, as a compiler may put what it needs there. */
static __attribute__((noinline)) void paint(void)
{
    uint32_t *at = stack_limit, *end;
    __asm volatile("mov %1, sp\n"
                   "1:  cmp %0, %1\n"
                   "    bhs 2f\n"
                   "    str %2, [%0], #4\n"
                   "    b 1b\n"
                   "2:"
                   : "+&r"(at), "=&r"(end)
                   : "r"(PAINT)
                   : "cc", "memory");
}

/* The bytes of stack of a call: those below this function's that were written over. */
static __attribute__((noinline)) uint32_t stack_of_step(void)
{
    const volatile uint32_t *at = stack_limit;
    paint();
    golden_begin();
    golden_step(0);
    while (*at == PAINT) { ++at; }
    return (uint32_t)((const volatile char *)stack_pointer() - (const volatile char *)at);
}

uint32_t instructions_of(int (*call)(uint32_t), uint32_t times)
{
    SYSTICK[1] = LARGEST_COUNT;
    SYSTICK[2] = 0;
    SYSTICK[0] = 5; /* the core's clock, no interrupt */
    const uint32_t before = SYSTICK[2];
    for (uint32_t i = 0; i < times; ++i) { call(i); }
    const uint32_t ticks = (before - SYSTICK[2]) & LARGEST_COUNT;
    return ticks * TICK / times;
}

static uint32_t instructions_of_step(void)
{
    golden_begin();
    return instructions_of(golden_step, golden_steps < MOST_STEPS ? golden_steps : MOST_STEPS);
}

static void line(const char *what, uint32_t number)
{
    say(what);
    say(" ");
    say_whole(number);
    say("\n");
}

void measure(void)
{
    line("flash.code", (uint32_t)(network_end - network_begin));
    line("flash.weights", (uint32_t)(weights_end - weights_begin));
    line("ram.state", golden_state_bytes);
    line("ram.inputs", golden_input_bytes);
    line("ram.outputs", golden_output_bytes);
    line("ram.stack", stack_of_step());
    line("instructions", instructions_of_step());
}
