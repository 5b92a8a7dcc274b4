/* What a sequence begins with: the first value of each state. */
#ifndef BEGIN_H
#define BEGIN_H

#include "model.h"

/* Find where the first states come from, and read those that are stored, all from one file. */
bool read_first_states(struct model *model, struct bundle_error *error);

#endif
