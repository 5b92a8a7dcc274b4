/* See model.h. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

#include "ort.h"
#include "safetensors.h"

struct runtime {
    struct ort ort;
    OrtEnv *env;
    OrtSessionOptions *options;
    OrtMemoryInfo *memory;
    OrtSession *step, *encode;
};

/* Whether a call succeeded; a status that says otherwise becomes the error. */
static bool worked(const struct model *model, const char *path, OrtStatus *status, struct bundle_error *error) {
    if (status == NULL) {
        return true;
    }
    fail(error, "onnxruntime refuses %s: %.600s; expected a file it can run; update onnxruntime or export the bundle again",
         path, model->runtime->ort.get_error_message(status));
    model->runtime->ort.release_status(status);
    return false;
}

static bool find_runtime(struct model *model, const char *library, struct bundle_error *error) {
    struct runtime *runtime = model->runtime = calloc(1, sizeof *runtime);
    if (runtime == NULL) {
        return fail(error, "there is no memory for onnxruntime; expected some; close another program");
    }
    return ort_open(&runtime->ort, library, error);
}

static bool open_session(struct model *model, const char *name, OrtSession **session, struct bundle_error *error) {
    struct runtime *runtime = model->runtime;
    char *path = bundle_path(&model->bundle, name);
    bool opened = path != NULL && worked(model, name, runtime->ort.create_session(runtime->env, path, runtime->options, session),
                                         error);
    free(path);
    return opened;
}

static bool open_sessions(struct model *model, struct bundle_error *error) {
    struct runtime *runtime = model->runtime;
    const struct ort *ort = &runtime->ort;
    const char *path = model->bundle.stepper.path;
    return worked(model, path, ort->create_env(ORT_LOGGING_ERROR, "edgernn", &runtime->env), error) &&
           worked(model, path, ort->create_session_options(&runtime->options), error) &&
           worked(model, path, ort->set_log_severity(runtime->options, ORT_LOGGING_ERROR), error) &&
           /* a step is too small to share: threads would wait for one another */
           worked(model, path, ort->set_intra_op_threads(runtime->options, 1), error) &&
           worked(model, path, ort->create_cpu_memory_info(ORT_ARENA_ALLOCATOR, ORT_MEMORY_DEFAULT, &runtime->memory), error) &&
           open_session(model, path, &runtime->step, error) &&
           (!model->bundle.encodes || open_session(model, model->bundle.encoder.path, &runtime->encode, error));
}

static void close_runtime(struct runtime *runtime) {
    if (runtime == NULL) {
        return;
    }
    OrtSession *sessions[] = {runtime->step, runtime->encode};
    for (size_t i = 0; i < sizeof sessions / sizeof *sessions; i++) {
        if (sessions[i] != NULL) {
            runtime->ort.release_session(sessions[i]);
        }
    }
    if (runtime->memory != NULL) {
        runtime->ort.release_memory_info(runtime->memory);
    }
    if (runtime->options != NULL) {
        runtime->ort.release_session_options(runtime->options);
    }
    if (runtime->env != NULL) {
        runtime->ort.release_env(runtime->env);
    }
    free(runtime);
}

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

/* Find where the first states come from, and read those that are stored, all from one file. */
static bool read_first_states(struct model *model, struct bundle_error *error) {
    const struct bundle *bundle = &model->bundle;
    const struct sizes sizes = sizes_of_one(bundle);
    struct safetensors file = {0};
    bool read = true;
    for (size_t i = 0; read && i < bundle->step.inputs; i++) {
        const struct tensor *state = &bundle->step.input[i];
        enum source source = state->role == STATE ? source_of(bundle, state->name) : ZEROS;
        int64_t shape[MOST_AXES];
        if (source == UNKNOWN) {
            read = fail(error, "the contract has another initial state of %s than is known; expected zeros, learned, stored or encode; "
                               "export the bundle again", state->name);
        } else if (source == ENCODED && !find_encoded(model, state->name)) {
            read = fail(error, "the first value of %s is to come from encode, which gives none; expected one; export the bundle again",
                        state->name);
        } else if (source == STORED) {
            read = file.header != NULL ||
                   safetensors_open(&file, bundle, json_text(json_get(bundle->manifest, "initial_state")), error);
            tensor_values(state, &sizes, shape);
            model->first[i] = read ? safetensors_copy(&file, state->name, state->dtype, shape, state->rank, error) : NULL;
            read = model->first[i] != NULL;
        }
    }
    safetensors_close(&file);
    return read;
}

static bool open_tokenizer(struct model *model, struct bundle_error *error) {
    const struct json *entry = json_get(model->bundle.manifest, "tokenizer");
    model->has_tokenizer = entry != NULL && entry->kind != JSON_NULL;
    return !model->has_tokenizer || tokenizer_open(&model->tokenizer, &model->bundle, error);
}

struct model *model_load(const char *folder, const char *artifact, const char *library, struct bundle_error *error) {
    struct model *model = calloc(1, sizeof *model);
    if (model == NULL) {
        fail(error, "there is no memory for the model; expected some; close another program");
        return NULL;
    }
    bool opened = find_runtime(model, library, error) && /* first, since its version decides what can be run */
                  bundle_open(&model->bundle, folder, artifact, model->runtime->ort.version, error) &&
                  open_tokenizer(model, error) && read_first_states(model, error) && open_sessions(model, error);
    if (!opened) {
        model_close(model);
        return NULL;
    }
    return model;
}

