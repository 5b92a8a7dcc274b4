/* See golden.h. */
#include "golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "safetensors.h"

enum { MOST_PART = MOST_NAME + 16 };

static const int64_t MOST_SIZE = 1 << 26;

void golden_free(struct golden *golden) {
    for (size_t i = 0; i < MOST_TENSORS; i++) {
        struct recorded *output = &golden->outputs[i];
        void *held[] = {golden->inputs[i],  golden->encode_inputs[i], golden->encode_outputs[i],
                        output->whole,      output->column_ids,       output->largest_ids,
                        output->at_columns, output->at_largest,       output->log_sum};
        for (size_t j = 0; j < sizeof held / sizeof *held; j++) {
            free(held[j]);
        }
    }
    *golden = (struct golden){0};
}

/* Take the sizes of a tensor's open axes, of TIME too where `time`, from what is recorded of it; a run has
 * one row. */
static void read_sizes(const struct safetensors *file, const struct tensor *tensor, bool time,
                       struct sizes *sizes) {
    int64_t shape[MOST_STORED_AXES];
    bool whole = safetensors_shape(file, tensor->name, shape) == tensor->rank;
    for (size_t i = 0; whole && i < tensor->rank; i++) {
        int64_t place = -1 - tensor->shape[i];
        if (place > BATCH || (place == TIME && time)) {
            sizes->of[place] = shape[i] < MOST_SIZE ? shape[i] : MOST_SIZE;
        }
    }
}

static void read_all_sizes(struct golden *golden, const struct bundle *bundle,
                           const struct safetensors *file) {
    golden->sizes = sizes_of_one(bundle);
    for (size_t i = 0; i < bundle->step.inputs; i++) {
        if (bundle->step.input[i].role == CONTEXT) {
            read_sizes(file, &bundle->step.input[i], false, &golden->sizes);
        }
    }
    golden->encode_sizes = golden->sizes;
    for (size_t i = 0; i < bundle->encode.inputs; i++) {
        read_sizes(file, &bundle->encode.input[i], true, &golden->encode_sizes);
    }
}

/* Take the number of steps from what is recorded of the fresh inputs, or where there are none of the outputs.
 */
static bool read_steps(struct golden *golden, const struct bundle *bundle, const struct safetensors *file,
                       struct bundle_error *error) {
    const struct graph *step = &bundle->step;
    const struct tensor *counted = NULL;
    int64_t shape[MOST_STORED_AXES] = {0};
    for (size_t i = 0; i < step->inputs && counted == NULL; i++) {
        counted = step->input[i].role == INPUT ? &step->input[i] : NULL;
    }
    for (size_t i = 0; i < step->outputs && counted == NULL; i++) {
        counted = step->output[i].role == STATE ? &step->output[i] : NULL;
    }
    golden->steps =
        counted != NULL && safetensors_shape(file, counted->name, shape) > 0 ? (size_t)shape[0] : 0;
    return golden->steps > 0 ||
           fail(error, "%s has no steps of %s; expected one or more; export the bundle again", file->name,
                counted != NULL ? counted->name : "anything");
}

/* Copy a tensor as the contract has it; [N, ...] of it where there are `steps`. */
static void *copy(const struct safetensors *file, const struct tensor *tensor, const struct sizes *sizes,
                  size_t steps, struct bundle_error *error) {
    int64_t shape[MOST_STORED_AXES] = {(int64_t)steps};
    size_t first = steps > 0;
    if (tensor_values(tensor, sizes, shape + first) == 0) {
        fail(error, "%s has %s of a size beyond reason; expected 1 to 2^26 values; export the bundle again",
             file->name, tensor->name);
        return NULL;
    }
    return safetensors_copy(file, tensor->name, tensor->dtype, shape, tensor->rank + first, error);
}

static bool in_bounds(const struct safetensors *file, const struct dtype *dtype, const void *ids,
                      size_t count, size_t below, struct bundle_error *error) {
    for (size_t i = 0; i < count; i++) {
        double id = dtype_read(dtype, ids, i);
        if (id < 0 || id >= (double)below) {
            return fail(
                error,
                "%s: the golden run has the token %.0f; expected an id of the model; export the bundle again",
                file->name, id);
        }
    }
    return true;
}

static bool read_inputs(struct golden *golden, const struct bundle *bundle, const struct safetensors *file,
                        struct bundle_error *error) {
    const struct json *sizes = json_get(json_get(bundle->manifest, "contract"), "sizes");
    for (size_t i = 0; i < bundle->step.inputs; i++) {
        const struct tensor *tensor = &bundle->step.input[i];
        size_t steps = tensor->role == INPUT ? golden->steps : 0, below = 0;
        golden->inputs[i] = copy(file, tensor, &golden->sizes, steps, error);
        size_t count = tensor_values(tensor, &golden->sizes, NULL) * (steps > 0 ? steps : 1);
        bool bound = tensor->below != NULL && json_whole(json_get(sizes, tensor->below), &below);
        if (golden->inputs[i] == NULL ||
            (bound && !in_bounds(file, tensor->dtype, golden->inputs[i], count, below, error))) {
            return false;
        }
    }
    for (size_t i = 0; i < bundle->encode.inputs; i++) {
        golden->encode_inputs[i] = copy(file, &bundle->encode.input[i], &golden->encode_sizes, 0, error);
        if (golden->encode_inputs[i] == NULL) {
            return false;
        }
    }
    for (size_t i = 0; i < bundle->encode.outputs; i++) {
        golden->encode_outputs[i] = copy(file, &bundle->encode.output[i], &golden->sizes, 0, error);
        if (golden->encode_outputs[i] == NULL) {
            return false;
        }
    }
    return true;
}

