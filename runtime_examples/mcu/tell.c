/* A text as the sketch and the sample write it, said to the host. Leaves with 1 where the prompt is refused. */
#include "semihosting.h"
#include "writing.h"

#ifndef PROMPT
#define PROMPT "the "
#endif
#ifndef LENGTH
#define LENGTH 64
#endif

static void hear(const char *piece, int32_t bytes)
{
    char text[16];
    int32_t i = 0;
    for (; i < bytes && i < 15; ++i) { text[i] = piece[i]; }
    text[i] = 0;
    say(text);
}

int main(void)
{
    const int code = write_text(PROMPT, 7, LENGTH, hear);
    say("\n");
    return code != 0;
}
