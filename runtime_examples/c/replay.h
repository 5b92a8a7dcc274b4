/* Measures how far a run on this device is from the recorded one. The measures are specified in
 * edgernn/bundle/README.md. */
#ifndef REPLAY_H
#define REPLAY_H

#include "golden.h"

/* What one line is about: a tensor, what is recorded of one, or a layer of a state. */
struct part {
    char name[MOST_NAME + 32];
    const struct dtype *dtype;
    const void *recorded; /* [N, stride] */
    size_t stride, length; /* values of a step, and how many of them this part has */
    size_t layer, layers, inner; /* of the axis `layers`; inner: the values behind one place of it */
    double worst, scale; /* scale: the largest recorded value, or the root mean square of all recorded ones */
    size_t steps, step;  /* how many are recorded, and the first one at which it was off: `steps` for none */
    double by;           /* how far it was off there */
};

/* All parts, and memory for one step. */
struct replay {
    struct part *parts;
    size_t count;
    bool chained;
    double tolerance;
    struct values values;
    char *state, *next;
    double *numbers, *picked; /* the values of an output, and those of them that are recorded */
};

/* Make memory for the outputs of a graph and a state of step. Free it in any case. */
bool make_replay(struct replay *replay, const struct graph *graph, const struct bundle *bundle,
                 const struct artifact *file, const struct sizes *sizes, struct bundle_error *error);
void free_replay(struct replay *replay);

/* Add the part of a tensor that is recorded whole in `steps` steps, or where the run is forced those of a
 * state's layers. */
void add_whole(struct replay *replay, const struct tensor *tensor, const void *recorded,
               const struct sizes *sizes, size_t steps);

/* Add the parts of an output of step. */
void add_output(struct replay *replay, const struct tensor *tensor, const struct golden *golden,
                const struct recorded *output);

/* Measure the values of an output of a step, or what is recorded of them, and return the part after its own.
 */
struct part *measure_output(struct replay *replay, const struct recorded *output, struct part *part,
                            size_t step);

/* Write values as numbers into `replay->numbers`. */
void to_numbers(struct replay *replay, const struct tensor *tensor, const void *values, size_t count);

#endif
