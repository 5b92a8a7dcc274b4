/* See begin.h, and model.h of model_begin. */
#include "begin.h"

#include <stdlib.h>
#include <string.h>

#include "safetensors.h"

/* Where the first value of a state comes from. Version 1 has one word for all states. */
enum source { ZEROS, STORED, ENCODED, UNKNOWN };

static enum source source_of(const struct bundle *bundle, const char *state) {
    const struct json *entry = json_get(json_get(bundle->manifest, "contract"), "initial_state");
    bool each = entry != NULL && entry->kind == JSON_OBJECT;
    const struct json *own = each ? json_get(entry, state) : entry;
    const char *word = json_text(own);
    if (own == NULL || (!each && word != NULL && strcmp(word, "zeros") == 0)) {
        return ZEROS;
    }
    if (word != NULL && strcmp(word, each ? "stored" : "learned") == 0) {
        return STORED;
    }
    return word != NULL && strcmp(word, "encode") == 0 ? ENCODED : UNKNOWN;
}

/* Find the output of encode that is the first value of a state. */
static bool find_encoded(struct model *model, const char *state) {
    const struct graph *encode = &model->bundle.encode;
    for (size_t i = 0; i < encode->outputs; i++) {
        if (strcmp(encode->output[i].name, state) == 0) {
            return model->encoded[i] = true;
        }
    }
    return false;
}

bool read_first_states(struct model *model, struct bundle_error *error) {
    const struct bundle *bundle = &model->bundle;
    const struct sizes sizes = sizes_of_one(bundle);
    struct safetensors file = {0};
    bool read = true;
    for (size_t i = 0; read && i < bundle->step.inputs; i++) {
        const struct tensor *state = &bundle->step.input[i];
        enum source source = state->role == STATE ? source_of(bundle, state->name) : ZEROS;
        int64_t shape[MOST_AXES];
        if (source == UNKNOWN) {
            read = fail(error,
                        "the contract has another initial state of %s than is known; expected zeros, "
                        "learned, stored or encode; "
                        "export the bundle again",
                        state->name);
        } else if (source == ENCODED && !find_encoded(model, state->name)) {
            read = fail(error,
                        "the first value of %s is to come from encode, which gives none; expected one; "
                        "export the bundle again",
                        state->name);
        } else if (source == STORED) {
            read = file.header != NULL ||
                   safetensors_open(&file, bundle, json_text(json_get(bundle->manifest, "initial_state")),
                                    error);
            tensor_values(state, &sizes, shape);
            model->first[i] =
                read ? safetensors_copy(&file, state->name, state->dtype, shape, state->rank, error) : NULL;
            read = model->first[i] != NULL;
        }
    }
    safetensors_close(&file);
    return read;
}

/* Return where a state stands in the memory of all, or NULL where step has no such one. */
static char *state_at(const struct bundle *bundle, const struct sizes *sizes, const char *name, void *state) {
    char *at = state;
    for (size_t i = 0; i < bundle->step.inputs; i++) {
        const struct tensor *tensor = &bundle->step.input[i];
        if (tensor->role == STATE && strcmp(tensor->name, name) == 0) {
            return at;
        }
        at += tensor->role == STATE ? state_room(tensor, sizes) : 0;
    }
    return NULL;
}

/* Write a stored value, which is of one row, into every row. */
static void write_stored(const struct tensor *state, const struct sizes *sizes, const char *first,
                         char *into) {
    int64_t shape[MOST_AXES];
    size_t bytes = tensor_values(state, sizes, shape) * state->dtype->width, rows = 1, row = bytes;
    for (size_t axis = 0, inner = bytes; axis < state->rank; axis++) {
        inner /= (size_t)shape[axis];
        if (state->shape[axis] == -1 - BATCH) {
            rows = (size_t)shape[axis];
            row = inner;
        }
    }
    for (size_t at = 0; at < bytes;
         at += row) { /* what stands before the axis of rows comes once for each of its places */
        memcpy(into + at, first + at / (row * rows) * row, row);
    }
}

/* Return how many bytes one row takes at each place of the axes before it; 0 where a state has no rows. */
static size_t row_bytes(const struct tensor *state, const struct sizes *sizes, size_t *total) {
    int64_t shape[MOST_AXES];
    size_t inner = *total = tensor_values(state, sizes, shape) * state->dtype->width;
    for (size_t axis = 0; axis < state->rank; axis++) {
        inner /= (size_t)shape[axis];
        if (state->shape[axis] == -1 - BATCH) {
            return inner;
        }
    }
    return 0;
}

bool model_set_row(const struct model *model, const struct sizes *sizes, void *state, int64_t row,
                   const struct sizes *others, const void *other, int64_t other_row,
                   struct bundle_error *error) {
    const struct graph *step = &model->bundle.step;
    char *into = state;
    const char *from = other;
    if (row < 0 || row >= sizes->of[BATCH] || other_row < 0 || other_row >= others->of[BATCH]) {
        return fail(error,
                    "row %lld of %lld is to become row %lld of %lld; expected rows that there are; "
                    "they count from 0",
                    (long long)other_row, (long long)others->of[BATCH], (long long)row,
                    (long long)sizes->of[BATCH]);
    }
    for (size_t i = 0; i < step->inputs; i++) {
        const struct tensor *tensor = &step->input[i];
        if (tensor->role != STATE) {
            continue;
        }
        size_t total = 0, inner = row_bytes(tensor, sizes, &total), block = inner * (size_t)sizes->of[BATCH];
        for (size_t at = 0; inner > 0 && at < total / block; at++) {
            memcpy(into + at * block + inner * (size_t)row,
                   from + inner * (at * (size_t)others->of[BATCH] + (size_t)other_row), inner);
        }
        into += state_room(tensor, sizes);
        from += state_room(tensor, others);
    }
    return true;
}

bool model_begin(struct model *model, const struct sizes *sizes, const struct values *values, void *state,
                 struct bundle_error *error) {
    const struct bundle *bundle = &model->bundle;
    struct values all = *values;
    if (sizes->of[BATCH] < 1) {
        return fail(error, "a sequence begins with %lld rows; expected 1 or more; give another run",
                    (long long)sizes->of[BATCH]);
    }
    memset(state, 0, state_bytes(bundle, sizes));
    for (size_t i = 0; i < bundle->step.inputs; i++) {
        if (model->first[i] != NULL) {
            const struct tensor *tensor = &bundle->step.input[i];
            write_stored(tensor, sizes, model->first[i], state_at(bundle, sizes, tensor->name, state));
        }
    }
    for (size_t i = 0; i < bundle->encode.outputs; i++) {
        all.output[i] =
            model->encoded[i] ? state_at(bundle, sizes, bundle->encode.output[i].name, state) : all.output[i];
    }
    return !bundle->encodes || model_encode(model, sizes, &all, error);
}
