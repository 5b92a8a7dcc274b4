/* Check the recorded random numbers and choices on this core, then write a text. Leaves with 1 where one is off. */
#include "measure.h"
#include "semihosting.h"
#include "text.h"
#include "vectors.h"

enum { MOST_LOGITS = 64, LENGTH = 32, COUNTED = 16 };

static const net_text_options GREEDY = {0.0, 0, 1.0, 7, LENGTH};
static const net_text_options SAMPLED = {0.8, 0, 1.0, 7, LENGTH};
static net_text text;
static net_text_room room;
static const net_text_options *options;

static void line(const char *what, uint32_t number)
{
    say(what);
    say(" ");
    say_whole(number);
    say("\n");
}

static int row(const char *what, int32_t right, int32_t all)
{
    say(what);
    say(" ");
    say_whole((uint32_t)right);
    say(right == all ? " ok\n" : " FAILED\n");
    return right != all;
}

static int numbers(void)
{
    int32_t right = 0;
    for (int32_t i = 0; i < vectors_numbers_count; ++i) {
        const vectors_number *own = &vectors_numbers[i];
        right += net_text_uniform(own->seed, own->position) == own->value;
    }
    return row("numbers", right, vectors_numbers_count);
}

static int choices(void)
{
    static float logits[MOST_LOGITS];
    static int32_t weights[MOST_LOGITS], order[MOST_LOGITS], next[MOST_LOGITS];
    int32_t right = 0;
    for (int32_t i = 0; i < vectors_choices_count; ++i) {
        const vectors_choice *own = &vectors_choices[i];
        const net_text_options how = {own->temperature, own->top_k, own->top_p, 0, 1};
        int32_t token = -1;
        for (int32_t j = 0; j < own->count; ++j) { logits[j] = vectors_logits[own->logits + j]; }
        for (int32_t j = 0; j < own->suppressed_count; ++j) {
            logits[vectors_suppressed[own->suppressed + j]] = -__builtin_inff();
        }
        net_text_choose(logits, own->count, &how, own->uniform, weights, order, next, &token);
        right += token == own->token;
    }
    return row("choices", right, vectors_choices_count);
}

static int hear(void *context, int64_t token)
{
    (void)context;
    say(" ");
    say_whole((uint32_t)token);
    return 0;
}

static int write(const char *what, const net_text_options *how)
{
    const int64_t first = 1;
    int code;
    say(what);
    net_text_begin(&text);
    code = net_text_write(&text, &first, 1, how, hear, 0, &room);
    say("\n");
    return code;
}

static int next(uint32_t step)
{
    int64_t token;
    (void)step;
    return net_text_next(&text, options, &room, &token);
}

static void count(const char *what, const net_text_options *how)
{
    options = how;
    net_text_begin(&text);
    next(0);
    line(what, instructions_of(next, COUNTED));
}

int main(void)
{
    int failed = numbers();
    failed += choices();
    failed += write("greedy", &GREEDY) != 0;
    failed += write("sampled", &SAMPLED) != 0;
    count("instructions.greedy", &GREEDY);
    count("instructions.sampled", &SAMPLED);
    line("ram.text", sizeof text);
    line("ram.room", sizeof room);
    return failed ? 1 : 0;
}
