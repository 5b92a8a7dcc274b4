/* See golden.h. */
#include "golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "safetensors.h"

void golden_free(struct golden *golden) {
    free(golden->tokens);
    free(golden->before);
    for (size_t i = 0; i < MOST_STATES; i++) {
        free(golden->after[i]);
    }
    free(golden->logits);
    free(golden->column_ids);
    free(golden->largest_ids);
    free(golden->at_columns);
    free(golden->at_largest);
    free(golden->log_sum);
    *golden = (struct golden){0};
}

static bool read_states(struct golden *golden, const struct bundle *bundle, const struct safetensors *file,
                        struct bundle_error *error) {
    size_t at = 0;
    golden->before = calloc(bundle->state_values + 1, sizeof(float));
    for (size_t i = 0; golden->before != NULL && i < bundle->states; i++) {
        size_t values = bundle->before[i].values;
        float *start = safetensors_copy(file, bundle->before[i].name, "F32", sizeof(float), values, error);
        if (start == NULL) {
            return false;
        }
        memcpy(golden->before + at, start, values * sizeof(float));
        free(start);
        at += values;
        golden->after[i] = safetensors_copy(file, bundle->after[i].name, "F32", sizeof(float), golden->steps * values, error);
        if (golden->after[i] == NULL) {
            return false;
        }
    }
    return golden->before != NULL || fail(error, "there is no memory for the golden run; expected some; close another program");
}

static bool in_vocabulary(const int64_t *ids, size_t count, size_t vocabulary, struct bundle_error *error) {
    for (size_t i = 0; i < count; i++) {
        if (ids[i] < 0 || (uint64_t)ids[i] >= vocabulary) {
            return fail(error, "the golden run has the token %lld; expected an id of the model; export the bundle again",
                        (long long)ids[i]);
        }
    }
    return true;
}

/* Read a part of the logits, OUTPUT.PART, of `count` values; NULL where it is not as it should be. */
static void *read_part(const struct safetensors *file, const char *output, const char *part, const char *dtype, size_t count,
                       struct bundle_error *error) {
    char name[MOST_NAME + 16];
    snprintf(name, sizeof name, "%s.%s", output, part);
    return safetensors_copy(file, name, dtype, dtype[0] == 'I' ? sizeof(int64_t) : sizeof(float), count, error);
}

/* Read the logits, whole or in five parts. A count is at most the bytes of the file, so that no product overflows. */
static bool read_logits(struct golden *golden, const struct bundle *bundle, const struct safetensors *file,
                        struct bundle_error *error) {
    const char *output = bundle->logits.name;
    size_t steps = golden->steps;
    char columns[MOST_NAME + 16], largest[MOST_NAME + 16];
    snprintf(columns, sizeof columns, "%s.columns", output);
    snprintf(largest, sizeof largest, "%s.largest_ids", output);
    golden->columns = safetensors_axis(file, columns, true);
    golden->largest = safetensors_axis(file, largest, true);
    if (golden->columns == 0 || golden->columns > bundle->vocabulary || golden->largest > bundle->vocabulary) {
        golden->logits = safetensors_copy(file, output, "F32", sizeof(float), steps * bundle->vocabulary, error);
        return golden->logits != NULL;
    }
    golden->column_ids = read_part(file, output, "columns", "I64", golden->columns, error);
    golden->at_columns = read_part(file, output, "at_columns", "F32", steps * golden->columns, error);
    golden->largest_ids = read_part(file, output, "largest_ids", "I64", steps * golden->largest, error);
    golden->at_largest = read_part(file, output, "largest", "F32", steps * golden->largest, error);
    golden->log_sum = read_part(file, output, "log_sum", "F32", steps, error);
    bool read = golden->column_ids != NULL && golden->at_columns != NULL && golden->largest_ids != NULL &&
                golden->at_largest != NULL && golden->log_sum != NULL;
    return read && in_vocabulary(golden->column_ids, golden->columns, bundle->vocabulary, error) &&
           in_vocabulary(golden->largest_ids, steps * golden->largest, bundle->vocabulary, error);
}

bool golden_read(struct golden *golden, const struct model *model, struct bundle_error *error) {
    const struct bundle *bundle = &model->bundle;
    struct safetensors file;
    *golden = (struct golden){0};
    bool read = safetensors_open(&file, bundle, json_text(json_get(bundle->manifest, "golden")), error);
    if (read) {
        size_t most = file.data_bytes / sizeof(int64_t), rows = safetensors_axis(&file, bundle->tokens.name, false);
        golden->steps = rows < most ? rows : most; /* a product with it cannot overflow */
        golden->tokens = safetensors_copy(&file, bundle->tokens.name, "I64", sizeof(int64_t), golden->steps, error);
        read = golden->tokens != NULL && read_logits(golden, bundle, &file, error) &&
               read_states(golden, bundle, &file, error) &&
               in_vocabulary(golden->tokens, golden->steps, bundle->vocabulary, error);
    }
    safetensors_close(&file);
    return read;
}

float log_sum_of(const float *logits, size_t count) {
    double top = -INFINITY, sum = 0;
    for (size_t i = 0; i < count; i++) {
        top = logits[i] > top || isnan(logits[i]) ? logits[i] : top;
    }
    for (size_t i = 0; i < count; i++) {
        sum += exp(logits[i] - top);
    }
    return (float)(top + log(sum));
}
