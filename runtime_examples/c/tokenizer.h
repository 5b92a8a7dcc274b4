/* Text to token ids and back, from a tokenizer.json of one of edgernn's kinds: char, byte, word, bpe,
 * spaced and caption. */
#ifndef TOKENIZER_H
#define TOKENIZER_H

#include "bundle.h"
#include "pattern.h"

struct merge {
    size_t left, right, rank, into;
};

struct tokenizer {
    struct json *document;
    const struct json **tokens; /* by id: a member of the vocabulary, whose key is the token */
    size_t count;
    size_t *table, table_size; /* of hashes: an id + 1, or 0 */
    bool bytes, words;    /* its tokens are bytes; whole words */
    bool spaced, caption; /* words, a space between two but for line ends; and of captions */
    bool cut;                   /* by `pattern`, before anything is looked up */
    struct pattern pattern;
    struct merge *merges; /* sorted by their two ids */
    size_t merge_count;
    size_t byte_ids[256];
    size_t unknown; /* the id of <unk>, or `count` */
    size_t longest; /* the most bytes that tokenizer_text writes at once */
};

/* Where a text stands that is written token by token: a character may span several of them. */
struct text_stream {
    unsigned char held[4];
    size_t held_count;
    bool begun;
};

/* Open a bundle's tokenizer and hold it against the text and the ids in the manifest. Close it in any case.
 */
bool tokenizer_open(struct tokenizer *tokenizer, const struct bundle *bundle, struct bundle_error *error);
void tokenizer_close(struct tokenizer *tokenizer);

/* Write the ids of `length` bytes of UTF-8 into `ids`, which has room for one a byte. */
bool tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length, int64_t *ids,
                      size_t *count, struct bundle_error *error);

/* Write what a token completes of a text into `text` and return how many bytes: whole characters only, and
 * U+FFFD for what is no UTF-8. There is room for `tokenizer->longest`. */
size_t tokenizer_text(const struct tokenizer *tokenizer, struct text_stream *stream, size_t id, char *text);

/* Write what is left at the end of a text, at most 3 bytes. */
size_t tokenizer_end(struct text_stream *stream, char *text);

#endif
