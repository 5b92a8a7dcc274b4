/* An opened bundle: tokens and a state go in, logits and the next state come out. Nothing is remembered between calls.
 *
 * A state is `bundle.state_values` floats, every tensor [L, 1, H] of the contract after the other, in memory of the caller:
 * so a reset is model_initial_state, a fork is a memcpy, and saving is writing the bytes. */
#ifndef MODEL_H
#define MODEL_H

#include "bundle.h"
#include "tokenizer.h"

struct model {
    struct bundle bundle;
    struct tokenizer tokenizer;
    struct runtime *runtime; /* onnxruntime's side */
    float *first_state;
};

/* Open a bundle folder. `artifact` is the path of a step file in it, NULL for the first; `library` is onnxruntime's, or NULL.
 * NULL where something is wrong. */
struct model *model_load(const char *folder, const char *artifact, const char *library, struct bundle_error *error);
void model_close(struct model *model);

/* Write the state before the first step. */
void model_initial_state(const struct model *model, float *state);

/* Feed `count` tokens; 1 at a time where `bundle.open_time` is false. `logits` gets [count, V], `next` the state after them,
 * which may not be the memory of `state`. */
bool model_step(struct model *model, const int64_t *tokens, size_t count, const float *state, float *logits, float *next,
                  struct bundle_error *error);

#endif
