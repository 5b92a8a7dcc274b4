/* See session.h. */
#include "session.h"

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

/* Whether a call succeeded; a status that says otherwise becomes the failure. */
static bool worked(const struct session *session, OrtStatus *status, struct failure *failure) {
    if (status == NULL) {
        return true;
    }
    fail(failure, "onnxruntime refuses %s: %.600s; expected a file it can run; update onnxruntime or export the bundle again",
         session->bundle.path, session->runtime->ort.get_error_message(status));
    session->runtime->ort.release_status(status);
    return false;
}

static bool find_runtime(struct session *session, const char *library, struct failure *failure) {
    struct runtime *runtime = session->runtime = calloc(1, sizeof *runtime);
    if (runtime == NULL) {
        return fail(failure, "there is no memory for onnxruntime; expected some; close another program");
    }
    return ort_open(&runtime->ort, library, failure);
}

static bool open_model(struct session *session, struct failure *failure) {
    struct runtime *runtime = session->runtime;
    const struct ort *ort = &runtime->ort;
    char *path = bundle_path(&session->bundle, session->bundle.path);
    bool opened = path != NULL && worked(session, ort->create_env(ORT_LOGGING_ERROR, "edgernn", &runtime->env), failure) &&
                  worked(session, ort->create_session_options(&runtime->options), failure) &&
                  worked(session, ort->set_log_severity(runtime->options, ORT_LOGGING_ERROR), failure) &&
                  /* a step is too small to share: threads would wait for one another */
                  worked(session, ort->set_intra_op_threads(runtime->options, 1), failure) &&
                  worked(session, ort->create_cpu_memory_info(ORT_ARENA_ALLOCATOR, ORT_MEMORY_DEFAULT, &runtime->memory),
                         failure) &&
                  worked(session, ort->create_session(runtime->env, path, runtime->options, &runtime->session), failure);
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
static bool read_first_state(struct session *session, struct failure *failure) {
    const struct bundle *bundle = &session->bundle;
    const char *kind = json_text(json_get(json_get(bundle->manifest, "contract"), "initial_state"));
    session->first_state = calloc(bundle->state_values + 1, sizeof(float));
    if (kind == NULL || session->first_state == NULL || (strcmp(kind, "zeros") != 0 && strcmp(kind, "learned") != 0)) {
        return fail(failure, "the contract has the initial state %s; expected zeros or learned; export the bundle again",
                    kind != NULL ? kind : "of no name");
    }
    if (strcmp(kind, "zeros") == 0) {
        return true;
    }
    struct safetensors file;
    bool read = safetensors_open(&file, bundle, json_text(json_get(bundle->manifest, "initial_state")), failure);
    float *into = session->first_state;
    for (size_t i = 0; read && i < bundle->states; i++) {
        const struct tensor *state = &bundle->before[i];
        float *values = safetensors_copy(&file, state->name, "F32", sizeof(float), state->values, failure);
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

struct session *session_load(const char *folder, const char *artifact, const char *library, struct failure *failure) {
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        fail(failure, "there is no memory for a session; expected some; close another program");
        return NULL;
    }
    bool opened = find_runtime(session, library, failure) && /* first, since its version decides what can be run */
                  bundle_open(&session->bundle, folder, artifact, session->runtime->ort.version, failure) &&
                  tokenizer_open(&session->tokenizer, &session->bundle, failure) && read_first_state(session, failure) &&
                  open_model(session, failure);
    if (!opened) {
        session_close(session);
        return NULL;
    }
    return session;
}

void session_close(struct session *session) {
    if (session != NULL) {
        close_runtime(session->runtime);
        free(session->first_state);
        tokenizer_close(&session->tokenizer);
        bundle_close(&session->bundle);
        free(session);
    }
}

void session_initial_state(const struct session *session, float *state) {
    memcpy(state, session->first_state, session->bundle.state_values * sizeof(float));
}

/* Tensors of one call: onnxruntime reads from and writes to the caller's memory. */
struct call {
    const char *names[MOST_STATES + 1];
    OrtValue *values[MOST_STATES + 1];
    size_t count;
};

static bool add(struct session *session, struct call *call, const struct tensor *tensor, size_t steps, void *data, int type,
                struct failure *failure) {
    const struct runtime *runtime = session->runtime;
    size_t width = type == ORT_INT64 ? sizeof(int64_t) : sizeof(float), place = call->count++;
    int64_t shape[MOST_AXES];
    memcpy(shape, tensor->shape, sizeof shape);
    if (steps > 0) {
        shape[1] = (int64_t)steps; /* of tokens [batch, time] and logits [batch, time, vocab] */
    }
    call->names[place] = tensor->name;
    size_t bytes = tensor->values * (steps > 0 ? steps : 1) * width;
    return worked(session, runtime->ort.create_tensor_with_data(runtime->memory, data, bytes, shape, tensor->rank, type,
                                                                &call->values[place]), failure);
}

static void release(const struct session *session, const struct call *call) {
    for (size_t i = 0; i < call->count; i++) {
        if (call->values[i] != NULL) {
            session->runtime->ort.release_value(call->values[i]);
        }
    }
}

bool session_step(struct session *session, const int64_t *tokens, size_t count, const float *state, float *logits, float *next,
                  struct failure *failure) {
    const struct bundle *bundle = &session->bundle;
    struct call in = {.count = 0}, out = {.count = 0};
    /* onnxruntime's interface has no const data, and does not write to inputs */
    bool made = add(session, &in, &bundle->tokens, count, (void *)(uintptr_t)tokens, ORT_INT64, failure) &&
                add(session, &out, &bundle->logits, count, logits, ORT_FLOAT, failure);
    for (size_t i = 0, at = 0; made && i < bundle->states; at += bundle->before[i++].values) {
        made = add(session, &in, &bundle->before[i], 0, (void *)(uintptr_t)(state + at), ORT_FLOAT, failure) &&
               add(session, &out, &bundle->after[i], 0, next + at, ORT_FLOAT, failure);
    }
    made = made && worked(session, session->runtime->ort.run(session->runtime->session, NULL, in.names,
                                                             (const OrtValue *const *)in.values, in.count, out.names, out.count,
                                                             out.values), failure);
    release(session, &in);
    release(session, &out);
    return made;
}