/* Read a part of an output, NAME.PART, [N, rows' axes, last]; without `last` where that is 0. */
static void *read_part(const struct safetensors *file, const struct tensor *tensor, const char *part,
                       const struct dtype *dtype, const int64_t *shape, int64_t last,
                       struct bundle_error *error) {
    char name[MOST_PART];
    int64_t own[MOST_STORED_AXES];
    memcpy(own, shape, sizeof own);
    own[tensor->rank] = last;
    snprintf(name, sizeof name, "%s.%s", tensor->name, part);
    return safetensors_copy(file, name, dtype, own, tensor->rank + (last > 0), error);
}

/* Return how many values the last axis of NAME.PART has; 0 where there is no such tensor. */
static int64_t last_axis(const struct safetensors *file, const struct tensor *tensor, const char *part) {
    char name[MOST_PART];
    int64_t shape[MOST_STORED_AXES];
    snprintf(name, sizeof name, "%s.%s", tensor->name, part);
    size_t rank = safetensors_shape(file, name, shape);
    return rank > 0 ? shape[rank - 1] : 0;
}

/* Read an output, whole or in five parts. */
static bool read_output(struct golden *golden, const struct safetensors *file, const struct tensor *tensor,
                        struct recorded *into, struct bundle_error *error) {
    const struct dtype *ids = dtype_named("int64");
    int64_t shape[MOST_STORED_AXES] = {(int64_t)golden->steps};
    size_t values = tensor_values(tensor, &golden->sizes, shape + 1);
    int64_t columns = last_axis(file, tensor, "columns"), largest = last_axis(file, tensor, "largest_ids");
    if (values == 0) {
        return fail(error,
                    "%s has %s of a size beyond reason; expected 1 to 2^26 values; export the bundle again",
                    file->name, tensor->name);
    }
    into->width = tensor->rank > 0 ? (size_t)shape[tensor->rank] : 1;
    into->rows = values / into->width;
    if (tensor->role != OUTPUT || columns == 0 || (uint64_t)columns > into->width ||
        (uint64_t)largest > into->width) {
        into->whole = copy(file, tensor, &golden->sizes, golden->steps, error);
        return into->whole != NULL;
    }
    char name[MOST_PART];
    snprintf(name, sizeof name, "%s.columns", tensor->name);
    into->columns = (size_t)columns;
    into->largest = (size_t)largest;
    into->column_ids = safetensors_copy(file, name, ids, &columns, 1, error);
    into->at_columns = read_part(file, tensor, "at_columns", tensor->dtype, shape, columns, error);
    into->largest_ids = read_part(file, tensor, "largest_ids", ids, shape, largest, error);
    into->at_largest = read_part(file, tensor, "largest", tensor->dtype, shape, largest, error);
    into->log_sum = read_part(file, tensor, "log_sum", tensor->dtype, shape, 0, error);
    bool read = into->column_ids != NULL && into->at_columns != NULL && into->largest_ids != NULL &&
                into->at_largest != NULL && into->log_sum != NULL;
    return read && in_bounds(file, ids, into->column_ids, into->columns, into->width, error) &&
           in_bounds(file, ids, into->largest_ids, golden->steps * into->rows * into->largest, into->width,
                     error);
}

bool golden_read(struct golden *golden, const struct model *model, struct bundle_error *error) {
    const struct bundle *bundle = &model->bundle;
    struct safetensors file;
    *golden = (struct golden){0};
    bool read = safetensors_open(&file, bundle, json_text(json_get(bundle->manifest, "golden")), error);
    if (read) {
        read_all_sizes(golden, bundle, &file);
        read = read_steps(golden, bundle, &file, error) && read_inputs(golden, bundle, &file, error);
        for (size_t i = 0; read && i < bundle->step.outputs; i++) {
            read = read_output(golden, &file, &bundle->step.output[i], &golden->outputs[i], error);
        }
    }
    safetensors_close(&file);
    return read;
}

void golden_state(const struct golden *golden, const struct bundle *bundle, void *state) {
    char *at = state;
    for (size_t i = 0; i < bundle->step.inputs; i++) {
        const struct tensor *tensor = &bundle->step.input[i];
        if (tensor->role == STATE) {
            memcpy(at, golden->inputs[i], tensor_values(tensor, &golden->sizes, NULL) * tensor->dtype->width);
            at += state_room(tensor, &golden->sizes);
        }
    }
}

void golden_inputs(const struct golden *golden, const struct bundle *bundle, size_t step,
                   struct values *values) {
    for (size_t i = 0; i < bundle->step.inputs; i++) {
        const struct tensor *tensor = &bundle->step.input[i];
        size_t bytes = tensor_values(tensor, &golden->sizes, NULL) * tensor->dtype->width;
        values->input[i] = (char *)golden->inputs[i] + (tensor->role == INPUT ? step * bytes : 0);
    }
}

double log_sum_of(const double *values, size_t count) {
    double top = -INFINITY, sum = 0;
    for (size_t i = 0; i < count; i++) {
        top = values[i] > top || isnan(values[i]) ? values[i] : top;
    }
    for (size_t i = 0; i < count; i++) {
        sum += exp(values[i] - top);
    }
    return top + log(sum);
}
