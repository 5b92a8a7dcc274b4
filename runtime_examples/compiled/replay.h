#ifndef REPLAY_H
#define REPLAY_H

#include "network.h"
#include "recorded.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Replays a recorded run on a block of the network, whose content `golden` holds, and prints a row a tensor: its name, the
   largest difference, what the manifest allows, ok or FAILED with the step at which it was off first. Returns how many failed; -1 where the network refuses a step
   and -2 where there is no memory. */
int replay(const network *net, const recording *run, const unsigned char *golden, void *block);

#ifdef __cplusplus
}
#endif

#endif
