/* An opened bundle: inputs and a state go into step, outputs and the next state come out. Nothing is
 * remembered between calls.
 *
 * A state is `state_bytes` bytes, every state's tensor after the other in the order of step's inputs, in
 * memory of the caller: so a reset is model_begin, a fork is a memcpy, saving is writing the bytes, and one
 * row of a batch goes its own way by model_set_row. */
#ifndef MODEL_H
#define MODEL_H

#include "bundle.h"
#include "tokenizer.h"

struct model {
    struct bundle bundle;
    struct tokenizer tokenizer; /* closed where the bundle has none */
    bool has_tokenizer;
    struct runtime *runtime; /* onnxruntime's side */
    void *first[MOST_TENSORS];  /* by the inputs of step: the stored first value of a state, of one row; NULL
                                   where it is another */
    bool encoded[MOST_TENSORS]; /* by the outputs of encode: whether it is the first value of a state */
};

/* Open a bundle folder. `artifact` is the path of a step file in it, NULL for the first; `library` is
 * onnxruntime's, or NULL. NULL where something is wrong. */
struct model *model_load(const char *folder, const char *artifact, const char *library,
                         struct bundle_error *error);
void model_close(struct model *model);

/* The tensors of a graph in a call, by their places in the contract: the caller's memory. What stands at a
 * state is not looked at, and an output that is NULL is not asked for. */
struct values {
    void *input[MOST_TENSORS], *output[MOST_TENSORS];
};

/* Begin a sequence: write the state before the first step, which is for each state what encode gives, its
 * stored value in every row, or zeros, as the contract says. Where the bundle encodes, encode's inputs go in,
 * and its contexts come out, in `values` by the places of encode; give a context back to step at its own
 * place there. `sizes` has the rows, and what encode makes of the open axes. */
bool model_begin(struct model *model, const struct sizes *sizes, const struct values *values, void *state,
                 struct bundle_error *error);

/* Run step once: one step, or several where `bundle.open_time` and `sizes` has the frames of that many.
 * `next` gets the state after them and may not be the memory of `state`. */
bool model_step(struct model *model, const struct sizes *sizes, const struct values *values,
                const void *state, void *next, struct bundle_error *error);

/* Write row `other_row` of another state, of a run with the sizes `others`, over row `row` of `state`: so that
 * a row begins again, goes back or goes on in another place. A state without rows stays as it is. */
bool model_set_row(const struct model *model, const struct sizes *sizes, void *state, int64_t row,
                   const struct sizes *others, const void *other, int64_t other_row,
                   struct bundle_error *error);

/* Run encode once: everything that it gives. `sizes` has what encode makes of the open axes. */
bool model_encode(struct model *model, const struct sizes *sizes, const struct values *values,
                  struct bundle_error *error);

#endif
