/* See bundle.h: the tensors of a step, from the contract. */
#include "parts.h"

#include <stdio.h>
#include <string.h>

static const size_t MOST_VALUES = (size_t)1 << 26;

bool same(const struct json *object, const char *key, const char *text) {
    const char *found = json_text(json_get(object, key));
    return found != NULL && strcmp(found, text) == 0;
}

/* Read one tensor of the contract; the batch and the time of this example are 1. */
static bool read_tensor(const struct bundle *bundle, const struct json *spec, const char *dtype, struct tensor *tensor,
                        struct bundle_error *error) {
    const struct json *sizes = json_get(json_get(bundle->manifest, "contract"), "sizes"), *axes = json_get(spec, "axes");
    tensor->name = json_text(json_get(spec, "name"));
    tensor->values = 1;
    if (tensor->name == NULL || strlen(tensor->name) >= MOST_NAME || axes == NULL || axes->length > MOST_AXES) {
        return damaged("a tensor of the contract has no name or axes", error);
    }
    if (!same(spec, "dtype", dtype)) {
        return fail(error, "the contract has %s in another dtype than %s; expected a language model of edgernn; use the "
                             "Python example", tensor->name, dtype);
    }
    for (const struct json *axis = axes->first; axis != NULL; axis = axis->next) {
        const char *name = json_text(axis);
        size_t size = 1;
        bool mine = name != NULL && (strcmp(name, "batch") == 0 || strcmp(name, "time") == 0);
        bool sized = name != NULL && (mine || json_whole(json_get(sizes, name), &size));
        if (!sized || size == 0 || size > MOST_VALUES / tensor->values) {
            return damaged("an axis of the contract has no size, or one beyond reason", error);
        }
        tensor->shape[tensor->rank++] = (int64_t)size;
        tensor->values *= size;
    }
    return tensor->rank > 0 || damaged("a tensor of the contract has no axes", error);
}

static bool read_inputs(struct bundle *bundle, const struct json *inputs, struct bundle_error *error) {
    for (const struct json *spec = inputs != NULL ? inputs->first : NULL; spec != NULL; spec = spec->next) {
        if (same(spec, "role", "input") && bundle->tokens.name == NULL) {
            if (!read_tensor(bundle, spec, "int64", &bundle->tokens, error)) {
                return false;
            }
        } else if (same(spec, "role", "state") && bundle->states < MOST_STATES) {
            struct tensor *before = &bundle->before[bundle->states++];
            if (!read_tensor(bundle, spec, "float32", before, error)) {
                return false;
            }
            bundle->state_values += before->values;
        } else {
            return damaged("the step takes what no language model takes", error);
        }
    }
    bool fits = bundle->tokens.rank == 2 && bundle->tokens.values == 1;
    return fits || damaged("the step takes no tokens [batch, time]", error);
}

/* Read the logits, and each state that comes out into the place of the one that went in. */
static bool read_outputs(struct bundle *bundle, const struct json *outputs, struct bundle_error *error) {
    for (const struct json *spec = outputs != NULL ? outputs->first : NULL; spec != NULL; spec = spec->next) {
        struct tensor found = {0};
        bool placed = false;
        if (!read_tensor(bundle, spec, "float32", &found, error)) {
            return false;
        }
        if (same(spec, "role", "output") && bundle->logits.name == NULL) {
            bundle->logits = found;
            continue;
        }
        for (size_t i = 0; i < bundle->states && !placed; i++) {
            char next[MOST_NAME + 8];
            snprintf(next, sizeof next, "%s_next", bundle->before[i].name);
            placed = strcmp(next, found.name) == 0 && memcmp(found.shape, bundle->before[i].shape, sizeof found.shape) == 0;
            bundle->after[i] = placed ? found : bundle->after[i];
        }
        if (!placed) {
            return damaged("the step gives what no language model gives", error);
        }
    }
    for (size_t i = 0; i < bundle->states; i++) {
        if (bundle->after[i].name == NULL) {
            return damaged("a state goes in and does not come out", error);
        }
    }
    bundle->vocabulary = bundle->logits.values;
    return bundle->logits.rank == 3 || damaged("the step gives no logits [batch, time, vocab]", error);
}

bool read_contract(struct bundle *bundle, struct bundle_error *error) {
    if (!same(bundle->manifest, "family", "language")) {
        const char *family = json_text(json_get(bundle->manifest, "family"));
        return fail(error, "the bundle is of the family %s; expected language; use the Python example, which runs it",
                    family != NULL ? family : "(none)");
    }
    const struct json *graphs = json_get(json_get(bundle->manifest, "contract"), "graphs");
    for (const struct json *graph = graphs != NULL ? graphs->first : NULL; graph != NULL; graph = graph->next) {
        if (same(graph, "name", "step")) {
            return read_inputs(bundle, json_get(graph, "inputs"), error) &&
                   read_outputs(bundle, json_get(graph, "outputs"), error);
        }
    }
    return damaged("the contract has no step", error);
}
