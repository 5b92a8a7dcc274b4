/* See check.h. The measures are specified in edgernn/bundle/README.md. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "replay.h"
#include "vectors.h"

enum { WARM_UP_STEPS = 10 };

/* Take over the next state: what step gave, or where the run is forced what is recorded. */
static void move_on(struct replay *replay, const struct bundle *bundle, const struct golden *golden,
                    size_t step) {
    size_t at = 0;
    for (size_t i = 0; i < bundle->step.inputs; i++) {
        const struct tensor *tensor = &bundle->step.input[i];
        if (tensor->role == STATE) {
            size_t bytes = tensor_values(tensor, &golden->sizes, NULL) * tensor->dtype->width;
            size_t out = (size_t)(next_of(&bundle->step, tensor->name) - bundle->step.output);
            const char *recorded = (const char *)golden->outputs[out].whole + step * bytes;
            memcpy(replay->state + at, replay->chained ? replay->next + at : recorded, bytes);
            at += state_room(tensor, &golden->sizes);
        }
    }
}

/* Return where a step left an output: of a state in the memory of the next one. */
static const void *left_at(const struct replay *replay, const struct bundle *bundle,
                           const struct golden *golden, size_t output) {
    size_t at = 0;
    for (size_t i = 0; i < bundle->step.inputs; i++) {
        const struct tensor *tensor = &bundle->step.input[i];
        if (tensor->role == STATE && next_of(&bundle->step, tensor->name) == &bundle->step.output[output]) {
            return replay->next + at;
        }
        at += tensor->role == STATE ? state_room(tensor, &golden->sizes) : 0;
    }
    return replay->values.output[output];
}

/* Run every step and measure what comes out. */
static bool run_steps(struct model *model, const struct golden *golden, struct replay *replay,
                      struct bundle_error *error) {
    const struct bundle *bundle = &model->bundle;
    golden_state(golden, bundle, replay->state);
    for (size_t step = 0; step < golden->steps; step++) {
        golden_inputs(golden, bundle, step, &replay->values);
        if (!model_step(model, &golden->sizes, &replay->values, replay->state, replay->next, error)) {
            return false;
        }
        struct part *part = replay->parts;
        for (size_t i = 0; i < bundle->step.outputs; i++) {
            const struct tensor *tensor = &bundle->step.output[i];
            to_numbers(replay, tensor, left_at(replay, bundle, golden, i),
                       tensor_values(tensor, &golden->sizes, NULL));
            part = measure_output(replay, &golden->outputs[i], part, step);
        }
        move_on(replay, bundle, golden, step);
    }
    return true;
}

/* Print what is off by how much; of what has steps, `part`, at which one it was first. */
static bool print_line(const char *name, double worst, double tolerance, const struct part *part) {
    bool ok = worst <= tolerance;
    printf("%-16s %.1e %g %s", name, worst, tolerance, ok ? "ok" : "FAILED");
    if (!ok && part != NULL) {
        printf(": parts at step %zu of 0 to %zu by %.1e", part->step, part->steps - 1, part->by);
    }
    printf("\n");
    return ok;
}

static bool print_parts(const struct replay *replay, bool steps) {
    bool passed = true;
    for (size_t i = 0; i < replay->count; i++) {
        const struct part *part = &replay->parts[i];
        passed = print_line(part->name, part->worst, replay->tolerance, steps ? part : NULL) && passed;
    }
    return passed;
}

/* Run encode on what is recorded, and measure what comes out. */
static bool check_encode(struct model *model, const struct golden *golden, bool *passed,
                         struct bundle_error *error) {
    const struct graph *encode = &model->bundle.encode;
    struct replay replay;
    bool made = make_replay(&replay, encode, &model->bundle, &model->bundle.encoder, &golden->sizes, error);
    for (size_t i = 0; made && i < encode->inputs; i++) {
        replay.values.input[i] = golden->encode_inputs[i];
    }
    made = made && model_encode(model, &golden->encode_sizes, &replay.values, error);
    for (size_t i = 0; made && i < encode->outputs; i++) {
        const struct tensor *tensor = &encode->output[i];
        struct recorded output = {.whole = golden->encode_outputs[i]};
        size_t first = replay.count;
        add_whole(&replay, tensor, output.whole, &golden->sizes, 1);
        to_numbers(&replay, tensor, replay.values.output[i], tensor_values(tensor, &golden->sizes, NULL));
        measure_output(&replay, &output, &replay.parts[first], 0);
    }
    *passed = made && print_parts(&replay, false) && *passed;
    free_replay(&replay);
    return made;
}

