/* See bytepairs.h. A vocabulary of bytes spells each byte as a character, in GPT-2's way: a printable byte of
 * Latin-1 is itself, the n-th other one is the character 256 + n. */
#include "bytepairs.h"

#include <stdlib.h>
#include <string.h>

static const char REPLACEMENT[] = "\xef\xbf\xbd"; /* U+FFFD */

static bool printable(unsigned byte) {
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

/* Return the byte for which a character stands, or 256. */
static unsigned byte_of(uint32_t code) {
    if (code < 256) {
        return printable(code) ? code : 256;
    }
    unsigned byte = 0, others = 0;
    while (byte < 256 && (printable(byte) || others++ < code - 256)) {
        byte++;
    }
    return byte;
}

static int by_ids(const void *left, const void *right) {
    const struct merge *a = left, *b = right;
    if (a->left != b->left) {
        return a->left < b->left ? -1 : 1;
    }
    return a->right < b->right ? -1 : a->right > b->right;
}

/* Read a merge: two tokens, as an array or parted by a space. */
static bool read_merge(const struct tokenizer *tokenizer, const struct json *entry, struct merge *merge) {
    const struct json *first = entry->kind == JSON_ARRAY && entry->length == 2 ? entry->first : NULL;
    const char *left = NULL, *right = NULL;
    size_t left_length = 0, right_length = 0;
    if (first != NULL && first->kind == JSON_STRING && first->next->kind == JSON_STRING) {
        left = first->text, left_length = first->length;
        right = first->next->text, right_length = first->next->length;
    } else if (json_text(entry) != NULL && strchr(entry->text, ' ') != NULL) {
        left = entry->text, left_length = strcspn(left, " ");
        right = left + left_length + 1, right_length = entry->length - left_length - 1;
    }
    char *both = left != NULL ? malloc(left_length + right_length + 1) : NULL;
    if (both == NULL) {
        return false;
    }
    memcpy(both, left, left_length);
    memcpy(both + left_length, right, right_length);
    merge->left = tokenizer_find(tokenizer, left, left_length);
    merge->right = tokenizer_find(tokenizer, right, right_length);
    merge->into = tokenizer_find(tokenizer, both, left_length + right_length);
    free(both);
    return merge->left < tokenizer->count && merge->right < tokenizer->count &&
           merge->into < tokenizer->count;
}

bool bytepairs_read(struct tokenizer *tokenizer, const struct json *merges, struct bundle_error *error) {
    const char *const wrong =
        "tokenizer.json does not fit manifest.json: %s; expected that it does; export the bundle again";
    size_t seen = 0;
    for (size_t id = 0; id < tokenizer->count; id++) {
        const struct json *token = tokenizer->tokens[id];
        const unsigned char *at = (const unsigned char *)token->key, *end = at + token->key_length;
        const unsigned char *next = json_next_character(at, end);
        unsigned byte = next == end && next != NULL ? byte_of(pattern_code(at, next)) : 256;
        if (byte < 256) {
            tokenizer->byte_ids[byte] = id;
            seen++;
        }
    }
    if (seen != 256 || merges == NULL || merges->kind != JSON_ARRAY) {
        return fail(error, wrong, "it has no token for every byte, or no merges");
    }
    tokenizer->merges = calloc(merges->length + 1, sizeof *tokenizer->merges);
    for (const struct json *entry = merges->first; entry != NULL && tokenizer->merges != NULL;
         entry = entry->next) {
        struct merge *merge = &tokenizer->merges[tokenizer->merge_count];
        merge->rank = tokenizer->merge_count++;
        if (!read_merge(tokenizer, entry, merge)) {
            return fail(error, wrong, "a merge is no pair of tokens that makes a token");
        }
    }
    if (tokenizer->merges == NULL) {
        return fail(error, wrong, "there is no memory for its merges");
    }
    qsort(tokenizer->merges, tokenizer->merge_count, sizeof *tokenizer->merges, by_ids);
    return true;
}

static const struct merge *find(const struct tokenizer *tokenizer, const int64_t *pair) {
    struct merge wanted = {.left = (size_t)pair[0], .right = (size_t)pair[1]};
    return tokenizer->merge_count == 0
               ? NULL
               : bsearch(&wanted, tokenizer->merges, tokenizer->merge_count, sizeof wanted, by_ids);
}

/* Merge all pairs of the lowest rank, from left to right, until there is none left. */
size_t bytepairs_encode(const struct tokenizer *tokenizer, const char *piece, size_t length, int64_t *ids) {
    for (size_t i = 0; i < length; i++) {
        ids[i] = (int64_t)tokenizer->byte_ids[(unsigned char)piece[i]];
    }
    for (;;) {
        const struct merge *best = NULL;
        for (size_t i = 0; i + 1 < length; i++) {
            const struct merge *merge = find(tokenizer, &ids[i]);
            best = merge != NULL && (best == NULL || merge->rank < best->rank) ? merge : best;
        }
        if (best == NULL) {
            return length;
        }
        size_t kept = 0;
        for (size_t i = 0; i < length; i++) {
            bool pair = i + 1 < length && (size_t)ids[i] == best->left && (size_t)ids[i + 1] == best->right;
            ids[kept++] = pair ? (int64_t)best->into : ids[i];
            i += pair;
        }
        length = kept;
    }
}

/* Whether a byte may follow what is held of a character: the bounds are those of Unicode's table 3-7. */
static bool follows(const struct text_stream *stream, unsigned char byte) {
    unsigned char first = stream->held[0];
    if (stream->held_count > 1 || (first != 0xe0 && first != 0xed && first != 0xf0 && first != 0xf4)) {
        return byte >> 6 == 2;
    }
    unsigned char least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    return byte >= least && byte <= most;
}

size_t tokenizer_end(struct text_stream *stream, char *text) {
    size_t length = stream->held_count > 0 ? sizeof REPLACEMENT - 1 : 0;
    memcpy(text, REPLACEMENT, length);
    stream->held_count = 0;
    return length;
}

static size_t take_byte(struct text_stream *stream, unsigned char byte, char *text) {
    size_t length = 0;
    if (stream->held_count > 0 && !follows(stream, byte)) {
        length = tokenizer_end(stream, text);
    }
    bool begins = byte < 0x80 || (byte >= 0xc2 && byte <= 0xf4);
    stream->held[stream->held_count++] = byte;
    if (stream->held_count == 1 && !begins) {
        return length + tokenizer_end(stream, text + length);
    }
    size_t whole = stream->held[0] < 0x80 ? 1 : stream->held[0] < 0xe0 ? 2 : stream->held[0] < 0xf0 ? 3 : 4;
    if (stream->held_count == whole) {
        memcpy(text + length, stream->held, whole);
        stream->held_count = 0;
        return length + whole;
    }
    return length;
}

size_t tokenizer_text(const struct tokenizer *tokenizer, struct text_stream *stream, size_t id, char *text) {
    const struct json *token = tokenizer->tokens[id];
    const unsigned char *at = (const unsigned char *)token->key, *end = at + token->key_length, *next;
    bool spelled = tokenizer->bytes;
    size_t length = 0;
    for (const unsigned char *part = at; spelled && part < end; part = next) {
        next = json_next_character(part, end);
        spelled = byte_of(pattern_code(part, next)) < 256;
    }
    bool apart = tokenizer->spaced && !(token->key_length == 1 && *at == '\n');
    if (apart && stream->begun) {
        length += take_byte(stream, ' ', text);
    }
    stream->begun = apart;
    for (; at < end; at = next) {
        next = spelled ? json_next_character(at, end) : at + 1;
        unsigned char byte = spelled ? (unsigned char)byte_of(pattern_code(at, next)) : *at;
        length += take_byte(stream, byte, text + length);
    }
    return length;
}
