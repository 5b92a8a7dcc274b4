/* A bundle's step in C as a table of tensors in one block of memory, for hosts that learn names and sizes when they run.
   prepare.py writes the table, network.c, beside the bundle's step.c. */
#ifndef NETWORK_H
#define NETWORK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { NETWORK_STATE = 0, NETWORK_INPUT = 1, NETWORK_OUTPUT = 2 };

typedef struct {
    const char *name;
    const char *dtype; /* as the manifest spells it */
    int role;
    uint32_t count;  /* of elements */
    uint32_t width;  /* bytes of an element */
    uint32_t offset; /* of its first byte in the block */
    uint32_t rank, shape[8];
} network_tensor;

typedef struct {
    const char *artifact, *sha256; /* the path and the digest in the manifest of what was compiled */
    uint32_t bytes;                /* of a block */
    uint32_t state_bytes;          /* the first ones, which are the state: a copy of them is a fork */
    uint32_t tensors;
    const network_tensor *table;
    const void *first; /* the state before the first step: the stored one, else zeros; what encode gives is zeros, too */
    /* One step on a block that is aligned for 8 bytes: reads inputs and state, writes outputs and the next state.
       0, or what the header of the step says, and then nothing was written. */
    int (*step)(void *block);
} network;

#ifdef __cplusplus
}
#endif

#endif
