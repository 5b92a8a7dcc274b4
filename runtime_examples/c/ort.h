/* The part of onnxruntime's C interface that a step needs, without its headers.
 *
 * onnxruntime promises binary stability: OrtGetApiBase()->GetApi(17) returns a table of function pointers
 * whose order never changes; later versions only append. So a function is known by its place in the table and
 * its signature, which onnxruntime_c_api.h documents. Version 17 is that of onnxruntime 1.17, and every later
 * library has it too. */
#ifndef ORT_H
#define ORT_H

#include <stddef.h>
#include <stdint.h>

#include "bundle_error.h"

enum { ORT_VERSION = 17 };
enum { ORT_LOGGING_ERROR = 3, ORT_ARENA_ALLOCATOR = 1, ORT_MEMORY_DEFAULT = 0 };

/* Objects of onnxruntime; a status is NULL where a call succeeded. */
typedef struct OrtStatus OrtStatus;
typedef struct OrtEnv OrtEnv;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtValue OrtValue;

/* The functions in use, each with its place in the table. */
struct ort {
    const char *version; /* of the library, as 1.23.2 */
    const char *(*get_error_message)(const OrtStatus *status);                       /* 2 */
    OrtStatus *(*create_env)(int logging_level, const char *log_name, OrtEnv **env); /* 3 */
    OrtStatus *(*create_session)(const OrtEnv *env, const char *path, const OrtSessionOptions *options,
                                 OrtSession **session); /* 7 */
    OrtStatus *(*run)(OrtSession *session, const void *run_options, const char *const *input_names,
                      const OrtValue *const *inputs, size_t input_count, const char *const *output_names,
                      size_t output_count, OrtValue **outputs);                  /* 9 */
    OrtStatus *(*create_session_options)(OrtSessionOptions **options);           /* 10 */
    OrtStatus *(*set_log_severity)(OrtSessionOptions *options, int level);       /* 22 */
    OrtStatus *(*set_intra_op_threads)(OrtSessionOptions *options, int threads); /* 24 */
    OrtStatus *(*create_tensor_with_data)(const OrtMemoryInfo *memory, void *data, size_t bytes,
                                          const int64_t *shape, size_t rank, int element_type,
                                          OrtValue **value);                                      /* 49 */
    OrtStatus *(*create_cpu_memory_info)(int allocator, int memory_type, OrtMemoryInfo **memory); /* 69 */
    void (*release_env)(OrtEnv *env);                                                             /* 92 */
    void (*release_status)(OrtStatus *status);                                                    /* 93 */
    void (*release_memory_info)(OrtMemoryInfo *memory);                                           /* 94 */
    void (*release_session)(OrtSession *session);                                                 /* 95 */
    void (*release_value)(OrtValue *value);                                                       /* 96 */
    void (*release_session_options)(OrtSessionOptions *options);                                  /* 100 */
};

/* Open the library at `path`; where it is NULL the one of ONNXRUNTIME_LIBRARY, or one of the usual name. It
 * stays open. */
bool ort_open(struct ort *ort, const char *path, struct bundle_error *error);

#endif
