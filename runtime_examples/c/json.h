/* A small strict JSON reader (RFC 8259): UTF-8 is checked, numbers are doubles, nesting is at most 64 deep,
 * and an object that has a name twice is refused: which of the two counts would be anybody's guess. */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>

enum json_kind { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* One value. Members and elements are a chain from `first` over `next`. */
struct json {
    enum json_kind kind;
    double number;
    char *text;    /* of a string, UTF-8, with a NUL after `length` bytes; it may hold NULs itself */
    size_t length; /* bytes of text, or how many members or elements */
    char *key;     /* of a member of an object: its name, with a NUL after `key_length` bytes */
    size_t key_length;
    struct json *first, *next;
};

/* Read a document; `text` has a NUL after `length` bytes. NULL where it is no JSON, and why in `*why`. */
struct json *json_parse(const char *text, size_t length, const char **why);

/* Free a document; NULL is nothing to free. */
void json_free(struct json *value);

/* Return a member by its name; NULL where `object` is NULL, is no object or has none. */
const struct json *json_get(const struct json *object, const char *key);

/* Return a string's text; NULL where `value` is NULL, is no string or holds a NUL. */
const char *json_text(const struct json *value);

/* Read a whole number of 0 to 2^53; false where `value` is NULL or anything else. */
bool json_whole(const struct json *value, size_t *number);

/* Return the end of the UTF-8 character at `at`; NULL where it is not valid. */
const unsigned char *json_next_character(const unsigned char *at, const unsigned char *end);

#endif
