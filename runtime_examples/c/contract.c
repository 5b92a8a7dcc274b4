/* See bundle.h: the tensors of the graphs, from the contract. */
#include "parts.h"

#include <stdio.h>
#include <string.h>

static const size_t MOST_VALUES = (size_t)1 << 26;

bool same(const struct json *object, const char *key, const char *text) {
    const char *found = json_text(json_get(object, key));
    return found != NULL && strcmp(found, text) == 0;
}

struct sizes sizes_of_one(const struct bundle *bundle) {
    struct sizes sizes;
    for (size_t i = 0; i < MOST_OPEN; i++) {
        sizes.of[i] = i == TIME ? bundle->step_frames : 1;
    }
    return sizes;
}

size_t tensor_values(const struct tensor *tensor, const struct sizes *sizes, int64_t *shape) {
    size_t values = 1;
    for (size_t i = 0; i < tensor->rank; i++) {
        int64_t size = tensor->shape[i] > 0 ? tensor->shape[i] : sizes->of[-1 - tensor->shape[i]];
        if (size < 1 || (uint64_t)size > MOST_VALUES / values) {
            return 0;
        }
        values *= (size_t)size;
        if (shape != NULL) {
            shape[i] = size;
        }
    }
    return values;
}

size_t state_room(const struct tensor *state, const struct sizes *sizes) {
    return (tensor_values(state, sizes, NULL) * state->dtype->width + 7) / 8 * 8;
}

size_t state_bytes(const struct bundle *bundle, const struct sizes *sizes) {
    size_t bytes = 0;
    for (size_t i = 0; i < bundle->step.inputs; i++) {
        const struct tensor *tensor = &bundle->step.input[i];
        bytes += tensor->role == STATE ? state_room(tensor, sizes) : 0;
    }
    return bytes;
}

const struct tensor *next_of(const struct graph *step, const char *state) {
    size_t length = strlen(state);
    for (size_t i = 0; i < step->outputs; i++) {
        const struct tensor *tensor = &step->output[i];
        if (tensor->role == STATE && strncmp(tensor->name, state, length) == 0 &&
            strcmp(tensor->name + length, "_next") == 0) {
            return tensor;
        }
    }
    return NULL;
}

/* Read the size of an axis; that of an open one is -1 less its place in `bundle->open`. */
static bool read_axis(struct bundle *bundle, const char *name, int64_t *size, struct bundle_error *error) {
    const struct json *fixed = json_get(json_get(json_get(bundle->manifest, "contract"), "sizes"), name);
    size_t whole = 0, place = 0;
    bool own = strcmp(name, bundle->open[TIME]) == 0 || strcmp(name, bundle->open[BATCH]) == 0;
    if (fixed != NULL && !own) {
        *size = json_whole(fixed, &whole) && whole <= MOST_VALUES ? (int64_t)whole : 0;
        return *size > 0 || damaged("an axis of the contract has no size, or one beyond reason", error);
    }
    while (place < bundle->open_count && strcmp(bundle->open[place], name) != 0) {
        place++;
    }
    if (place == MOST_OPEN) {
        return damaged("more axes of the contract have no size than this example takes", error);
    }
    bundle->open[place] = name;
    bundle->open_count += place == bundle->open_count;
    *size = -1 - (int64_t)place;
    return true;
}

static bool read_role(const struct json *spec, enum role *role) {
    static const char *const NAMES[] = {"input", "context", "state", "output"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        if (same(spec, "role", NAMES[i])) {
            *role = (enum role)i;
            return true;
        }
    }
    return false;
}

