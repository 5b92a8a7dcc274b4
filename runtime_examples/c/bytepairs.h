/* The bytes of tokens of kind byte and bpe, and the merges of byte pairs (Sennrich et al. 2016). */
#ifndef BYTEPAIRS_H
#define BYTEPAIRS_H

#include "tokenizer.h"

/* Return the id of a token, or `tokenizer->count`. */
size_t tokenizer_find(const struct tokenizer *tokenizer, const char *token, size_t length);

/* Read the ids of the 256 bytes and the merges. */
bool bytepairs_read(struct tokenizer *tokenizer, const struct json *merges, struct bundle_error *error);

/* Write the ids of a piece of text, at most one a byte, and return how many. */
size_t bytepairs_encode(const struct tokenizer *tokenizer, const char *piece, size_t length, int64_t *ids);

#endif
