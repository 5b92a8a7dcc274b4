/* Where the tensors of the recorded run lie in golden.safetensors. prepare.py writes recorded.c. */
#ifndef RECORDED_H
#define RECORDED_H

#include <stdint.h>

typedef struct {
    const char *name;
    uint32_t tensor;  /* its place in the network's table */
    int made;         /* whether a step makes it: an output or a next state; else it is given */
    uint32_t offset;  /* of its first byte in the file */
    uint32_t times;   /* the number of steps; 1: every step is given the same */
    uint32_t streams; /* rows of the network's, each of which is given the one that is recorded */
    uint32_t after;   /* elements from one row to the next */
    uint32_t layers;  /* of a state: each is compared by itself where steps are forced */
    uint32_t inner;   /* elements from one layer to the next */
} recorded_tensor;

typedef struct {
    uint32_t steps, bytes; /* recorded steps; bytes of the file */
    double tolerance;
    int forced; /* whether each step starts from the recorded state, and the error is relative */
    uint32_t tensors;
    const recorded_tensor *table;
} recording;

#endif
