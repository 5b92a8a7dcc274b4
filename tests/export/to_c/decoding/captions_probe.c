/* What the tests call: captions.c with its own functions in reach. */
#include "captions.c"

#include <stddef.h>

enum { WIDTH = 9 };

static net_caption_seen seen;
static net_caption_beam beams[WIDTH];
static net_caption found[WIDTH];

int probe_see(const uint8_t *image)
{
    const net_encode_inputs inputs = {image};
    return net_caption_see(&inputs, &seen);
}

void probe_spoil(double value) { seen.state.h[0] = (float)value; }

/* Return how many are found, or the code below 0; a row of `tokens` is a caption, of `numbers` its
   log-probability, score, count and whether it is finished. */
int probe_search(int32_t width, int32_t length, double normalisation, int64_t *tokens, double *numbers)
{
    const net_caption_options options = {width, length, normalisation};
    int32_t count = -1;
    const int code = net_caption_search(&seen, &options, beams, found, &count);
    if (code) { return -code; }
    for (int32_t i = 0; i < count; ++i) {
        for (int32_t j = 0; j < found[i].count; ++j) {
            tokens[i * NET_CAPTION_LENGTH + j] = found[i].tokens[j];
        }
        numbers[4 * i] = found[i].log_probability;
        numbers[4 * i + 1] = found[i].score;
        numbers[4 * i + 2] = found[i].count;
        numbers[4 * i + 3] = found[i].finished;
    }
    return count;
}

int probe_null(const uint8_t *image)
{
    const net_encode_inputs inputs = {image}, nothing = {NULL};
    const net_caption_options options = NET_CAPTION_DEFAULTS;
    int32_t count;
    const int codes[] = {
        net_caption_see(NULL, &seen),
        net_caption_see(&nothing, &seen),
        net_caption_see(&inputs, NULL),
        net_caption_search(NULL, &options, beams, found, &count),
        net_caption_search(&seen, NULL, beams, found, &count),
        net_caption_search(&seen, &options, NULL, found, &count),
        net_caption_search(&seen, &options, beams, NULL, &count),
        net_caption_search(&seen, &options, beams, found, NULL),
    };
    int refused = 0, all = (int)(sizeof codes / sizeof *codes);
    for (int i = 0; i < all; ++i) { refused += codes[i] == NET_CAPTION_NULL; }
    return all - refused;
}

void probe_log(const double *x, double *y, int32_t size)
{
    for (int32_t i = 0; i < size; ++i) { y[i] = net_text_log(x[i]); }
}
