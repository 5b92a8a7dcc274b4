/* From logits to a token, and from a prompt to a stream of tokens. */
#ifndef SAMPLER_H
#define SAMPLER_H

#include "model.h"

struct options {
    size_t length;      /* the most tokens */
    double temperature; /* logits are divided by it; 0 takes the most probable token */
    size_t top_k;       /* keep the k most probable tokens; 0 keeps all */
    double top_p;       /* keep the fewest tokens whose probabilities sum to at least this; 1 keeps all */
    uint64_t seed;      /* of the random numbers, one a token; any */
};

struct ranked {
    double logit, cumulative;
    size_t id;
};

/* Choose a token from `count` logits; `uniform` in [0, 1) decides, ties go to the lower id. `room` is for
 * `count`. */
size_t sample(const float *logits, size_t count, const struct options *options, double uniform,
              struct ranked *room);

/* Return the number in [0, 1) of a seed that decides the token at `position`: SplitMix64, as in every
 * example. */
double uniform_at(uint64_t seed, uint64_t position);

/* Return how many tokens of a prompt go into one call; the vocabulary has one token at least. */
size_t prefill_width(const struct bundle *bundle);

/* Called with each token as soon as it is chosen. */
typedef void (*heard)(const struct model *model, size_t token, void *context);

/* Write tokens after a prompt, which may be empty: then the bundle's start tokens are fed. */
bool generate(struct model *model, const char *prompt, const struct options *options, heard hear,
              void *context, struct bundle_error *error);

#endif
