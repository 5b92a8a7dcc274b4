/* See ort.h. */
#define _POSIX_C_SOURCE 200809L
#include "ort.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

typedef void (*slot)(void);

struct api_base {
    const slot *(*get_api)(uint32_t version);
    const char *(*get_version)(void);
};

static void *open_library(const char *path, struct bundle_error *error) {
    static const char *const USUAL[] = {"libonnxruntime.so.1", "libonnxruntime.so", "libonnxruntime.dylib"};
    const char *wanted = path != NULL ? path : getenv("ONNXRUNTIME_LIBRARY");
    void *library = wanted != NULL ? dlopen(wanted, RTLD_NOW | RTLD_LOCAL) : NULL;
    for (size_t i = 0; wanted == NULL && library == NULL && i < sizeof USUAL / sizeof *USUAL; i++) {
        library = dlopen(USUAL[i], RTLD_NOW | RTLD_LOCAL);
    }
    if (library == NULL) {
        fail(error,
             "cannot open onnxruntime (%s); expected a shared library of 1.17 or newer; give its path by "
             "--library or "
             "ONNXRUNTIME_LIBRARY",
             dlerror());
    }
    return library;
}

/* Fill the functions from the table; each is a pointer of another type in the same place. */
static void fill(struct ort *ort, const slot *table) {
    const struct {
        void *into;
        size_t place;
    } wanted[] = {
        {&ort->get_error_message, 2},
        {&ort->create_env, 3},
        {&ort->create_session, 7},
        {&ort->run, 9},
        {&ort->create_session_options, 10},
        {&ort->set_log_severity, 22},
        {&ort->set_intra_op_threads, 24},
        {&ort->create_tensor_with_data, 49},
        {&ort->create_cpu_memory_info, 69},
        {&ort->release_env, 92},
        {&ort->release_status, 93},
        {&ort->release_memory_info, 94},
        {&ort->release_session, 95},
        {&ort->release_value, 96},
        {&ort->release_session_options, 100},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        memcpy(wanted[i].into, &table[wanted[i].place], sizeof(slot));
    }
}

bool ort_open(struct ort *ort, const char *path, struct bundle_error *error) {
    const struct api_base *(*get_base)(void) = NULL;
    void *library = open_library(path, error);
    if (library == NULL) {
        return false;
    }
    void *symbol = dlsym(library, "OrtGetApiBase");
    memcpy(&get_base, &symbol, sizeof symbol); /* ISO C has no cast from an object to a function */
    const slot *table = symbol != NULL ? get_base()->get_api(ORT_VERSION) : NULL;
    if (table == NULL) {
        const char *version = symbol != NULL ? get_base()->get_version() : "unknown";
        return fail(
            error,
            "the library is onnxruntime %s, without interface version %d; expected 1.17 or newer; update it",
            version, ORT_VERSION);
    }
    fill(ort, table);
    ort->version = get_base()->get_version();
    return true;
}
