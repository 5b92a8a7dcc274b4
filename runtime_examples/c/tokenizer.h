/* Characters to token ids and back, from a tokenizer.json of kind "char". */
#ifndef TOKENIZER_H
#define TOKENIZER_H

#include "bundle.h"

struct tokenizer {
    struct json *document;
    const struct json **tokens; /* by id: a member of the vocabulary, whose key is the token */
    size_t count;
};

/* Open a bundle's tokenizer and hold it against the text and the ids in the manifest. Close it in any case. */
bool tokenizer_open(struct tokenizer *tokenizer, const struct bundle *bundle, struct failure *failure);
void tokenizer_close(struct tokenizer *tokenizer);

/* Write the ids of `length` bytes of UTF-8 into `ids`, which has room for one a byte. */
bool tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length, int64_t *ids, size_t *count,
                      struct failure *failure);

#endif