static bool read_tensor(struct bundle *bundle, const struct json *spec, struct tensor *tensor,
                        struct bundle_error *error) {
    const struct json *axes = json_get(spec, "axes");
    const char *dtype = json_text(json_get(spec, "dtype"));
    *tensor = (struct tensor){.name = json_text(json_get(spec, "name")),
                              .below = json_text(json_get(spec, "below"))};
    bool sound =
        tensor->name != NULL && strlen(tensor->name) < MOST_NAME && axes != NULL && axes->kind == JSON_ARRAY;
    if (!sound || axes->length > MOST_AXES || !read_role(spec, &tensor->role)) {
        return damaged("a tensor of the contract has no name, role or axes", error);
    }
    tensor->dtype = dtype_named(dtype);
    if (tensor->dtype == NULL) {
        return fail(error,
                    "the contract has %s as %.64s; expected bool, uint8, int8 to int64 or float16 to "
                    "float64; use an example "
                    "that reads it",
                    tensor->name, dtype != NULL ? dtype : "no dtype");
    }
    for (const struct json *axis = axes->first; axis != NULL; axis = axis->next) {
        const char *name = json_text(axis);
        if (name == NULL) {
            return damaged("an axis of the contract has no name", error);
        }
        tensor->axes[tensor->rank] = name;
        if (!read_axis(bundle, name, &tensor->shape[tensor->rank++], error)) {
            return false;
        }
    }
    for (size_t i = 0; i < tensor->rank * tensor->rank; i++) {
        if (i / tensor->rank < i % tensor->rank &&
            strcmp(tensor->axes[i / tensor->rank], tensor->axes[i % tensor->rank]) == 0) {
            return damaged("a tensor of the contract has an axis twice", error);
        }
    }
    const struct sizes least = sizes_of_one(bundle);
    return tensor_values(tensor, &least, NULL) > 0 ||
           damaged("a tensor of the contract has a size beyond reason", error);
}

static bool read_side(struct bundle *bundle, const struct json *list, struct tensor *side, size_t *count,
                      struct bundle_error *error) {
    for (const struct json *spec = list != NULL ? list->first : NULL; spec != NULL; spec = spec->next) {
        if (*count == MOST_TENSORS) {
            return damaged("a graph of the contract has more tensors than this example takes", error);
        }
        if (!read_tensor(bundle, spec, &side[*count], error)) {
            return false;
        }
        for (size_t i = 0; i < *count; i++) {
            if (strcmp(side[i].name, side[*count].name) == 0) {
                return damaged("a graph of the contract has two tensors of one name", error);
            }
        }
        ++*count;
    }
    return true;
}

/* Make sure that every state of step comes out as it goes in, and that nothing else does. */
static bool check_states(const struct graph *step, struct bundle_error *error) {
    size_t in = 0, out = 0;
    for (size_t i = 0; i < step->inputs; i++) {
        const struct tensor *before = &step->input[i],
                            *after = before->role == STATE ? next_of(step, before->name) : NULL;
        if (before->role == STATE &&
            (after == NULL || after->dtype != before->dtype || after->rank != before->rank ||
             memcmp(after->shape, before->shape, sizeof after->shape) != 0)) {
            return damaged("a state goes in and does not come out", error);
        }
        in += before->role == STATE;
        if (before->role == OUTPUT) {
            return damaged("an input of step has the role of an output", error);
        }
    }
    for (size_t i = 0; i < step->outputs; i++) {
        out += step->output[i].role == STATE;
        if (step->output[i].role != STATE && step->output[i].role != OUTPUT) {
            return damaged("an output of step has the role of an input", error);
        }
    }
    return in == out || damaged("a state comes out that does not go in", error);
}

