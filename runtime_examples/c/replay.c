/* See replay.h. */
#include "replay.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double LEAST_SCALE = 1e-3; /* a tensor smaller than this in every value is as good as zero */

static size_t place_of(const struct part *part, size_t i) {
    return (i / part->inner * part->layers + part->layer) * part->inner + i % part->inner;
}

static void add_part(struct replay *replay, const struct part *made, size_t steps) {
    struct part *part = &replay->parts[replay->count++];
    *part = *made;
    part->scale = replay->chained ? 1 : 0;
    part->steps = part->step = steps;
    for (size_t step = 0; step < steps; step++) {
        for (size_t i = 0; i < part->length; i++) {
            double value =
                fabs(dtype_read(part->dtype, part->recorded, step * part->stride + place_of(part, i)));
            value = isfinite(value) ? value : 0;
            part->scale = !replay->chained      ? part->scale + value * value
                          : value > part->scale ? value
                                                : part->scale;
        }
    }
    part->scale =
        replay->chained ? part->scale : fmax(LEAST_SCALE, sqrt(part->scale / (double)(steps * part->length)));
}

/* Take one step's difference into the worst one; what is not finite is the worst there is. */
static void measure(const struct replay *replay, struct part *part, size_t step, const double *found) {
    bool chained = replay->chained;
    double largest = 0, squares = 0, own = 0;
    for (size_t i = 0; i < part->length; i++) {
        size_t place = place_of(part, i);
        double recorded = dtype_read(part->dtype, part->recorded, step * part->stride + place);
        double difference = fabs(found[place] - recorded);
        difference = isnan(difference) ? INFINITY : difference;
        largest = difference > largest ? difference : largest;
        squares += difference * difference;
        own += recorded * recorded;
    }
    double scale = chained ? part->scale : fmax(part->scale, sqrt(own / (double)part->length));
    double seen = chained ? largest : sqrt(squares / (double)part->length);
    double relative = seen == 0 ? 0 : seen / scale;
    relative = isfinite(relative) ? relative : INFINITY;
    part->worst = relative > part->worst ? relative : part->worst;
    if (part->step == part->steps && relative > replay->tolerance) {
        part->step = step, part->by = relative;
    }
}

/* Return the place of a state's axis of layers; the rank where it has none. */
static size_t layers_axis(const struct tensor *tensor) {
    size_t axis = 0;
    while (axis < tensor->rank && (tensor->role != STATE || strcmp(tensor->axes[axis], "layers") != 0)) {
        axis++;
    }
    return axis;
}

void add_whole(struct replay *replay, const struct tensor *tensor, const void *recorded,
               const struct sizes *sizes, size_t steps) {
    int64_t shape[MOST_AXES];
    size_t values = tensor_values(tensor, sizes, shape), axis = layers_axis(tensor);
    struct part part = {
        .dtype = tensor->dtype, .recorded = recorded, .stride = values, .layers = 1, .inner = values};
    bool apart = !replay->chained && axis < tensor->rank;
    part.layers = apart ? (size_t)shape[axis] : 1;
    for (size_t i = 0; apart && i <= axis; i++) {
        part.inner /= (size_t)shape[i];
    }
    part.length = values / part.layers;
    for (part.layer = 0; part.layer < part.layers; part.layer++) {
        snprintf(part.name, sizeof part.name, apart ? "%s[%zu]" : "%s", tensor->name, part.layer);
        add_part(replay, &part, steps);
    }
}

void add_output(struct replay *replay, const struct tensor *tensor, const struct golden *golden,
                const struct recorded *output) {
    if (output->whole != NULL) {
        add_whole(replay, tensor, output->whole, &golden->sizes, golden->steps);
        return;
    }
    const struct {
        const char *of;
        const void *recorded;
        size_t length;
    } kept[] = {{"at_columns", output->at_columns, output->rows * output->columns},
                {"largest", output->at_largest, output->rows * output->largest},
                {"log_sum", output->log_sum, output->rows}};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        size_t length = kept[i].length;
        struct part part = {.dtype = tensor->dtype,
                            .recorded = kept[i].recorded,
                            .stride = length,
                            .length = length,
                            .layers = 1,
                            .inner = length};
        snprintf(part.name, sizeof part.name, "%s.%s", tensor->name, kept[i].of);
        add_part(replay, &part, golden->steps);
    }
}

struct part *measure_output(struct replay *replay, const struct recorded *output, struct part *part,
                            size_t step) {
    double *picked = replay->picked;
    if (output->whole != NULL) {
        for (size_t layers = part->layers; layers > 0; layers--) {
            measure(replay, part++, step, replay->numbers);
        }
        return part;
    }
    for (size_t row = 0; row < output->rows; row++) {
        for (size_t i = 0; i < output->columns; i++) {
            picked[row * output->columns + i] =
                replay->numbers[row * output->width + (size_t)output->column_ids[i]];
        }
    }
    measure(replay, part++, step, picked);
    for (size_t i = 0; i < output->rows * output->largest; i++) {
        size_t id = (size_t)output->largest_ids[step * output->rows * output->largest + i];
        picked[i] = replay->numbers[i / output->largest * output->width + id];
    }
    measure(replay, part++, step, picked);
    for (size_t row = 0; row < output->rows; row++) {
        double sum = log_sum_of(replay->numbers + row * output->width, output->width);
        picked[row] = part->dtype->width < sizeof(double) ? (float)sum : sum; /* as it is recorded */
    }
    measure(replay, part++, step, picked);
    return part;
}

void to_numbers(struct replay *replay, const struct tensor *tensor, const void *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        replay->numbers[i] = dtype_read(tensor->dtype, values, i);
    }
}

static bool no_memory(struct bundle_error *error) {
    return fail(error, "there is no memory for the golden run; expected some; close another program");
}

void free_replay(struct replay *replay) {
    for (size_t i = 0; i < MOST_TENSORS; i++) {
        free(replay->values.output[i]);
    }
    free(replay->parts);
    free(replay->state);
    free(replay->next);
    free(replay->numbers);
    free(replay->picked);
}

bool make_replay(struct replay *replay, const struct graph *graph, const struct bundle *bundle,
                 const struct artifact *file, const struct sizes *sizes, struct bundle_error *error) {
    size_t most = 1, parts = 0, bytes = state_bytes(bundle, sizes) + 8;
    *replay = (struct replay){.chained = !file->forced, .tolerance = file->tolerance};
    bool made = true;
    for (size_t i = 0; i < graph->outputs; i++) {
        size_t values = tensor_values(&graph->output[i], sizes, NULL);
        replay->values.output[i] = calloc(values, graph->output[i].dtype->width);
        made = made && replay->values.output[i] != NULL;
        most = values > most ? values : most;
        parts += 3 + (graph->output[i].role == STATE ? values : 0); /* no layer has less than one value */
    }
    replay->parts = calloc(parts, sizeof *replay->parts);
    replay->state = calloc(1, bytes);
    replay->next = calloc(1, bytes);
    replay->numbers = calloc(most, sizeof(double));
    replay->picked = calloc(most, sizeof(double));
    made = made && replay->parts != NULL && replay->state != NULL && replay->next != NULL &&
           replay->numbers != NULL && replay->picked != NULL;
    return made || no_memory(error);
}
