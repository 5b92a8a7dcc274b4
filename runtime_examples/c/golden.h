/* The recorded run of a bundle. Where an output would make it too large, it has a few numbers of it instead.
 */
#ifndef GOLDEN_H
#define GOLDEN_H

#include "model.h"

/* What is recorded of an output over N steps. */
struct recorded {
    size_t rows, width;      /* of one step: width is the last axis, rows all others */
    void *whole;             /* [N, rows, width], or NULL: then what follows */
    size_t columns, largest; /* how many are kept: C and K */
    int64_t *column_ids;     /* [C] */
    int64_t *largest_ids;    /* [N, rows, K] */
    void *at_columns;        /* [N, rows, C]: the values at column_ids */
    void *at_largest;        /* [N, rows, K]: those at largest_ids */
    void *log_sum;           /* [N, rows]: the logarithm of the sum of exp over the whole width */
};

/* A recorded run of N steps, its tensors by their places in the graphs. */
struct golden {
    size_t steps;
    struct sizes sizes, encode_sizes; /* of a call of step, and of encode */
    void *inputs[MOST_TENSORS];       /* of step: [N, ...] of a fresh input, [...] of a context and of a state
                                         before the first step */
    struct recorded outputs[MOST_TENSORS];
    void *encode_inputs[MOST_TENSORS], *encode_outputs[MOST_TENSORS];
};

/* Read the golden run. Free it in any case. */
bool golden_read(struct golden *golden, const struct model *model, struct bundle_error *error);
void golden_free(struct golden *golden);

/* Write the recorded state before the first step, as model_step takes it. */
void golden_state(const struct golden *golden, const struct bundle *bundle, void *state);

/* Fill in the fresh inputs of a step and the contexts; what comes out is left as it is. */
void golden_inputs(const struct golden *golden, const struct bundle *bundle, size_t step,
                   struct values *values);

/* Return log Σ exp(x) over `count` values; not finite where one is not. */
double log_sum_of(const double *values, size_t count);

#endif
