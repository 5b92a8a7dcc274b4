/* The recorded run on this core: each step is fed the recorded inputs and the state that it made itself, or, where the
   manifest judges so, the recorded state. */
#include "replay.h"

#include "golden.h"
#include "semihosting.h"

static float magnitude(float x)
{
    return x < 0.0f ? -x : x;
}

/* The larger of two numbers; what is not a number is larger than any. */
static float larger(float a, float b)
{
    return a != a || b <= a ? a : b;
}

/* The largest difference of a tensor at a step; 4, which no tolerance allows, where exact values differ. */
static float difference(const golden_tensor *tensor, uint32_t step)
{
    float worst = 0.0f;
    if (tensor->exact) {
        const uint32_t bytes = tensor->count * tensor->bytes;
        const unsigned char *made = tensor->made;
        const unsigned char *recorded = (const unsigned char *)tensor->recorded + step * bytes;
        for (uint32_t i = 0; i < bytes; ++i) { worst = made[i] == recorded[i] ? worst : 4.0f; }
        return worst;
    }
    const float *made = tensor->made;
    const float *recorded = (const float *)tensor->recorded + step * tensor->count;
    for (uint32_t i = 0; i < tensor->count; ++i) { worst = larger(worst, magnitude(made[i] - recorded[i])); }
    return worst;
}

/* What differences are measured in: the larger of 1 and the largest recorded value. */
static float scale(const golden_tensor *tensor)
{
    float largest = 1.0f;
    const float *recorded = tensor->recorded;
    for (uint32_t i = 0; !tensor->exact && i < golden_steps * tensor->count; ++i) {
        largest = larger(largest, magnitude(recorded[i]));
    }
    return largest;
}

/* FNV-1a of what was made, going on from `hash`: two cores that give the same number gave the same bits. */
static uint32_t hashed(uint32_t hash, const golden_tensor *tensor)
{
    const unsigned char *made = tensor->made;
    for (uint32_t i = 0; i < tensor->count * tensor->bytes; ++i) { hash = (hash ^ made[i]) * 16777619u; }
    return hash;
}

static int row(const golden_tensor *tensor, float difference)
{
    const float worst = difference / scale(tensor);
    const float tolerance = tensor->exact ? 0.0f : golden_tolerance;
    const int failed = !(worst <= tolerance);
    say(tensor->name);
    say(" ");
    say_number(worst);
    say(" ");
    say_number(tolerance);
    say(failed ? " FAILED\n" : " ok\n");
    return failed;
}

int replay(void)
{
    static float worst[GOLDEN_MOST]; /* zeros: an initialiser would be a call of memset */
    uint32_t hash = 2166136261u;
    golden_begin();
    for (uint32_t step = 0; step < golden_steps; ++step) {
        if (golden_forced && step > 0) { golden_resume(step); }
        if (golden_step(step) != 0) {
            say("net_step refused the inputs of step ");
            say_whole(step);
            say("\n");
            return 1;
        }
        for (uint32_t i = 0; i < golden_tensors; ++i) {
            worst[i] = larger(worst[i], difference(&golden_table[i], step));
            hash = hashed(hash, &golden_table[i]);
        }
    }
    int failed = 0;
    for (uint32_t i = 0; i < golden_tensors; ++i) { failed += row(&golden_table[i], worst[i]); }
    say("hash ");
    say_whole(hash);
    say("\n");
    return failed;
}
