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

/* How far a tensor is off: the most, and first at which step; `golden_steps` for none. */
typedef struct {
    float scale, worst, by;
    uint32_t first;
} drift;

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

/* What differences are measured in: the larger of 1 and the largest recorded value that is finite. */
static float scale(const golden_tensor *tensor)
{
    float largest = 1.0f;
    const float *recorded = tensor->recorded;
    for (uint32_t i = 0; !tensor->exact && i < golden_steps * tensor->count; ++i) {
        const float size = magnitude(recorded[i]);
        largest = size > largest && size <= __FLT_MAX__ ? size : largest;
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

static float allowed(const golden_tensor *tensor)
{
    return tensor->exact ? 0.0f : golden_tolerance;
}

static void measure_at(drift *own, const golden_tensor *tensor, uint32_t step)
{
    const float off = difference(tensor, step) / own->scale;
    own->worst = larger(own->worst, off);
    if (own->first == golden_steps && !(off <= allowed(tensor))) {
        own->first = step;
        own->by = off;
    }
}

static int row(const golden_tensor *tensor, const drift *own)
{
    const int failed = own->first < golden_steps;
    say(tensor->name);
    say(" ");
    say_number(own->worst);
    say(" ");
    say_number(allowed(tensor));
    say(failed ? " FAILED: parts at step " : " ok\n");
    if (failed) {
        say_whole(own->first);
        say(" of 0 to ");
        say_whole(golden_steps - 1);
        say(" by ");
        say_number(own->by);
        say("\n");
    }
    return failed;
}

int replay(void)
{
    static drift drifts[GOLDEN_MOST]; /* zeros: an initialiser would be a call of memset */
    uint32_t hash = 2166136261u;
    for (uint32_t i = 0; i < golden_tensors; ++i) {
        drifts[i].scale = scale(&golden_table[i]);
        drifts[i].first = golden_steps;
    }
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
            measure_at(&drifts[i], &golden_table[i], step);
            hash = hashed(hash, &golden_table[i]);
        }
    }
    int failed = 0;
    for (uint32_t i = 0; i < golden_tensors; ++i) { failed += row(&golden_table[i], &drifts[i]); }
    say("hash ");
    say_whole(hash);
    say("\n");
    return failed;
}
