/* A text on the console, and what a token took. */
#include <zephyr/kernel.h>
#include <zephyr/sys/printk.h>

#include "writing.h"

enum { LENGTH = 200 };

static void hear(const char *piece, int32_t bytes)
{
    for (int32_t i = 0; i < bytes; ++i) { printk("%c", piece[i]); }
}

int main(void)
{
    const uint32_t begin = k_cycle_get_32();
    const int code = write_text("the ", 7, LENGTH, hear);
    const uint32_t cycles = (k_cycle_get_32() - begin) / LENGTH;
    printk("\ncode %d, %u cycles a token, printing included\n", code, cycles);
    return 0;
}
