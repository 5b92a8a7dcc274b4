/* The recorded run of a bundle. Where the logits would make it too large, it has a few numbers of them instead. */
#ifndef GOLDEN_H
#define GOLDEN_H

#include "model.h"

/* A recorded run of N steps. */
struct golden {
    size_t steps;
    int64_t *tokens;           /* [N] */
    float *before;             /* the states before the first step, as model_step takes them */
    float *after[MOST_STATES]; /* [N, values] of each state */
    float *logits;             /* [N, V], or NULL: then what follows */
    size_t columns, largest;   /* how many are kept: C and K */
    int64_t *column_ids;       /* [C] */
    int64_t *largest_ids;      /* [N, K] */
    float *at_columns;         /* [N, C]: the logits at column_ids */
    float *at_largest;         /* [N, K]: those at largest_ids */
    float *log_sum;            /* [N]: the logarithm of the sum of exp over all V logits */
};

/* Read the golden run. Free it in any case. */
bool golden_read(struct golden *golden, const struct model *model, struct bundle_error *error);
void golden_free(struct golden *golden);

/* Return log Σ exp(x) over `count` logits; not finite where one is not. */
float log_sum_of(const float *logits, size_t count);

#endif
