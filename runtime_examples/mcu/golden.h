/* The recorded run of a bundle, as golden.py writes it: golden.c and recorded.S. */
#ifndef GOLDEN_H
#define GOLDEN_H

#include <stdint.h>

enum { GOLDEN_MOST = 64 }; /* tensors that are compared */

/* An output, or a state after a step: what a step makes, and what was recorded of all steps. */
typedef struct {
    const char *name;
    const void *made;     /* count elements */
    const void *recorded; /* golden_steps times count elements */
    uint32_t count;
    uint32_t bytes; /* of an element */
    int exact;      /* no float32: any other value is wrong */
} golden_tensor;

extern const uint32_t golden_steps, golden_tensors;
extern const golden_tensor golden_table[];
/* Of the largest difference, over the larger of 1 and the largest recorded value. */
extern const float golden_tolerance;
extern const int golden_forced; /* each step is judged from the recorded state: that of integers, whose steps drift apart */
extern const uint32_t golden_state_bytes, golden_input_bytes, golden_output_bytes;

/* The recorded first state. */
void golden_begin(void);

/* The recorded state before a step, from 1 on. */
void golden_resume(uint32_t step);

/* One call with the recorded inputs of a step; returns 0, or why the network refused them. */
int golden_step(uint32_t step);

#endif
