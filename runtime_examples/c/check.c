/* See check.h. The measures are specified in edgernn/bundle/README.md. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "golden.h"
#include "vectors.h"

enum { WARM_UP_STEPS = 10 };

static const double LEAST_SCALE = 1e-3; /* a tensor smaller than this in every value is as good as zero */

/* What one line is about: a tensor, or a layer of it. */
struct part {
    const char *name, *of; /* `of`: a part of the logits, else "" */
    int layer;             /* -1: all of it */
    const float *recorded;
    size_t stride, length;
    double worst, scale; /* scale: the largest recorded value, or the root mean square of all recorded ones */
};

static struct part make_part(const char *name, const char *of, int layer, const float *recorded, size_t stride, size_t length,
                             size_t steps, bool chained) {
    struct part part = {name, of, layer, recorded, stride, length, 0, chained ? 1 : 0};
    for (size_t step = 0; step < steps; step++) {
        for (size_t i = 0; i < length; i++) {
            double value = fabs((double)recorded[step * stride + i]);
            part.scale = !chained ? part.scale + value * value : value > part.scale ? value : part.scale;
        }
    }
    part.scale = chained ? part.scale : fmax(LEAST_SCALE, sqrt(part.scale / (double)(steps * length)));
    return part;
}

/* Take one step's difference into the worst one; what is not finite is the worst there is. */
static void measure(struct part *part, size_t step, const float *found, bool chained) {
    const float *recorded = part->recorded + step * part->stride;
    double largest = 0, squares = 0, own = 0;
    for (size_t i = 0; i < part->length; i++) {
        double difference = fabs((double)found[i] - (double)recorded[i]);
        difference = isnan(difference) ? INFINITY : difference;
        largest = difference > largest ? difference : largest;
        squares += difference * difference;
        own += (double)recorded[i] * recorded[i];
    }
    double scale = chained ? part->scale : fmax(part->scale, sqrt(own / (double)part->length));
    double seen = chained ? largest : sqrt(squares / (double)part->length);
    double relative = seen == 0 ? 0 : seen / scale;
    relative = isfinite(relative) ? relative : INFINITY;
    part->worst = relative > part->worst ? relative : part->worst;
}

/* Measure the logits of a step, or what is recorded of them, and return the part after theirs. */
static struct part *measure_logits(const struct golden *golden, struct part *part, size_t step, const float *logits,
                                   size_t vocabulary, float *room, bool chained) {
    if (golden->logits != NULL) {
        measure(part++, step, logits, chained);
        return part;
    }
    for (size_t i = 0; i < golden->columns; i++) {
        room[i] = logits[golden->column_ids[i]];
    }
    measure(part++, step, room, chained);
    for (size_t i = 0; i < golden->largest; i++) {
        room[i] = logits[golden->largest_ids[step * golden->largest + i]];
    }
    measure(part++, step, room, chained);
    *room = log_sum_of(logits, vocabulary);
    measure(part++, step, room, chained);
    return part;
}

/* Replay, and measure the parts: the logits, then every state. */
static bool replay(struct model *model, const struct golden *golden, struct part *parts, float *memory,
                   struct bundle_error *error) {
    const struct bundle *bundle = &model->bundle;
    bool chained = !bundle->forced;
    float *logits = memory, *room = logits + bundle->vocabulary, *state = room + bundle->vocabulary;
    float *next = state + bundle->state_values;
    memcpy(state, golden->before, bundle->state_values * sizeof(float));
    for (size_t step = 0; step < golden->steps; step++) {
        if (!model_step(model, &golden->tokens[step], 1, state, logits, next, error)) {
            return false;
        }
        struct part *part = measure_logits(golden, parts, step, logits, bundle->vocabulary, room, chained);
        for (size_t i = 0, at = 0; i < bundle->states; at += bundle->before[i++].values) {
            size_t values = bundle->before[i].values;
            for (size_t done = 0; done < values; done += part++->length) {
                measure(part, step, next + at + done, chained);
            }
            const float *recorded = golden->after[i] + step * values;
            memcpy(state + at, chained ? next + at : recorded, values * sizeof(float));
        }
    }
    return true;
}

