/* See tokenizer.h. */
#include "tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "bytepairs.h"

enum { MOVES_PER_BYTE = 200, REPLACEMENT_BYTES = 3 };

static bool other(struct bundle_error *error, const char *why) {
    return fail(
        error,
        "tokenizer.json does not fit manifest.json: %s; expected that it does; export the bundle again", why);
}

static size_t hash(const char *token, size_t length) {
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (unsigned char)token[i]) * 1099511628211u;
    }
    return (size_t)(hash ^ hash >> 32);
}

/* Return the place of a token in the table, or the free one where it would be. */
static size_t *locate(const struct tokenizer *tokenizer, const char *token, size_t length) {
    size_t at = hash(token, length) % tokenizer->table_size;
    while (tokenizer->table[at] != 0) {
        const struct json *found = tokenizer->tokens[tokenizer->table[at] - 1];
        if (found->key_length == length && memcmp(found->key, token, length) == 0) {
            break;
        }
        at = (at + 1) % tokenizer->table_size;
    }
    return &tokenizer->table[at];
}

size_t tokenizer_find(const struct tokenizer *tokenizer, const char *token, size_t length) {
    size_t place = *locate(tokenizer, token, length);
    return place > 0 ? place - 1 : tokenizer->count;
}

static bool read_vocabulary(struct tokenizer *tokenizer, const struct bundle *bundle,
                            struct bundle_error *error) {
    const struct json *vocabulary = json_get(json_get(tokenizer->document, "model"), "vocab");
    tokenizer->count = bundle->vocabulary;
    if (vocabulary == NULL || vocabulary->kind != JSON_OBJECT || vocabulary->length != tokenizer->count) {
        return other(error, "its vocabulary has not as many tokens as the contract has ids");
    }
    tokenizer->table_size = 2 * tokenizer->count + 1;
    tokenizer->tokens = calloc(tokenizer->count, sizeof(const struct json *));
    tokenizer->table = calloc(tokenizer->table_size, sizeof *tokenizer->table);
    if (tokenizer->tokens == NULL || tokenizer->table == NULL) {
        return other(error, "there is no memory for its vocabulary");
    }
    for (const struct json *token = vocabulary->first; token != NULL; token = token->next) {
        size_t id = 0;
        if (!json_whole(token, &id) || id >= tokenizer->count || tokenizer->tokens[id] != NULL) {
            return other(error, "an id is no number below the size of the vocabulary, or comes twice");
        }
        tokenizer->tokens[id] = token;
        *locate(tokenizer, token->key, token->key_length) = id + 1;
        size_t room = REPLACEMENT_BYTES * (token->key_length + 4);
        tokenizer->longest = room > tokenizer->longest ? room : tokenizer->longest;
    }
    return true;
}

/* Read what the kind needs beside the vocabulary. */
static bool read_pipeline(struct tokenizer *tokenizer, const char *kind, struct bundle_error *error) {
    const struct json *model = json_get(tokenizer->document, "model"),
                      *before = json_get(tokenizer->document, "pre_tokenizer");
    bool pairs = strcmp(kind, "bpe") == 0;
    tokenizer->caption = strcmp(kind, "caption") == 0;
    tokenizer->spaced = tokenizer->caption || strcmp(kind, "spaced") == 0;
    tokenizer->words = tokenizer->spaced || strcmp(kind, "word") == 0;
    tokenizer->bytes = pairs || strcmp(kind, "byte") == 0;
    tokenizer->cut = pairs || tokenizer->words;
    if (!tokenizer->bytes && !tokenizer->words && strcmp(kind, "char") != 0) {
        return fail(error,
                    "the tokenizer is of kind %s, expected char, byte, word, bpe, spaced or caption; use the "
                    "tokenizers library for others",
                    kind);
    }
    const char *unknown = json_text(json_get(model, "unk_token"));
    tokenizer->unknown = tokenizer->words && unknown != NULL
                             ? tokenizer_find(tokenizer, unknown, strlen(unknown))
                             : tokenizer->count;
    if (pairs) {
        const struct json *parts = json_get(before, "pretokenizers");
        before = parts != NULL && parts->kind == JSON_ARRAY ? parts->first : NULL;
    }
    const struct json *text = tokenizer->cut ? json_get(json_get(before, "pattern"), "Regex") : NULL;
    if (tokenizer->cut && (text == NULL || text->kind != JSON_STRING)) {
        return other(error, "it has no pattern that cuts a text");
    }
    if (tokenizer->cut && !pattern_read(&tokenizer->pattern, text->text, text->length, error)) {
        return false;
    }
    return !tokenizer->bytes || bytepairs_read(tokenizer, json_get(model, "merges"), error);
}

