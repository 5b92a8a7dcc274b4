/* The recorded random numbers and choices of a bundle, as text.py writes them: vectors.c. */
#ifndef VECTORS_H
#define VECTORS_H

#include <stdint.h>

typedef struct {
    uint64_t seed, position;
    double value;
} vectors_number;

/* A choice: where its scores and its suppressed ids begin, how it is made, and the right token. */
typedef struct {
    double uniform, temperature, top_p;
    int32_t logits, count, suppressed, suppressed_count, top_k, token;
} vectors_choice;

extern const int32_t vectors_numbers_count, vectors_choices_count;
extern const vectors_number vectors_numbers[];
extern const vectors_choice vectors_choices[];
extern const float vectors_logits[];
extern const int32_t vectors_suppressed[];

#endif