static bool check_step(struct model *model, const struct golden *golden, bool *passed,
                       struct bundle_error *error) {
    const struct bundle *bundle = &model->bundle;
    struct replay replay;
    bool made = make_replay(&replay, &bundle->step, bundle, &bundle->stepper, &golden->sizes, error);
    for (size_t i = 0; made && i < bundle->step.outputs; i++) {
        add_output(&replay, &bundle->step.output[i], golden, &golden->outputs[i]);
    }
    made = made && run_steps(model, golden, &replay, error);
    *passed = made && print_parts(&replay, true) && *passed;
    free_replay(&replay);
    return made;
}

/* Replay the sampler's vectors, where there are any; the tokenizer was held against its text when it was
 * opened. */
static bool check_rest(const struct model *model, bool *passed, struct bundle_error *error) {
    struct tally tally;
    if (!check_vectors(&model->bundle, &tally, error)) {
        return false;
    }
    if (tally.there) {
        *passed = print_line("uniforms", tally.numbers, 0, NULL) && *passed;
        *passed = print_line("sampler", tally.tokens, 0, NULL) && *passed;
    }
    *passed = (!model->has_tokenizer || print_line("tokenizer", 0, 0, NULL)) && *passed;
    return true;
}

static bool has_tolerance(const struct artifact *file, struct bundle_error *error) {
    return file->tolerance >= 0 || fail(error,
                                        "manifest.json does not say how far %s may be from the golden run; "
                                        "expected its tolerance; export the bundle "
                                        "again",
                                        file->path);
}

bool check_golden(struct model *model, bool *passed, struct bundle_error *error) {
    const struct bundle *bundle = &model->bundle;
    const struct json *recorded = json_get(bundle->manifest, "golden");
    *passed = true;
    if (recorded == NULL || recorded->kind == JSON_NULL) {
        printf("%-16s - 0 not run; the bundle has no recorded run\n", "golden");
        return check_rest(model, passed, error);
    }
    if (!has_tolerance(&bundle->stepper, error) ||
        (bundle->encodes && !has_tolerance(&bundle->encoder, error))) {
        return false;
    }
    struct golden golden;
    bool made = golden_read(&golden, model, error) &&
                (!bundle->encodes || check_encode(model, &golden, passed, error)) &&
                check_step(model, &golden, passed, error) && check_rest(model, passed, error);
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
    const struct bundle *bundle = &model->bundle;
    struct golden golden;
    struct replay replay = {0};
    double *times = calloc(steps, sizeof *times);
    bool made = golden_read(&golden, model, error) &&
                make_replay(&replay, &bundle->step, bundle, &bundle->stepper, &golden.sizes, error);
    if (made && times == NULL) {
        made = fail(error, "there is no memory for %zu times; expected some; give a smaller --time", steps);
    }
    if (made) {
        golden_state(&golden, bundle, replay.state);
    }
    for (size_t step = 0; made && step < WARM_UP_STEPS + steps; step++) {
        golden_inputs(&golden, bundle, step % golden.steps, &replay.values);
        double start = now_us();
        made = model_step(model, &golden.sizes, &replay.values, replay.state, replay.next, error);
        times[step < WARM_UP_STEPS ? 0 : step - WARM_UP_STEPS] = now_us() - start;
        char *used = replay.state;
        replay.state = replay.next;
        replay.next = used;
    }
    if (made) {
        qsort(times, steps, sizeof *times, by_size);
        *median_us = (times[steps / 2] + times[(steps - 1) / 2]) / 2;
    }
    free(times);
    free_replay(&replay);
    golden_free(&golden);
    return made;
}
