/* What the tests call: text.c with its own functions in reach. */
#include "text.c"

#include <stddef.h>

static net_text text, fork;
static net_text_room room;
static int64_t *written;
static int32_t count, most;

static int hear(void *context, int64_t token)
{
    (void)context;
    written[count++] = token;
    return count == most;
}

static net_text_options options_of(double temperature, int32_t top_k, double top_p, uint64_t seed,
                                   int32_t length)
{
    const net_text_options options = {temperature, top_k, top_p, seed, length};
    return options;
}

int probe_begin(void) { return net_text_begin(&text); }

/* Write on, `hears` tokens at most before the callback ends it; the code, or 100 and the count. */
int probe_write(const int64_t *tokens, int32_t fed, double temperature, int32_t top_k, double top_p,
                uint64_t seed, int32_t length, int32_t hears, int64_t *out)
{
    const net_text_options options = options_of(temperature, top_k, top_p, seed, length);
    int code;
    written = out;
    count = 0;
    most = hears;
    code = net_text_write(&text, tokens, fed, &options, hear, NULL, &room);
    return code ? code : 100 + count;
}

void probe_fork(int back)
{
    if (back) { text = fork; } else { fork = text; }
}

int probe_choose(const float *logits, int32_t size, double temperature, int32_t top_k, double top_p,
                 double uniform, int32_t *weights, int32_t *order, int32_t *next)
{
    const net_text_options options = options_of(temperature, top_k, top_p, 0, 1);
    int32_t token = -1;
    const int code = net_text_choose(logits, size, &options, uniform, weights, order, next, &token);
    return code ? -code : token;
}

/* The same without the short way. */
int probe_in_order(const float *logits, int32_t size, double temperature, int32_t top_k, double top_p,
                   double uniform, int32_t *weights, int32_t *order, int32_t *next)
{
    ranking own = {0};
    float least;
    (void)weights;
    own.best = range_of(logits, size, &least);
    own.logits = logits;
    own.count = size;
    own.temperature = temperature;
    own.order = order;
    own.next = next;
    return find_in_order(&own, top_k > 0 && top_k < size ? top_k : size, top_p, uniform);
}

void probe_exp(const double *x, double *y, int32_t size)
{
    for (int32_t i = 0; i < size; ++i) { y[i] = net_text_exp(x[i]); }
}

/* Bit i: the call with its argument i null is refused as such. */
int probe_null(void)
{
    const net_text_options options = NET_TEXT_DEFAULTS;
    const float logits[1] = {0};
    int32_t weights[1], order[1], next[1], token;
    int64_t fed;
    const int codes[] = {
        net_text_begin(NULL),
        net_text_feed(NULL, &fed, 1, &room),
        net_text_feed(&text, NULL, 1, &room),
        net_text_feed(&text, &fed, 1, NULL),
        net_text_next(NULL, &options, &room, &fed),
        net_text_next(&text, NULL, &room, &fed),
        net_text_next(&text, &options, NULL, &fed),
        net_text_next(&text, &options, &room, NULL),
        net_text_write(NULL, &fed, 1, &options, hear, NULL, &room),
        net_text_write(&text, NULL, 1, &options, hear, NULL, &room),
        net_text_write(&text, &fed, 1, NULL, hear, NULL, &room),
        net_text_write(&text, &fed, 1, &options, NULL, NULL, &room),
        net_text_write(&text, &fed, 1, &options, hear, NULL, NULL),
        net_text_choose(NULL, 1, &options, 0, weights, order, next, &token),
        net_text_choose(logits, 1, NULL, 0, weights, order, next, &token),
        net_text_choose(logits, 1, &options, 0, NULL, order, next, &token),
        net_text_choose(logits, 1, &options, 0, weights, NULL, next, &token),
        net_text_choose(logits, 1, &options, 0, weights, order, NULL, &token),
        net_text_choose(logits, 1, &options, 0, weights, order, next, NULL),
        net_text_check(NULL),
    };
    int refused = 0, all = (int)(sizeof codes / sizeof *codes);
    for (int i = 0; i < all; ++i) { refused += codes[i] == NET_TEXT_NULL; }
    return all - refused;
}