static size_t make_parts(const struct bundle *bundle, const struct golden *golden, bool chained, struct part *parts) {
    const char *name = bundle->logits.name;
    size_t count = 0, vocabulary = bundle->vocabulary, columns = golden->columns, largest = golden->largest;
    if (golden->logits != NULL) {
        parts[count++] = make_part(name, "", -1, golden->logits, vocabulary, vocabulary, golden->steps, chained);
    } else {
        parts[count++] = make_part(name, ".at_columns", -1, golden->at_columns, columns, columns, golden->steps, chained);
        parts[count++] = make_part(name, ".largest", -1, golden->at_largest, largest, largest, golden->steps, chained);
        parts[count++] = make_part(name, ".log_sum", -1, golden->log_sum, 1, 1, golden->steps, chained);
    }
    for (size_t i = 0; i < bundle->states; i++) {
        const struct tensor *state = &bundle->after[i];
        size_t layers = chained ? 1 : (size_t)state->shape[0], length = state->values / layers;
        for (size_t layer = 0; layer < layers; layer++) {
            parts[count++] = make_part(state->name, "", chained ? -1 : (int)layer, golden->after[i] + layer * length,
                                       state->values, length, golden->steps, chained);
        }
    }
    return count;
}

static bool print_line(const char *name, double worst, double tolerance) {
    bool ok = worst <= tolerance;
    printf("%-16s %.1e %g %s\n", name, worst, tolerance, ok ? "ok" : "FAILED");
    return ok;
}

static bool print_parts(const struct part *parts, size_t count, double tolerance) {
    bool passed = true;
    for (size_t i = 0; i < count; i++) {
        char name[MOST_NAME + 32];
        snprintf(name, sizeof name, parts[i].layer < 0 ? "%s%s" : "%s%s[%d]", parts[i].name, parts[i].of, parts[i].layer);
        passed = print_line(name, parts[i].worst, tolerance) && passed;
    }
    return passed;
}

/* Replay the sampler's vectors, where there are any; the tokenizer was held against its text when it was opened. */
static bool check_rest(const struct bundle *bundle, bool *passed, struct bundle_error *error) {
    struct tally tally;
    if (!check_vectors(bundle, &tally, error)) {
        return false;
    }
    if (tally.there) {
        *passed = print_line("uniforms", tally.numbers, 0) && *passed;
        *passed = print_line("sampler", tally.tokens, 0) && *passed;
    }
    *passed = print_line("tokenizer", 0, 0) && *passed;
    return true;
}

bool check_golden(struct model *model, bool *passed, struct bundle_error *error) {
    const struct bundle *bundle = &model->bundle;
    const struct json *recorded = json_get(bundle->manifest, "golden");
    if (recorded == NULL || recorded->kind == JSON_NULL) {
        printf("%-16s - 0 not run; the bundle has no recorded run\n", "golden");
        *passed = true;
        return check_rest(bundle, passed, error);
    }
    if (bundle->tolerance < 0) {
        return fail(error, "manifest.json does not say how far %s may be from the golden run; expected its tolerance; export "
                             "the bundle again", bundle->path);
    }
    struct golden golden = {0};
    bool made = golden_read(&golden, model, error);
    if (made) {
        float *memory = calloc(2 * (bundle->vocabulary + bundle->state_values), sizeof(float));
        struct part *parts = calloc(bundle->state_values + 3, sizeof *parts); /* no layer has less than one value */
        made = memory != NULL && parts != NULL;
        size_t count = made ? make_parts(bundle, &golden, !bundle->forced, parts) : 0;
        made = made ? replay(model, &golden, parts, memory, error)
                    : fail(error, "there is no memory for the golden run; expected some; close another program");
        *passed = made && print_parts(parts, count, bundle->tolerance);
        made = made && check_rest(bundle, passed, error);
        free(parts);
        free(memory);
    }
    golden_free(&golden);
    return made;
}

static int by_size(const void *left, const void *right) {
    const double *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

bool check_time(struct model *model, size_t steps, double *median_us, struct bundle_error *error) {
    size_t states = model->bundle.state_values;
    struct golden golden;
    bool made = golden_read(&golden, model, error);
    float *memory = calloc(model->bundle.vocabulary + 2 * states, sizeof(float)), *state = NULL, *next = NULL;
    double *times = calloc(steps, sizeof *times);
    if (made && (memory == NULL || times == NULL)) {
        made = fail(error, "there is no memory for %zu times; expected some; give a smaller --time", steps);
    }
    if (made) {
        state = memory + model->bundle.vocabulary;
        next = state + states;
        memcpy(state, golden.before, states * sizeof(float));
    }
    for (size_t step = 0; made && step < WARM_UP_STEPS + steps; step++) {
        double start = now_us();
        made = model_step(model, &golden.tokens[step % golden.steps], 1, state, memory, next, error);
        times[step < WARM_UP_STEPS ? 0 : step - WARM_UP_STEPS] = now_us() - start;
        float *used = state;
        state = next;
        next = used;
    }
    if (made) {
        qsort(times, steps, sizeof *times, by_size);
        *median_us = (times[steps / 2] + times[(steps - 1) / 2]) / 2;
    }
    free(times);
    free(memory);
    golden_free(&golden);
    return made;
}
