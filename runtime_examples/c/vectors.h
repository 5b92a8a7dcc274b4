/* The sampler's vectors of a bundle, sampler.json: random numbers and choices of tokens that every device must make alike. */
#ifndef VECTORS_H
#define VECTORS_H

#include "bundle.h"

/* Replay them and print a line. `*passed` says whether every number and every token is the recorded one; a bundle without vectors
 * prints nothing and passes. */
bool check_vectors(const struct bundle *bundle, bool *passed, struct failure *failure);

#endif