void model_close(struct model *model) {
    if (model != NULL) {
        close_runtime(model->runtime);
        for (size_t i = 0; i < MOST_TENSORS; i++) {
            free(model->first[i]);
        }
        tokenizer_close(&model->tokenizer);
        bundle_close(&model->bundle);
        free(model);
    }
}

/* Tensors of one call: onnxruntime reads from and writes to the caller's memory. */
struct call {
    const char *path;
    const struct sizes *sizes;
    const char *names[2 * MOST_TENSORS];
    OrtValue *values[2 * MOST_TENSORS];
    size_t count;
};

static bool add(struct model *model, struct call *call, const struct tensor *tensor, void *data, struct bundle_error *error) {
    const struct runtime *runtime = model->runtime;
    int64_t shape[MOST_AXES];
    size_t bytes = tensor_values(tensor, call->sizes, shape) * tensor->dtype->width, place = call->count++;
    call->names[place] = tensor->name;
    if (bytes == 0 || data == NULL) {
        return fail(error, "%s has no values, or too many; expected 1 to 2^26; give another run", tensor->name);
    }
    return worked(model, call->path, runtime->ort.create_tensor_with_data(runtime->memory, data, bytes, shape, tensor->rank,
                                                                          tensor->dtype->element_type, &call->values[place]),
                  error);
}

static bool run(struct model *model, OrtSession *session, const struct call *in, struct call *out, struct bundle_error *error) {
    return worked(model, in->path, model->runtime->ort.run(session, NULL, in->names, (const OrtValue *const *)in->values, in->count,
                                                           out->names, out->count, out->values), error);
}

static void release(const struct model *model, const struct call *call) {
    for (size_t i = 0; i < call->count; i++) {
        if (call->values[i] != NULL) {
            model->runtime->ort.release_value(call->values[i]);
        }
    }
}

bool model_step(struct model *model, const struct sizes *sizes, const struct values *values, const void *state, void *next,
                struct bundle_error *error) {
    const struct graph *step = &model->bundle.step;
    struct call in = {.path = model->bundle.stepper.path, .sizes = sizes}, out = in;
    bool made = true;
    size_t at = 0;
    for (size_t i = 0; made && i < step->inputs; i++) {
        const struct tensor *tensor = &step->input[i];
        if (tensor->role != STATE) {
            made = add(model, &in, tensor, values->input[i], error);
            continue;
        }
        /* onnxruntime's interface has no const data, and does not write to inputs */
        made = add(model, &in, tensor, (char *)(uintptr_t)state + at, error) &&
               add(model, &out, next_of(step, tensor->name), (char *)next + at, error);
        at += state_room(tensor, sizes);
    }
    for (size_t i = 0; made && i < step->outputs; i++) {
        bool asked = step->output[i].role == OUTPUT && values->output[i] != NULL;
        made = !asked || add(model, &out, &step->output[i], values->output[i], error);
    }
    made = made && run(model, model->runtime->step, &in, &out, error);
    release(model, &in);
    release(model, &out);
    return made;
}

bool model_encode(struct model *model, const struct sizes *sizes, const struct values *values, struct bundle_error *error) {
    const struct graph *encode = &model->bundle.encode;
    struct call in = {.path = model->bundle.encoder.path, .sizes = sizes}, out = in;
    bool made = true;
    for (size_t i = 0; made && i < encode->inputs; i++) {
        made = add(model, &in, &encode->input[i], values->input[i], error);
    }
    for (size_t i = 0; made && i < encode->outputs; i++) {
        made = values->output[i] == NULL || add(model, &out, &encode->output[i], values->output[i], error);
    }
    made = made && run(model, model->runtime->encode, &in, &out, error);
    release(model, &in);
    release(model, &out);
    return made;
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
static void write_stored(const struct tensor *state, const struct sizes *sizes, const char *first, char *into) {
    int64_t shape[MOST_AXES];
    size_t bytes = tensor_values(state, sizes, shape) * state->dtype->width, rows = 1, row = bytes;
    for (size_t axis = 0, inner = bytes; axis < state->rank; axis++) {
        inner /= (size_t)shape[axis];
        if (state->shape[axis] == -1 - BATCH) {
            rows = (size_t)shape[axis];
            row = inner;
        }
    }
    for (size_t at = 0; at < bytes; at += row) { /* what stands before the axis of rows comes once for each of its places */
        memcpy(into + at, first + at / (row * rows) * row, row);
    }
}

bool model_begin(struct model *model, const struct sizes *sizes, const struct values *values, void *state, struct bundle_error *error) {
    const struct bundle *bundle = &model->bundle;
    struct values all = *values;
    if (sizes->of[BATCH] < 1) {
        return fail(error, "a sequence begins with %lld rows; expected 1 or more; give another run", (long long)sizes->of[BATCH]);
    }
    memset(state, 0, state_bytes(bundle, sizes));
    for (size_t i = 0; i < bundle->step.inputs; i++) {
        if (model->first[i] != NULL) {
            const struct tensor *tensor = &bundle->step.input[i];
            write_stored(tensor, sizes, model->first[i], state_at(bundle, sizes, tensor->name, state));
        }
    }
    for (size_t i = 0; i < bundle->encode.outputs; i++) {
        all.output[i] = model->encoded[i] ? state_at(bundle, sizes, bundle->encode.output[i].name, state) : all.output[i];
    }
    return !bundle->encodes || model_encode(model, sizes, &all, error);
}
