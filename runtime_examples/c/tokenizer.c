/* See tokenizer.h. */
#include "tokenizer.h"

#include <stdlib.h>
#include <string.h>

static bool other(struct failure *failure, const char *why) {
    return fail(failure, "tokenizer.json does not fit manifest.json: %s; expected that it does; export the bundle again", why);
}

static bool read_vocabulary(struct tokenizer *tokenizer, const struct bundle *bundle, struct failure *failure) {
    const struct json *vocabulary = json_get(json_get(tokenizer->document, "model"), "vocab");
    tokenizer->count = bundle->vocabulary;
    tokenizer->tokens = calloc(tokenizer->count, sizeof(const struct json *));
    if (tokenizer->tokens == NULL || vocabulary == NULL || vocabulary->length != tokenizer->count) {
        return other(failure, "its vocabulary has not as many tokens as the logits have columns");
    }
    for (const struct json *token = vocabulary->first; token != NULL; token = token->next) {
        size_t id = 0;
        if (token->key == NULL || !json_whole(token, &id) || id >= tokenizer->count || tokenizer->tokens[id] != NULL) {
            return other(failure, "an id is no number below the size of the vocabulary, or comes twice");
        }
        tokenizer->tokens[id] = token;
    }
    return true;
}

/* Return the id of a character, or -1. */
static int64_t find(const struct tokenizer *tokenizer, const char *character, size_t length) {
    for (size_t id = 0; id < tokenizer->count; id++) {
        const struct json *token = tokenizer->tokens[id];
        if (token->key_length == length && memcmp(token->key, character, length) == 0) {
            return (int64_t)id;
        }
    }
    return -1;
}

bool tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length, int64_t *ids, size_t *count,
                      struct failure *failure) {
    const unsigned char *at = (const unsigned char *)text, *end = at + length;
    for (*count = 0; at < end; ++*count) {
        const unsigned char *next = json_next_character(at, end);
        if (next == NULL) {
            return fail(failure, "the prompt is no UTF-8 at place %zu; expected UTF-8; write it so", *count);
        }
        ids[*count] = find(tokenizer, (const char *)at, (size_t)(next - at));
        if (ids[*count] < 0) {
            int bytes = (int)(next - at);
            return fail(failure, "the tokenizer has no '%.*s', at place %zu of the prompt; expected any of its %zu characters; "
                                 "leave it out", bytes, (const char *)at, *count, tokenizer->count);
        }
        at = next;
    }
    return true;
}

/* Encode the recorded text, in which there may be characters that the model lacks, and compare. */
static bool check_recorded(const struct tokenizer *tokenizer, const struct json *entry, struct failure *failure) {
    const struct json *text = json_get(entry, "text"), *ids = json_get(entry, "ids");
    if (text == NULL || text->kind != JSON_STRING || ids == NULL || ids->kind != JSON_ARRAY) {
        return other(failure, "there is no recorded text");
    }
    const unsigned char *at = (const unsigned char *)text->text, *end = at + text->length;
    const struct json *expected = ids->first;
    for (const unsigned char *next; at < end; at = next) {
        next = json_next_character(at, end); /* valid, for the reader has seen to it */
        int64_t found = find(tokenizer, (const char *)at, (size_t)(next - at));
        size_t wanted = 0;
        if (found >= 0 && (!json_whole(expected, &wanted) || (int64_t)wanted != found)) {
            return other(failure, "the recorded text has other ids");
        }
        expected = found >= 0 ? expected->next : expected;
    }
    return expected == NULL || other(failure, "the recorded text has fewer ids");
}

bool tokenizer_open(struct tokenizer *tokenizer, const struct bundle *bundle, struct failure *failure) {
    const struct json *entry = json_get(bundle->manifest, "tokenizer");
    const char *path = json_text(json_get(entry, "path")), *kind = json_text(json_get(entry, "kind")), *why = "";
    size_t length = 0;
    *tokenizer = (struct tokenizer){0};
    if (path == NULL || kind == NULL || json_get(json_get(bundle->manifest, "files"), path) == NULL) {
        return other(failure, "the manifest names no tokenizer among its files");
    }
    if (strcmp(kind, "char") != 0) {
        return fail(failure, "the tokenizer is of kind %s, expected char; use the tokenizers library for others", kind);
    }
    char *text = bundle_read(bundle, path, &length, failure);
    if (text == NULL) {
        return false;
    }
    tokenizer->document = json_parse(text, length, &why);
    free(text);
    if (tokenizer->document == NULL) {
        return fail(failure, "%s is no JSON (%s); expected a tokenizer; export the bundle again", path, why);
    }
    return read_vocabulary(tokenizer, bundle, failure) && check_recorded(tokenizer, entry, failure);
}

void tokenizer_close(struct tokenizer *tokenizer) {
    json_free(tokenizer->document);
    free(tokenizer->tokens);
    *tokenizer = (struct tokenizer){0};
}