/* Whether an axis is one of a context, or of what goes into encode. */
static bool is_chosen(const struct bundle *bundle, const char *axis) {
    for (size_t i = 0; i < 2 * MOST_TENSORS; i++) {
        bool encode = i >= MOST_TENSORS;
        const struct graph *graph = encode ? &bundle->encode : &bundle->step;
        const struct tensor *tensor = &graph->input[i % MOST_TENSORS];
        bool counts = i % MOST_TENSORS < graph->inputs && (encode || tensor->role == CONTEXT);
        for (size_t j = 0; counts && j < tensor->rank; j++) {
            if (strcmp(tensor->axes[j], axis) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* Refuse an axis without a size that nothing gives one, a first value of no state, and frames that are no
 * numbers. */
static bool check_rest(const struct bundle *bundle, const struct json *contract, struct bundle_error *error) {
    const struct json *first = json_get(contract, "initial_state"),
                      *late = json_get(contract, "latency_frames");
    size_t frames = 0;
    for (size_t i = BATCH + 1; i < bundle->open_count; i++) {
        if (!is_chosen(bundle, bundle->open[i])) {
            return fail(error,
                        "the contract gives the axis %.64s no size; expected one, since no context has it; "
                        "export the bundle "
                        "again",
                        bundle->open[i]);
        }
    }
    if (late != NULL && !json_whole(late, &frames)) {
        return damaged("latency_frames is no number of frames", error);
    }
    if (first != NULL && first->kind != (bundle->version > 1 ? JSON_OBJECT : JSON_STRING)) {
        return damaged("initial_state is not what its schema version has", error);
    }
    for (const struct json *each = first != NULL ? first->first : NULL; each != NULL; each = each->next) {
        if (next_of(&bundle->step, each->key) == NULL) {
            return damaged("initial_state names what is no state", error);
        }
    }
    return true;
}

/* Find what text is read and written by: the fresh input of whole numbers below the size of an axis, which
 * the vocabulary is, and the output over that axis. */
static void find_text(struct bundle *bundle, const struct json *sizes) {
    const struct graph *step = &bundle->step;
    for (size_t i = 0; i < step->inputs && bundle->ids == NULL; i++) {
        const struct tensor *tensor = &step->input[i];
        bundle->ids =
            tensor->role == INPUT && tensor->dtype->integer && tensor->below != NULL ? tensor : NULL;
    }
    for (size_t i = 0; bundle->ids != NULL && i < step->outputs && bundle->scores == NULL; i++) {
        const struct tensor *tensor = &step->output[i];
        bool over = tensor->role == OUTPUT && tensor->rank > 0 && tensor->shape[tensor->rank - 1] > 0 &&
                    strcmp(tensor->axes[tensor->rank - 1], bundle->ids->below) == 0;
        bundle->scores = over ? tensor : NULL;
    }
    if (bundle->ids != NULL && !json_whole(json_get(sizes, bundle->ids->below), &bundle->vocabulary)) {
        bundle->vocabulary = 0;
    }
}

bool read_contract(struct bundle *bundle, struct bundle_error *error) {
    const struct json *contract = json_get(bundle->manifest, "contract"),
                      *graphs = json_get(contract, "graphs");
    const struct json *frames = json_get(contract, "step_frames");
    size_t step_frames = 1, steps = 0;
    if (frames != NULL &&
        (!json_whole(frames, &step_frames) || step_frames < 1 || step_frames > MOST_VALUES)) {
        return damaged("step_frames is no number of frames", error);
    }
    bundle->step_frames = (int64_t)step_frames;
    bundle->open[TIME] = "time";
    bundle->open[BATCH] = "batch";
    bundle->open_count = 2;
    for (const struct json *graph = graphs != NULL ? graphs->first : NULL; graph != NULL;
         graph = graph->next) {
        bool step = same(graph, "name", "step"), encode = same(graph, "name", "encode");
        struct graph *into = step ? &bundle->step : &bundle->encode;
        if ((step || encode) && into->inputs > 0) {
            return damaged("the contract has a graph twice", error);
        }
        if ((step || encode) &&
            (!read_side(bundle, json_get(graph, "inputs"), into->input, &into->inputs, error) ||
             !read_side(bundle, json_get(graph, "outputs"), into->output, &into->outputs, error))) {
            return false;
        }
        bundle->encodes = bundle->encodes || encode;
        steps += step;
    }
    if (steps != 1 || bundle->step.inputs == 0 || bundle->step.outputs == 0) {
        return damaged("the contract has no step", error);
    }
    find_text(bundle, json_get(contract, "sizes"));
    return check_states(&bundle->step, error) && check_rest(bundle, contract, error);
}
