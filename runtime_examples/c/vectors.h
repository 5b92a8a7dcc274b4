/* The sampler's vectors of a bundle, sampler.json: random numbers and choices of tokens that every device
 * must make alike. */
#ifndef VECTORS_H
#define VECTORS_H

#include "bundle.h"

/* How many random numbers and how many choices of a token are not the recorded ones. */
struct tally {
    bool there; /* whether the bundle has vectors */
    double numbers, tokens; /* infinite where the file records none */
};

/* Replay the vectors of a bundle, where it has them. */
bool check_vectors(const struct bundle *bundle, struct tally *tally, struct bundle_error *error);

#endif
