/* Replays the recorded run of the bundle that was compiled in, and times its step: replay GOLDEN.safetensors
   Leaves with 1 where a tensor is off, with 2 where the file is not the one that was compiled for. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "names.h"
#include "replay.h"

static double microseconds(void)
{
    struct timespec now;
    return timespec_get(&now, TIME_UTC) ? 1e6 * (double)now.tv_sec + 1e-3 * (double)now.tv_nsec : 0.0;
}

/* The best of 20 rounds of 500 steps. */
static double time_of_step(const network *net, void *block)
{
    double best = 1e30;
    for (int round = 0; round < 20; ++round) {
        const double begun = microseconds();
        for (int i = 0; i < 500; ++i) { net->step(block); }
        const double took = (microseconds() - begun) / 500;
        best = took < best ? took : best;
    }
    return best;
}

static int fail(const char *what, const char *path)
{
    fprintf(stderr, "%s: %s; expected the golden.safetensors that prepare.py wrote beside network.c\n", path, what);
    return 2;
}

int main(int count, char **words)
{
    const network *const net = the_network();
    const recording *const run = the_recording();
    if (count != 2) { return fail("one argument is expected", words[0]); }
    FILE *file = fopen(words[1], "rb");
    if (!file) { return fail("cannot be opened", words[1]); }
    unsigned char *golden = malloc(run->bytes + 1u);
    void *block = calloc(1, net->bytes); /* zeros: how most states begin */
    const size_t read = golden && block ? fread(golden, 1, run->bytes + 1u, file) : 0;
    fclose(file);
    if (read != run->bytes) { return fail("is of another size, or there is no memory", words[1]); }
    const int failed = replay(net, run, golden, block);
    if (failed < 0) { return fail("a recorded input is refused", words[1]); }
    printf("%s: %.2f us a step\n", net->artifact, time_of_step(net, block));
    free(golden);
    free(block);
    return failed ? 1 : 0;
}
