#ifndef REPLAY_H
#define REPLAY_H

/* Replay the recorded run, print a row a tensor, and return how many tensors are off. */
int replay(void);

#endif
