#include "semihosting.h"

enum { WRITE0 = 0x04, EXIT_EXTENDED = 0x20, APPLICATION_EXIT = 0x20026, LARGEST_DIGIT = 1000000000 };

static void host(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

void say(const char *text)
{
    host(WRITE0, text);
}

/* Digits of `number` from the one of `unit` on. */
static void say_digits(uint32_t number, uint32_t unit)
{
    char text[11];
    int length = 0;
    for (; unit > 0; unit /= 10) { text[length++] = (char)('0' + number / unit % 10); }
    text[length] = 0;
    say(text);
}

void say_whole(uint32_t number)
{
    uint32_t unit = 1;
    while (number / unit >= 10) { unit *= 10; }
    say_digits(number, unit);
}

void say_number(float number)
{
    if (!(number >= 0.0f && number < 4.0f)) {
        say("inf");
        return;
    }
    const uint32_t billionths = (uint32_t)(number * 1e9f);
    say_whole(billionths / LARGEST_DIGIT);
    say(".");
    say_digits(billionths % LARGEST_DIGIT, LARGEST_DIGIT / 10);
}

void leave(int code)
{
    const uint32_t block[] = {APPLICATION_EXIT, (uint32_t)code};
    for (;;) { host(EXIT_EXTENDED, block); }
}
