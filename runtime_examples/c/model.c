/* See model.h. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

#include "begin.h"
#include "ort.h"

struct runtime {
    struct ort ort;
    OrtEnv *env;
    OrtSessionOptions *options;
    OrtMemoryInfo *memory;
    OrtSession *step, *encode;
};

/* Whether a call succeeded; a status that says otherwise becomes the error. */
static bool worked(const struct model *model, const char *path, OrtStatus *status,
                   struct bundle_error *error) {
    if (status == NULL) {
        return true;
    }
    fail(error,
         "onnxruntime refuses %s: %.600s; expected a file it can run; update onnxruntime or export the "
         "bundle again",
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

static bool open_session(struct model *model, const char *name, OrtSession **session,
                         struct bundle_error *error) {
    struct runtime *runtime = model->runtime;
    char *path = bundle_path(&model->bundle, name);
    bool opened = path != NULL &&
                  worked(model, name,
                         runtime->ort.create_session(runtime->env, path, runtime->options, session), error);
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
           worked(model, path,
                  ort->create_cpu_memory_info(ORT_ARENA_ALLOCATOR, ORT_MEMORY_DEFAULT, &runtime->memory),
                  error) &&
           open_session(model, path, &runtime->step, error) &&
           (!model->bundle.encodes ||
            open_session(model, model->bundle.encoder.path, &runtime->encode, error));
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

static bool open_tokenizer(struct model *model, struct bundle_error *error) {
    const struct json *entry = json_get(model->bundle.manifest, "tokenizer");
    model->has_tokenizer = entry != NULL && entry->kind != JSON_NULL;
    return !model->has_tokenizer || tokenizer_open(&model->tokenizer, &model->bundle, error);
}

struct model *model_load(const char *folder, const char *artifact, const char *library,
                         struct bundle_error *error) {
    struct model *model = calloc(1, sizeof *model);
    if (model == NULL) {
        fail(error, "there is no memory for the model; expected some; close another program");
        return NULL;
    }
    bool opened =
        find_runtime(model, library, error) && /* first, since its version decides what can be run */
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

static bool add(struct model *model, struct call *call, const struct tensor *tensor, void *data,
                struct bundle_error *error) {
    const struct runtime *runtime = model->runtime;
    int64_t shape[MOST_AXES];
    size_t bytes = tensor_values(tensor, call->sizes, shape) * tensor->dtype->width, place = call->count++;
    call->names[place] = tensor->name;
    if (bytes == 0 || data == NULL) {
        return fail(error, "%s has no values, or too many; expected 1 to 2^26; give another run",
                    tensor->name);
    }
    return worked(model, call->path,
                  runtime->ort.create_tensor_with_data(runtime->memory, data, bytes, shape, tensor->rank,
                                                       tensor->dtype->element_type, &call->values[place]),
                  error);
}

static bool run(struct model *model, OrtSession *session, const struct call *in, struct call *out,
                struct bundle_error *error) {
    return worked(model, in->path,
                  model->runtime->ort.run(session, NULL, in->names, (const OrtValue *const *)in->values,
                                          in->count, out->names, out->count, out->values),
                  error);
}

static void release(const struct model *model, const struct call *call) {
    for (size_t i = 0; i < call->count; i++) {
        if (call->values[i] != NULL) {
            model->runtime->ort.release_value(call->values[i]);
        }
    }
}

bool model_step(struct model *model, const struct sizes *sizes, const struct values *values,
                const void *state, void *next, struct bundle_error *error) {
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

bool model_encode(struct model *model, const struct sizes *sizes, const struct values *values,
                  struct bundle_error *error) {
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
