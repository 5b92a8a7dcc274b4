/* A bundle folder: manifest.json read, every file held against its size and digest before use, the graphs
 * from the contract. */
#ifndef BUNDLE_H
#define BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bundle_error.h"
#include "dtype.h"
#include "json.h"

enum { MOST_AXES = 8, MOST_TENSORS = 32, MOST_NAME = 64, MOST_OPEN = 8, TIME = 0, BATCH = 1 };

enum role { INPUT, CONTEXT, STATE, OUTPUT };

/* A tensor. Names are the manifest's own. */
struct tensor {
    const char *name, *below; /* below: the axis whose size bounds the values, or NULL */
    enum role role;
    const struct dtype *dtype;
    size_t rank;
    const char *axes[MOST_AXES];
    int64_t shape[MOST_AXES]; /* -1 - k stands for the axis k of `bundle.open`, whose size each run has of its
                                 own */
};

struct graph {
    size_t inputs, outputs;
    struct tensor input[MOST_TENSORS], output[MOST_TENSORS];
};

/* The sizes of the open axes in a run, by their place in `bundle.open`: that of TIME is how many frames a
 * call takes, that of BATCH how many rows. */
struct sizes {
    int64_t of[MOST_OPEN];
};

/* A model file: an artifact in use. */
struct artifact {
    const struct json *entry; /* in the manifest */
    const char *path;
    double
        tolerance; /* of the golden run, as check.h measures it; negative where the manifest does not say */
    bool forced;      /* each recorded step starts from the recorded state */
};

struct bundle {
    const char *folder; /* the caller's */
    struct json *manifest;
    size_t version; /* of the schema */
    struct artifact stepper, encoder;
    struct graph step, encode;
    bool encodes;            /* there is an encode graph, which is to run before the first step */
    bool open_time;          /* a call takes several steps at once */
    int64_t step_frames;     /* frames along `time` that one step takes */
    const char *open[MOST_OPEN]; /* open axes: time, batch, and those that encode chooses */
    size_t open_count;
    const struct tensor *ids,
        *scores; /* of text: the ids that go into step, and its output of a number an id; or NULL */
    size_t vocabulary;                 /* V: how many ids there are, or 0 */
};

/* Open a folder; `artifact` is the path of a step file in it, or NULL for the first that onnxruntime of this
 * `version` runs. Close it in any case. */
bool bundle_open(struct bundle *bundle, const char *folder, const char *artifact, const char *version,
                 struct bundle_error *error);
void bundle_close(struct bundle *bundle);

/* Return the sizes of a run of one row whose calls take one step each and whose other open axes are 1. */
struct sizes sizes_of_one(const struct bundle *bundle);

/* Write the shape of a tensor in a run, where `shape` is no NULL, and return how many values it has; 0 where
 * that is beyond reason. */
size_t tensor_values(const struct tensor *tensor, const struct sizes *sizes, int64_t *shape);

/* Return how many bytes a state's tensor takes: a multiple of 8, so that the next one begins where numbers
 * may. */
size_t state_room(const struct tensor *state, const struct sizes *sizes);

/* Return how many bytes all states of step take together, each after the other in the order of its inputs. */
size_t state_bytes(const struct bundle *bundle, const struct sizes *sizes);

/* Return the output of step that a state comes out as: NAME_next; NULL where there is none. */
const struct tensor *next_of(const struct graph *step, const char *state);

/* Read a file that the manifest lists whole, and hold it against its size and digest; a NUL follows its
 * `*length` bytes. Free what comes back; NULL where it is not listed, leads out of the folder, cannot be read
 * or is another file. */
char *bundle_read(const struct bundle *bundle, const char *name, size_t *length, struct bundle_error *error);

/* Return the path of a file of the bundle, to be freed. */
char *bundle_path(const struct bundle *bundle, const char *name);

#endif
