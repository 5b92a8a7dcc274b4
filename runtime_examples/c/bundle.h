/* A bundle folder: manifest.json read, every file held against its size and digest before use, the step's tensors from the contract. */
#ifndef BUNDLE_H
#define BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bundle_error.h"
#include "json.h"

enum { MOST_AXES = 8, MOST_STATES = 8, MOST_NAME = 64 };

/* A tensor of one row. Names are the manifest's own. */
struct tensor {
    const char *name;
    size_t rank;
    int64_t shape[MOST_AXES]; /* batch is 1, time is 1 */
    size_t values;            /* their product */
};

struct bundle {
    const char *folder; /* the caller's */
    struct json *manifest;
    const struct json *artifact; /* the step file in use: its entry in the manifest */
    const char *path;
    double tolerance; /* of the golden run, as check.h measures it; negative where the manifest does not say */
    bool forced;      /* each recorded step starts from the recorded state */
    bool open_time; /* many tokens may go in at one call */
    struct tensor tokens, logits;
    size_t states;
    struct tensor before[MOST_STATES], after[MOST_STATES]; /* a state going in, and what comes out for the next call */
    size_t state_values;                                   /* of all states together */
    size_t vocabulary;                                     /* V, the last axis of the logits */
};

/* Open a folder; `artifact` is the path of a step file in it, or NULL for the first that onnxruntime of this `version` runs.
 * Close it in any case. */
bool bundle_open(struct bundle *bundle, const char *folder, const char *artifact, const char *version, struct bundle_error *error);
void bundle_close(struct bundle *bundle);

/* Read a file that the manifest lists whole, and hold it against its size and digest; a NUL follows its `*length` bytes. Free what
 * comes back; NULL where it is not listed, leads out of the folder, cannot be read or is another file. */
char *bundle_read(const struct bundle *bundle, const char *name, size_t *length, struct bundle_error *error);

/* Return the path of a file of the bundle, to be freed. */
char *bundle_path(const struct bundle *bundle, const char *name);

#endif
