/* The golden run of a bundle: a recorded run, replayed on this device. */
#ifndef CHECK_H
#define CHECK_H

#include "model.h"

/* Replay the golden run and the sampler's vectors. Print a line per tensor: name, worst measure, tolerance,
 * ok or FAILED; then how many random numbers and choices of the sampler are wrong, and the tokenizer.
 * `*passed` says whether all are ok. A file chains on its own state and is measured by its largest
 * difference; where the manifest says `forced`, each step starts from the recorded state, and the measure is
 * the relative RMS error, each layer of a state by itself. */
bool check_golden(struct model *model, bool *passed, struct bundle_error *error);

/* Feed `steps` recorded tokens one by one, each on the state of the last; write the median of their times in
 * microseconds. */
bool check_time(struct model *model, size_t steps, double *median_us, struct bundle_error *error);

#endif
