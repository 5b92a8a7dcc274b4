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
    OrtSession *session;
};

/* Whether a call succeeded; a status that says otherwise becomes the error. */
static bool worked(const struct model *model, OrtStatus *status, struct bundle_error *error) {
    if (status == NULL) {
        return true;
    }
    fail(error, "onnxruntime refuses %s: %.600s; expected a file it can run; update onnxruntime or export the bundle again",
         model->bundle.path, model->runtime->ort.get_error_message(status));
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

static bool open_model(struct model *model, struct bundle_error *error) {
    struct runtime *runtime = model->runtime;
    const struct ort *ort = &runtime->ort;
    char *path = bundle_path(&model->bundle, model->bundle.path);
    bool opened = path != NULL && worked(model, ort->create_env(ORT_LOGGING_ERROR, "edgernn", &runtime->env), error) &&
                  worked(model, ort->create_session_options(&runtime->options), error) &&
                  worked(model, ort->set_log_severity(runtime->options, ORT_LOGGING_ERROR), error) &&
                  /* a step is too small to share: threads would wait for one another */
                  worked(model, ort->set_intra_op_threads(runtime->options, 1), error) &&
                  worked(model, ort->create_cpu_memory_info(ORT_ARENA_ALLOCATOR, ORT_MEMORY_DEFAULT, &runtime->memory),
                         error) &&
                  worked(model, ort->create_session(runtime->env, path, runtime->options, &runtime->session), error);
    free(path);
    return opened;
}

static void close_runtime(struct runtime *runtime) {
    if (runtime == NULL) {
        return;
    }
    if (runtime->session != NULL) {
        runtime->ort.release_session(runtime->session);
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

/* Read a learned first state; zeros stay zeros. */
static bool read_first_state(struct model *model, struct bundle_error *error) {
    const struct bundle *bundle = &model->bundle;
    const char *kind = json_text(json_get(json_get(bundle->manifest, "contract"), "initial_state"));
    model->first_state = calloc(bundle->state_values + 1, sizeof(float));
    if (kind == NULL || model->first_state == NULL || (strcmp(kind, "zeros") != 0 && strcmp(kind, "learned") != 0)) {
        return fail(error, "the contract has the initial state %s; expected zeros or learned; export the bundle again",
                    kind != NULL ? kind : "of no name");
    }
    if (strcmp(kind, "zeros") == 0) {
        return true;
    }
    struct safetensors file;
    bool read = safetensors_open(&file, bundle, json_text(json_get(bundle->manifest, "initial_state")), error);
    float *into = model->first_state;
    for (size_t i = 0; read && i < bundle->states; i++) {
        const struct tensor *state = &bundle->before[i];
        float *values = safetensors_copy(&file, state->name, "F32", sizeof(float), state->values, error);
        read = values != NULL;
        if (read) {
            memcpy(into, values, state->values * sizeof(float));
        }
        into += state->values;
        free(values);
    }
    safetensors_close(&file);
    return read;
}

struct model *model_load(const char *folder, const char *artifact, const char *library, struct bundle_error *error) {
    struct model *model = calloc(1, sizeof *model);
    if (model == NULL) {
        fail(error, "there is no memory for the model; expected some; close another program");
        return NULL;
    }
    bool opened = find_runtime(model, library, error) && /* first, since its version decides what can be run */
                  bundle_open(&model->bundle, folder, artifact, model->runtime->ort.version, error) &&
                  tokenizer_open(&model->tokenizer, &model->bundle, error) && read_first_state(model, error) &&
                  open_model(model, error);
    if (!opened) {
        model_close(model);
        return NULL;
    }
    return model;
}

void model_close(struct model *model) {
    if (model != NULL) {
        close_runtime(model->runtime);
        free(model->first_state);
        tokenizer_close(&model->tokenizer);
        bundle_close(&model->bundle);
        free(model);
    }
}

void model_initial_state(const struct model *model, float *state) {
    memcpy(state, model->first_state, model->bundle.state_values * sizeof(float));
}

/* Tensors of one call: onnxruntime reads from and writes to the caller's memory. */
struct call {
    const char *names[MOST_STATES + 1];
    OrtValue *values[MOST_STATES + 1];
    size_t count;
};

static bool add(struct model *model, struct call *call, const struct tensor *tensor, size_t steps, void *data, int type,
                struct bundle_error *error) {
    const struct runtime *runtime = model->runtime;
    size_t width = type == ORT_INT64 ? sizeof(int64_t) : sizeof(float), place = call->count++;
    int64_t shape[MOST_AXES];
    memcpy(shape, tensor->shape, sizeof shape);
    if (steps > 0) {
        shape[1] = (int64_t)steps; /* of tokens [batch, time] and logits [batch, time, vocab] */
    }
    call->names[place] = tensor->name;
    size_t bytes = tensor->values * (steps > 0 ? steps : 1) * width;
    return worked(model, runtime->ort.create_tensor_with_data(runtime->memory, data, bytes, shape, tensor->rank, type,
                                                                &call->values[place]), error);
}

static void release(const struct model *model, const struct call *call) {
    for (size_t i = 0; i < call->count; i++) {
        if (call->values[i] != NULL) {
            model->runtime->ort.release_value(call->values[i]);
        }
    }
}

bool model_step(struct model *model, const int64_t *tokens, size_t count, const float *state, float *logits, float *next,
                  struct bundle_error *error) {
    const struct bundle *bundle = &model->bundle;
    struct call in = {.count = 0}, out = {.count = 0};
    /* onnxruntime's interface has no const data, and does not write to inputs */
    bool made = add(model, &in, &bundle->tokens, count, (void *)(uintptr_t)tokens, ORT_INT64, error) &&
                add(model, &out, &bundle->logits, count, logits, ORT_FLOAT, error);
    for (size_t i = 0, at = 0; made && i < bundle->states; at += bundle->before[i++].values) {
        made = add(model, &in, &bundle->before[i], 0, (void *)(uintptr_t)(state + at), ORT_FLOAT, error) &&
               add(model, &out, &bundle->after[i], 0, next + at, ORT_FLOAT, error);
    }
    made = made && worked(model, model->runtime->ort.run(model->runtime->session, NULL, in.names,
                                                             (const OrtValue *const *)in.values, in.count, out.names, out.count,
                                                             out.values), error);
    release(model, &in);
    release(model, &out);
    return made;
}