/* What encoding writes to: ids, and whether what is unknown is left out. A text that is `other` cannot be
 * judged here. */
struct encoding {
    int64_t *ids;
    size_t count;
    bool skip, other;
};

static bool unknown(const struct tokenizer *tokenizer, const char *piece, size_t length, size_t place,
                    struct bundle_error *error) {
    return fail(
        error,
        "the tokenizer has no '%.*s', at place %zu of the prompt; expected any of its %zu %s; leave it out",
        length > 100 ? 100 : (int)length, piece, place, tokenizer->count,
        tokenizer->words ? "words" : "characters");
}

static bool encode_piece(const struct tokenizer *tokenizer, const char *piece, size_t length,
                         struct encoding *encoding, struct bundle_error *error) {
    if (tokenizer->bytes) {
        encoding->count += bytepairs_encode(tokenizer, piece, length, encoding->ids + encoding->count);
        return true;
    }
    size_t id = tokenizer_find(tokenizer, piece, length);
    bool known = id < tokenizer->count && id != tokenizer->unknown;
    if (!known && !encoding->skip && tokenizer->unknown == tokenizer->count) {
        return unknown(tokenizer, piece, length, encoding->count, error);
    }
    if (known || !encoding->skip) {
        encoding->ids[encoding->count++] = (int64_t)(known ? id : tokenizer->unknown);
    }
    return true;
}

/* Cut a text by the pattern and encode the pieces. What lies between two matches is a piece, too, but of
 * words apart. */
static bool encode_cut(const struct tokenizer *tokenizer, const char *text, size_t length,
                       struct encoding *encoding, struct bundle_error *error) {
    const unsigned char *at = (const unsigned char *)text, *end = at + length, *gap = at;
    struct search search = {
        .pattern = &tokenizer->pattern, .end = end, .left = MOVES_PER_BYTE * (length + 100)};
    bool made = true;
    while (made && at < end) {
        const unsigned char *next = pattern_match(&search, at);
        if (next == NULL || next == at) {
            at = json_next_character(at, end);
            made = search.left > 0 ||
                   fail(error, "the pattern of tokenizer.json takes too long; expected one that edgernn "
                               "writes; export the bundle again");
            if (at < end) {
                continue;
            }
            next = at; /* the text ends between two matches */
        }
        if (made && gap < at && !tokenizer->spaced) {
            made = encode_piece(tokenizer, (const char *)gap, (size_t)(at - gap), encoding, error);
        }
        if (made && next > at) {
            made = encode_piece(tokenizer, (const char *)at, (size_t)(next - at), encoding, error);
        }
        gap = at = next;
    }
    free(search.places);
    return made;
}

/* Make a caption's text lower case, as far as ASCII goes; refuse what NFKC and lower case would change beyond
 * it. */
static bool normalize(char *text, size_t length, struct bundle_error *error) {
    const unsigned char *end = (const unsigned char *)text + length, *next = NULL;
    for (unsigned char *at = (unsigned char *)text; at < end; at += next - at) {
        next = json_next_character(at, end);
        if (*at >= 'A' && *at <= 'Z') {
            *at = (unsigned char)(*at - 'A' + 'a');
        } else if (pattern_is_changed(pattern_code(at, next))) {
            return fail(error,
                        "the text has '%.*s', which a caption has in another form; expected lower case in "
                        "the normal form "
                        "NFKC; write it so",
                        (int)(next - at), (const char *)at);
        }
    }
    return true;
}

static bool encode_caption(const struct tokenizer *tokenizer, const char *text, size_t length,
                           struct encoding *encoding, struct bundle_error *error) {
    char *own = malloc(length + 1);
    if (own == NULL) {
        return fail(error, "there is no memory for the text; expected some; give a shorter one");
    }
    memcpy(own, text, length);
    encoding->other = !normalize(own, length, error);
    bool made = !encoding->other && encode_cut(tokenizer, own, length, encoding, error);
    free(own);
    return made;
}

static bool encode(const struct tokenizer *tokenizer, const char *text, size_t length,
                   struct encoding *encoding, struct bundle_error *error) {
    const unsigned char *at = (const unsigned char *)text, *end = at + length, *next;
    for (size_t place = 0; at < end; place++, at = next) {
        next = json_next_character(at, end);
        if (next == NULL) {
            return fail(error, "the prompt is no UTF-8 at place %zu; expected UTF-8; write it so", place);
        }
        if (!tokenizer->bytes && !tokenizer->words &&
            !encode_piece(tokenizer, (const char *)at, (size_t)(next - at), encoding, error)) {
            return false;
        }
    }
    if (tokenizer->caption) {
        return encode_caption(tokenizer, text, length, encoding, error);
    }
    if (tokenizer->cut) {
        return encode_cut(tokenizer, text, length, encoding, error);
    }
    return !tokenizer->bytes || encode_piece(tokenizer, text, length, encoding, error);
}

bool tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length, int64_t *ids,
                      size_t *count, struct bundle_error *error) {
    struct encoding encoding = {.ids = ids};
    bool made = encode(tokenizer, text, length, &encoding, error);
    *count = encoding.count;
    return made;
}

/* Encode the recorded text, in which there may be what the model lacks, and compare. */
static bool check_recorded(const struct tokenizer *tokenizer, const struct json *entry,
                           struct bundle_error *error) {
    const struct json *text = json_get(entry, "text"), *ids = json_get(entry, "ids");
    if (text == NULL || text->kind != JSON_STRING || ids == NULL || ids->kind != JSON_ARRAY) {
        return other(error, "there is no recorded text");
    }
    struct encoding encoding = {.ids = calloc(text->length + 1, sizeof(int64_t)), .skip = true};
    const struct json *expected = ids->first;
    bool made = encoding.ids != NULL && encode(tokenizer, text->text, text->length, &encoding, error);
    bool same = made && encoding.count == ids->length;
    for (size_t i = 0; same && i < encoding.count; i++, expected = expected->next) {
        size_t wanted = 0;
        same = json_whole(expected, &wanted) && (int64_t)wanted == encoding.ids[i];
    }
    free(encoding.ids);
    return same || encoding.other || (made ? other(error, "the recorded text has other ids") : false);
}

bool tokenizer_open(struct tokenizer *tokenizer, const struct bundle *bundle, struct bundle_error *error) {
    const struct json *entry = json_get(bundle->manifest, "tokenizer");
    const char *path = json_text(json_get(entry, "path")), *kind = json_text(json_get(entry, "kind")),
               *why = "";
    size_t length = 0;
    *tokenizer = (struct tokenizer){0};
    if (path == NULL || kind == NULL) {
        return other(error, "the manifest names no tokenizer");
    }
    char *text = bundle_read(bundle, path, &length, error);
    if (text == NULL) {
        return false;
    }
    tokenizer->document = json_parse(text, length, &why);
    free(text);
    if (tokenizer->document == NULL) {
        return fail(error, "%s is no JSON (%s); expected a tokenizer; export the bundle again", path, why);
    }
    return read_vocabulary(tokenizer, bundle, error) && read_pipeline(tokenizer, kind, error) &&
           check_recorded(tokenizer, entry, error);
}

void tokenizer_close(struct tokenizer *tokenizer) {
    json_free(tokenizer->document);
    free(tokenizer->tokens);
    free(tokenizer->table);
    free(tokenizer->merges);
    *tokenizer = (struct tokenizer){0};
}
